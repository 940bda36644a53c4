//! A law over sequences, as states and edges.

use super::ChainError;
use decant_sampling::TokenId;

/// How many numbers a table may hold that has one for every state and position.
const MAX_CELLS: usize = 1 << 23;
/// How many edges all positions together may be passed along.
const MAX_WORK: usize = 1 << 30;
/// How far a row's sum may be from 1.
const TOLERANCE: f64 = 1e-6;

/// One way on from a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The token that is said.
    pub token: TokenId,
    /// Its probability. Above 0, unless it is too small for f64.
    pub p: f64,
    /// ln p, which is exact also where p is not.
    pub log_p: f64,
    /// The state after it.
    pub to: usize,
}

/// A distribution over the sequences of `length` tokens: what comes next depends on a state, and the state on the tokens.
///
/// State 0 is the start. From every state at most one edge leaves for each token, in rising order of tokens; tokens
/// without an edge are impossible. All edges into one state say the same token. A chain's state is its last token, a
/// table's is the whole prefix: so one set of algorithms serves both.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    vocab: usize,
    length: usize,
    states: Vec<Vec<Edge>>,
    /// The states by the token that leads to them.
    after: Vec<Vec<usize>>,
}

impl Law {
    /// From the edges of every state.
    ///
    /// # Errors
    /// [`ChainError::TooLarge`] where tables over states and positions would not fit.
    ///
    /// # Panics
    /// If the edges are not as a law's must be: a mistake of whoever puts them together, never of input.
    pub(crate) fn new(vocab: usize, length: usize, states: Vec<Vec<Edge>>) -> Result<Self, ChainError> {
        let edges: usize = states.iter().map(Vec::len).sum();
        let sizes = [
            (states.len().saturating_mul(length.saturating_add(1)), "states times positions", MAX_CELLS),
            (edges.saturating_mul(length), "edges times positions", MAX_WORK),
        ];
        for (size, of, limit) in sizes {
            if size > limit {
                return Err(ChainError::TooLarge { what: format!("a length of {length}"), size, of, limit });
            }
        }
        let mut label = vec![None; states.len()];
        for edge in states.iter().flatten() {
            let token = *label[edge.to].get_or_insert(edge.token);
            assert_eq!(token, edge.token, "state {} is reached by two tokens", edge.to);
        }
        let mut after = vec![Vec::new(); vocab];
        for (state, token) in label.iter().enumerate() {
            if let Some(token) = token {
                after[*token as usize].push(state);
            }
        }
        Ok(Law { vocab, length, states, after })
    }

    /// How many tokens there are.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// How many tokens a sequence has, T.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many states.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// What can come next in a state: tokens of probability above 0, rising.
    pub fn row(&self, state: usize) -> &[Edge] {
        &self.states[state]
    }

    /// The states after a token.
    pub(crate) fn after(&self, token: TokenId) -> &[usize] {
        &self.after[token as usize]
    }

    /// The way on by a token, if it is possible.
    pub fn step(&self, state: usize, token: TokenId) -> Option<&Edge> {
        let row = self.row(state);
        row.binary_search_by_key(&token, |edge| edge.token).ok().map(|place| &row[place])
    }

    /// The probability of a sequence.
    pub fn probability(&self, sequence: &[TokenId]) -> f64 {
        let mut state = 0;
        let mut probability = 1.0;
        for &token in sequence {
            let Some(edge) = self.step(state, token) else { return 0.0 };
            probability *= edge.p;
            state = edge.to;
        }
        probability
    }

    /// The probability of every state after t tokens, for t in 0..=T: shape [T + 1, states].
    pub(crate) fn forward(&self) -> Vec<Vec<f64>> {
        let mut layers = Vec::with_capacity(self.length + 1);
        let mut layer = vec![0.0; self.len()];
        layer[0] = 1.0;
        for _ in 0..self.length {
            let mut next = vec![0.0; self.len()];
            for (mass, row) in layer.iter().zip(&self.states).filter(|(mass, _)| **mass > 0.0) {
                row.iter().for_each(|edge| next[edge.to] += mass * edge.p);
            }
            layers.push(std::mem::replace(&mut layer, next));
        }
        layers.push(layer);
        layers
    }

    /// P(y_t = v) for every position and token: shape [T, vocab].
    pub fn marginals(&self) -> Vec<Vec<f64>> {
        let mass = |layer: &Vec<f64>, states: &Vec<usize>| states.iter().map(|&state| layer[state]).sum();
        self.forward()[1..].iter().map(|layer| self.after.iter().map(|states| mass(layer, states)).collect()).collect()
    }

    /// The one sequence that is possible, if it is the only one.
    pub(crate) fn only(&self) -> Option<Vec<TokenId>> {
        let mut state = 0;
        let mut sequence = Vec::with_capacity(self.length);
        for _ in 0..self.length {
            let [edge] = self.row(state) else { return None };
            sequence.push(edge.token);
            state = edge.to;
        }
        Some(sequence)
    }

    /// The same states with other edges out of each.
    pub(crate) fn map_rows(&self, row: impl Fn(&[Edge]) -> Result<Vec<Edge>, ChainError>) -> Result<Law, ChainError> {
        let states = self.states.iter().map(|edges| row(edges)).collect::<Result<_, _>>()?;
        Law::new(self.vocab, self.length, states)
    }
}

/// Checks probabilities and divides them by their sum, so that rounding in a file does not add up along a sequence.
pub(crate) fn normalised(row: &[f64], field: &str) -> Result<Vec<f64>, ChainError> {
    if let Some(at) = row.iter().position(|p| !(0.0..=1.0 + TOLERANCE).contains(p)) {
        return Err(ChainError::Probability { field: format!("{field}[{at}]"), value: row[at] });
    }
    let sum: f64 = row.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(ChainError::Sum { field: field.to_owned(), sum });
    }
    Ok(row.iter().map(|p| p / sum).collect())
}
