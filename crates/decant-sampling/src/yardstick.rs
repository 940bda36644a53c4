//! What benchmarks measure with: rows of known entropy, the floor, a counter of allocations. Nothing here takes part in
//! sampling, and nothing here looks at a clock.

use crate::{EntropyStats, Logits, Seed};
use std::fmt;
use std::str::FromStr;

pub use decant_kernels::allocations::{CountingAllocator, count as count_allocations};
pub use decant_kernels::{Floor, floor};

/// Samplers of every kind, and whether their caller observes: those whose cost is watched.
pub const SAMPLERS: [(&str, bool); 26] = [
    // One rule.
    ("temp=1,top_h=0.4", true),
    ("temp=1,top_p=0.9", true),
    ("min_p=0.1", true),
    ("top_k=50", true),
    ("eta=0.0003", true),
    ("epsilon=0.0003", true),
    ("top_n_sigma=1", true),
    ("p_less", true),
    ("min_k=3", true),
    ("top_b=0.3", true),
    ("typical=0.9", true),
    // Steered by the row's entropy, or by what was drawn before.
    ("temp=by_entropy(0.5..4.0->0.3..1.8)", true),
    ("mirostat=2", true),
    // The whole vocabulary.
    ("temp=1", true),
    // Chains: hardly dearer than their dearest stage.
    ("temp=1,top_p=0.9,min_p=0.05,top_k=50", true),
    ("top_h=0.4,top_p=0.9,min_p=0.05", true),
    ("top_k=1000,typical=0.9", true),
    ("top_k=40,top_p=0.95,min_p=0.05,temp=0.8", true),
    // Nobody looks, so nothing is computed for show.
    ("temp=0", false),
    ("min_p=0.1", false),
    ("top_k=50", false),
    ("top_k=40,top_p=0.95,min_p=0.05,temp=0.8", false),
    ("temp=1,top_h=0.4", false),
    ("temp=1,top_p=0.9", false),
    ("top_n_sigma=1", false),
    ("temp=1", false),
];

/// How unsure the model is that a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regime {
    /// H = 0.5 nats: the next token is all but known.
    Peaked,
    /// H = 2.5 nats: as in most of a text.
    Medium,
    /// H = 7.5 nats: thousands of tokens matter.
    Flat,
}

impl Regime {
    /// All, from the surest.
    pub const ALL: [Regime; 3] = [Regime::Peaked, Regime::Medium, Regime::Flat];

    /// The entropy of its rows, in nats.
    pub fn entropy(self) -> f64 {
        match self {
            Regime::Peaked => 0.5,
            Regime::Medium => 2.5,
            Regime::Flat => 7.5,
        }
    }

    /// The `number`th row of this regime, shape `[vocab]`: scale · (0.5 N(0,1) - ln(rank + 1) + 12), shuffled, with the
    /// scale at which its entropy is [`entropy`](Self::entropy). The same bits wherever it is made. None where ln `vocab` is
    /// not above that entropy: no scale would do.
    ///
    /// ```
    /// use decant_sampling::{EntropyStats, Logits, yardstick::Regime};
    /// let row = Regime::Medium.row(1000, 0).unwrap();
    /// assert!((EntropyStats::of(&Logits::new(&row)?).entropy() - 2.5).abs() < 1e-3);
    /// # Ok::<(), decant_sampling::RowError>(())
    /// ```
    pub fn row(self, vocab: usize, number: u32) -> Option<Vec<f32>> {
        if libm::log(vocab as f64) <= self.entropy() {
            return None;
        }
        let shape = shape(vocab, number);
        let row = |scale: f64| -> Vec<f32> { shape.iter().map(|x| (scale * x) as f32).collect() };
        // The more the logits are spread, the less the entropy; at 0 it is ln vocab.
        // No finer than 1.5e-6, so that the last bits of an entropy do not decide.
        let [mut low, mut high] = [0.0, 100.0];
        for _ in 0..26 {
            let middle = (low + high) / 2.0;
            match Logits::new(&row(middle)).map(|logits| EntropyStats::of(&logits).entropy()) {
                Ok(entropy) if entropy > self.entropy() => low = middle,
                _ => high = middle,
            }
        }
        Some(row(low))
    }
}

/// 0.5 N(0,1) - ln(rank + 1) + 12 for every rank, shuffled.
fn shape(vocab: usize, number: u32) -> Vec<f64> {
    let coin = |place: usize, lane: u32| Seed(0).coins(number, place as u64).uniform(lane);
    let mut shape: Vec<f64> = (0..vocab)
        .map(|rank| {
            // Box and Muller 1958; 1 - u, for a coin may show 0 and never 1.
            let radius = libm::sqrt(-2.0 * libm::log(1.0 - coin(rank, 0)));
            let normal = radius * libm::cos(std::f64::consts::TAU * coin(rank, 1));
            0.5 * normal - libm::log(rank as f64 + 1.0) + 12.0
        })
        .collect();
    for i in (1..vocab).rev() {
        shape.swap(i, (coin(i, 2) * (i + 1) as f64) as usize);
    }
    shape
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Regime::Peaked => "peaked",
            Regime::Medium => "medium",
            Regime::Flat => "flat",
        })
    }
}

impl FromStr for Regime {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Regime::ALL.into_iter().find(|regime| regime.to_string() == name);
        known.ok_or_else(|| format!("unknown regime `{name}` (known: peaked, medium, flat)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_entropy_of_their_regime() {
        for vocab in [2000, 32_000, 128_256] {
            for regime in Regime::ALL {
                let row = regime.row(vocab, 0).unwrap();
                let entropy = EntropyStats::of(&Logits::new(&row).unwrap()).entropy();
                assert!((entropy - regime.entropy()).abs() < 1e-3, "{vocab} {regime}: {entropy}");
            }
        }
    }

    #[test]
    fn rows_are_the_same_everywhere_and_differ_by_number() {
        let row = |number| Regime::Medium.row(100, number).unwrap();
        assert_eq!(row(3), row(3));
        assert_ne!(row(3), row(4));
        // Whoever changes these bits makes old measurements incomparable.
        assert_eq!(
            row(0)[..3].iter().map(|l| l.to_bits()).collect::<Vec<_>>(),
            [1_093_577_683, 1_090_857_762, 1_091_596_299]
        );
    }

    #[test]
    fn a_vocabulary_too_small_for_a_regime_has_no_row() {
        assert!(Regime::Flat.row(1808, 0).is_none());
        assert!(Regime::Flat.row(1809, 0).is_some());
    }
}
