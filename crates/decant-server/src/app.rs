//! What every route is given.

use crate::scheduler::Handle;
use decant_models::Model;
use std::sync::{Arc, OnceLock};

/// What every route is given: the settings, and the model once it is loaded.
#[derive(Clone)]
pub struct App {
    /// How the server was asked to run.
    pub settings: Arc<Settings>,
    /// Empty while the model loads.
    pub serving: Arc<OnceLock<Serving>>,
}

/// A loaded model and its scheduler.
pub struct Serving {
    /// What clients call the model.
    pub name: String,
    /// Weights, tokenizer, template. It never changes; the scheduler's thread feeds its engine.
    pub model: Arc<Model>,
    /// Takes jobs.
    pub scheduler: Handle,
}

/// How the server was asked to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether unknown fields of a request are ignored rather than refused.
    pub lenient: bool,
    /// What `Authorization: Bearer` must say, if anything.
    pub api_key: Option<String>,
    /// Origins that a browser may call from; none unless asked.
    pub cors: Vec<String>,
    /// The most bytes of a request's body.
    pub body_limit: usize,
}
