//! An OpenAI-compatible server over one scheduler that owns the model.

pub mod scheduler;
