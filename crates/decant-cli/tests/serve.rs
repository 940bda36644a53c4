//! `decant serve` as a process: where it listens, what it answers, how it ends.
#![cfg(unix)] // Signals.

mod common;

use common::server::{Server, hear};
use common::{Place, lines};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The head of a request for tokens whose body is cut into two.
const HEAD: &str = "POST /tokenize HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n\
                    X-Request-Id: half\r\nContent-Length: 18\r\n\r\n{\"prompt\"";
const REST: &str = ": \"once\"}";

#[test]
fn answers_and_ends_at_a_signal() {
    let server = Server::ready(&["serve", "--port", "0"]);
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
    let models = server.get("/v1/models");
    assert!(models.starts_with("HTTP/1.1 200") && models.contains("Decant Stories"), "{models}");
    let mut half = server.say(HEAD);
    half.write_all(REST.as_bytes()).unwrap();
    assert!(hear(half).contains("\"tokens\":[0,"));
    let head = hear(server.say("HEAD /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    server.signal();
    let (status, log) = server.end();
    assert!(status.success() && !log.contains("cut off"), "{log}");
    assert!(log.contains("id=\"half\"") && log.contains("path=\"/tokenize\"}: answered status=200"), "{log}");
    assert!(!log.contains('\u{1b}'), "colours in a file: {log}");
}

#[test]
fn a_signal_lets_requests_end() {
    let server = Server::ready(&["serve", "--port", "0", "--log-format", "json"]);
    let mut half = server.say(HEAD);
    server.until_taken();
    server.signal();
    server.until_ending();
    let health = server.get("/health");
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("draining"), "{health}");
    let models = server.get("/v1/models");
    assert!(models.starts_with("HTTP/1.1 503") && models.contains("retry-after: 1"), "{models}");
    half.write_all(REST.as_bytes()).unwrap();
    let said = hear(half);
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("tokens"), "{said}");
    let (status, log) = server.end();
    assert!(status.success(), "{log}");
    let lines = lines(&log);
    let half: Vec<&Value> = lines.iter().filter(|line| line["span"]["id"] == "half").collect();
    assert_eq!(half.len(), 1, "{log}");
    assert_eq!((&half[0]["message"], &half[0]["status"]), (&"answered".into(), &200.into()), "{log}");
}

#[test]
fn a_signal_lets_a_stream_end() {
    let server = Server::ready(&["serve", "--port", "0"]);
    let body = r#"{"prompt": "Once upon a time", "max_tokens": 400, "ignore_eos": true, "seed": 1, "stream": true}"#;
    let mut stream = server.ask(body);
    let mut begun = [0; 512];
    let read = stream.read(&mut begun).unwrap();
    server.signal();
    let said = String::from_utf8_lossy(&begun[..read]).into_owned() + &hear(stream);
    let events = said.lines().filter(|line| line.starts_with("data: {")).count();
    assert!(said.contains("data: [DONE]") && events >= 400, "{events} events: {said}");
    let (status, log) = server.end();
    assert!(status.success() && log.contains("/v1/completions") && !log.contains("cut off"), "{log}");
}

#[test]
fn a_second_signal_stops() {
    let server = Server::ready(&["serve", "--port", "0"]);
    let half = server.say(HEAD);
    server.until_taken();
    server.signal();
    server.until_ending();
    let stopping = Instant::now();
    server.signal();
    let (status, log) = server.end();
    assert!(status.success() && log.contains("stopping 1 requests"), "{log}");
    assert!(stopping.elapsed() < Duration::from_secs(30));
    assert!(half.shutdown(Shutdown::Both).is_err() || hear(half).is_empty());
}

#[test]
fn a_key_from_the_environment() {
    let place = Place::new();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("decant"));
    command.args(["serve", "--port", "0"]).env("DECANT_API_KEY", "s3cret").stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
    let server = Server { child, address, place };
    assert!(server.get("/v1/samplers").starts_with("HTTP/1.1 401"));
    let head = "GET /v1/samplers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer s3cret\r\n\r\n";
    assert!(hear(server.say(head)).starts_with("HTTP/1.1 200"));
}

#[test]
fn every_example_serves() {
    let help = Place::new().ok(&["serve", "--help"]);
    let examples = help.lines().filter_map(|line| line.strip_prefix("  decant "));
    let examples: Vec<Vec<&str>> = examples.map(|line| line.split(' ').chain(["--port", "0"]).collect()).collect();
    assert!(examples.len() >= 3, "{help}");
    for example in examples {
        let server = Server::ready(&example);
        server.signal();
        let (status, log) = server.end();
        assert!(status.success(), "{example:?}: {log}");
    }
}

#[test]
fn wrong_command_lines() {
    let place = Place::new();
    for (args, what) in [
        (["--port", "65536"], "65536"),
        (["--port", "x"], "x"),
        (["--cors", "ftp://a.example"], "origin"),
        (["--cors", "http://a.example/"], "origin"),
        (["--api-key", ""], "key"),
        (["--api-key", "two words"], "key"),
        (["--cache-tokens", "0"], "cache-tokens"),
        (["--body-limit", "-1"], "-1"),
        (["--client-timeout", "0"], "client-timeout"),
        (["--log-format", "xml"], "xml"),
        (["--kv", "f8"], "f8"),
    ] {
        let told = place.err(2, &[&["serve"], &args[..]].concat());
        assert!(told.contains(what), "{args:?}: {told}");
    }
}

#[test]
fn nowhere_to_listen_and_nothing_to_serve() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = place.err(1, &["serve", "--port", &port]);
    assert!(told.contains("cannot listen on 127.0.0.1") && told.contains(&port), "{told}");
    let told = place.err(1, &["serve", "--port", "0", "-m", "no/such.gguf"]);
    assert!(told.contains("no/such.gguf"), "{told}");
}
