//! Between the scheduler's thread and a request: tokens become pieces of text there, and are told here.

use crate::api::Prompt;
use crate::error::ApiError;
use crate::scheduler::{Ended, Listener};
use decant_decode::{Alternative, Finish, Outcome, TextStream, TokenId, Utf8Stream, alternatives};
use decant_models::Model;
use decant_sampling::{EntropyStats, Logits, Step};
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// How many pieces may lie unread before the texts of a request wait for their reader.
const READ_AHEAD: usize = 256;

/// Some of a choice: its echoed prompt, a token, its end. Pieces of a choice make it as a whole.
#[derive(Debug)]
pub struct Piece {
    /// Which choice of the request.
    pub index: usize,
    /// Whether the choice begins with it.
    pub begins: bool,
    /// The text that became certain.
    pub text: String,
    /// The tokens.
    pub said: Vec<Said>,
    /// How the choice ended, if it has.
    pub end: Option<Result<End, ApiError>>,
}

/// A token of a choice or of its prompt.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its id.
    pub token: TokenId,
    /// How many characters of the text stand before it.
    pub offset: usize,
    /// ln p in the model's own row, if somebody asked for it; never for the first token of a prompt, which nothing foretold.
    pub logprob: Option<f64>,
    /// The most probable tokens in its place, if somebody asked.
    pub alternatives: Vec<Alternative>,
    /// What the sampler saw; not for a prompt's.
    pub step: Option<Step>,
}

/// How a choice ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Why.
    pub reason: Reason,
    /// What came of the strategy, if it came to its end.
    pub outcome: Option<Outcome>,
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The most tokens allowed were made, or the model's context is full.
    Length,
    /// A stop string appeared.
    Stop,
    /// The model said that the text is over.
    Eos,
    /// Its time was over.
    Deadline,
}

impl Piece {
    /// Adds what came next of the same choice.
    pub fn append(&mut self, next: Piece) {
        self.text.push_str(&next.text);
        self.said.extend(next.said);
        self.end = next.end;
    }
}

/// What a request's choices are told by.
#[derive(Clone)]
pub struct Outbox {
    pieces: mpsc::UnboundedSender<Piece>,
    unread: Arc<AtomicUsize>,
}

/// Where they are read.
pub struct Inbox {
    pieces: mpsc::UnboundedReceiver<Piece>,
    unread: Arc<AtomicUsize>,
}

/// A way from a request's choices to its reader. It never refuses a piece, since a choice's end must arrive; what is unread
/// stays bounded because choices [wait](Listener::is_ready).
pub fn channel() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let unread = Arc::new(AtomicUsize::new(0));
    (Outbox { pieces: sender, unread: unread.clone() }, Inbox { pieces: receiver, unread })
}

impl Inbox {
    /// The next piece of any choice; `None` once nobody is left to tell one.
    pub async fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.recv().await?;
        self.unread.fetch_sub(1, Ordering::Relaxed);
        Some(piece)
    }
}

/// What is told of a job.
pub struct Telling {
    /// Spells tokens.
    pub model: Arc<Model>,
    /// The prompt's text and tokens.
    pub prompt: Prompt,
    /// Whether it is said again before each text.
    pub echo: bool,
    /// How many alternatives are told of each position, if logprobs are asked for.
    pub alternatives: Option<usize>,
    /// Strings that end a text.
    pub stop: Vec<String>,
    /// Which choice of the request the job's first one is.
    pub first_index: usize,
}

/// A job's listener.
pub struct Teller {
    telling: Telling,
    outbox: Outbox,
    /// The prompt's tokens, as far as their rows have come.
    prompt: Vec<Said>,
    texts: Vec<Text>,
}

/// A choice's text in the making.
#[derive(Clone, Default)]
struct Text {
    begun: bool,
    /// Up to a stop string.
    text: TextStream,
    /// All of it, and how many characters that are.
    spelled: Utf8Stream,
    chars: usize,
}

impl Teller {
    /// Tells of so many choices.
    pub fn new(telling: Telling, choices: u32, outbox: Outbox) -> Self {
        let text = Text { text: TextStream::new(&telling.stop), ..Text::default() };
        Teller { prompt: first_of(&telling), texts: vec![text; choices as usize], telling, outbox }
    }

    /// The bytes of a generated token; at the very start of a text they may differ.
    fn bytes(&self, token: TokenId, first: bool) -> &[u8] {
        match first && self.telling.prompt.text.is_empty() {
            true => self.telling.model.tokenizer.first_bytes(token),
            false => self.telling.model.tokenizer.bytes(token),
        }
    }

    /// A token in its place before a row's: its logprob and the alternatives, of one computation, so that the most probable
    /// token is known by equality.
    fn judged(&self, token: TokenId, offset: usize, row: &[f32], step: Option<Step>) -> Said {
        let mut said = Said { token, offset, logprob: None, alternatives: Vec::new(), step };
        if let (Some(n), Ok(logits)) = (self.telling.alternatives, Logits::new(row)) {
            said.logprob = row.get(token as usize).map(|&logit| EntropyStats::of(&logits).logprob(logit));
            said.alternatives = alternatives(logits, n);
        }
        said
    }

    /// Tells the prompt again, before anything else of a choice, if it is to be echoed.
    fn begin(&mut self, choice: u32) -> Option<bool> {
        let text = self.texts.get_mut(choice as usize)?;
        let begins = !std::mem::replace(&mut text.begun, true);
        if begins && self.telling.echo {
            text.chars = self.telling.prompt.text.chars().count();
            let (text, said) = (self.telling.prompt.text.clone(), self.prompt.clone());
            self.tell(choice, true, text, said, None);
            return Some(false);
        }
        Some(begins)
    }

    fn tell(&self, choice: u32, begins: bool, text: String, said: Vec<Said>, end: Option<Result<End, ApiError>>) {
        let index = self.telling.first_index + choice as usize;
        self.outbox.unread.fetch_add(1, Ordering::Relaxed);
        // Where nobody listens the job is dropped at the next step.
        let _ = self.outbox.pieces.send(Piece { index, begins, text, said, end });
    }
}

/// The first token of a prompt whose logprobs are asked for.
fn first_of(telling: &Telling) -> Vec<Said> {
    let asked = telling.echo && telling.alternatives.is_some();
    let first = telling.prompt.ids.first().filter(|_| asked);
    let said = |&token| Said { token, offset: 0, logprob: None, alternatives: Vec::new(), step: None };
    first.map(said).into_iter().collect()
}

impl Listener for Teller {
    fn prompt_row(&mut self, position: usize, row: &[f32]) {
        let ids = &self.telling.prompt.ids;
        // The last one foretells the text's first token, which is told with it.
        let (Some(&token), true) = (ids.get(position + 1), self.prompt.len() == position + 1) else { return };
        let said = self.judged(token, 0, row, None);
        self.prompt.push(said);
    }

    fn token(&mut self, choice: u32, step: &Step, row: &[f32]) -> ControlFlow<()> {
        let Some(begins) = self.begin(choice) else { return ControlFlow::Break(()) };
        let position = choice as usize;
        let offset = self.texts[position].chars;
        let said = self.judged(step.token, offset, row, Some(*step));
        let bytes = self.bytes(step.token, begins).to_vec();
        let text = &mut self.texts[position];
        text.chars += text.spelled.push(&bytes).chars().count();
        let certain = text.text.push(&bytes);
        let stopped = text.text.stopped();
        self.tell(choice, begins, certain, vec![said], None);
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        if self.telling.stop.is_empty() {
            return false;
        }
        let mut text = TextStream::new(&self.telling.stop);
        for (place, &token) in generated.iter().enumerate() {
            text.push(self.bytes(token, place == 0));
        }
        text.finish();
        text.stopped()
    }

    fn is_ready(&self) -> bool {
        self.outbox.unread.load(Ordering::Relaxed) < READ_AHEAD
    }

    fn is_gone(&self) -> bool {
        self.outbox.pieces.is_closed()
    }

    fn end(&mut self, choice: u32, ended: Ended) {
        let Some(begins) = self.begin(choice) else { return };
        let rest = self.texts[choice as usize].text.finish();
        let end = match ended {
            Ended::Done(outcome) => {
                let reason = match outcome.finish {
                    Finish::Length => Reason::Length,
                    Finish::Stop => Reason::Stop,
                    Finish::Eos => Reason::Eos,
                };
                Ok(End { reason, outcome: Some(outcome) })
            }
            Ended::Late => Ok(End { reason: Reason::Deadline, outcome: None }),
            Ended::Failed(error) => Err(error.into()),
            Ended::Stopped => Err(ApiError::Stopped),
        };
        self.tell(choice, begins, rest, Vec::new(), Some(end));
    }
}
