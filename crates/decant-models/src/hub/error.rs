//! Why a model cannot be fetched.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model cannot be fetched. What has come so far stays in the cache, and the next attempt goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Not the name of a model.
    #[error("`{name}` names no model of a hub: write hf:owner/name or hf:owner/name:file.gguf")]
    Name {
        /// What was given.
        name: String,
    },
    /// Not in the cache, and the hub may not be asked.
    #[error("{model} is not in the cache {}, and the network is switched off by HF_HUB_OFFLINE", cache.display())]
    Offline {
        /// Which model.
        model: String,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The hub did not answer.
    #[error("cannot reach {url}: {source}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// The hub refused.
    #[error("{url} answers {status}{}", hint(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The hub answered something that makes no sense.
    #[error("{url} gives a wrong answer: {reason}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection broke before all was there.
    #[error("{file} broke off after {done} of {total} bytes; the next attempt goes on from there")]
    Cut {
        /// The file.
        file: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes there should be.
        total: u64,
    },
    /// What came has not the digest that the hub announced; it has been thrown away.
    #[error("{file} arrived damaged: its SHA-256 is not {expected}")]
    Damaged {
        /// The file.
        file: String,
        /// What the hub announced.
        expected: String,
    },
    /// No file of that name.
    #[error("{model} does not exist; the repository has {}", list(candidates))]
    NoFile {
        /// What was asked for.
        model: String,
        /// The GGUF files that there are.
        candidates: Vec<String>,
    },
    /// Several GGUF files, and none was named.
    #[error("{model} has several models, name one of {}", list(candidates))]
    Ambiguous {
        /// What was asked for.
        model: String,
        /// The GGUF files that there are.
        candidates: Vec<String>,
    },
    /// Neither a GGUF file nor safetensors.
    #[error("{model} has neither a GGUF file nor config.json with model.safetensors")]
    NoModel {
        /// What was asked for.
        model: String,
    },
    /// The cache cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": the model needs a token (HF_TOKEN), or its terms accepted",
        404 => ": no such model or file",
        _ => "",
    }
}

fn list(candidates: &[String]) -> String {
    if candidates.is_empty() { "no GGUF file".to_owned() } else { candidates.join(", ") }
}

/// Makes errors of the system tell of a path.
pub(super) fn io_at(path: &Path) -> impl Fn(io::Error) -> HubError {
    move |source| HubError::Io { path: path.to_owned(), source }
}
