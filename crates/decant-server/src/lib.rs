//! An OpenAI-compatible server over one scheduler that owns the model.

mod api;
pub mod app;
mod connection;
pub mod error;
pub mod fields;
mod guard;
mod listener;
pub mod metrics;
mod openapi;
mod playground;
mod respond;
mod router;
mod routes;
pub mod scheduler;
mod server;
mod sync;
pub mod traffic;
mod watch;

pub use openapi::document;
pub use router::router;
pub use server::{Listen, ServeError, serve};
