//! Why a request gets no answer, as OpenAI's clients expect to be told.

use crate::scheduler::Refused;
use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use decant_decode::DecodeError;
use decant_sampling::RowError;
use serde::Serialize;
use utoipa::ToSchema;

/// After how many seconds a client that was turned away may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The body of a refusal, as OpenAI's clients expect it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    error: ErrorObject,
}

/// Why a request gets no answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ErrorObject {
    /// What is wrong, and what is allowed.
    message: String,
    /// `invalid_request_error`, `authentication_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field at fault, as the client spelled it.
    param: Option<String>,
    /// A word for programs, where a client may act on it.
    code: Option<&'static str>,
}

/// Why a request gets no answer. As a response it is OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The request could not be taken in: its body did not arrive, or is longer than allowed.
    #[error("{reason}")]
    Body {
        /// What HTTP calls it.
        status: StatusCode,
        /// What went wrong.
        reason: String,
    },
    /// The body is no JSON object.
    #[error("the body is not a JSON object: {reason}")]
    Json {
        /// What stands there instead.
        reason: String,
    },
    /// The body does not say that it is JSON.
    #[error("the body must come with `Content-Type: application/json`, not `{given}`")]
    MediaType {
        /// What it says.
        given: String,
    },
    /// A field of the body is at fault.
    #[error("{message}")]
    Field {
        /// The field, as the client spelled it.
        param: String,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// No key, or a wrong one.
    #[error("this server wants its key: `Authorization: Bearer KEY`")]
    Unauthorised,
    /// No route of that path.
    #[error("there is no {path}")]
    NoRoute {
        /// The path asked for.
        path: String,
    },
    /// The route takes other methods.
    #[error("{path} does not take {method}")]
    WrongMethod {
        /// The path asked for.
        path: String,
        /// The method.
        method: String,
    },
    /// Another model than the one that is served.
    #[error("there is no model `{model}`; this server has `{served}`")]
    NoModel {
        /// The name asked for.
        model: String,
        /// The name of the one there is.
        served: String,
    },
    /// The model is not loaded yet.
    #[error("the model is still loading")]
    Loading,
    /// The scheduler does not take the request.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// Decoding could not go on.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// The server was stopped before the text was complete.
    #[error("the server stopped before the text was complete")]
    Stopped,
    /// A fault of the server's own.
    #[error("the server failed: {reason}")]
    Internal {
        /// What is known of it.
        reason: String,
    },
}

impl ApiError {
    /// A fault of one field.
    pub fn field(param: impl Into<String>, message: impl ToString) -> Self {
        ApiError::Field { param: param.into(), message: message.to_string() }
    }

    /// A fault of the server's own.
    pub fn internal(reason: impl ToString) -> Self {
        ApiError::Internal { reason: reason.to_string() }
    }

    /// A body of more bytes than allowed.
    pub fn too_large(limit: usize) -> Self {
        let reason = format!("the body is longer than {limit} bytes");
        ApiError::Body { status: StatusCode::PAYLOAD_TOO_LARGE, reason }
    }

    /// What HTTP calls it.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::Body { status, .. } => *status,
            ApiError::Json { .. } | ApiError::Field { .. } => StatusCode::BAD_REQUEST,
            ApiError::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::Unauthorised => StatusCode::UNAUTHORIZED,
            ApiError::NoRoute { .. } | ApiError::NoModel { .. } => StatusCode::NOT_FOUND,
            ApiError::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Loading | ApiError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Refused(Refused::Full { .. }) => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Refused(Refused::TooLong { .. } | Refused::Empty) => StatusCode::BAD_REQUEST,
            ApiError::Refused(Refused::Closing) => StatusCode::SERVICE_UNAVAILABLE,
            // A sampler may forbid every token; the model's own rows never do.
            ApiError::Decode(DecodeError::Row { source: RowError::AllForbidden { .. }, .. }) => StatusCode::BAD_REQUEST,
            ApiError::Decode(_) | ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// OpenAI's error object.
    pub fn body(&self) -> ErrorBody {
        let kind = match self.status() {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let param = match self {
            ApiError::Field { param, .. } => Some(param.as_str()),
            ApiError::NoModel { .. } => Some("model"),
            _ => None,
        };
        let param = param.map(str::to_owned);
        ErrorBody { error: ErrorObject { message: self.to_string(), kind, param, code: self.code() } }
    }

    /// A word for programs, where OpenAI has one or a client may act on it.
    fn code(&self) -> Option<&'static str> {
        Some(match self {
            ApiError::Unauthorised => "invalid_api_key",
            ApiError::NoModel { .. } => "model_not_found",
            ApiError::Refused(Refused::TooLong { .. }) => "context_length_exceeded",
            ApiError::Refused(Refused::Full { .. }) => "queue_full",
            ApiError::Loading => "loading",
            ApiError::Refused(Refused::Closing) | ApiError::Stopped => "shutting_down",
            _ => return None,
        })
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        ApiError::Body { status: rejection.status(), reason: rejection.body_text() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self.body())).into_response();
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_fault_has_its_status_and_its_object() {
        let full = Refused::Full { waiting: 64 };
        let long = Refused::TooLong { prompt: 9, room: 8 };
        let forbidden = DecodeError::Row { position: 0, source: RowError::AllForbidden { vocab: 1 } };
        for (error, status, kind, param, code) in [
            (ApiError::field("n", "n must be 1"), 400, "invalid_request_error", Some("n"), None),
            (ApiError::Json { reason: "EOF".into() }, 400, "invalid_request_error", None, None),
            (ApiError::Unauthorised, 401, "authentication_error", None, Some("invalid_api_key")),
            (ApiError::NoRoute { path: "/v2".into() }, 404, "invalid_request_error", None, None),
            (ApiError::Loading, 503, "server_error", None, Some("loading")),
            (full.into(), 429, "rate_limit_error", None, Some("queue_full")),
            (long.into(), 400, "invalid_request_error", None, Some("context_length_exceeded")),
            (Refused::Closing.into(), 503, "server_error", None, Some("shutting_down")),
            (forbidden.into(), 400, "invalid_request_error", None, None),
            (DecodeError::EmptyPrompt.into(), 500, "server_error", None, None),
        ] {
            let body = json!(error.body());
            let told =
                (body["error"]["type"].as_str(), body["error"]["param"].as_str(), body["error"]["code"].as_str());
            assert_eq!(told, (Some(kind), param, code), "{error:?}");
            assert_eq!(body["error"]["message"], error.to_string());
            let response = error.clone().into_response();
            assert_eq!(response.status(), status, "{error:?}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), [429, 503].contains(&status), "{error:?}");
        }
    }
}
