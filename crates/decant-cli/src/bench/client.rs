//! A server as a process of its own, and a client that takes as little time as it can.

use super::server::Took;
use crate::args::Storage;
use crate::session::Session;
use anyhow::{Context, Result, anyhow, bail};
use decant_models::ModelSource;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{self, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is asked whether the model is loaded.
const POLL: Duration = Duration::from_millis(20);

/// What every chunk has that tells a token.
const TOKEN: &[u8] = b"\"steps\":[{";

/// `decant serve`, which ends when this is dropped.
pub struct Child {
    process: process::Child,
    pub address: SocketAddr,
}

/// Seconds that the server has spent.
pub struct Times {
    pub steps: f64,
    pub sampling: f64,
}

impl Child {
    /// Starts this very program as a server, and waits until its model is loaded.
    pub fn start(source: &ModelSource, storage: Storage, session: &Session) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--quiet", "--port", "0", "--model", &source.to_string()]);
        command.args(["--kv", &storage.kv.to_string(), "--threads", &session.threads.to_string()]);
        command.args(["--isa", &session.isa.name().to_string()]);
        if let Some(quantize) = storage.quantize {
            command.args(["--quantize", &quantize.to_string()]);
        }
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = process.stdout.take().ok_or_else(|| anyhow!("the server has no output"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let Some(address) = address else { bail!("the server does not listen: {line:?}") };
        let child = Child { process, address };
        while !get(address, "/health")?.starts_with("HTTP/1.1 200") {
            sleep(POLL);
        }
        Ok(child)
    }

    /// What its metrics say.
    pub fn times(&self) -> Result<Times> {
        let metrics = get(self.address, "/metrics")?;
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("the metrics have no {name}"))
        };
        Ok(Times { steps: value("decant_step_seconds_total ")?, sampling: value("decant_sampling_seconds_total ")? })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A response, head and all.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// Reads a stream of completions to its end, and takes its times; it must have so many tokens.
pub fn stream(address: SocketAddr, body: &str, tokens: usize) -> Result<Took> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let head = "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n";
    write!(stream, "{head}Host: {address}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let (mut response, mut buffer, mut first) = (Vec::new(), vec![0; 1 << 16], None);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        response.extend_from_slice(&buffer[..read]);
        if first.is_none() && count(&response) > 0 {
            first = Some(start.elapsed());
        }
    }
    let whole = start.elapsed();
    match (count(&response), first) {
        (made, Some(first)) if made == tokens => Ok(Took { first, whole }),
        (made, _) => bail!("{made} tokens of {tokens} came: {}", String::from_utf8_lossy(&response)),
    }
}

fn count(response: &[u8]) -> usize {
    response.windows(TOKEN.len()).filter(|window| *window == TOKEN).count()
}
