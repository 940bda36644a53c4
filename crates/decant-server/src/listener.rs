//! Between the scheduler's thread and a request: tokens become pieces of text there, and are told here.

use crate::api::Prompt;
use crate::error::ApiError;
use crate::scheduler::{Ended, Listener};
use decant_decode::{Alternative, Finish, Outcome, TextStream, TokenId, TraceStep, Utf8Stream, alternatives};
use decant_models::Model;
use decant_sampling::{EntropyStats, Logits, Step};
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use utoipa::ToSchema;

/// How many pieces may lie unread before the texts of a request wait for their reader.
const READ_AHEAD: usize = 256;

/// How long a reader rests after a piece that it had to wait for. To be woken for each token of a model that makes thousands a
/// second takes the model's cores from it; of slower models nobody notices.
const PAUSE: Duration = Duration::from_millis(1);

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
    /// The same as a trace has it, if somebody asked.
    pub traced: Option<TraceStep>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
    /// When the wait for a piece last ended.
    woken: Option<Instant>,
}

/// A way from a request's choices to its reader. It never refuses a piece, since a choice's end must arrive; what is unread
/// stays bounded because choices [wait](Listener::is_ready).
pub fn channel() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let unread = Arc::new(AtomicUsize::new(0));
    (Outbox { pieces: sender, unread: unread.clone() }, Inbox { pieces: receiver, unread, woken: None })
}

impl Inbox {
    /// The next piece of any choice; `None` once nobody is left to tell one.
    pub async fn next(&mut self) -> Option<Piece> {
        let piece = match self.pieces.try_recv() {
            Ok(piece) => piece,
            Err(_) => self.wait().await?,
        };
        self.unread.fetch_sub(1, Ordering::Relaxed);
        Some(piece)
    }

    /// Waits for a piece, but is not woken more often than once a [`PAUSE`].
    async fn wait(&mut self) -> Option<Piece> {
        if let Some(woken) = self.woken {
            sleep_until((woken + PAUSE).into()).await;
        }
        let piece = self.pieces.recv().await;
        self.woken = Some(Instant::now());
        piece
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
    /// What was generated of each text before.
    pub generated: Vec<TokenId>,
    /// Whether steps are told as a trace has them, too.
    pub trace: bool,
}

impl Telling {
    /// The bytes of the token at a place of the generated text.
    fn bytes(&self, place: usize, token: TokenId) -> &[u8] {
        self.prompt.bytes(place, token, &self.model.tokenizer)
    }

    /// Whether the rows of the prompt are asked for.
    pub fn tells_prompt(&self) -> bool {
        self.echo && self.alternatives.is_some()
    }
}

/// A job's listener.
pub struct Teller {
    telling: Telling,
    outbox: Outbox,
    /// The prompt's tokens, as far as their rows have come.
    prompt: Vec<Said>,
    prompt_length: Length,
    texts: Vec<Text>,
}

/// A choice's text in the making.
#[derive(Clone, Default)]
struct Text {
    /// Whether a piece of it was told.
    begun: bool,
    /// How many tokens it has.
    made: usize,
    /// Up to a stop string.
    text: TextStream,
    /// How many bytes of what comes out of it next stood there before.
    known: usize,
    /// Of all that is told.
    length: Length,
}

impl Text {
    /// Takes a token's bytes; says what became certain of the text, and how many characters stand before the token.
    fn push(&mut self, bytes: &[u8]) -> (String, usize) {
        self.made += 1;
        let certain = self.text.push(bytes);
        (self.new_of(certain), self.length.push(bytes))
    }

    /// What is left of a piece of the text without what stood there before.
    fn new_of(&mut self, mut piece: String) -> String {
        let known = self.known.min(piece.len());
        self.known -= known;
        piece.drain(..known);
        piece
    }

    /// A text that had these tokens' bytes before. What they end with may yet turn out to begin a stop string.
    fn go_on<'b>(&mut self, tokens: impl Iterator<Item = &'b [u8]>) {
        for bytes in tokens {
            self.made += 1;
            self.known += self.length.utf8.push(bytes).len();
            self.known -= self.text.push(bytes).len();
        }
    }
}

/// How many characters a text has that comes in bytes.
#[derive(Clone, Default)]
struct Length {
    utf8: Utf8Stream,
    chars: usize,
}

impl Length {
    /// Goes on with a token's bytes; says how many characters stand before it.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let before = self.chars;
        self.chars += self.utf8.push(bytes).chars().count();
        before
    }
}

impl Teller {
    /// Tells of so many choices.
    pub fn new(telling: Telling, choices: u32, outbox: Outbox) -> Self {
        let mut text = Text { text: TextStream::new(&telling.stop), ..Text::default() };
        text.go_on(telling.generated.iter().enumerate().map(|(place, &token)| telling.bytes(place, token)));
        let (prompt, prompt_length) = (Vec::new(), Length::default());
        let mut teller = Teller { prompt, prompt_length, texts: vec![text; choices as usize], telling, outbox };
        // Nothing foretold the first token, so it comes without a row.
        if let Some(&first) = teller.telling.prompt.ids.first().filter(|_| teller.telling.tells_prompt()) {
            teller.prompt_token(first, None);
        }
        teller
    }

    /// A token that stands against a row. Its logprob and the alternatives are of one computation, so that the most probable
    /// token is known by equality.
    fn judged(&self, token: TokenId, offset: usize, row: Option<&[f32]>, step: Option<Step>) -> Said {
        let mut said = Said { token, offset, logprob: None, alternatives: Vec::new(), step, traced: None };
        let logits = row.and_then(|row| Logits::new(row).ok());
        if let (Some(n), Some(logits)) = (self.telling.alternatives, logits) {
            let logit = logits.row().get(token as usize);
            said.logprob = logit.map(|&logit| EntropyStats::of(&logits).logprob(logit));
            said.alternatives = alternatives(logits, n);
        }
        said
    }

    /// Takes the prompt's next token, and the row that it stands against if it has one.
    fn prompt_token(&mut self, token: TokenId, row: Option<&[f32]>) {
        let tokenizer = &self.telling.model.tokenizer;
        let bytes = match self.prompt_length.chars {
            0 => tokenizer.first_bytes(token),
            _ => tokenizer.bytes(token),
        };
        let offset = self.prompt_length.push(bytes);
        self.prompt.push(self.judged(token, offset, row, None));
    }

    /// Says whether the next piece is a choice's first. If the prompt is to be echoed that one is told here.
    fn begin(&mut self, choice: u32) -> bool {
        let text = &mut self.texts[choice as usize];
        let begins = !std::mem::replace(&mut text.begun, true);
        if !(begins && self.telling.echo) {
            return begins;
        }
        text.length.chars = self.telling.prompt.text.chars().count();
        self.tell(choice, true, self.telling.prompt.text.clone(), self.prompt.clone(), None);
        false
    }

    fn tell(&self, choice: u32, begins: bool, text: String, said: Vec<Said>, end: Option<Result<End, ApiError>>) {
        let index = self.telling.first_index + choice as usize;
        self.outbox.unread.fetch_add(1, Ordering::Relaxed);
        // Where nobody listens the job is dropped at the next step.
        let _ = self.outbox.pieces.send(Piece { index, begins, text, said, end });
    }
}

impl Listener for Teller {
    fn prompt_row(&mut self, position: usize, row: &[f32]) {
        let ids = &self.telling.prompt.ids;
        // The last one foretells the text's first token, which is told with it.
        if let (Some(&token), true) = (ids.get(position + 1), self.prompt.len() == position + 1) {
            self.prompt_token(token, Some(row));
        }
    }

    fn token(&mut self, choice: u32, step: &Step, row: &[f32]) -> ControlFlow<()> {
        let begins = self.begin(choice);
        let Teller { telling, texts, .. } = self;
        let text = &mut texts[choice as usize];
        let position = text.made;
        let bytes = telling.bytes(position, step.token);
        let (certain, offset) = text.push(bytes);
        let stopped = text.text.stopped();
        let spell = |token| telling.model.tokenizer.bytes(token);
        let traced = telling.trace.then(|| TraceStep::new(position, *step, bytes, row, spell));
        let said = Said { traced, ..self.judged(step.token, offset, Some(row), Some(*step)) };
        self.tell(choice, begins, certain, vec![said], None);
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        if self.telling.stop.is_empty() {
            return false;
        }
        let mut text = TextStream::new(&self.telling.stop);
        for (place, &token) in generated.iter().enumerate() {
            text.push(self.telling.bytes(place, token));
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
        let begins = self.begin(choice);
        let text = &mut self.texts[choice as usize];
        let rest = text.text.finish();
        let rest = text.new_of(rest);
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
