//! A model, and the few things that the commands ask of it.

use crate::args::{ModelArg, Storage};
use crate::session::Session;
use anyhow::{Result, bail};
use decant_decode::{Header, LanguageModel, ModelId};
use decant_models::hub::{Hub, HubSettings, Progress};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::template::{Message, TemplateError};
use decant_models::tokenizer::Tokenizer;
use decant_models::{LoadError, LoadOptions, ModelInfo, ModelSource};
use decant_sampling::{Isa, Sampler, SamplerSpec, SpecError, TokenId};
use indicatif::ProgressBar;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant, SystemTime};

/// A loaded model.
pub struct Model {
    model: decant_models::Model,
}

impl Model {
    /// Loads a model to run on all threads of the session.
    pub fn load(arg: &ModelArg, session: &Session) -> Result<Self, LoadError> {
        Model::load_on(&arg.model, arg.storage, session, session.threads)
    }

    /// Loads a model to run on so many threads.
    pub fn load_on(
        source: &ModelSource,
        storage: Storage,
        session: &Session,
        threads: NonZeroUsize,
    ) -> Result<Self, LoadError> {
        let engine = EngineOptions { threads, isa: session.isa, kv: storage.kv };
        let options = LoadOptions { engine, quantise: storage.quantize };
        let hub = Hub::new(hub_settings());
        let (started, mut bar) = (Instant::now(), ProgressBar::hidden());
        let mut told = |progress: Progress<'_>| {
            if started.elapsed() > Duration::from_secs(1) {
                show(&mut bar, progress, session);
            }
        };
        let model = decant_models::Model::load(source, options, &hub, &mut told)?;
        bar.finish_and_clear();
        Ok(Model { model })
    }

    /// Loads the model that a trace was made with: from `source`, or from where it was then.
    pub fn of_trace(header: &Header, source: Option<&ModelSource>, session: &Session) -> Result<Self> {
        let source = match source {
            Some(source) => source.clone(),
            None => header.model.source.parse()?,
        };
        let storage = Storage::of(&header.model)?;
        let model = Model::load_on(&source, storage, session, session.threads)?;
        let (recorded, given) = (&header.model.hash, &model.model.info.hash);
        if recorded != given {
            bail!("the trace was made with another model than {source}: hash {recorded}, not {given}");
        }
        Ok(model)
    }

    /// Source, digest and what else its rows depend on, as traces keep them.
    pub fn id(&self) -> ModelId {
        self.model.id()
    }

    /// What the template makes of a user's message, if the model has one.
    pub fn chat(&self, message: &str) -> Option<Result<String, TemplateError>> {
        let template = self.model.template.as_ref()?;
        Some(template.render_undated(&[Message::new("user", message)], true, || SystemTime::now().into()))
    }

    /// The model itself.
    pub fn into_inner(self) -> decant_models::Model {
        self.model
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
}

/// Shows how far each file, or the quantising, has come, if loading takes more than a second.
fn show(bar: &mut ProgressBar, Progress { file, done, total }: Progress<'_>, session: &Session) {
    if bar.message() != file {
        bar.finish_and_clear();
        *bar = session.bar(file, total.unwrap_or(done), true);
    }
    bar.set_position(done);
}

/// The hub, its cache and its token, as the environment names them.
pub fn hub_settings() -> HubSettings {
    HubSettings::from_env(|name| std::env::var(name).ok())
}
