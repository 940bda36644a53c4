//! Markov chains and joint tables: exact risks of decoders.
//!
//! A [`Law`] is a distribution over sequences that is known exactly: a [`Chain`], a [`Joint`] table, or anything else
//! that can be written as states and edges. A [`Loss`] is a goal. A [`Decoder`] makes of a law an [`Answer`], one sequence
//! or a law to draw from, and its [risk](risk()) is its expected loss over sequences of the law: worked out by dynamic
//! programming, never estimated. [`optimum`] is the least possible risk, and what reaches it.
//!
//! Goals and their optima follow Trauger and Tewari, "On Next-Token Prediction in LLMs", arXiv 2505.11183;
//! `docs/theory.md` says what was read there and what is derived here.
//!
//! ```
//! use decant_lab::chain::{Chain, judge};
//!
//! // Two states; the first is likelier, but what follows the second is more certain.
//! let chain = Chain::new(vec![0.6, 0.4], vec![vec![0.5, 0.5], vec![0.0, 1.0]], 2)?;
//! let verdict = judge(&chain.law()?, "exact".parse()?, &["greedy".parse()?, "map".parse()?])?;
//! assert_eq!(verdict.optimal, Some(vec![1, 1]));
//! assert!((verdict.optimal_risk - 0.6).abs() < 1e-12);
//! assert!((verdict.outcomes[0].regret - 0.1).abs() < 1e-12, "greedy takes 0 first, and is right with 0.3");
//! # Ok::<(), decant_lab::chain::ChainError>(())
//! ```

mod decoder;
mod error;
mod instances;
mod joint;
mod law;
mod loss;
mod markov;
mod model;
mod ngram;
mod product;
mod resample;
mod risk;
mod scaled;
mod search;

pub use decoder::{Answer, Decoder};
pub use error::ChainError;
pub use instances::{InstanceError, instances};
pub use joint::{Entry, Joint};
pub use law::{Edge, Law};
pub use loss::Loss;
pub use markov::Chain;
pub use risk::{Optimum, Outcome, Verdict, cross_entropy, entropy, judge, optimum, risk};
