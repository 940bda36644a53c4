//! What a client is told when its request is not answered: an error object as OpenAI has it.

use crate::scheduler::Refused;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Seconds after which a client that was turned away may ask again.
const RETRY_AFTER: u64 = 1;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// 400: something in the request cannot be.
    #[error("{message}")]
    Invalid {
        /// The field at fault, if it is one.
        param: Option<String>,
        /// What is wrong with it, and what is allowed.
        message: String,
    },
    /// 401: no key, or a wrong one.
    #[error("this server wants its key: `Authorization: Bearer KEY`")]
    Unauthorised,
    /// 404: no route of that path.
    #[error("there is no {path}")]
    NoRoute {
        /// The path asked for.
        path: String,
    },
    /// 404: another model than the one that is served.
    #[error("there is no model `{model}`; this server has `{served}`")]
    NoModel {
        /// The name asked for.
        model: String,
        /// The name of the one there is.
        served: String,
    },
    /// 405: the route takes other methods.
    #[error("{path} does not take {method}")]
    WrongMethod {
        /// The path asked for.
        path: String,
        /// The method.
        method: String,
    },
    /// 413: the body is longer than the server takes.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// 429, 400 or 503: the scheduler does not take the job.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// 503: the model is not there yet.
    #[error("the model is still loading")]
    Loading,
    /// 500: the fault is not the client's.
    #[error("{message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

impl ApiError {
    /// A field that cannot be so.
    pub fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        ApiError::Invalid { param: Some(param.into()), message: message.into() }
    }

    /// A request that cannot be read.
    pub fn invalid(message: impl Into<String>) -> Self {
        ApiError::Invalid { param: None, message: message.into() }
    }

    /// What the server could not do.
    pub fn internal(message: impl ToString) -> Self {
        ApiError::Internal { message: message.to_string() }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::Invalid { .. } => StatusCode::BAD_REQUEST,
            ApiError::Unauthorised => StatusCode::UNAUTHORIZED,
            ApiError::NoRoute { .. } | ApiError::NoModel { .. } => StatusCode::NOT_FOUND,
            ApiError::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Refused(Refused::Full { .. }) => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Refused(Refused::TooLong { .. } | Refused::Empty) => StatusCode::BAD_REQUEST,
            ApiError::Refused(Refused::Closing) | ApiError::Loading => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The object that tells it, `{"error": {"message", "type", "param", "code"}}`; an event of a stream carries it too.
    pub fn body(&self) -> serde_json::Value {
        let param = match self {
            ApiError::Invalid { param, .. } => param.as_deref(),
            ApiError::NoModel { .. } => Some("model"),
            ApiError::Refused(Refused::TooLong { .. } | Refused::Empty) => Some("prompt"),
            _ => None,
        };
        error_body(self.status(), &self.to_string(), param, self.code())
    }

    /// OpenAI's word for it, where there is one.
    fn code(&self) -> Option<&'static str> {
        Some(match self {
            ApiError::Unauthorised => "invalid_api_key",
            ApiError::NoModel { .. } => "model_not_found",
            ApiError::Refused(Refused::TooLong { .. }) => "context_length_exceeded",
            ApiError::Refused(Refused::Full { .. }) => "queue_full",
            ApiError::Refused(Refused::Closing) => "shutting_down",
            ApiError::Loading => "loading",
            _ => return None,
        })
    }
}

/// An error object.
pub(crate) fn error_body(
    status: StatusCode,
    message: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> serde_json::Value {
    let kind = match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self.body())).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
