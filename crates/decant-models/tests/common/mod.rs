//! What several tests of this crate need.
pub mod gguf;
