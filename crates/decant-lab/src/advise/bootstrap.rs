//! How far an estimate can be trusted: the bootstrap (Efron 1979), over prompts and over the references of each.

use crate::random::Draws;
use decant_sampling::Seed;

/// How many times the sample is drawn again.
pub(super) const RESAMPLES: u32 = 2000;

/// How much of the resamples an interval leaves out at either end: 95 % intervals.
const TAIL: f64 = 0.025;

/// The losses of several decoders: `losses[prompt][decoder][reference]`, each decoder of a prompt with equally many or one.
pub(super) type Losses = Vec<Vec<Vec<f64>>>;

/// The mean loss of each decoder, each prompt counting the same.
pub(super) fn means(losses: &Losses) -> Vec<f64> {
    mean_of(losses.iter().map(|prompt| prompt.iter().map(|decoder| mean(decoder)).collect()))
}

/// The mean losses in each of the resamples: prompts drawn with replacement, and references within them, the same for all
/// decoders, so that differences are of pairs.
pub(super) fn resampled(losses: &Losses) -> Vec<Vec<f64>> {
    (0..RESAMPLES).map(|round| resample(losses, &mut Draws::new(Seed(0), round, 0))).collect()
}

fn resample(losses: &Losses, draws: &mut Draws) -> Vec<f64> {
    let prompts = (0..losses.len()).map(|_| &losses[draws.below(losses.len())]).collect::<Vec<_>>();
    mean_of(prompts.into_iter().map(|prompt| {
        let references = prompt.iter().map(Vec::len).max().unwrap_or(0);
        let drawn: Vec<usize> = (0..references).map(|_| draws.below(references)).collect();
        prompt.iter().map(|decoder| mean_drawn(decoder, &drawn)).collect()
    }))
}

/// The mean over the references drawn; a decoder with fewer than the others has one.
fn mean_drawn(decoder: &[f64], drawn: &[usize]) -> f64 {
    drawn.iter().map(|&reference| decoder[reference.min(decoder.len() - 1)]).sum::<f64>() / drawn.len() as f64
}

fn mean_of(prompts: impl ExactSizeIterator<Item = Vec<f64>>) -> Vec<f64> {
    let count = prompts.len() as f64;
    let mut sums: Vec<f64> = Vec::new();
    for prompt in prompts {
        sums.resize(prompt.len(), 0.0);
        sums.iter_mut().zip(prompt).for_each(|(sum, loss)| *sum += loss / count);
    }
    sums
}

/// The mean of some numbers.
pub(super) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The interval that holds all but the tails of some numbers.
pub(super) fn interval(mut numbers: Vec<f64>) -> [f64; 2] {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len().saturating_sub(1) as f64;
    [TAIL, 1.0 - TAIL].map(|share| numbers.get((share * last).round() as usize).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_what_they_should() {
        assert_eq!(interval((0..=1000).rev().map(f64::from).collect()), [25.0, 975.0]);
        assert_eq!(interval(vec![2.0]), [2.0, 2.0]);
    }

    /// Means of 400 coins: the interval of the mean is about 2 · 1.96 · 0.5 / 20 wide, that of the difference of two equal
    /// decoders is a point.
    #[test]
    fn resamples_spread_like_means_and_pair_decoders() {
        let mut draws = Draws::new(Seed(1), 0, 0);
        let coin = |draws: &mut Draws| f64::from(u32::from(draws.uniform() < 0.5));
        let losses: Losses = (0..400).map(|_| vec![vec![coin(&mut draws)]]).collect();
        let losses: Losses = losses.into_iter().map(|prompt| vec![prompt[0].clone(), prompt[0].clone()]).collect();
        let rounds = resampled(&losses);
        let [low, high] = interval(rounds.iter().map(|means| means[0]).collect());
        assert!((high - low - 0.098).abs() < 0.012, "{low} {high}");
        assert!(low < means(&losses)[0] && means(&losses)[0] < high);
        assert!(rounds.iter().all(|means| means[0] == means[1]));
    }
}
