//! `POST /v1/next`: one position, before and after every stage.

use crate::app::App;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::openapi;
use crate::scheduler::Refused;
use axum::Json;
use axum::extract::State;
use decant_decode::{LanguageModel, ModelError, Want, alternatives};
use decant_models::Model;
use decant_sampling::{
    History, Logits, Memory, RowError, Sampler, SamplerSpec, Scratch, Seed, SpecError, Step, TokenId,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

/// Tokens fed at a time: between two chunks it is seen that nobody listens any more.
const CHUNK: usize = 64;

/// The most stages whose every prefix is run.
const STAGES: usize = 64;

/// The most tokens that are told of a distribution.
const TOP: usize = 1000;

/// A text, and a sampler to take the next token by.
#[derive(Deserialize, ToSchema)]
#[schema(as = NextRequest)]
pub struct Question {
    /// Without effect.
    #[serde(rename = "model")]
    _model: Option<String>,
    prompt: Prompt,
    /// What was generated since the prompt: stages that look back may tell it apart, and its length is the draw's position.
    #[serde(default)]
    generated: Vec<TokenId>,
    /// The stages to look at; none if absent.
    #[serde(default)]
    #[schema(schema_with = openapi::sampler)]
    sampler: SamplerSpec,
    /// Of the draw.
    #[serde(default)]
    seed: u64,
    /// How many tokens of each distribution.
    #[serde(default = "twenty")]
    top_n: usize,
}

fn twenty() -> usize {
    20
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NextPrompt)]
#[serde(untagged, expecting = "a prompt is a text or a list of token ids")]
enum Prompt {
    Text(String),
    Ids(Vec<TokenId>),
}

/// What the stages make of the model's row.
#[derive(Serialize, ToSchema)]
#[schema(as = NextAnswer)]
pub struct Answer {
    model: String,
    /// How many tokens stand before.
    position: usize,
    /// The stages that act, as one text.
    sampler: String,
    /// The token that the seed draws here, and what there is to see of it.
    #[schema(value_type = openapi::Step)]
    step: Step,
    /// The model's own distribution, and then what each stage leaves of it.
    stages: Vec<Stage>,
}

/// A distribution.
#[derive(Serialize, ToSchema)]
#[schema(as = Distribution)]
struct Stage {
    /// The stage that made it; null for the model's own.
    stage: Option<String>,
    /// Nats.
    entropy: f64,
    kept: u32,
    kept_mass: f64,
    temperature: f64,
    top: Vec<Token>,
}

/// A token of a distribution, in falling probability.
#[derive(Serialize, ToSchema)]
#[schema(as = Alternative)]
struct Token {
    token: TokenId,
    text: String,
    bytes: Vec<u8>,
    logprob: f64,
    prob: f64,
}

/// Feeds a text to the model and tells what every stage does to the row after it.
#[utoipa::path(post, path = "/v1/next", tag = "sampling", request_body = Question, responses(
    (status = 200, description = "the distribution before and after every stage", body = Answer),
))]
pub async fn next(State(app): State<App>, Fields(question): Fields<Question>) -> Result<Json<Answer>, ApiError> {
    let serving = app.serving()?;
    let (model, name) = (serving.model.clone(), serving.name.clone());
    let turn = app.looking.clone().acquire_owned().await.map_err(ApiError::internal)?;
    let (tell, told) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let answer = Look::new(&model, &question).and_then(|look| look.answer(name, || tell.is_closed()));
        drop(turn);
        let _ = tell.send(answer); // nobody listens: nothing to tell
    });
    told.await.map_err(ApiError::internal)?.map(Json)
}

/// A question that can be answered.
struct Look<'a> {
    model: &'a Model,
    question: &'a Question,
    /// The whole text, of which the first `prompt` tokens are the prompt.
    tokens: Vec<TokenId>,
    prompt: usize,
    /// The stages that act.
    spec: SamplerSpec,
}

impl<'a> Look<'a> {
    fn new(model: &'a Model, question: &'a Question) -> Result<Self, ApiError> {
        let spec = question.sampler.effective();
        if spec.0.len() > STAGES {
            return Err(ApiError::field("sampler", format!("there are {} stages, the most is {STAGES}", spec.0.len())));
        }
        if !(1..=TOP).contains(&question.top_n) {
            return Err(ApiError::field("top_n", format!("top_n is an integer in 1..={TOP}, not {}", question.top_n)));
        }
        let mut tokens = question.prompt.tokens(model)?;
        let prompt = tokens.len();
        tokens.extend(&question.generated);
        let room = model.engine.context();
        if tokens.len() > room {
            return Err(Refused::TooLong { prompt: tokens.len(), room }.into());
        }
        Ok(Look { model, question, tokens, prompt, spec })
    }

    fn answer(&self, model: String, is_gone: impl Fn() -> bool) -> Result<Answer, ApiError> {
        let row = self.row(is_gone)?;
        let prefixes = (0..=self.spec.0.len()).map(|len| SamplerSpec(self.spec.0[..len].to_vec()));
        let looked = prefixes.map(|prefix| self.stage(&prefix, &row)).collect::<Result<Vec<_>, _>>()?;
        let (steps, stages): (Vec<Step>, Vec<Stage>) = looked.into_iter().unzip();
        let step = *steps.last().ok_or_else(|| ApiError::internal("no distribution at all"))?;
        Ok(Answer { model, position: self.tokens.len(), sampler: self.spec.to_string(), step, stages })
    }

    /// The model's row after the text.
    fn row(&self, is_gone: impl Fn() -> bool) -> Result<Vec<f32>, ApiError> {
        let engine = &self.model.engine;
        let (mut cache, mut last) = (engine.empty(), None);
        for chunk in self.tokens.chunks(CHUNK) {
            if is_gone() {
                return Err(ApiError::internal("the client went away"));
            }
            last = Some(engine.feed(&mut cache, chunk, Want::Last).map_err(|error| self.fault(error))?);
        }
        let row = last.as_ref().and_then(|rows| rows.last()).ok_or(Refused::Empty)?;
        Ok(row.to_vec())
    }

    /// What the stages so far leave of a row, and what would be drawn from that.
    fn stage(&self, prefix: &SamplerSpec, row: &[f32]) -> Result<(Step, Stage), ApiError> {
        let resolved = prefix.resolve(&self.model.tokenizer);
        let sampler = Sampler::new(&resolved, row.len()).map_err(spec_fault)?;
        let sampler = sampler.with_isa(self.model.engine.options().isa);
        let history = History::new(&self.tokens, self.prompt);
        let coins = Seed(self.question.seed).coins(0, self.question.generated.len() as u64);
        let mut scratch = Scratch::default();
        let step = sampler.pick(row, history, coins, &mut Memory::default(), &mut scratch).map_err(row_fault)?;
        let mut left = row.to_vec();
        sampler.mask(&mut left, history, coins, &mut Memory::default(), &mut scratch).map_err(row_fault)?;
        let stage = Stage {
            stage: prefix.0.last().map(ToString::to_string),
            entropy: step.kept_entropy,
            kept: step.kept,
            kept_mass: step.kept_mass,
            temperature: step.temperature,
            top: self.top(&left)?,
        };
        Ok((step, stage))
    }

    fn top(&self, row: &[f32]) -> Result<Vec<Token>, ApiError> {
        let top = alternatives(Logits::new(row).map_err(row_fault)?, self.question.top_n);
        let token = |(token, logprob): (TokenId, f64)| {
            let bytes = self.model.tokenizer.bytes(token);
            let text = String::from_utf8_lossy(bytes).into_owned();
            Token { token, text, bytes: bytes.to_vec(), logprob, prob: libm::exp(logprob) }
        };
        Ok(top.into_iter().map(|top| token((top.token, top.logprob))).collect())
    }

    fn fault(&self, error: ModelError) -> ApiError {
        let field = match error {
            ModelError::Token { position, .. } if position >= self.prompt => "generated",
            _ => "prompt",
        };
        ApiError::field(field, error.to_string())
    }
}

fn spec_fault(error: SpecError) -> ApiError {
    ApiError::field("sampler", error.to_string())
}

fn row_fault(error: RowError) -> ApiError {
    ApiError::internal(format!("the model's row is at fault: {error}"))
}

impl Prompt {
    /// The tokens of a text, or BOS alone if there is none; ids as they are.
    fn tokens(&self, model: &Model) -> Result<Vec<TokenId>, ApiError> {
        match self {
            Prompt::Ids(ids) => Ok(ids.clone()),
            Prompt::Text(text) => {
                model.tokenizer.encode_prompt(text, true).map_err(|error| ApiError::field("prompt", error.to_string()))
            }
        }
    }
}
