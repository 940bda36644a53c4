//! `decant serve` as a process.

use super::Place;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// A server under way; killed if it is forgotten.
pub struct Server {
    pub child: Child,
    pub address: String,
    pub place: Place,
}

impl Server {
    /// One that listens; its model may still be loading.
    pub fn start(args: &[&str]) -> Self {
        let place = Place::new();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("decant"));
        command.args(args).current_dir(place.path("")).env_remove("DECANT_API_KEY");
        command.env("HF_HOME", place.path("")).env("TMPDIR", place.path(""));
        command.stdout(Stdio::piped()).stderr(File::create(place.path("log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("{args:?}: {line:?} {}", place.read("log"))).to_owned();
        Server { child, address: address.replace("0.0.0.0", "127.0.0.1"), place }
    }

    /// One that is ready.
    pub fn ready(args: &[&str]) -> Self {
        let server = Server::start(args);
        server.until("ready", || server.get("/health").contains("ready"));
        server
    }

    /// An open connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// A connection on which something was said.
    pub fn say(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> String {
        hear(self.say(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")))
    }

    /// A connection on which a completion was asked for; the server closes it after the answer.
    pub fn ask(&self, body: &str) -> TcpStream {
        let head =
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n";
        self.say(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// One of its numbers.
    pub fn metric(&self, name: &str) -> u64 {
        let told = self.get("/metrics");
        let number =
            told.lines().find_map(|line| line.strip_prefix("decant_")?.strip_prefix(name)?.trim().parse().ok());
        number.unwrap_or_else(|| panic!("no {name}: {told}"))
    }

    pub fn signal(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until it ends by itself.
    pub fn end(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.place.read("log"));
            }
            assert!(started.elapsed() < LONG, "it does not end: {}", self.place.read("log"));
            sleep(Duration::from_millis(20));
        }
    }

    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < LONG, "not {what}: {}", self.place.read("log"));
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a request is under way beside the one that asks.
    pub fn until_taken(&self) {
        self.until("taken", || self.metric("http_requests_open") == 2);
    }

    /// Waits until the log says that the server ends.
    pub fn until_ending(&self) {
        self.until("ending", || self.place.read("log").contains("ending"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended, as it should
        let _ = self.child.wait();
    }
}

/// All that is said until the connection closes.
pub fn hear(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}
