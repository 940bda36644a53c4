//! Other people's JSON: what clients of OpenAI's API send, and what they wait for.

mod answer;
mod chat;
mod completions;
mod conventions;
pub mod field;
mod generation;
mod object;
mod sampling;

pub use answer::{About, Answer, Chunk, Usage};
pub use chat::{Chat, Choice as ChatChoice, Conversation};
pub use completions::{Choice as CompletionChoice, Completions};
pub use field::{Field, Fields};
pub use generation::{Form, Generation, Prompt, Request, Streaming};
pub use object::Object;
pub use sampling::{admit, ready, sampler};
