//! What every route is given.

use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::scheduler::{self, Handle, Job, Options};
use crate::traffic::Traffic;
use decant_models::Model;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

/// What every route is given: the settings, and the model once it is loaded.
#[derive(Clone)]
pub struct App {
    /// How the server was asked to run.
    pub settings: Arc<Settings>,
    /// Empty while the model loads.
    pub serving: Arc<OnceLock<Serving>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The requests under way.
    pub traffic: Arc<Traffic>,
    /// Turns at the model beside the scheduler's batches, for questions about one position.
    pub looking: Arc<Semaphore>,
}

/// How many questions about one position are worked on at once.
const LOOKING: usize = 1;

impl App {
    /// A server whose model is yet to come.
    pub fn new(settings: Settings) -> Self {
        let serving = Arc::<OnceLock<Serving>>::default();
        App {
            settings: Arc::new(settings),
            metrics: Arc::new(Metrics::new(serving.clone())),
            serving,
            traffic: Arc::default(),
            looking: Arc::new(Semaphore::new(LOOKING)),
        }
    }

    /// The model and its scheduler.
    ///
    /// # Errors
    /// [`ApiError::Loading`].
    pub fn serving(&self) -> Result<&Serving, ApiError> {
        self.serving.get().ok_or(ApiError::Loading)
    }

    /// Queues a job, and takes the times of what its listener is told.
    ///
    /// # Errors
    /// [`ApiError::Loading`], or [`ApiError::Refused`]; the job's listener is not called then.
    pub fn submit(&self, job: Job) -> Result<(), ApiError> {
        Ok(self.serving()?.scheduler.submit(self.metrics.times.of(job))?)
    }
}

/// A loaded model and its scheduler.
pub struct Serving {
    /// What clients call the model.
    pub name: String,
    /// When it was loaded.
    pub since: SystemTime,
    /// Weights, tokenizer, template. It never changes; the scheduler's thread feeds its engine.
    pub model: Arc<Model>,
    /// Takes jobs.
    pub scheduler: Handle,
}

impl Serving {
    /// A model that is called as its file calls it, and a scheduler that feeds it.
    pub fn new(model: Model, options: Options) -> Self {
        let scheduler = scheduler::start(model.engine.clone(), options);
        Serving { name: model.info.name.clone(), since: SystemTime::now(), model: Arc::new(model), scheduler }
    }
}

/// How the server was asked to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether unknown fields of a request are ignored rather than refused.
    pub lenient: bool,
    /// What `Authorization: Bearer` must say, if anything.
    pub api_key: Option<String>,
    /// Origins that a browser may call from, `*` for any; none unless asked.
    pub cors: Vec<String>,
    /// The most bytes of a request's body.
    pub body_limit: usize,
    /// How long a client may take for a head, pause within a body, take nothing of a response, or idle. Whole seconds.
    pub client_timeout: Duration,
}

/// Strict, open to whoever reaches it, closed to other sites' pages, bodies of up to 8 MiB, 30 seconds' patience.
impl Default for Settings {
    fn default() -> Self {
        Settings {
            lenient: false,
            api_key: None,
            cors: Vec::new(),
            body_limit: 8 << 20,
            client_timeout: Duration::from_secs(30),
        }
    }
}
