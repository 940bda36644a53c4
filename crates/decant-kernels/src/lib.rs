//! Decant's inner loops: over rows of logits (moments, maxima, selection, masks) and over weights (dot products and
//! matrix products by format).
//!
//! Every loop is written once, over 16 virtual lanes and one fixed reduction tree; an instruction set only changes how
//! many lanes a register holds. So every tier gives equal bits, and the tests run each tier that the machine has.

pub mod allocations;
pub mod attention;
mod floor;
mod isa;
mod lanes;
pub mod peaks;
pub mod rows;
mod team;
#[cfg(test)]
mod testing;
pub mod vectors;
pub mod weights;

pub use floor::{Floor, floor};
pub use isa::{Isa, IsaName};
pub use team::Team;
