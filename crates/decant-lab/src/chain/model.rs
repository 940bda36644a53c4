//! A chain as a language model, so that decoders of rows of logits can be held to exact risks.

use super::Chain;
use decant_decode::{Feed, LanguageModel, ModelError, Rows};
use decant_sampling::TokenId;

/// The logits are ln P(next | last token), rounded to f32, -inf for 0.
///
/// An engine starts from a prompt of at least one token, a chain from nothing: so **the first token fed stands for the
/// beginning of the sequence**, whichever it is, and what follows it are the chain's `length` tokens. Prompt `[0]` is as
/// good as any. The context has `length + 1` positions, so text ends where the chain does.
impl LanguageModel for Chain {
    /// The tokens fed.
    type Cache = Vec<TokenId>;

    fn vocab(&self) -> usize {
        self.start().len()
    }

    fn context(&self) -> usize {
        Chain::length(self).saturating_add(1)
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
        let (vocab, context) = (LanguageModel::vocab(self), self.context());
        batch.iter().try_for_each(|feed| feed.check(feed.cache.len(), vocab, context))?;
        let rows = |feed: &mut Feed<'_, Vec<TokenId>>| {
            feed.cache.extend_from_slice(feed.tokens);
            let first = feed.cache.len() - feed.want.rows(feed.tokens.len());
            let row = |at: usize| match at {
                0 => self.start(),
                at => &self.transition()[feed.cache[at] as usize],
            };
            let logits = (first..feed.cache.len()).flat_map(|at| row(at).iter().map(|p| libm::log(*p) as f32));
            Rows::new(logits.collect(), vocab)
        };
        Ok(batch.iter_mut().map(rows).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decant_decode::Want;

    #[test]
    fn the_first_token_stands_for_the_beginning() {
        let chain = Chain::new(vec![0.25, 0.75], vec![vec![0.5, 0.5], vec![1.0, 0.0]], 2).unwrap();
        let ln = |p: f64| libm::log(p) as f32;
        for beginning in [0, 1] {
            let mut cache = chain.empty();
            let rows = chain.feed(&mut cache, &[beginning, 1], Want::All).unwrap();
            assert_eq!(rows.into_inner(), [ln(0.25), ln(0.75), 0.0, f32::NEG_INFINITY]);
            chain.rewind(&mut cache, 1);
            assert_eq!(chain.feed(&mut cache, &[0], Want::Last).unwrap().into_inner(), [ln(0.5), ln(0.5)]);
            chain.feed(&mut cache, &[0], Want::None).unwrap();
            let full = chain.feed(&mut cache, &[0], Want::None).unwrap_err();
            assert_eq!(full, ModelError::Context { needed: 4, context: 3 });
        }
    }
}
