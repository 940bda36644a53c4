//! The three requests: an answer in JSON, what a file is, and its bytes from somewhere on.

use std::io::Read;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::{HubError, name};

/// How many redirections within the hub are followed to a file.
const MAX_REDIRECTS: usize = 5;
/// Listings of repositories are small.
const MAX_JSON: u64 = 64 << 20;

/// Speaks HTTP with a hub; TLS in Rust, with the roots that Mozilla trusts compiled in.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    token: Option<String>,
}

/// What the hub says of a file before any byte of it.
#[derive(Debug)]
pub(super) struct Remote {
    /// Where its bytes come from.
    pub(super) url: String,
    /// What its content is called; the SHA-256 for large files.
    pub(super) etag: String,
    /// How long it is.
    pub(super) len: Option<u64>,
    /// Whether the bytes come from the hub itself, which may be told the token.
    own: bool,
}

/// The bytes of a file.
pub(super) struct Bytes {
    /// Where they begin.
    pub(super) start: u64,
    /// How many come from there, as far as the answer says.
    pub(super) len: Option<u64>,
    pub(super) reader: Box<dyn Read>,
}

impl Client {
    pub(super) fn new(token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .accept_encoding("identity") // or else lengths would be those of something compressed
            .user_agent(concat!("decant/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)));
        Client { agent: config.build().new_agent(), token }
    }

    /// An answer in JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, HubError> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut response = checked(url, request.call())?;
        let body = response.body_mut().with_config().limit(MAX_JSON).read_to_vec();
        let body = body.map_err(|error| unreachable(url, error))?;
        serde_json::from_slice(&body)
            .map_err(|error| HubError::Answer { url: url.to_owned(), reason: error.to_string() })
    }

    /// What the file at `url` is. Large files are kept elsewhere: the answer redirects there, and tells etag and length
    /// itself. A renamed repository redirects within the hub, which is followed.
    pub(super) fn head(&self, url: &str) -> Result<Remote, HubError> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.agent.head(&url);
            if let Some(token) = &self.token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.config().max_redirects(0).max_redirects_will_error(false).build();
            let response = request.call().map_err(|error| unreachable(&url, error))?;
            let location = text(&response, "location");
            match location {
                Some(path) if response.status().is_redirection() && path.starts_with('/') => {
                    url = format!("{}{path}", origin(&url));
                }
                Some(elsewhere) if response.status().is_redirection() => {
                    return remote(&response, &url, elsewhere.to_owned(), false);
                }
                _ => {
                    let response = checked(&url, Ok(response))?;
                    return remote(&response, &url, url.clone(), true);
                }
            }
        }
        Err(HubError::Answer { url, reason: "it redirects without end".to_owned() })
    }

    /// The bytes of a file from `start` on; from 0 on if the server cannot do better.
    pub(super) fn get(&self, remote: &Remote, start: u64) -> Result<Bytes, HubError> {
        let url = &remote.url;
        let mut request = self.agent.get(url);
        if let Some(token) = self.token.as_ref().filter(|_| remote.own) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let response = request.call().map_err(|error| unreachable(url, error))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(Bytes { start, len: None, reader: Box::new(std::io::empty()) });
        }
        let response = checked(url, Ok(response))?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(&response).unwrap_or(0),
            _ => 0,
        };
        let len = response.body().content_length();
        Ok(Bytes { start, len, reader: Box::new(response.into_body().into_reader()) })
    }
}

/// An answer that succeeded.
fn checked(url: &str, response: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, HubError> {
    let response = response.map_err(|error| unreachable(url, error))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(HubError::Status { url: url.to_owned(), status: status.as_u16() }),
    }
}

fn unreachable(url: &str, error: ureq::Error) -> HubError {
    HubError::Unreachable { url: url.to_owned(), source: Box::new(error) }
}

fn text<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

fn remote(response: &Response<Body>, asked: &str, url: String, own: bool) -> Result<Remote, HubError> {
    let etag = text(response, "x-linked-etag").or_else(|| text(response, "etag")).unwrap_or_default();
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    if !name::is_plain(etag) {
        return Err(HubError::Answer { url: asked.to_owned(), reason: format!("`{etag}` is no etag") });
    }
    // The length of a redirection is that of its own body.
    let own_len = if own { text(response, "content-length") } else { None };
    let len = text(response, "x-linked-size").or(own_len).and_then(|len| len.parse().ok());
    Ok(Remote { url, etag: etag.to_owned(), len, own })
}

/// Scheme and host.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    url[host..].find('/').map_or(url, |path| &url[..host + path])
}

/// The first byte that a partial answer has: `bytes 200-1000/67589`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    text(response, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
