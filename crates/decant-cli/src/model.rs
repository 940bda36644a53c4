//! A model, and the few things that the commands ask of it.

use crate::session::Session;
use anyhow::{Result, bail};
use decant_decode::{Header, LanguageModel, ModelId};
use decant_models::hub::{Hub, HubSettings, Progress};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::template::{Message, Moment, TemplateError};
use decant_models::tokenizer::Tokenizer;
use decant_models::{LoadError, ModelInfo, ModelSource};
use decant_sampling::{Isa, Sampler, SamplerSpec, SpecError, TokenId};
use indicatif::ProgressBar;
use std::time::{SystemTime, UNIX_EPOCH};

/// A loaded model, and what the user calls it.
pub struct Model {
    model: decant_models::Model,
    source: ModelSource,
}

impl Model {
    /// Loads a model.
    pub fn load(source: &ModelSource, session: &Session) -> Result<Self, LoadError> {
        let options = EngineOptions { threads: session.threads, isa: session.isa, ..EngineOptions::default() };
        let hub = Hub::new(hub_settings());
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

    /// What the template makes of a user's message, if the model has one.
    ///
    /// A template that asks for today's date is first told none, which careful ones provide for: so that the text does not
    /// depend on the day. One that insists gets the date.
    pub fn chat(&self, message: &str) -> Option<Result<String, TemplateError>> {
        let template = self.model.template.as_ref()?;
        let render = |now| template.render(&[Message::new("user", message)], true, now);
        Some(render(None).or_else(|error| match error {
            TemplateError::Invalid { .. } => render(Some(now())),
            error => Err(error),
        }))
    }

    pub fn info(&self) -> &ModelInfo {
        &self.model.info
    }

    pub fn engine(&self) -> &NativeModel {
        &self.model.engine
    }

    /// A sampler for the model's rows, with the texts in its spec resolved by the model's tokenizer.
    pub fn sampler(&self, spec: &SamplerSpec, isa: Isa) -> Result<Sampler, SpecError> {
        let sampler = Sampler::new(&spec.resolve(self.tokenizer()), self.engine().vocab())?;
        Ok(sampler.with_isa(isa))
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
    let mut bar = ProgressBar::hidden();
    move |Progress { file, done, total }| {
        if bar.message() != file {
            bar = session.bar(file, total.unwrap_or(done), true);
        }
        bar.set_position(done);
        if Some(done) == total {
            bar.finish_and_clear();
        }
    }
}

/// The hub, its cache and its token, as the environment names them.
pub fn hub_settings() -> HubSettings {
    HubSettings::from_env(|name| std::env::var(name).ok())
}

fn now() -> Moment {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Moment::from_unix(seconds.try_into().unwrap_or(i64::MAX))
}
