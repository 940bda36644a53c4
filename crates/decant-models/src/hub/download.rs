//! One file on its way into the cache.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::io_at;
use super::http::{Bytes, Client, Remote};
use super::{HubError, Progress};
use crate::identity::hex;

/// How often a download that breaks off is taken up again before it is given up; each time must bring bytes.
const ATTEMPTS: usize = 5;
const CHUNK: usize = 1 << 16;

/// A file that is not all there yet.
pub(super) struct Download<'a> {
    client: &'a Client,
    remote: &'a Remote,
    file: &'a str,
    path: &'a Path,
    out: File,
}

impl<'a> Download<'a> {
    /// Opens what there is of it, and waits until no other process writes to it.
    pub(super) fn open(
        client: &'a Client,
        remote: &'a Remote,
        file: &'a str,
        path: &'a Path,
    ) -> Result<Self, HubError> {
        let out = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let out = out.map_err(io_at(path))?;
        out.lock().map_err(io_at(path))?;
        Ok(Download { client, remote, file, path, out })
    }

    /// Fetches what is missing.
    pub(super) fn run(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), HubError> {
        let mut had = self.seek(SeekFrom::End(0))?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let ended = self.attempt(had, progress);
            let done = self.seek(SeekFrom::End(0))?;
            let error = match ended {
                Ok(total) if total.is_none_or(|total| total == done) => return Ok(()),
                Ok(total) => HubError::Cut { file: self.file.to_owned(), done, total: total.unwrap_or(done) },
                Err(error) => error,
            };
            if attempt == ATTEMPTS || done <= had {
                return Err(error);
            }
            had = done;
        }
    }

    /// Appends to the `had` bytes that are there, and returns how many there must be, as far as anybody said.
    fn attempt(&mut self, had: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Option<u64>, HubError> {
        if had > 0 && Some(had) == self.remote.len {
            return Ok(self.remote.len);
        }
        let Bytes { start, len, mut reader } = self.client.get(self.remote, had)?;
        let mut done = if start == had { had } else { 0 }; // where the server begins anew, so do we
        self.out.set_len(done).map_err(io_at(self.path))?;
        self.seek(SeekFrom::Start(done))?;
        let total = self.remote.len.or(len.map(|len| done + len));
        let mut chunk = vec![0; CHUNK];
        loop {
            progress(Progress { file: self.file, done, total });
            let read = match reader.read(&mut chunk) {
                Ok(read) => read,
                // A connection that breaks has ended too early, which the caller sees by the length.
                Err(_) if total.is_some() => 0,
                Err(error) => return Err(io_at(self.path)(error)),
            };
            if read == 0 || total.is_some_and(|total| done >= total) {
                return Ok(total);
            }
            self.out.write_all(&chunk[..read]).map_err(io_at(self.path))?;
            done += read as u64;
        }
    }

    /// Large files are called by their SHA-256, which is checked; small ones by git's SHA-1 of them, taken on trust.
    pub(super) fn verify(&mut self) -> Result<(), HubError> {
        let etag = &self.remote.etag;
        if etag.len() != 64 || !etag.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(());
        }
        self.seek(SeekFrom::Start(0))?;
        let mut digest = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.out.read(&mut chunk).map_err(io_at(self.path))? {
                0 => break,
                read => digest.update(&chunk[..read]),
            }
        }
        match hex(&digest.finalize()).eq_ignore_ascii_case(etag) {
            true => Ok(()),
            false => Err(HubError::Damaged { file: self.file.to_owned(), expected: etag.clone() }),
        }
    }

    fn seek(&mut self, to: SeekFrom) -> Result<u64, HubError> {
        self.out.seek(to).map_err(io_at(self.path))
    }
}
