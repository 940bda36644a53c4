//! The server under load, and what it holds.

use super::client::Connection;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many positions may be kept where nothing is said.
pub const KEPT: u64 = 1 << 15;

/// By how much memory may differ between two rests: kept caches are others, and the allocator has holes.
pub const MEMORY_SLACK: u64 = 64 << 20;

/// Longer than it takes to start, or to come to rest.
const LONG: Duration = Duration::from_secs(60);

/// A server of our own; killed in the end.
pub struct Process {
    child: Child,
    address: String,
    /// Open files when it was ready, and one client asked.
    files: usize,
}

/// What a server holds when nobody asks it anything.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    pub live: u64,
    pub waiting: u64,
    pub cached: u64,
    /// Of all time: tokens generated, steps, and sequences in them.
    pub generated: u64,
    pub steps: u64,
    pub batched: u64,
    /// Bytes of memory, and open files; zero where the system does not tell.
    pub memory: u64,
    pub files: usize,
}

impl Process {
    /// Starts it, and waits until its model is loaded.
    pub fn start(program: &Path) -> Result<Self> {
        // Its log has what went wrong, and nothing else.
        let mut command = Command::new(program);
        command.args(["serve", "--port", "0", "--quiet"]).env_remove("DECANT_API_KEY").stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it has an output")?).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening on http://").unwrap_or_default().to_owned();
        let mut process = Process { child, address, files: 0 };
        let started = Instant::now();
        let mut connection = process.connect()?;
        while !connection.get("/health")?.contains("ready") {
            ensure!(started.elapsed() < LONG, "the server does not become ready");
            sleep(Duration::from_millis(20));
        }
        process.files = files(process.child.id());
        Ok(process)
    }

    pub fn connect(&self) -> io::Result<Connection> {
        Connection::new(&self.address)
    }

    /// Waits until nothing is live and no connection is open but the one that asks.
    pub fn at_rest(&self) -> Result<Rest> {
        let started = Instant::now();
        let mut connection = self.connect()?;
        loop {
            let metrics = connection.get("/metrics")?;
            let number = |name: &str| {
                let told = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
                told.with_context(|| format!("/metrics has no {name}: {metrics}"))
            };
            let rest = Rest {
                live: number("decant_sequences_live")?,
                waiting: number("decant_jobs_waiting")?,
                cached: number("decant_cached_positions")?,
                generated: number("decant_generated_tokens_total")?,
                steps: number("decant_steps_total")?,
                batched: number("decant_step_sequences_total")?,
                memory: memory(self.child.id()),
                files: files(self.child.id()),
            };
            let open = number("decant_http_requests_open")?;
            if rest.live == 0 && rest.waiting == 0 && open == 1 && rest.files <= self.files {
                return Ok(rest);
            }
            ensure!(
                started.elapsed() < LONG,
                "the server does not come to rest: {open} requests, {rest:?}; it began with {} files",
                self.files
            );
            sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// How much memory a process holds, in bytes.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    resident.unwrap_or(0u64) * 1024
}

fn files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}
