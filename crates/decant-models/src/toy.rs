//! A model without weights, for tests and demonstrations: its rows are known exactly.

use std::collections::BTreeMap;

use decant_decode::{Feed, LanguageModel, ModelError, Rows, TokenId};

/// A model whose row of logits is a function of the last few tokens.
///
/// A row is made of integer weights: token v has the probability weight\[v\] / Σ weights, exactly, and the logit
/// ln weight\[v\] (so -inf for 0). What a strategy should find can thus be worked out in integers.
#[derive(Clone, Debug)]
pub struct ToyModel {
    vocab: usize,
    context: usize,
    weights: Weights,
}

#[derive(Clone, Debug)]
enum Weights {
    Hashed { order: usize, seed: u64 },
    Listed(BTreeMap<Vec<TokenId>, Vec<u64>>),
}

impl ToyModel {
    /// Weights by hash of `seed` and the last `order` tokens. Rows differ in kind: a fifth are flat, the others peaked
    /// more and more, down to a single likely token.
    ///
    /// # Panics
    /// If `vocab` is 0.
    pub fn hashed(vocab: usize, order: usize, seed: u64) -> Self {
        assert!(vocab > 0, "a vocabulary has tokens");
        ToyModel { vocab, context: usize::MAX, weights: Weights::Hashed { order, seed } }
    }

    /// Weights from a table: the row of the longest listed ending of the sequence. The empty one must be listed.
    ///
    /// ```
    /// use decant_decode::{LanguageModel, Want};
    /// use decant_models::toy::ToyModel;
    ///
    /// // After 1 always 0; else 0 and 1 as one to three.
    /// let model = ToyModel::listed([(vec![], vec![1, 3]), (vec![1], vec![1, 0])]);
    /// let rows = model.feed(&mut model.empty(), &[0, 1], Want::All).unwrap();
    /// assert_eq!(rows.into_inner(), [0.0, 3f32.ln(), 0.0, f32::NEG_INFINITY]);
    /// ```
    ///
    /// # Panics
    /// If the empty sequence is not listed, rows differ in length, or one has no weight above 0.
    pub fn listed(rows: impl IntoIterator<Item = (Vec<TokenId>, Vec<u64>)>) -> Self {
        let rows = BTreeMap::from_iter(rows);
        let vocab = rows.get(&[][..]).expect("the row of the empty sequence is listed").len();
        for row in rows.values() {
            assert!(row.len() == vocab && row.iter().any(|&weight| weight > 0), "{row:?} is no row of {vocab}");
        }
        ToyModel { vocab, context: usize::MAX, weights: Weights::Listed(rows) }
    }

    /// The same model, for sequences of at most `context` tokens.
    pub fn with_context(self, context: usize) -> Self {
        ToyModel { context, ..self }
    }

    /// The weights of the next token after `sequence`.
    pub fn weights(&self, sequence: &[TokenId]) -> Vec<u64> {
        match &self.weights {
            Weights::Listed(rows) => {
                let endings = (0..=sequence.len()).map(|start| &sequence[start..]);
                endings.filter_map(|ending| rows.get(ending)).next().expect("the empty ending is listed").clone()
            }
            Weights::Hashed { order, seed } => {
                let ending = &sequence[sequence.len().saturating_sub(*order)..];
                let row = ending.iter().fold(hash(*seed), |row, &token| hash(row ^ u64::from(token)));
                let peaked = (row % 5) as u32;
                (0..self.vocab as u64).map(|token| weight(hash(row ^ hash(token)), peaked)).collect()
            }
        }
    }
}

/// Equal for all tokens if `peaked` is 0; else twice as heavy, `peaked` times over, for every further halving of tokens.
fn weight(hash: u64, peaked: u32) -> u64 {
    if peaked == 0 {
        return 1;
    }
    // The upper bits vary the weights of one level, so that ties are rare.
    (256 + (hash >> 56)) << (hash.trailing_zeros() * peaked).min(32)
}

/// The finaliser of splitmix64 (Steele, Lea and Flood 2014).
fn hash(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl LanguageModel for ToyModel {
    /// The tokens fed.
    type Cache = Vec<TokenId>;

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn context(&self) -> usize {
        self.context
    }

    fn empty(&self) -> Vec<TokenId> {
        Vec::new()
    }

    fn len(&self, cache: &Vec<TokenId>) -> usize {
        cache.len()
    }

    fn rewind(&self, cache: &mut Vec<TokenId>, len: usize) {
        cache.truncate(len);
    }

    fn feed_all(&self, batch: &mut [Feed<'_, Vec<TokenId>>]) -> Result<Vec<Rows>, ModelError> {
        batch.iter().try_for_each(|feed| feed.check(feed.cache.len(), self.vocab, self.context))?;
        let rows = |feed: &mut Feed<'_, Vec<TokenId>>| {
            let start = feed.cache.len();
            feed.cache.extend_from_slice(feed.tokens);
            let first = start + feed.tokens.len() - feed.want.rows(feed.tokens.len());
            let wanted = (first..feed.cache.len()).flat_map(|last| self.weights(&feed.cache[..=last]));
            Rows::new(wanted.map(|weight| libm::log(weight as f64) as f32).collect(), self.vocab)
        };
        Ok(batch.iter_mut().map(rows).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decant_decode::Want;

    #[test]
    fn a_row_depends_on_the_last_tokens_alone() {
        let model = ToyModel::hashed(50, 2, 7);
        let rows = |tokens: &[TokenId]| model.feed(&mut model.empty(), tokens, Want::Last).unwrap();
        assert_eq!(rows(&[1, 2, 3]), rows(&[9, 9, 2, 3]));
        assert_ne!(rows(&[1, 2, 3]), rows(&[1, 3, 3]));
        assert_ne!(rows(&[1, 2, 3]), ToyModel::hashed(50, 2, 8).feed(&mut vec![], &[1, 2, 3], Want::Last).unwrap());
    }

    #[test]
    fn forks_rewinds_and_chunks_give_the_same_rows() {
        let model = ToyModel::hashed(20, 3, 1);
        let whole = model.feed(&mut model.empty(), &[4, 8, 15, 16], Want::All).unwrap();
        let mut cache = model.empty();
        assert!(model.feed(&mut cache, &[4, 8, 3], Want::None).unwrap().is_empty());
        model.rewind(&mut cache, 2);
        let mut fork = cache.clone();
        model.feed(&mut fork, &[1, 1], Want::None).unwrap();
        let rows = model.feed(&mut cache, &[15, 16], Want::All).unwrap();
        assert!(rows.iter().eq(whole.iter().skip(2)));
        assert_eq!(model.len(&cache), 4);
    }

    #[test]
    fn rows_are_flat_and_peaked() {
        let model = ToyModel::hashed(1000, 1, 3);
        let top = |token| {
            let weights = model.weights(&[token]);
            *weights.iter().max().unwrap() as f64 / weights.iter().sum::<u64>() as f64
        };
        let tops: Vec<f64> = (0..200).map(top).collect();
        assert!(tops.contains(&1e-3), "some rows are flat");
        assert!(tops.iter().any(|top| *top > 0.9), "some are almost certain");
        assert!(tops.iter().any(|top| (0.01..0.3).contains(top)), "some are between");
    }

    #[test]
    fn errors_leave_every_cache_as_it_was() {
        let model = ToyModel::hashed(10, 1, 3).with_context(3);
        let (mut good, mut bad) = (vec![1], vec![1, 2]);
        for (tokens, expected) in [
            (&[3, 10][..], ModelError::Context { needed: 4, context: 3 }),
            (&[10][..], ModelError::Token { token: 10, position: 2, vocab: 10 }),
        ] {
            let mut batch = [
                Feed { cache: &mut good, tokens: &[5], want: Want::Last },
                Feed { cache: &mut bad, tokens, want: Want::Last },
            ];
            assert_eq!(model.feed_all(&mut batch).unwrap_err(), expected);
        }
        assert_eq!((good, bad), (vec![1], vec![1, 2]));
    }
}
