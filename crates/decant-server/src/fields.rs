//! A request's body: JSON, read strictly.

use crate::app::App;
use crate::error::ApiError;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

/// A request's body as fields of `T`. A field that `T` does not have is refused by name, unless the server is lenient.
#[derive(Clone, Copy, Debug)]
pub struct Fields<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        read(&body(request, app).await?, app.settings.lenient).map(Fields)
    }
}

/// The body of a request that says that it is JSON.
///
/// # Errors
/// [`ApiError::MediaType`], or [`ApiError::Body`].
pub async fn body(request: Request, app: &App) -> Result<Bytes, ApiError> {
    check_type(request.headers())?;
    Bytes::from_request(request, app).await.map_err(|rejection| match ApiError::from(rejection) {
        // Whether its length was told beforehand or not.
        ApiError::Body { status: StatusCode::PAYLOAD_TOO_LARGE, .. } => ApiError::too_large(app.settings.body_limit),
        error => error,
    })
}

/// A page of another site may send a text unasked, but not JSON: so a body must say that it is JSON.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(ApiError::MediaType { given: given.to_owned() }),
    }
}

/// The fields of a JSON object.
///
/// # Errors
/// [`ApiError::Json`], or [`ApiError::Field`] with the path of the field that is wrong or, unless `lenient`, unknown.
pub fn read<T: DeserializeOwned>(body: &[u8], lenient: bool) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let (mut track, mut unknown) = (serde_path_to_error::Track::new(), None);
    let fields = serde_ignored::deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track), |path| {
        // A field that may be absent is a level of its own to it.
        _ = unknown.get_or_insert_with(|| path.to_string().replace(".?", ""))
    });
    let fields = fields.map_err(|error| {
        let path = track.path();
        match path.iter().next() {
            Some(_) => ApiError::field(path.to_string(), format_args!("{path}: {error}")),
            None => whole(error),
        }
    })?;
    json.end().map_err(|error| ApiError::Json { reason: error.to_string() })?;
    match unknown {
        Some(field) if !lenient => Err(ApiError::field(&field, format!("there is no field `{field}` here"))),
        _ => Ok(fields),
    }
}

/// A fault of the object as a whole. Of a field that is missing or given twice only serde's message tells the name.
fn whole(error: serde_json::Error) -> ApiError {
    let message = error.to_string();
    let named = ["missing field `", "duplicate field `"].iter().find_map(|fault| message.strip_prefix(fault));
    match named.and_then(|rest| rest.split_once('`')) {
        Some((field, _)) => ApiError::field(field, &message),
        None => ApiError::Json { reason: message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        count: u32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    fn fault(body: &str) -> (Option<String>, String) {
        match read::<Outer>(body.as_bytes(), false) {
            Err(ApiError::Field { param, message }) => (Some(param), message),
            Err(error @ ApiError::Json { .. }) => (None, error.to_string()),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn names_the_field_at_fault() {
        let fine = r#"{"name": "a", "inner": {"count": 1}}"#;
        let read = read::<Outer>(fine.as_bytes(), false).unwrap();
        assert_eq!(read, Outer { name: "a".into(), inner: Some(Inner { count: 1 }) });
        for (body, param) in [
            (r#"{"name": "a", "inner": {"count": -1}}"#, Some("inner.count")),
            (r#"{"name": 3}"#, Some("name")),
            (r#"{"name": "a", "nome": 1}"#, Some("nome")),
            (r#"{"name": "a", "inner": {"count": 1, "cuont": 1}}"#, Some("inner.cuont")),
            ("{}", Some("name")),
            (r#"{"name": "a", "name": "b"}"#, Some("name")),
            ("", None),
            (r#"{"name": "a"} {}"#, None),
        ] {
            assert_eq!(fault(body).0.as_deref(), param, "{body}");
        }
        assert!(fault("{}").1.contains("missing field `name`"));
    }

    #[test]
    fn lenient_ignores_what_nobody_knows() {
        assert_eq!(
            read::<Outer>(br#"{"name": "a", "nome": 1}"#, true).unwrap(),
            Outer { name: "a".into(), inner: None }
        );
    }

    #[test]
    fn deep_and_broken_json_is_refused() {
        fault(&"[".repeat(100_000));
        fault(&format!(r#"{{"name": "a", "deep": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000)));
        assert!(read::<Outer>(b"{\"name\": \"\xff\"}", false).is_err());
    }
}
