//! What was measured, in numbers, and the sampler that follows from it.

use super::{CalibrateError, Entropies};
use decant_sampling::SamplerSpec;
use serde::Serialize;

/// The percentiles that every report tells.
const PERCENTS: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];
/// Widths that a histogram's bins may have, in nats, and how many bins it has at most.
const WIDTHS: [f64; 6] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0];
const BINS: f64 = 24.0;

/// The distribution of a model's entropies, in nats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many texts.
    pub texts: usize,
    /// All steps.
    pub all: Summary,
    /// The first token of each text, which often stands out: nothing says yet what the text will be.
    pub first: Summary,
    /// All later tokens; `None` if every text has one token.
    pub later: Option<Summary>,
    /// Percentiles of all steps.
    pub quantiles: Vec<Quantile>,
    /// How often which entropy was met.
    pub histogram: Histogram,
    /// The largest entropy seen.
    pub largest: f64,
    /// ln V, which no row of V tokens can exceed; `None` where the vocabulary is not known.
    pub cap: Option<f64>,
}

/// Some steps in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub steps: usize,
    /// The mean of their entropies, in nats.
    pub mean: f64,
    /// Their median, in nats.
    pub median: f64,
}

/// A share of the steps, and the entropy that they do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantile {
    /// The share, in percent.
    pub percent: f64,
    /// The entropy, in nats.
    pub entropy: f64,
}

/// Counts in bins of equal width, from 0 nats on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// The width of a bin, in nats.
    pub width: f64,
    /// Bin i counts the entropies in `i*width..(i+1)*width`.
    pub counts: Vec<usize>,
}

/// The two entropies between which a temperature rises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// At or below it the model counts as sure.
    pub low: Quantile,
    /// At or above it the model counts as at a loss.
    pub high: Quantile,
}

impl Report {
    /// The report on some texts of a model of `vocab` tokens.
    ///
    /// # Errors
    /// [`CalibrateError::Empty`] if no text has a token.
    pub fn new(entropies: &Entropies, vocab: Option<usize>) -> Result<Self, CalibrateError> {
        let sorted = entropies.sorted();
        let later = super::sorted(entropies.texts.iter().flat_map(|text| text.iter().skip(1).copied()));
        Ok(Report {
            texts: entropies.texts.len(),
            all: Summary::of(&sorted).ok_or(CalibrateError::Empty)?,
            first: Summary::of(&entropies.at(0)).ok_or(CalibrateError::Empty)?,
            later: Summary::of(&later),
            quantiles: PERCENTS.map(|percent| Quantile { percent, entropy: quantile(&sorted, percent) }).into(),
            histogram: Histogram::of(&sorted),
            largest: *sorted.last().ok_or(CalibrateError::Empty)?,
            cap: vocab.map(|vocab| libm::log(vocab as f64)),
        })
    }
}

impl Summary {
    /// The summary of entropies in rising order; `None` if there are none.
    fn of(sorted: &[f64]) -> Option<Self> {
        let steps = sorted.len();
        let mean = sorted.iter().sum::<f64>() / steps as f64;
        (steps > 0).then(|| Summary { steps, mean, median: quantile(sorted, 50.0) })
    }
}

impl Histogram {
    /// The histogram of entropies in rising order, with bins of a round width, few enough to be seen at once.
    pub(super) fn of(sorted: &[f64]) -> Self {
        let largest = sorted.last().copied().unwrap_or(0.0);
        let width =
            WIDTHS.into_iter().find(|width| largest / width < BINS).unwrap_or_else(|| libm::ceil(largest / BINS));
        let bin = |entropy: &f64| (entropy / width).max(0.0) as usize;
        let mut counts = vec![0; sorted.last().map_or(0, bin) + 1];
        sorted.iter().for_each(|entropy| counts[bin(entropy)] += 1);
        Histogram { width, counts }
    }
}

impl Thresholds {
    /// The entropies at two percentiles, to [`four_digits`].
    ///
    /// # Errors
    /// [`CalibrateError::Percentiles`], [`CalibrateError::Empty`], or [`CalibrateError::Degenerate`] if both are the same
    /// entropy.
    pub fn of(entropies: &Entropies, low: f64, high: f64) -> Result<Self, CalibrateError> {
        Thresholds::check(low, high)?;
        let sorted = entropies.sorted();
        if sorted.is_empty() {
            return Err(CalibrateError::Empty);
        }
        let at = |percent| Quantile { percent, entropy: four_digits(quantile(&sorted, percent)) };
        let thresholds = Thresholds { low: at(low), high: at(high) };
        match thresholds.low.entropy < thresholds.high.entropy {
            true => Ok(thresholds),
            false => Err(CalibrateError::Degenerate { low, high, entropy: thresholds.low.entropy }),
        }
    }

    /// Whether two percentiles can be thresholds at all.
    ///
    /// # Errors
    /// [`CalibrateError::Percentiles`] if they are not from 0 to 100, the low one below the high one.
    pub fn check(low: f64, high: f64) -> Result<(), CalibrateError> {
        let fit = 0.0 <= low && low < high && high <= 100.0;
        fit.then_some(()).ok_or(CalibrateError::Percentiles { low, high })
    }

    /// The sampler whose temperature rises from one to the other between the thresholds, with these stages after it.
    ///
    /// # Errors
    /// [`CalibrateError::Spec`] for temperatures that are none, or stages that do not stand.
    pub fn sampler(&self, [cold, hot]: [f64; 2], then: &SamplerSpec) -> Result<SamplerSpec, CalibrateError> {
        let (low, high) = (self.low.entropy, self.high.entropy);
        let mut spec: SamplerSpec = format!("temp=by_entropy({low}..{high}->{cold}..{hot})").parse()?;
        spec.0.extend(then.0.iter().cloned());
        Ok(spec)
    }
}

/// The entropy at a percentile of values in rising order, between the two nearest in proportion (as NumPy and R do
/// unless told otherwise: type 7 of Hyndman and Fan, 1996).
pub(super) fn quantile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, share) = (place as usize, place - libm::floor(place));
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + share * (sorted[above] - sorted[below])
}

/// A measured number as it is written for people and into specs: more digits would be noise.
pub fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entropies(texts: &[&[f64]]) -> Entropies {
        Entropies { texts: texts.iter().map(|text| text.to_vec()).collect() }
    }

    #[test]
    fn numbers_by_hand() {
        let measured = entropies(&[&[4.0, 1.0, 0.0], &[5.0, 2.0], &[]]);
        let report = Report::new(&measured, Some(1000)).unwrap();
        assert_eq!(report.texts, 3);
        assert_eq!(report.all, Summary { steps: 5, mean: 2.4, median: 2.0 });
        assert_eq!(report.first, Summary { steps: 2, mean: 4.5, median: 4.5 });
        assert_eq!(report.later, Some(Summary { steps: 3, mean: 1.0, median: 1.0 }));
        assert_eq!(report.quantiles[2], Quantile { percent: 10.0, entropy: 0.4 });
        assert_eq!((report.largest, report.cap), (5.0, Some(libm::log(1000.0))));
        assert_eq!(report.histogram.width, 0.25);
        assert_eq!(report.histogram.counts.iter().sum::<usize>(), 5);
        assert_eq!((report.histogram.counts.len(), report.histogram.counts[16]), (21, 1));
    }

    #[test]
    fn thresholds_make_a_sampler() {
        let measured = entropies(&[&[0.0, 0.123456, 1.0, 2.0, 3.0]]);
        let thresholds = Thresholds::of(&measured, 25.0, 75.0).unwrap();
        let sampler = thresholds.sampler([0.5, 1.3], &"top_h=0.4".parse().unwrap()).unwrap();
        assert_eq!(sampler.to_string(), "temp=by_entropy(0.1235..2->0.5..1.3),top_h=0.4");
        let error = thresholds.sampler([-1.0, 1.3], &"top_h=0.4".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("temp"), "{error}");
    }

    #[test]
    fn thresholds_that_cannot_be() {
        let error = |texts: &[&[f64]], low, high| Thresholds::of(&entropies(texts), low, high).unwrap_err().to_string();
        assert!(error(&[&[1.0, 1.0, 1.0, 2.0]], 0.0, 50.0).contains("0th and the 50th percentile are both 1 nats"));
        assert!(error(&[&[1.0, 1.00001]], 0.0, 100.0).contains("are both 1 nats"));
        assert!(error(&[&[]], 25.0, 75.0).contains("no entropy"));
        for (low, high) in [(75.0, 25.0), (50.0, 50.0), (-1.0, 50.0), (0.0, 100.5), (f64::NAN, 50.0)] {
            assert!(error(&[&[1.0, 2.0]], low, high).contains("low below high"));
        }
        assert!(matches!(Report::new(&entropies(&[]), None), Err(CalibrateError::Empty)));
    }

    proptest! {
        #[test]
        fn quantiles_rise_within_the_values(values in prop::collection::vec(0.0..12.0f64, 1..50)) {
            let measured = entropies(&[&values]);
            let report = Report::new(&measured, None).unwrap();
            let found: Vec<f64> = report.quantiles.iter().map(|quantile| quantile.entropy).collect();
            prop_assert!(found.is_sorted() && found[8] <= report.largest);
            prop_assert_eq!(report.histogram.counts.iter().sum::<usize>(), values.len());
            prop_assert!(report.histogram.counts.len() <= 24);
        }
    }
}
