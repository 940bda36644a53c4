//! All routes, and what every request passes on its way to them.

use crate::app::App;
use crate::{guard, playground, respond, routes, watch};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa_axum::router::OpenApiRouter;

/// Every route of the API with what the OpenAPI document tells of it: none is served that is not in the document, nor the
/// other way round.
pub(crate) fn api() -> OpenApiRouter<App> {
    OpenApiRouter::default().merge(routes::router()).merge(respond::router())
}

/// The server as a function from requests to responses.
pub fn router(app: App) -> Router {
    let router = Router::from(api())
        .merge(playground::router())
        .fallback(guard::no_route)
        .method_not_allowed_fallback(guard::wrong_method)
        // From here on, the later a layer stands the further out it is.
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyTimeoutLayer::new(app.settings.client_timeout))
        .layer(RequestBodyLimitLayer::new(app.settings.body_limit))
        .layer(from_fn_with_state(app.clone(), guard::key))
        .layer(from_fn_with_state(app.clone(), guard::as_error_object));
    let router = match app.settings.cors.as_slice() {
        [] => router,
        origins => router.layer(guard::cors(origins)),
    };
    router.layer(from_fn_with_state(app.clone(), watch::watch)).with_state(app)
}
