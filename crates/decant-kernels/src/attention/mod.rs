//! Attention over keys and values that lie in pages: softmax(q·k · scale)·v by head.
//!
//! Positions are cut into *segments* of [`SEGMENT`], at absolute positions. Inside one the softmax is plain: scores, their
//! maximum, exponentials, the weighted sum of values. What comes out, not yet normalised, is a *partial*: the largest
//! score, the sum of weights, the weighted values. Partials are merged in order of positions, each rescaled to the larger
//! maximum (Milakov and Gimelshein 2018), so memory does not grow with the length (Dao et al. 2022) and segments can be
//! shared out between threads (Dao 2023).
//!
//! A [`Tile`] is worked on together: neighbouring tokens of a sequence, and the query heads that share a head of keys and
//! values. They share what they read of a page, nothing else: every query's operations are the same as alone, in an order
//! that absolute positions fix. So its bits do not depend on the tile, on how a prompt was chunked, on other sequences, nor
//! on the number of threads.

mod format;
mod page;
mod partial;
#[cfg(test)]
mod tests;
mod tile;

pub use format::KvFormat;
pub use page::{KvPage, KvShape, KvView, PAGE};
pub use partial::{finish, partial_len};
pub use tile::{SEGMENT, Scoring, Scratch, Tile, attend};
