//! `decant serve` and clients that do what they should not: it keeps answering the others, and nothing of them stays behind.
#![cfg(unix)] // SIGKILL, and /proc where there is one.

mod common;

use common::Place;
use common::server::{Server, hear};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// A server that waits for its clients no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

fn impatient() -> Server {
    Server::ready(&["serve", "--port", "0", "--client-timeout", "2"])
}

/// A short completion, and one that does not fit in the buffers between the server and a client who does not read.
const SHORT: &str = r#"{"prompt": "Once upon a time", "max_tokens": 12, "seed": 1, "stream": true}"#;
const LONG: &str = r#"{"prompt": "The", "max_tokens": 500, "n": 128, "ignore_eos": true, "seed": 1, "stream": true}"#;

/// Waits until the 128 texts of the long one are live.
fn until_long(server: &Server) {
    server.until("live", || server.metric("sequences_live") == 128);
}

/// What is told of a completion, without what each answer has for itself.
fn told(said: &str) -> Vec<&str> {
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("data: [DONE]"), "{said}");
    said.lines().filter_map(|line| Some(line.split_once("\"choices\":[")?.1)).collect()
}

/// Nothing is left of requests that are over, and the server is well.
#[track_caller]
fn well(server: &Server) {
    server.until("at rest", || server.metric("sequences_live") == 0 && server.metric("http_requests_open") == 1);
    assert!(server.get("/health").contains("ready"));
    let log = server.place.read("log");
    assert!(!log.contains("panicked"), "{log}");
}

/// Open files of the server; 0 where the system does not tell.
fn files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.child.id())).map_or(0, Iterator::count)
}

/// Bytes of memory of the server; 0 where the system does not tell.
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    resident.unwrap_or(0u64) << 10
}

#[test]
fn nothing_is_written_so_a_kill_harms_nothing() {
    let place = Place::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../decant-models/assets/decant-stories.gguf");
    place.write("model.gguf", fs::read(&model).unwrap());
    let path = place.path("model.gguf").display().to_string();
    let mut server = Server::ready(&["serve", "--port", "0", "-m", &path]);
    let alone = hear(server.ask(SHORT));
    let _under_way = server.ask(LONG);
    until_long(&server);
    server.child.kill().unwrap(); // SIGKILL
    server.child.wait().unwrap();
    let written = |place: &Place| {
        let mut names: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    // Its folder, which is also where temporary files and downloads would go, has but the log that the test has made of stderr.
    assert_eq!((written(&server.place), written(&place)), (vec!["log".into()], vec!["model.gguf".into()]));
    assert!(fs::read(place.path("model.gguf")).unwrap() == fs::read(&model).unwrap());
    // At once and at the same port.
    let port = server.address.rsplit(':').next().unwrap();
    let again = Server::ready(&["serve", "--port", port, "-m", &path]);
    assert_eq!(told(&hear(again.ask(SHORT))), told(&alone));
}

#[test]
fn a_full_queue_turns_away_until_it_is_not_full() {
    let server = Server::ready(&["serve", "--port", "0", "--max-waiting", "1"]);
    let alone = hear(server.ask(SHORT));
    let held = server.ask(LONG);
    until_long(&server);
    let waiting = server.ask(SHORT);
    server.until("full", || server.metric("jobs_waiting") == 1);
    let refused = hear(server.ask(SHORT));
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("\"code\":\"queue_full\""), "{refused}");
    drop(held);
    assert_eq!(told(&hear(waiting)), told(&alone));
    assert_eq!(told(&hear(server.ask(SHORT))), told(&alone));
    well(&server);
}

#[test]
fn a_reader_of_some_bytes_a_second_holds_up_nobody() {
    let server = impatient();
    let alone = hear(server.ask(SHORT));
    let (mut slow, begun) = (server.ask(LONG), Instant::now());
    until_long(&server);
    let reading = thread::spawn(move || {
        slow.set_read_timeout(Some(4 * PATIENCE)).unwrap();
        while slow.read(&mut [0; 1]).is_ok_and(|read| read > 0) && begun.elapsed() < 10 * PATIENCE {
            sleep(Duration::from_millis(100));
        }
    });
    while server.metric("sequences_live") > 0 {
        assert_eq!(told(&hear(server.ask(SHORT))), told(&alone));
        assert!(begun.elapsed() < 30 * PATIENCE, "the slow reader is still waited for");
    }
    assert!(server.place.read("log").contains("cut off status=200"), "{}", server.place.read("log"));
    well(&server);
    reading.join().unwrap();
}

/// Between a client and the server: passes bytes on until it falls silent, and then keeps both connections open.
struct Proxy {
    address: String,
    silent: Arc<AtomicBool>,
}

impl Proxy {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, silent) = (listener.local_addr().unwrap().to_string(), Arc::<AtomicBool>::default());
        let (server, hushed) = (server.connect(), silent.clone());
        thread::spawn(move || {
            let client = listener.accept().unwrap().0;
            let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let also = hushed.clone();
            thread::spawn(move || pass_on(client, to_server, &also));
            pass_on(server, to_client, &hushed);
        });
        Proxy { address, silent }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        while silent.load(Ordering::SeqCst) {
            sleep(PATIENCE / 10);
        }
        if to.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
}

/// What cannot be tried here is a peer whose packets are lost: its system would acknowledge nothing.
#[test]
fn a_peer_that_is_gone_without_a_word() {
    let server = impatient();
    let proxy = Proxy::to(&server);
    let mut client = TcpStream::connect(&proxy.address).unwrap();
    let head = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    client.write_all(format!("{head}Content-Length: {}\r\n\r\n{LONG}", LONG.len()).as_bytes()).unwrap();
    until_long(&server);
    proxy.silent.store(true, Ordering::SeqCst);
    well(&server);
    proxy.silent.store(false, Ordering::SeqCst);
}

#[test]
fn clients_that_never_come_to_the_end_of_a_request() {
    let server = impatient();
    let (before, started) = (files(&server), Instant::now());
    let dribble = |mut stream: TcpStream| {
        thread::spawn(move || {
            // Until the server has closed, or has reset what was closed.
            while stream.write_all(b"a").is_ok() && started.elapsed() < 10 * PATIENCE {
                sleep(PATIENCE / 20);
            }
            started.elapsed()
        })
    };
    let heads: Vec<_> = (0..40).map(|_| dribble(server.say("GET / HTTP/1.1\r\nX-Slow: "))).collect();
    let head = "POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let bodies: Vec<_> = (0..40).map(|_| server.say(head)).collect();
    assert!(hear(server.ask(SHORT)).contains("data: [DONE]"));
    for body in bodies {
        assert!(hear(body).starts_with("HTTP/1.1 400"));
    }
    for head in heads {
        assert!(head.join().unwrap() < 5 * PATIENCE, "a head that does not end is still waited for");
    }
    well(&server);
    server.until("closed", || files(&server) <= before);
}

/// Who sends ten megabytes is refused whether he says so beforehand or not, and may go on sending in vain.
#[test]
fn bodies_that_are_too_long() {
    let server = impatient();
    let (before, piece) = (memory(&server), vec![b'a'; 1 << 20]);
    let head = "POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    for (kind, chunk) in
        [("Content-Length: 10000000\r\n\r\n", ""), ("Transfer-Encoding: chunked\r\n\r\n", "100000\r\n")]
    {
        let mut stream = server.say(format!("{head}{kind}"));
        let mut sent = 0;
        while sent < 100 << 20 {
            match stream.write_all(chunk.as_bytes()).and_then(|()| stream.write_all(&piece)) {
                Ok(()) => sent += piece.len(),
                Err(_) => break,
            }
            if !chunk.is_empty() && stream.write_all(b"\r\n").is_err() {
                break;
            }
        }
        assert!(sent < 20 << 20, "the server takes {sent} bytes");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said); // what it is told stands before the reset
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("HTTP/1.1 413") && said.contains("longer than 8388608 bytes"), "{kind}: {said}");
    }
    well(&server);
    assert!(memory(&server) < before + (64 << 20), "{} bytes, then {}", before, memory(&server));
}

/// How many files this process may have open.
fn most_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(256)
}

#[test]
fn more_idle_connections_than_there_is_room_for() {
    let server = impatient();
    let before = files(&server);
    let count = 1100.min(most_files() - 150);
    if count < 1100 {
        println!("only {count} connections: this process may not open more files");
    }
    let idle: Vec<TcpStream> = (0..count).map(|_| server.connect()).collect();
    // It is answered when those that idle have been closed.
    let asked = Instant::now();
    assert!(server.get("/health").contains("ready"));
    assert!(asked.elapsed() < 5 * PATIENCE, "{:?}", asked.elapsed());
    for mut stream in idle {
        match stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("an idle connection is told {other:?}"),
        }
    }
    well(&server);
    server.until("closed", || files(&server) <= before);
}
