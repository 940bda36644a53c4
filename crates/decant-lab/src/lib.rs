//! The theory of decoding as executable checks.
//!
//! A goal is a loss, and a decoder serves it or does not. Here that is worked out exactly where it can be (explicit laws:
//! [`chain`]; one row: [`ecmm`]) and estimated with intervals where it cannot (a real model). A [`study`] asks one question
//! over a grid of such checks and answers it with a table and a [`plot`].
//! [`calibrate`] makes a sampler's thresholds from a model's own entropies.

pub mod advise;
pub mod calibrate;
pub mod chain;
pub mod ecmm;
pub mod plot;
pub mod random;
pub mod rows;
pub mod study;
