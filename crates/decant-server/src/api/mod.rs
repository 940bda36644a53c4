//! Other people's JSON: what clients of OpenAI's API send, and what they wait for.

mod answer;
mod chat;
mod completions;
mod generation;
mod object;
mod sampling;

pub use answer::{About, Answer, Chunk, Usage};
pub use chat::{Chat, Conversation};
pub use completions::Completions;
pub use generation::{Form, Generation, Prompt, Request, Streaming};
pub use object::Object;
pub use sampling::{ready, sampler};
