//! Markov chains.

use super::law::normalised;
use super::{ChainError, Edge, Law};
use crate::random::Draws;
use decant_sampling::TokenId;
use serde::Serialize;

/// A Markov chain over the sequences of a length: the first token by `start`, every further one by the row of the one
/// before it.
///
/// Serialises as the JSON that `decant lab chain` reads: `{"start":[..],"transition":[[..],..],"length":T}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chain {
    start: Vec<f64>,
    transition: Vec<Vec<f64>>,
    length: usize,
}

impl Chain {
    /// From P(y_1 = v), shape `[vocab]`, P(y_{t+1} = w | y_t = v), shape `[vocab, vocab]`, and the number of tokens.
    ///
    /// Rows must sum to 1 within 1e-6, and are then divided by their sum.
    ///
    /// # Errors
    /// What is wrong with a field, by its name.
    pub fn new(start: Vec<f64>, transition: Vec<Vec<f64>>, length: usize) -> Result<Self, ChainError> {
        let vocab = start.len();
        if vocab == 0 {
            return Err(ChainError::Empty { field: "start", what: "empty" });
        }
        if length == 0 {
            return Err(ChainError::Empty { field: "length", what: "0" });
        }
        let expect = |field: String, given: usize| match given == vocab {
            true => Ok(()),
            false => Err(ChainError::Length { field, expected: vocab, given }),
        };
        expect("transition".to_owned(), transition.len())?;
        let start = normalised(&start, "start")?;
        let row = |(state, row): (usize, &Vec<f64>)| {
            let field = format!("transition[{state}]");
            expect(field.clone(), row.len())?;
            normalised(row, &field)
        };
        let transition = transition.iter().enumerate().map(row).collect::<Result<_, _>>()?;
        Ok(Chain { start, transition, length })
    }

    /// A random one: the start and every row by the symmetric Dirichlet distribution of this concentration, small for
    /// peaked rows. The same draws give the same chain on every machine.
    pub fn random(vocab: usize, length: usize, alpha: f64, draws: &mut Draws) -> Result<Self, ChainError> {
        let start = draws.dirichlet(alpha, vocab);
        Chain::new(start, (0..vocab).map(|_| draws.dirichlet(alpha, vocab)).collect(), length)
    }

    /// A chain whose rows are mixtures: `1 - share` of this one's and `share` of another's, from 0 to 1.
    ///
    /// # Errors
    /// [`ChainError::Length`] if the other is of another vocabulary.
    pub fn blended(&self, other: &Chain, share: f64) -> Result<Self, ChainError> {
        let blend = |(ours, theirs): (&Vec<f64>, &Vec<f64>)| {
            ours.iter().zip(theirs).map(|(p, q)| (1.0 - share) * p + share * q).collect::<Vec<_>>()
        };
        let transition = self.transition.iter().zip(&other.transition).map(blend).collect();
        Chain::new(blend((&self.start, &other.start)), transition, self.length)
    }

    /// How many tokens there are.
    pub fn vocab(&self) -> usize {
        self.start.len()
    }

    /// How many tokens a sequence has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// P(y_1 = v).
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// P(y_{t+1} = w | y_t = v), row v.
    pub fn transition(&self) -> &[Vec<f64>] {
        &self.transition
    }

    /// The law as states and edges: state v + 1 stands after token v.
    ///
    /// # Errors
    /// [`ChainError::TooLarge`].
    pub fn law(&self) -> Result<Law, ChainError> {
        let edge = |(token, &p): (usize, &f64)| Edge { token: token as TokenId, p, log_p: libm::log(p), to: token + 1 };
        let edges = |row: &Vec<f64>| row.iter().enumerate().filter(|(_, p)| **p > 0.0).map(edge).collect();
        let states = std::iter::once(&self.start).chain(&self.transition).map(edges).collect();
        Law::new(self.vocab(), self.length, states)
    }
}
