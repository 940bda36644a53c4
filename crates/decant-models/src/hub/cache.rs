//! One repository in the cache: blobs, snapshots, and the reference to the newest of these.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::http::{Bytes, Client, Remote};
use super::{FOLDER_FILES, HubError, HubModel, Progress, WEIGHTS, WEIGHTS_INDEX};
use crate::checkpoint::shard_names;

/// How often a download that breaks off is taken up again before it is given up; each time must bring bytes.
const ATTEMPTS: usize = 5;
const CHUNK: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Repository {
    root: PathBuf,
}

impl Repository {
    pub(super) fn new(cache: &Path, model: &HubModel) -> Self {
        Repository { root: cache.join(model.folder()) }
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// The named file, or else a complete folder, of the snapshot that `main` refers to.
    pub(super) fn cached(&self, file: Option<&str>) -> Option<PathBuf> {
        let commit = fs::read_to_string(self.main()).ok()?;
        let commit = Some(commit.trim()).filter(|commit| super::name::is_plain(commit))?;
        let snapshot = self.snapshot(commit);
        match file {
            Some(file) => Some(snapshot.join(file)).filter(|path| path.is_file()),
            None => self.is_complete(&snapshot, commit).then_some(snapshot),
        }
    }

    fn is_complete(&self, snapshot: &Path, commit: &str) -> bool {
        let has = |file: &str| snapshot.join(file).is_file();
        let sharded = || self.shards(commit).is_ok_and(|shards| shards.iter().all(|shard| has(shard)));
        has(FOLDER_FILES[0]) && has("tokenizer.json") && (has(WEIGHTS) || sharded())
    }

    /// The files that the index of a snapshot names.
    pub(super) fn shards(&self, commit: &str) -> Result<BTreeSet<String>, HubError> {
        let index = self.snapshot(commit).join(WEIGHTS_INDEX);
        let names = shard_names(&index).ok().filter(|names| names.iter().all(|name| super::name::is_plain(name)));
        names.ok_or_else(|| HubError::Io { path: index, source: io::ErrorKind::InvalidData.into() })
    }

    fn main(&self) -> PathBuf {
        self.root.join("refs").join("main")
    }

    /// Lets `main` refer to a snapshot.
    pub(super) fn set_main(&self, commit: &str) -> Result<(), HubError> {
        let path = self.main();
        let new = path.with_extension("new");
        create_parent(&path)?;
        fs::write(&new, commit).and_then(|()| fs::rename(&new, &path)).map_err(io_at(&path))
    }

    fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Gives a blob its name in a snapshot.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(file);
        create_parent(&path)?;
        let up = "../".repeat(2 + file.matches('/').count());
        match link(&self.root, &format!("{up}blobs/{etag}"), etag, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(io_at(&path)),
        }
    }

    /// Fetches a blob, if it is not there: into `<etag>.incomplete`, from where that ends, renamed when all is there.
    pub(super) fn download(
        &self,
        client: &Client,
        remote: &Remote,
        file: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        let blob = self.blob(&remote.etag);
        let incomplete = self.blob(&format!("{}.incomplete", remote.etag));
        create_parent(&blob)?;
        let at = io_at(&incomplete);
        let mut out =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&incomplete).map_err(&at)?;
        // Another process may be fetching the same: what it has brought in the end is the blob.
        out.lock().map_err(&at)?;
        if blob.is_file() {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            let done = out.seek(SeekFrom::End(0)).map_err(&at)?;
            let end = fetch(client, remote, file, &mut out, progress);
            let now = out.seek(SeekFrom::End(0)).map_err(&at)?;
            attempt += 1;
            match end {
                Ok(total) if total.is_none_or(|total| total == now) => break,
                Ok(Some(total)) if attempt == ATTEMPTS || now <= done => {
                    return Err(HubError::Cut { file: file.to_owned(), done: now, total });
                }
                Err(error) if attempt == ATTEMPTS || now <= done => return Err(error),
                _ => {}
            }
        }
        if let Err(error) = verify(&mut out, file, &remote.etag, &at) {
            let _ = fs::remove_file(&incomplete);
            return Err(error);
        }
        fs::rename(&incomplete, &blob).map_err(&at)
    }
}

/// One attempt: appends what is missing and returns how long the file must be, as far as anybody said.
fn fetch(
    client: &Client,
    remote: &Remote,
    file: &str,
    out: &mut File,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<u64>, HubError> {
    let path = PathBuf::from(file);
    let at = io_at(&path);
    let had = out.seek(SeekFrom::End(0)).map_err(&at)?;
    if had > 0 && Some(had) == remote.len {
        return Ok(remote.len);
    }
    let Bytes { start, len, mut reader } = client.get(remote, had)?;
    if start != had {
        out.set_len(0).map_err(&at)?; // the server begins anew, and so do we
        out.seek(SeekFrom::Start(0)).map_err(&at)?;
    }
    let mut done = if start == had { had } else { 0 };
    let total = remote.len.or(len.map(|len| done + len));
    let mut chunk = vec![0; CHUNK];
    loop {
        progress(Progress { file, done, total });
        // A connection that breaks is no other error than one that ends too early: the caller tells by the length.
        let read = reader.read(&mut chunk).unwrap_or(0);
        if read == 0 || total.is_some_and(|total| done >= total) {
            return Ok(total);
        }
        out.write_all(&chunk[..read]).map_err(&at)?;
        done += read as u64;
    }
}

/// Large files are called by their SHA-256, small ones by git's SHA-1 of them, which is taken on trust.
fn verify(out: &mut File, file: &str, etag: &str, at: &impl Fn(io::Error) -> HubError) -> Result<(), HubError> {
    if etag.len() != 64 || !etag.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    out.seek(SeekFrom::Start(0)).map_err(at)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match out.read(&mut chunk).map_err(at)? {
            0 => break,
            read => digest.update(&chunk[..read]),
        }
    }
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    match found.eq_ignore_ascii_case(etag) {
        true => Ok(()),
        false => Err(HubError::Damaged { file: file.to_owned(), expected: etag.to_owned() }),
    }
}

#[cfg(unix)]
fn link(_root: &Path, target: &str, _etag: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Where links are for administrators only, the snapshot holds the file itself, as huggingface_hub does it there.
#[cfg(not(unix))]
fn link(root: &Path, _target: &str, etag: &str, path: &Path) -> io::Result<()> {
    fs::copy(root.join("blobs").join(etag), path).map(|_| ())
}

fn create_parent(path: &Path) -> Result<(), HubError> {
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(io_at(path))
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> HubError {
    move |source| HubError::Io { path: path.to_owned(), source }
}
