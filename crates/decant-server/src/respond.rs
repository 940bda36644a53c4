//! The routes of OpenAI's two forms: from a body to jobs, from pieces to an answer.
//!
//! Each prompt is a job, so its texts are those that it gets alone: choice i of every prompt draws by seed + i. An answer tells
//! its seeds. A whole answer and a stream are made of the same pieces.

use crate::api::{
    About, Answer, Chat, ChatChoice, Chunk, CompletionChoice, Completions, Form, Object, Prompt, Request, Streaming,
    Usage, admit, ready,
};
use crate::app::App;
use crate::error::ApiError;
use crate::fields;
use crate::listener::{Inbox, Outbox, Piece, Teller, Telling, channel};
use crate::scheduler::Job;
use axum::Json;
use axum::extract::{self, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use decant_models::Model;
use decant_sampling::Seed;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// `POST /v1/completions` and `POST /v1/chat/completions`.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(completions)).routes(routes!(chat))
}

/// Goes on from a prompt, as OpenAI's completions do.
#[utoipa::path(post, path = "/v1/completions", tag = "generation",
    request_body(content = ref("#/components/schemas/CompletionRequest")),
    responses((status = 200, description = "the texts; with `stream`, events of chunks and then `[DONE]`", content(
        (Answer<CompletionChoice> = "application/json"),
        (Chunk<CompletionChoice> = "text/event-stream"),
    ))),
)]
async fn completions(state: State<App>, request: extract::Request) -> Result<Response, ApiError> {
    respond::<Completions>(state, request).await
}

/// Goes on with a conversation, as OpenAI's chat completions do.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "generation",
    request_body(content = ref("#/components/schemas/ChatRequest")),
    responses((status = 200, description = "the messages; with `stream`, events of chunks and then `[DONE]`", content(
        (Answer<ChatChoice> = "application/json"),
        (Chunk<ChatChoice> = "text/event-stream"),
    ))),
)]
async fn chat(state: State<App>, request: extract::Request) -> Result<Response, ApiError> {
    respond::<Chat>(state, request).await
}

/// Answers a request of either form. The model's name in it is not looked at: there is one model, and the answer names it.
async fn respond<F: Form>(State(app): State<App>, request: extract::Request) -> Result<Response, ApiError> {
    let body = fields::body(request, &app).await?;
    // Long prompts take their time to be split into tokens.
    let talk = spawn_blocking(move || Talk::begin::<F>(&app, &body)).await.map_err(ApiError::internal)??;
    match talk.streaming {
        Some(_) => Ok(talk.streamed::<F>()),
        None => talk.whole::<F>().await,
    }
}

/// A request whose jobs are under way.
struct Talk {
    about: Arc<About>,
    inbox: Inbox,
    usage: Usage,
    /// How many choices have not ended.
    open: usize,
    streaming: Option<Streaming>,
}

impl Talk {
    /// Reads a request and submits its jobs: one for each prompt. If one is refused all are dropped.
    fn begin<F: Form>(app: &App, body: &[u8]) -> Result<Self, ApiError> {
        let serving = app.serving()?;
        let lenient = app.settings.lenient;
        let mut object = Object::parse(body)?;
        admit(&mut object, F::FIELDS, lenient)?;
        let request = F::read(object, serving, lenient)?;
        let choices = request.generation.choices as usize;
        let firsts = first_seeds(&request);
        let seeds: Vec<u64> =
            firsts.iter().flat_map(|first| (0..choices).map(|i| first.wrapping_add(i as u64))).collect();
        let about = About::new::<F>(&request, seeds, serving);
        let (outbox, inbox) = channel();
        let talk = Talk {
            usage: Usage::of_prompts(request.fed()),
            about: Arc::new(about),
            inbox,
            open: choices * request.prompts.len(),
            streaming: request.generation.streaming,
        };
        for job in jobs(request, &firsts, &serving.model, &outbox)? {
            app.submit(job)?;
        }
        Ok(talk)
    }

    /// The next piece of any choice.
    async fn next(&mut self) -> Result<Option<Piece>, ApiError> {
        if self.open == 0 {
            return Ok(None);
        }
        let mut piece = self.inbox.next().await.ok_or(ApiError::Stopped)?;
        self.usage.count(&piece);
        match piece.end.take() {
            Some(Err(error)) => return Err(error),
            Some(end) => {
                self.open -= 1;
                piece.end = Some(end);
            }
            None => {}
        }
        Ok(Some(piece))
    }

    /// Waits for all choices.
    async fn whole<F: Form>(mut self) -> Result<Response, ApiError> {
        let mut choices: Vec<Option<Piece>> = self.about.seeds.iter().map(|_| None).collect();
        while let Some(piece) = self.next().await? {
            match choices.get_mut(piece.index) {
                Some(Some(choice)) => choice.append(piece),
                Some(empty) => *empty = Some(piece),
                None => return Err(ApiError::internal("there is no such choice")),
            }
        }
        let choices = choices.into_iter().flatten().collect();
        Ok(Json(Answer::of::<F>(choices, self.usage, &self.about)).into_response())
    }

    /// Tells pieces as they come. What goes wrong on the way is told as an event.
    fn streamed<F: Form>(self) -> Response {
        let events = stream::unfold(Rest::Pieces(self), |rest| async {
            let (event, rest) = rest.next::<F>().await?;
            Some((Ok::<_, Infallible>(event), rest))
        });
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }
}

/// What a stream has yet to tell.
enum Rest {
    Pieces(Talk),
    Done,
    Nothing,
}

impl Rest {
    /// The next event.
    async fn next<F: Form>(self) -> Option<(Event, Rest)> {
        let mut talk = match self {
            Rest::Pieces(talk) => talk,
            Rest::Done => return Some((Event::default().data("[DONE]"), Rest::Nothing)),
            Rest::Nothing => return None,
        };
        let Streaming { usage: with_usage, running_usage } = talk.streaming.unwrap_or_default();
        Some(match talk.next().await {
            Ok(Some(piece)) => {
                let usage = with_usage.then_some(running_usage.then_some(talk.usage));
                (event(&Chunk::of::<F>(piece, usage, &talk.about)), Rest::Pieces(talk))
            }
            Ok(None) if with_usage => (event(&Chunk::of_usage::<F>(talk.usage, &talk.about)), Rest::Done),
            Ok(None) => (Event::default().data("[DONE]"), Rest::Nothing),
            Err(error) => (event(&error.body()), Rest::Nothing),
        })
    }
}

/// An event of JSON. What cannot be written as JSON there is not: no map has keys that are no texts.
fn event(body: &impl Serialize) -> Event {
    let data = serde_json::to_string(body);
    Event::default().data(data.unwrap_or_else(|error| json!(ApiError::internal(error).body()).to_string()))
}

/// The seed of each prompt's first choice. A prompt gives what it would alone; without a seed each has one of its own, since
/// the same prompt may be there more than once.
fn first_seeds(request: &Request) -> Vec<u64> {
    let random = || RandomState::new().hash_one(()) >> 32; // short enough to be typed again
    request.prompts.iter().map(|_| request.generation.seed.unwrap_or_else(random)).collect()
}

/// The jobs of a request: one for each prompt.
fn jobs(request: Request, firsts: &[u64], model: &Arc<Model>, outbox: &Outbox) -> Result<Vec<Job>, ApiError> {
    let limits = request.limits(model.tokenizer.ends());
    let Request { prompts, generation, echo, alternatives, generated } = request;
    let sampler = ready(&generation.sampler, model)?;
    let deadline = generation.deadline.and_then(|time| Instant::now().checked_add(time));
    let job = |(place, (prompt, &seed)): (usize, (Prompt, &u64))| {
        let ids = prompt.ids.clone();
        let telling = Telling {
            model: model.clone(),
            prompt,
            echo,
            alternatives,
            stop: generation.stop.clone(),
            first_index: place * generation.choices as usize,
            generated: generated.clone(),
            trace: generation.trace,
        };
        Job {
            prompt: ids,
            generated: generated.clone(),
            sampler: sampler.clone(),
            decode: generation.decode.clone(),
            limits: limits.clone(),
            seed: Seed(seed),
            choices: generation.choices,
            prompt_rows: telling.tells_prompt(),
            deadline,
            listener: Box::new(Teller::new(telling, generation.choices, outbox.clone())),
        }
    };
    Ok(prompts.into_iter().zip(firsts).enumerate().map(job).collect())
}
