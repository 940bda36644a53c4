//! The playground's page and assets, as a browser gets them: also while the model loads, and without the key.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use decant_server::app::{App, Settings};
use tower::ServiceExt;

const PATHS: [(&str, &str); 4] = [
    ("/", "text/html; charset=utf-8"),
    ("/assets/playground.js", "text/javascript; charset=utf-8"),
    ("/assets/playground.css", "text/css; charset=utf-8"),
    ("/assets/icon.svg", "image/svg+xml"),
];

async fn get(path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let settings = Settings { api_key: Some("s3cret".to_owned()), ..Settings::default() };
    let mut request = Request::get(path);
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = decant_server::router(App::new(settings)).oneshot(request).await.unwrap().into_parts();
    (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

#[tokio::test]
async fn every_file_is_there_for_everybody() {
    for (path, kind) in PATHS {
        let (status, headers, bytes) = get(path, None).await;
        assert_eq!((status.as_u16(), headers[header::CONTENT_TYPE].to_str().unwrap()), (200, kind), "{path}");
        assert!(bytes.len() > 100 && std::str::from_utf8(&bytes).is_ok(), "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    for path in ["/assets/", "/assets/other.js", "/index.html"] {
        assert_eq!(get(path, None).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn the_page_asks_for_files_that_are_there_and_has_no_script_within() {
    let page = String::from_utf8(get("/", None).await.2).unwrap();
    let asked: Vec<&str> = page.split(['"', '\'']).filter(|word| word.starts_with('/') && word.len() > 1).collect();
    assert!(asked.len() >= 3, "{page}");
    for path in asked {
        assert!(PATHS.iter().any(|(known, _)| *known == path), "{path}");
    }
    assert!(!page.contains("<script>") && !page.contains("<style") && !page.contains("style="), "{page}");
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let mut tags = Vec::new();
    for (path, _) in PATHS {
        let (_, headers, whole) = get(path, None).await;
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let (status, headers, bytes) = get(path, Some(&known)).await;
            assert_eq!((status.as_u16(), bytes.len()), (304, 0), "{path} {known}");
            assert_eq!(headers[header::ETAG], tag.as_str());
        }
        assert_eq!(get(path, Some("\"other\"")).await.2, whole);
        tags.push(tag);
    }
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), PATHS.len(), "every file has its own");
}
