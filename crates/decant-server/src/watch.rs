//! Every request from its head to the last byte of its response: its id, its line in the log, its place in the counts.

use crate::app::App;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::routes;
use crate::scheduler::Refused;
use crate::traffic::Pass;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tracing::{Instrument, Span, debug_span, info_span};

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a client.
const LONGEST_ID: usize = 64;

/// Watches a request.
pub async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(&app, request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let aside = [routes::HEALTH, routes::METRICS].contains(&path.as_str());
    let span = match aside {
        true => debug_span!("request", id, %method, path),
        false => info_span!("request", id, %method, path),
    };
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut ending = Ending::new(app.metrics.clone(), method, route, aside, span.clone());
    if !aside {
        ending.pass = app.traffic.enter();
    }
    let mut response = match ending.pass.is_some() || aside {
        true => next.run(request).instrument(span).await,
        false => ApiError::Refused(Refused::Closing).into_response(),
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    ending.status = Some(response.status());
    // A body that has nothing to say is never asked.
    ending.whole = response.body().is_end_stream() || ending.method == Method::HEAD;
    response.map(|body| Body::new(Watched { body, ending }))
}

/// The client's own id, if it is one; else one that no other request to this server has.
fn request_id(app: &App, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_id = |id: &&str| (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    given.filter(is_id).map_or_else(|| app.traffic.new_id(), str::to_owned)
}

/// A response's body that tells how it ended.
struct Watched {
    body: Body,
    ending: Ending,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = ready!(this.ending.span.in_scope(|| Pin::new(&mut this.body).poll_frame(cx)));
        this.ending.whole = frame.is_none() || this.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is told when a request is over, however it came to be.
struct Ending {
    metrics: Arc<Metrics>,
    method: Method,
    route: String,
    aside: bool,
    span: Span,
    started: Instant,
    status: Option<StatusCode>,
    whole: bool,
    /// Held until the request is over.
    pass: Option<Pass>,
}

impl Ending {
    fn new(metrics: Arc<Metrics>, method: Method, route: String, aside: bool, span: Span) -> Self {
        metrics.open.inc();
        Ending { metrics, method, route, aside, span, started: Instant::now(), status: None, whole: false, pass: None }
    }
}

/// A method's name, as long as nobody has made it up.
fn method_name(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "other",
    }
}

/// Status of a request whose client went away before there was a response; nginx's, as there is no standard one.
const CLIENT_GONE: u16 = 499;

impl Drop for Ending {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let status = self.status.map_or(CLIENT_GONE, |status| status.as_u16());
        self.metrics.open.dec();
        self.metrics.ended(method_name(&self.method), &self.route, status, seconds, self.whole);
        let ms = (seconds * 1e4).round() / 10.0;
        self.span.in_scope(|| match (self.aside, self.whole) {
            (true, _) => tracing::debug!(status, ms, "answered"),
            (false, true) => tracing::info!(status, ms, "answered"),
            (false, false) => tracing::info!(status, ms, "cut off"),
        });
    }
}
