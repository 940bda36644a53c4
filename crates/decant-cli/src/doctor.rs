//! `decant doctor`: what this machine and this build offer, and what is missing.

use crate::args::Storage;
use crate::model::{Model, hub_settings};
use crate::session::Session;
use anyhow::Result;
use decant_models::ModelSource;
use decant_sampling::Isa;
use std::io::{self, Write};
use std::path::Path;

pub fn run(session: &Session) -> Result<()> {
    let mut missing = Vec::new();
    let available = join(Isa::available().map(|isa| isa.name()));
    if Isa::best().name() == decant_sampling::IsaName::Scalar {
        missing.push("vector instructions (AVX2 and FMA, or NEON): the same results, several times slower".to_owned());
    }
    let cores = std::thread::available_parallelism().map_or("unknown".to_owned(), |cores| cores.to_string());
    let mut out = io::stdout().lock();
    let dim = session.paint.dim();
    let mut line = |name: &str, value: String| writeln!(out, "{dim}{name:<17}{dim:#} {value}");
    line("version", format!("decant {}", env!("CARGO_PKG_VERSION")))?;
    line("instruction set", format!("{} (here: {available})", session.isa.name()))?;
    line("threads", format!("{} (cores: {cores})", session.threads))?;
    let hub = hub_settings();
    let token = if hub.token.is_some() { "with a token" } else { "without a token: public models only" };
    let offline = if hub.offline { ", offline" } else { "" };
    line("hub", format!("{}, {token}{offline}", hub.endpoint))?;
    line("model cache", format!("{}, {}", hub.cache.display(), cached(&hub.cache)))?;
    match Model::load_on(&ModelSource::Embedded, Storage::default(), session, session.threads) {
        Ok(model) => {
            let info = model.info();
            let size = info.file_len as f64 / 1e6;
            line("embedded model", format!("{}, {} {}, {size:.1} MB", info.name, info.architecture, info.format))?;
            line("", info.hash.clone())?;
        }
        Err(error) => missing.push(format!("the embedded model: {error}")),
    }
    if missing.is_empty() {
        missing.push("nothing".to_owned());
    }
    for what in missing {
        line("missing", what)?;
    }
    Ok(())
}

/// What the cache of the hub holds.
fn cached(cache: &Path) -> String {
    let Ok(entries) = cache.read_dir() else { return "not there yet".to_owned() };
    let is_model = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("models--");
    let models = entries.flatten().filter(|entry| is_model(&entry.file_name())).count();
    format!("{models} models")
}

fn join(names: impl Iterator<Item = impl ToString>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}
