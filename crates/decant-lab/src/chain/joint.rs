//! Explicit tables of sequences.

use super::law::normalised;
use super::{ChainError, Edge, Law};
use decant_sampling::TokenId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table of sequences and their probabilities; sequences that are not listed are impossible.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joint {
    joint: Vec<Entry>,
    vocab: usize,
}

/// A line of a [`Joint`] table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The tokens.
    pub sequence: Vec<TokenId>,
    /// The probability of the whole sequence.
    pub p: f64,
}

impl Joint {
    /// From lines whose sequences are of one length and differ, and whose probabilities sum to 1 within 1e-6 (they are
    /// then divided by their sum).
    ///
    /// # Errors
    /// What is wrong with a field, by its name.
    pub fn new(joint: Vec<Entry>, vocab: usize) -> Result<Self, ChainError> {
        let Some(length) = joint.first().map(|entry| entry.sequence.len()) else {
            return Err(ChainError::Empty { field: "joint", what: "empty" });
        };
        if length == 0 {
            return Err(ChainError::Empty { field: "joint[0].sequence", what: "empty" });
        }
        let mut seen = BTreeMap::new();
        for (second, Entry { sequence, .. }) in joint.iter().enumerate() {
            let field = || format!("joint[{second}].sequence");
            if sequence.len() != length {
                return Err(ChainError::Length { field: field(), expected: length, given: sequence.len() });
            }
            if let Some(&token) = sequence.iter().find(|token| **token as usize >= vocab) {
                return Err(ChainError::Token { field: field(), token, vocab });
            }
            if let Some(first) = seen.insert(sequence, second) {
                return Err(ChainError::Twice { first, second });
            }
        }
        let ps = joint.iter().map(|entry| entry.p).collect::<Vec<_>>();
        let ps = normalised(&ps, "joint.p")?;
        let joint = joint.into_iter().zip(ps).map(|(entry, p)| Entry { p, ..entry }).collect();
        Ok(Joint { joint, vocab })
    }

    /// The lines.
    pub fn entries(&self) -> &[Entry] {
        &self.joint
    }

    /// The law as states and edges: a state is a prefix that can occur.
    ///
    /// # Errors
    /// [`ChainError::TooLarge`].
    pub fn law(&self) -> Result<Law, ChainError> {
        let length = self.joint.first().map_or(0, |entry| entry.sequence.len());
        // Prefix by prefix: the mass of every state, and its ways on.
        let mut mass = vec![0.0];
        let mut ways: Vec<BTreeMap<TokenId, usize>> = vec![BTreeMap::new()];
        for Entry { sequence, p } in self.joint.iter().filter(|entry| entry.p > 0.0) {
            let mut state = 0;
            mass[0] += p;
            for &token in sequence {
                let fresh = ways.len();
                state = *ways[state].entry(token).or_insert(fresh);
                if state == fresh {
                    ways.push(BTreeMap::new());
                    mass.push(0.0);
                }
                mass[state] += p;
            }
        }
        let edge = |from: usize, (&token, &to): (&TokenId, &usize)| {
            let p = mass[to] / mass[from];
            Edge { token, p, log_p: libm::log(p), to }
        };
        let row = |(from, ways): (usize, &BTreeMap<TokenId, usize>)| ways.iter().map(|way| edge(from, way)).collect();
        Law::new(self.vocab, length, ways.iter().enumerate().map(row).collect())
    }
}
