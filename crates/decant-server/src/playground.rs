//! The playground: a page that shows what the model was unsure of, built from `web/` and part of the program.
//!
//! Four files with names that stay, so they are listed here and need no library that finds them. The page and its assets hold
//! nothing of the model and nothing of its texts: they are open to whoever reaches the server, key or none. What the page asks
//! the server for wants the key as ever.

use crate::app::App;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::hash::{DefaultHasher, Hasher};

/// A file of the playground.
struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($path:literal, $name:literal, $kind:literal) => {
        File { path: $path, kind: $kind, bytes: include_bytes!(concat!("../playground/", $name)) }
    };
}

const FILES: [File; 4] = [
    file!("/", "index.html", "text/html; charset=utf-8"),
    file!("/assets/playground.js", "assets/playground.js", "text/javascript; charset=utf-8"),
    file!("/assets/playground.css", "assets/playground.css", "text/css; charset=utf-8"),
    file!("/assets/icon.svg", "assets/icon.svg", "image/svg+xml"),
];

/// Only what this server sends: no other origin, no script or style within the page, no frame around it.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A route for each file.
pub fn router() -> Router<App> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = file.tag();
        router.route(file.path, get(async move |headers: HeaderMap| file.answer(&headers, &tag)))
    })
}

/// Whether a path is one of the playground's.
pub fn has(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

impl File {
    /// Changes with the bytes.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.bytes);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// The file, or word that the browser's copy is the newest. Names stay when bytes change, so a browser must ask.
    fn answer(&'static self, headers: &HeaderMap, tag: &str) -> Response {
        let fixed = [
            (header::CONTENT_TYPE, self.kind),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
        let mut known = known.split(',').map(|known| known.trim().trim_start_matches("W/"));
        let answer = match known.any(|known| known == tag || known == "*") {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.bytes.into_response(),
        };
        (fixed, [(header::ETAG, tag.to_owned())], answer).into_response()
    }
}
