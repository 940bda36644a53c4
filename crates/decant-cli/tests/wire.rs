//! Bytes on the wire that are odd, wrong or hostile, and what `decant serve` says to them.
#![cfg(unix)]

mod common;

use common::server::Server;
use std::io::{Read, Write};
use std::thread;

const JSON: &str = "Content-Type: application/json\r\n";
const CHUNKED: &str = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
const BODY: &str = r#"{"prompt": "a"}"#;
const CHUNK: &str = "f\r\n{\"prompt\": \"a\"}\r\n";

/// A request for tokens with these headers, as it is, and with the length of its body.
fn raw(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [format!("POST /tokenize HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes(), body.as_ref()].concat()
}

fn sized(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    raw(&format!("{headers}Content-Length: {}\r\n", body.as_ref().len()), body)
}

fn get(target: impl AsRef<[u8]>, headers: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET ", target.as_ref(), b" HTTP/1.1\r\nHost: a\r\n", headers.as_ref(), b"\r\n"].concat()
}

/// What is sent, and the statuses it is answered with until the connection closes.
struct Case(&'static str, Vec<u8>, &'static [u16]);

fn framing() -> Vec<Case> {
    let length = |length: &str| raw(&format!("{JSON}Content-Length: {length}\r\n"), BODY);
    let pipelined = [sized(JSON, BODY), sized(JSON, "{"), get("/health", ""), get("/nothing", "")].concat();
    vec![
        Case("one request", sized(JSON, BODY), &[200]),
        Case("pipelined requests", pipelined, &[200, 400, 200, 404]),
        Case("empty lines first", [b"\r\n\r\n".to_vec(), sized(JSON, BODY)].concat(), &[200]),
        Case("bare line feeds", b"GET /health HTTP/1.1\nHost: a\n\n".to_vec(), &[200]),
        Case("HTTP/1.0", b"GET /health HTTP/1.0\r\n\r\n".to_vec(), &[200]),
        Case("HTTP/0.9", b"GET /health\r\n\r\n".to_vec(), &[400]),
        Case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[]),
        Case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".to_vec(), &[400]),
        Case("an upgrade", get("/health", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), &[200]),
        Case("a proxy's target", get("http://b/health", ""), &[200]),
        Case("no body where there should be one", raw(JSON, ""), &[400]),
        Case("a negative length", length("-1"), &[400]),
        Case("a signed length", length("+15"), &[400]),
        Case("a length in hexadecimal", length("0xf"), &[400]),
        Case("no length", length(""), &[400]),
        Case("a length beyond 64 bits", length("99999999999999999999999"), &[400]),
        Case("the greatest length", length("18446744073709551615"), &[431]),
        Case("two lengths that differ", sized(&format!("{JSON}Content-Length: 14\r\n"), BODY), &[400]),
        Case("two lengths that agree", sized(&format!("{JSON}Content-Length: 15\r\n"), BODY), &[200]),
        Case(
            "a length and chunks",
            raw(&format!("{CHUNKED}Content-Length: 3\r\n"), format!("{CHUNK}0\r\n\r\n")),
            &[200],
        ),
        Case("chunks", raw(CHUNKED, format!("{CHUNK}0\r\n\r\n")), &[200]),
        Case("chunks and trailers", raw(CHUNKED, format!("{CHUNK}0\r\nX: y\r\n\r\n")), &[200]),
        Case("chunks and rubbish", raw(CHUNKED, format!("{CHUNK}0\r\n\r\nRUBBISH\r\n\r\n")), &[200, 400]),
        Case("a chunk longer than it says", raw(CHUNKED, "3\r\n{\"prompt\": \"a\"}\r\n0\r\n\r\n"), &[400]),
        Case("a chunk of no size", raw(CHUNKED, "zz\r\n{"), &[400]),
        Case("a chunk beyond 64 bits", raw(CHUNKED, "fffffffffffffffff\r\n{"), &[400]),
        Case("the greatest chunk", raw(CHUNKED, "ffffffffffffffff\r\n{"), &[400]),
        Case("a flood of trailers", raw(CHUNKED, format!("{CHUNK}0\r\n{}\r\n", "X: y\r\n".repeat(20_000))), &[400]),
        Case("a flood of a chunk's extensions", raw(CHUNKED, format!("f;{}\r\n", "a".repeat(100_000))), &[400]),
        Case("another coding", sized(&format!("{JSON}Transfer-Encoding: gzip\r\n"), BODY), &[400]),
        Case("expectation", raw(&format!("{JSON}Expect: 100-continue\r\nContent-Length: 15\r\n"), BODY), &[100, 200]),
        Case(
            "expectation of what is refused",
            raw(&format!("{JSON}Expect: 100-continue\r\nContent-Length: 10000000\r\n"), ""),
            &[413],
        ),
    ]
}

fn contents() -> Vec<Case> {
    let deep = "[".repeat(100_000);
    vec![
        Case("deep JSON", sized(JSON, &deep), &[400]),
        Case("a deep field", sized(JSON, format!("{{\"prompt\": {deep}{}}}", "]".repeat(100_000))), &[400]),
        Case("a deep unknown field", sized(JSON, format!("{{\"prompt\": \"a\", \"b\": {{\"c\": {deep}")), &[400]),
        Case("a body that is no UTF-8", sized(JSON, b"{\"prompt\": \"\xff\xfe\"}"), &[400]),
        Case("a lone surrogate", sized(JSON, r#"{"prompt": "\ud800"}"#), &[400]),
        Case("a body in UTF-16", sized(JSON, b"\xff\xfe{\x00}\x00"), &[400]),
        Case("a compressed body", sized(&format!("{JSON}Content-Encoding: gzip\r\n"), b"\x1f\x8b\x08"), &[400]),
        Case("a type that is no UTF-8", get("/health", b"Content-Type: \xff\xfe\r\n"), &[200]),
        Case("an id that is no UTF-8", get("/health", b"X-Request-Id: \xff\xfe\r\n"), &[200]),
        Case("a header's name that is no UTF-8", get("/health", b"X\xff: y\r\n"), &[400]),
        Case("a path that is no UTF-8", get(b"/\xff\xfe", ""), &[400]),
        Case("a path that stands for no UTF-8", get("/v1/models/%ff%fe", ""), &[400]),
        Case("a path that stands for nothing", get("/%zz", ""), &[404]),
        Case("NUL in a path", get("/\0", ""), &[400]),
        Case("NUL in a header", get("/health", "X: a\0b\r\n"), &[400]),
        Case("a folded header", get("/health", "X: a\r\n b\r\n"), &[400]),
        Case("too many headers", get("/health", "X: y\r\n".repeat(100)), &[431]),
        Case("too long a header", get("/health", format!("X: {}\r\n", "y".repeat(100_000))), &[431]),
        Case("too long a path", get(format!("/{}", "a".repeat(100_000)), ""), &[431]),
        Case("a header without an end", get("/health", format!("X: {}", "y".repeat(4_000_000))), &[431]),
    ]
}

/// The statuses of what came back.
fn statuses(said: &str) -> Vec<u16> {
    said.split("HTTP/1.").skip(1).map(|head| head[2..5].parse().unwrap()).collect()
}

#[test]
fn every_request_is_answered_as_it_deserves() {
    // Who does not close is closed after a second.
    let server = Server::ready(&["serve", "--port", "0", "--client-timeout", "1"]);
    let answer = |case: &Case| {
        let mut stream = server.connect();
        let _ = stream.write_all(&case.1); // it may be refused before its end
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said); // and be reset
        String::from_utf8(said).unwrap()
    };
    let answer = &answer;
    thread::scope(|scope| {
        let cases = framing().into_iter().chain(contents());
        let asked: Vec<_> = cases.map(|case| scope.spawn(move || (answer(&case), case))).collect();
        for asked in asked {
            let (said, Case(what, _, expected)) = asked.join().unwrap();
            assert_eq!(statuses(&said), expected, "{what}: {said:.600}");
            let refused = expected.last().is_some_and(|status| *status >= 400);
            assert!(
                !refused || said.contains("content-length: 0\r\n") || said.contains("{\"error\":{"),
                "{what}: {said:.600}"
            );
        }
    });
    assert_eq!(server.metric("http_requests_open"), 1);
    assert!(!server.place.read("log").contains("panicked"));
}
