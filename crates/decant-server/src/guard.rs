//! Who may ask, and how a refusal looks.

use crate::app::App;
use crate::error::ApiError;
use crate::{playground, routes};
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Lets a request pass that brings the server's key, if it has one. Whether the server is well, everybody may ask; and
/// everybody may have the playground, which asks for the key itself.
pub async fn key(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let open = path == routes::HEALTH || playground::has(path);
    match &app.settings.api_key {
        Some(key) if !open && !brings(request.headers(), key) => ApiError::Unauthorised.into_response(),
        _ => next.run(request).await,
    }
}

/// Takes as long for a wrong key as for the right one of that length.
fn brings(headers: &HeaderMap, key: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    match given.split_at_checked("Bearer ".len()) {
        Some((scheme, given)) => scheme.eq_ignore_ascii_case(b"Bearer ") && given.ct_eq(key.as_bytes()).into(),
        None => false,
    }
}

/// Refusals that come from below the routes speak plain text; clients expect OpenAI's error object.
pub async fn as_error_object(State(app): State<App>, request: Request, next: Next) -> Response {
    const LONGEST: usize = 1 << 16;
    let response = next.run(request).await;
    let status = response.status();
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    let fine = !(status.is_client_error() || status.is_server_error());
    if fine || response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        return response;
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::too_large(app.settings.body_limit).into_response();
    }
    let text = to_bytes(response.into_body(), LONGEST).await.unwrap_or_default();
    let reason = match text.is_empty() {
        true => status.to_string(),
        false => String::from_utf8_lossy(&text).into_owned(),
    };
    ApiError::Body { status, reason }.into_response()
}

/// 404, as an error object.
pub async fn no_route(uri: Uri) -> ApiError {
    ApiError::NoRoute { path: uri.path().to_owned() }
}

/// 405, as an error object.
pub async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::WrongMethod { path: uri.path().to_owned(), method: method.to_string() }
}

/// Which pages of other origins may call.
pub fn cors(origins: &[String]) -> CorsLayer {
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        // OpenAI's own client sends a dozen headers about itself.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([crate::watch::REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(600))
}
