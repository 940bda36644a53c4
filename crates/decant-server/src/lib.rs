//! An OpenAI-compatible server over one scheduler that owns the model.

pub mod app;
pub mod error;
pub mod metrics;
pub mod scheduler;
pub mod traffic;
