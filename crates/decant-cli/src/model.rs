//! A model, and the few things that the commands ask of it.

use crate::session::Session;
use anyhow::{Result, bail};
use decant_decode::{Header, ModelId};
use decant_models::hub::{Hub, HubSettings, Progress};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::tokenizer::Tokenizer;
use decant_models::{LoadError, ModelInfo, ModelSource};
use decant_sampling::TokenId;
use indicatif::ProgressBar;

/// A loaded model, and what the user calls it.
pub struct Model {
    model: decant_models::Model,
    source: ModelSource,
}

impl Model {
    /// Loads a model.
    pub fn load(source: &ModelSource, session: &Session) -> Result<Self, LoadError> {
        let options = EngineOptions { threads: session.threads, isa: session.isa };
        let hub = Hub::new(HubSettings::from_env(|name| std::env::var(name).ok()));
        let model = decant_models::Model::load(source, options, &hub, &mut downloads(session))?;
        Ok(Model { model, source: source.clone() })
    }

    /// Loads the model that a trace was made with: from `source`, or from where it was then.
    pub fn of_trace(header: &Header, source: Option<&ModelSource>, session: &Session) -> Result<Self> {
        let source = match source {
            Some(source) => source.clone(),
            None => header.model.source.parse()?,
        };
        let model = Model::load(&source, session)?;
        let (recorded, given) = (&header.model.hash, &model.model.info.hash);
        if recorded != given {
            bail!("the trace was made with another model than {source}: hash {recorded}, not {given}");
        }
        Ok(model)
    }

    /// Name and digest, as traces keep them.
    pub fn id(&self) -> ModelId {
        ModelId { source: self.source.to_string(), hash: self.model.info.hash.clone() }
    }

    pub fn info(&self) -> &ModelInfo {
        &self.model.info
    }

    pub fn engine(&self) -> &NativeModel {
        &self.model.engine
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.model.tokenizer
    }

    /// The bytes of a token, at the very start of a text or inside it.
    pub fn bytes(&self, token: TokenId, first: bool) -> &[u8] {
        match first {
            true => self.tokenizer().first_bytes(token),
            false => self.tokenizer().bytes(token),
        }
    }

    /// The tokens of a prompt: an empty one is BOS alone.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>> {
        if !text.is_empty() {
            return Ok(self.tokenizer().encode(text, add_special)?);
        }
        match self.tokenizer().bos() {
            Some(bos) => Ok(vec![bos]),
            None => bail!("the prompt is empty, and the model {} has no BOS token to start from", self.source),
        }
    }
}

/// Shows how far the download of each file has come.
fn downloads(session: &Session) -> impl FnMut(Progress<'_>) {
    let mut shown: Option<(String, ProgressBar)> = None;
    move |Progress { file, done, total }| {
        let (_, bar) = match shown.take() {
            Some(current) if current.0 == file => shown.insert(current),
            _ => {
                let bar = session.bar("", total.unwrap_or(0), true).with_message(file.to_owned());
                shown.insert((file.to_owned(), bar))
            }
        };
        bar.set_position(done);
    }
}
