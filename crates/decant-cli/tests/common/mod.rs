//! The real binary, run in a folder of its own.
#![allow(dead_code)] // Every test file uses its part.

pub mod server;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder that goes away, and the program run in it.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Place { folder: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `decant` with an empty standard input.
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "")
    }

    /// Runs `decant` with this standard input.
    pub fn run_with(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("decant");
        command.current_dir(self.folder.path()).env_remove("NO_COLOR").env_remove("COLORTERM");
        command.env("HF_HOME", self.folder.path()).env("HF_HUB_OFFLINE", "1");
        command.args(args).write_stdin(stdin).output().unwrap()
    }

    /// Starts `decant`, and kills it (SIGKILL where there are signals) as soon as this many lines are in a file.
    pub fn kill_at(&self, lines: usize, file: &str, args: &[&str]) {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("decant"));
        let mut child = command.current_dir(self.folder.path()).args(args).stderr(Stdio::null()).spawn().unwrap();
        let written = || fs::read(self.path(file)).unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count();
        let started = Instant::now();
        while written() < lines {
            assert!(child.try_wait().unwrap().is_none(), "{args:?} ended before it could be killed");
            assert!(started.elapsed() < Duration::from_secs(120), "{args:?} writes no {file}");
            sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "{args:?} ended before it could be killed");
    }

    /// The names and texts of the files in a folder.
    pub fn files(&self, folder: &str) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.path(folder)).unwrap().map(Result::unwrap);
        let name = |entry: &DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap())).collect()
    }

    /// Standard output of a run that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        self.ok_with(args, "")
    }

    /// The same, with this standard input.
    pub fn ok_with(&self, args: &[&str], stdin: &str) -> String {
        let output = self.run_with(args, stdin);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The lines of JSON of a run that must succeed.
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        lines(&self.ok(args))
    }

    /// The error of a run that must fail with this code, and without a panic.
    pub fn err(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{args:?}: {stderr}");
        stderr
    }

    /// Writes rows as NPY, as NumPy does it.
    pub fn npy(&self, name: &str, shape: &str, numbers: &[f32]) {
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        header += &" ".repeat(117 - header.len());
        let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        file.extend(format!("{header}\n").bytes());
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.write(name, file);
    }
}

/// JSON lines.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
