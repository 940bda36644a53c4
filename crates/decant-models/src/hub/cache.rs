//! One repository in the cache: blobs, snapshots, and the reference to the newest of these.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::download::Download;
use super::error::io_at;
use super::http::{Client, Remote};
use super::{FOLDER_FILES, HubError, HubModel, Progress, WEIGHTS, WEIGHTS_INDEX};
use crate::checkpoint::shard_names;

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
        let mut download = Download::open(client, remote, file, &incomplete)?;
        // Whoever was fetching the same until the file was ours has perhaps brought all of it.
        if blob.is_file() {
            return Ok(());
        }
        download.run(progress)?;
        if let Err(damaged) = download.verify() {
            fs::remove_file(&incomplete).map_err(io_at(&incomplete))?;
            return Err(damaged);
        }
        fs::rename(&incomplete, &blob).map_err(io_at(&blob))
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
