//! Texts drawn without replacement: Gumbel top-k over whole texts (Kool, van Hoof and Welling 2019, arXiv 1903.06059).
//!
//! Give every text y the number G(y) = ln P(y) + a Gumbel coin; the k largest are a sample of k texts without replacement,
//! and the first of them an ordinary sample. A prefix has the largest number of its continuations, which is distributed as
//! ln P(prefix) + a Gumbel coin, too. So numbers are drawn from the top down: those of a prefix's children are drawn freely
//! and then moved so that the largest is the prefix's own.

use super::beam::sort;
use super::tree::{Branch, Tree};
use super::{Candidate, Outcome, Watch};
use crate::{DecodeError, Decoder, LanguageModel, State};
use decant_sampling::{Coins, Seed, TokenId};

/// A text and its number.
struct Numbered<C> {
    branch: Branch<C>,
    number: f64,
}

impl<M: LanguageModel> Decoder<'_, M> {
    pub(super) fn stochastic_beam(
        &self,
        k: usize,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        if let Some(finish) = self.finish(state) {
            return Ok(Outcome::of_one(finish, Default::default()));
        }
        let (seed, stream) = (state.seed, state.stream);
        let mut tree = Tree::new(self, state, watch);
        let root = Numbered { branch: tree.root(state)?, number: gumbel(seed.coins(stream, 0).uniform(ROOT)) };
        // One more than asked for: its number is the threshold that the others have passed.
        let mut texts = tree.numbered(root, k.saturating_add(1), |tokens| text_seed(seed, tokens).coins(stream, 0))?;
        let threshold = if texts.len() > k { texts.pop().map(|text| text.score) } else { None };
        for text in &mut texts {
            text.inclusion =
                Some(threshold.map_or(1.0, |threshold| -libm::expm1(-libm::exp(text.logprob - threshold))));
        }
        let outcome = Outcome::of(texts, tree.cost);
        self.tell_all(state, &outcome.chosen().tokens, watch)?;
        Ok(outcome)
    }
}

impl<M: LanguageModel> Tree<'_, '_, M> {
    /// The texts with the `width` largest numbers, largest first; the number is the score.
    fn numbered(
        &mut self,
        root: Numbered<M::Cache>,
        width: usize,
        coins: impl Fn(&[TokenId]) -> Coins,
    ) -> Result<Vec<Candidate>, DecodeError> {
        let mut live = vec![root];
        let mut finished: Vec<Candidate> = Vec::new();
        while !live.is_empty() {
            let children = live.iter().enumerate().flat_map(|(parent, Numbered { branch, number })| {
                let coins = coins(&branch.tokens[self.prompt..]);
                largest_children(branch, *number, coins, width)
                    .into_iter()
                    .map(move |(token, number)| (parent, token, number))
            });
            let mut children: Vec<_> = children.collect();
            children.sort_by(|a, b| b.2.total_cmp(&a.2));
            // The numbers of finished texts stand; what is below `width` of them all cannot come back.
            let mut next = Vec::new();
            for (parent, token, number) in children {
                let above = finished.iter().filter(|text| text.score > number).count() + next.len();
                if above >= width {
                    continue;
                }
                let branch = live[parent].branch.with(token);
                match self.finish(&branch.tokens) {
                    Some(_) => finished.push(branch.text(self, number)),
                    None => next.push(Numbered { branch, number }),
                }
            }
            let numbers: Vec<f64> = next.iter().map(|text| text.number).collect();
            let grown = self.grow(next.into_iter().map(|text| text.branch).collect())?;
            live = grown.into_iter().zip(numbers).map(|(branch, number)| Numbered { branch, number }).collect();
        }
        sort(&mut finished);
        finished.truncate(width);
        Ok(finished)
    }
}

/// The children of a branch with the largest numbers, given that the largest of all is the branch's own.
fn largest_children<C: Clone>(branch: &Branch<C>, number: f64, coins: Coins, width: usize) -> Vec<(TokenId, f64)> {
    let allowed = (0..).zip(branch.law_row()).filter(|(_, logit)| **logit > f32::NEG_INFINITY);
    let free =
        allowed.map(|(token, _)| (token, branch.logprob + branch.logprob_of(token) + gumbel(coins.uniform(token))));
    let mut free: Vec<(TokenId, f64)> = free.collect();
    // Moving keeps the order, so only the largest need be moved.
    free.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    free.truncate(width);
    let largest = free.first().map_or(f64::NEG_INFINITY, |first| first.1);
    free.into_iter().map(|(token, own)| (token, conditioned(own, largest, number))).collect()
}

/// A Gumbel number drawn freely, moved to where it stands if the largest of its family, at `largest`, is to be at `bound`:
/// -ln(e^-bound - e^-largest + e^-own), without the cancellation (appendix B.3 of the paper).
fn conditioned(own: f64, largest: f64, bound: f64) -> f64 {
    if own == largest {
        return bound;
    }
    let v = bound - own + libm::log1p(-libm::exp(own - largest));
    bound - v.max(0.0) - libm::log1p(libm::exp(-v.abs()))
}

/// The standard Gumbel number of a uniform coin in [0, 1).
fn gumbel(u: f64) -> f64 {
    // Half a step of the coin's grid up, so that 0 is a number too.
    -libm::log(-libm::log(u + f64::EPSILON / 4.0))
}

/// The lane of the root's own coin: no token's.
const ROOT: u32 = Coins::XTC - 1;

/// A seed for the children of each text, so that no two texts share coins.
fn text_seed(seed: Seed, tokens: &[TokenId]) -> Seed {
    tokens.iter().fold(seed, |Seed(seed), &token| {
        // The finaliser of splitmix64 (Steele, Lea and Flood 2014).
        let x = (seed ^ u64::from(token)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Seed(x ^ (x >> 31))
    })
}
