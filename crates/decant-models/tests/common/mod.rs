//! What several tests of this crate need.
#![allow(dead_code)] // each test binary uses some

pub mod encode;
pub mod gguf;
pub mod random_model;
pub mod reference;
pub mod tiers;
