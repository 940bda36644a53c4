//! Models from a Hugging Face hub, kept in the cache folder that its own libraries use.
//!
//! The layout is huggingface_hub's: `models--owner--name/` holds `blobs/<etag>` (the files), `snapshots/<commit>/<file>`
//! (links to them) and `refs/main` (the commit), so a model that any tool has fetched is not fetched again. What is there
//! is used without asking the hub. A download that was cut goes on where it ended, in this process or the next.

mod cache;
mod download;
mod error;
mod http;
mod name;
mod settings;

use std::path::PathBuf;

use serde::Deserialize;

use cache::Repository;
pub use error::HubError;
use http::Client;
pub use name::HubModel;
pub use settings::HubSettings;

/// The files of a Hugging Face folder that a model is made of; weights last, so that a folder that has them is complete.
const FOLDER_FILES: [&str; 5] =
    ["config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"];
const WEIGHTS: &str = "model.safetensors";
const WEIGHTS_INDEX: &str = "model.safetensors.index.json";

/// How far a download has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file.
    pub file: &'a str,
    /// Bytes that are there, those of an earlier attempt included.
    pub done: u64,
    /// Bytes there will be, if the hub says so.
    pub total: Option<u64>,
}

/// A hub and the cache of what came from it.
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    client: Client,
}

/// What a repository holds: an answer of the hub's API.
#[derive(Deserialize)]
struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    name: String,
}

impl Hub {
    /// The hub that the settings name.
    pub fn new(settings: HubSettings) -> Self {
        let client = Client::new(settings.token.clone());
        Hub { settings, client }
    }

    /// Where a model lies, a GGUF file or a folder, after whatever of it is not in the cache has been fetched.
    ///
    /// # Errors
    /// [`HubError`]; what was fetched before it stays.
    pub fn fetch(&self, model: &HubModel, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf, HubError> {
        let repository = Repository::new(&self.settings.cache, model);
        if let Some(path) = repository.cached(model.file()) {
            return Ok(path);
        }
        if self.settings.offline {
            return Err(HubError::Offline { model: model.to_string(), cache: self.settings.cache.clone() });
        }
        let listing = self.listing(model)?;
        let files = choose(model, &listing)?;
        for file in &files {
            self.fetch_file(model, &repository, &listing.sha, file, progress)?;
        }
        if files.iter().any(|file| file == WEIGHTS_INDEX) {
            for shard in repository.shards(&listing.sha)? {
                self.fetch_file(model, &repository, &listing.sha, &shard, progress)?;
            }
        }
        repository.set_main(&listing.sha)?;
        let snapshot = repository.snapshot(&listing.sha);
        Ok(match files.as_slice() {
            [file] if is_gguf(file) => snapshot.join(file),
            _ => snapshot,
        })
    }

    fn listing(&self, model: &HubModel) -> Result<Listing, HubError> {
        let url = format!("{}/api/models/{}/revision/main", self.settings.endpoint, model.repository());
        let listing: Listing = self.client.json(&url)?;
        match name::is_plain(&listing.sha) {
            true => Ok(listing),
            false => Err(HubError::Answer { url, reason: format!("`{}` is no commit", listing.sha) }),
        }
    }

    fn fetch_file(
        &self,
        model: &HubModel,
        repository: &Repository,
        commit: &str,
        file: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        if repository.snapshot(commit).join(file).is_file() {
            return Ok(());
        }
        let url = format!("{}/{}/resolve/{commit}/{file}", self.settings.endpoint, model.repository());
        let remote = self.client.head(&url)?;
        repository.download(&self.client, &remote, file, progress)?;
        repository.link(commit, file, &remote.etag)
    }
}

/// The files to fetch: the GGUF file that is asked for, or those of a folder, or the only GGUF file there is.
fn choose(model: &HubModel, listing: &Listing) -> Result<Vec<String>, HubError> {
    let names: Vec<&str> = listing.siblings.iter().map(|sibling| sibling.name.as_str()).collect();
    let gguf: Vec<String> = names.iter().filter(|name| is_gguf(name)).map(|&name| name.to_owned()).collect();
    let has = |name: &str| names.contains(&name);
    if let Some(file) = model.file() {
        return match has(file) {
            true => Ok(vec![file.to_owned()]),
            false => Err(HubError::NoFile { model: model.to_string(), candidates: gguf }),
        };
    }
    if has(FOLDER_FILES[0]) && (has(WEIGHTS) || has(WEIGHTS_INDEX)) {
        let weights = if has(WEIGHTS) { WEIGHTS } else { WEIGHTS_INDEX };
        let there = FOLDER_FILES.into_iter().filter(|file| has(file)).chain([weights]);
        return Ok(there.map(str::to_owned).collect());
    }
    // From here on the name would have to be a path in the cache.
    match gguf.as_slice() {
        [only] if name::is_path(only) => Ok(gguf),
        [] => Err(HubError::NoModel { model: model.to_string() }),
        _ => Err(HubError::Ambiguous { model: model.to_string(), candidates: gguf }),
    }
}

fn is_gguf(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".gguf")
}
