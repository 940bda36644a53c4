//! All routes, and what every request passes on its way to them.

use crate::app::App;
use crate::{guard, respond, routes, watch};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use std::time::Duration;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// How long a client may pause while it sends a body.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// The server as a function from requests to responses.
pub fn router(app: App) -> Router {
    let router = Router::new()
        .merge(routes::router())
        .merge(respond::router())
        .fallback(guard::no_route)
        .method_not_allowed_fallback(guard::wrong_method)
        // From here on, the later a layer stands the further out it is.
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(RequestBodyLimitLayer::new(app.settings.body_limit))
        .layer(from_fn_with_state(app.clone(), guard::key))
        .layer(from_fn_with_state(app.clone(), guard::as_error_object));
    let router = match app.settings.cors.as_slice() {
        [] => router,
        origins => router.layer(guard::cors(origins)),
    };
    router.layer(from_fn_with_state(app.clone(), watch::watch)).with_state(app)
}
