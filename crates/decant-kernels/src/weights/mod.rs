//! Loops over weights: the product of a matrix with rows of activations, by storage format.
//!
//! A matrix stays the bytes of its file: little-endian, row after row, never aligned. Every output element is one dot
//! product with one order of operations, whatever the tier, the number of activation rows and the split of the output
//! between threads; so its bits depend on its inputs alone.

// Loops over arrays of lanes count: closures would be compiled without their tier's instructions.
#![allow(clippy::needless_range_loop)]

mod activations;
mod blocks;
mod columns;
mod floats;
mod format;
mod lanes;
mod multiply;
mod superblocks;
#[cfg(test)]
mod tests;

pub use activations::Activations;
pub use columns::ColumnsMut;
pub use format::{Format, Weights};
pub(crate) use lanes::WeightLanes;
pub use multiply::{Product, multiply};
