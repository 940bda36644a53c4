//! Random numbers of studies: Philox coins in turn, so that equal seeds give equal studies on every machine.

use decant_sampling::{Coins, Seed};

/// The coins of one place (a seed, a stream, a position), taken lane after lane.
///
/// ```
/// use decant_lab::random::Draws;
/// use decant_sampling::Seed;
/// let row = Draws::new(Seed(7), 0, 0).dirichlet(0.01, 5);
/// assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// assert_eq!(row, Draws::new(Seed(7), 0, 0).dirichlet(0.01, 5));
/// ```
#[derive(Clone, Debug)]
pub struct Draws {
    coins: Coins,
    lane: u32,
}

impl Draws {
    /// The draws of a place. Places do not overlap.
    pub fn new(seed: Seed, stream: u32, position: u64) -> Self {
        Draws { coins: seed.coins(stream, position), lane: 0 }
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        let coin = self.coins.uniform(self.lane);
        self.lane = self.lane.wrapping_add(1);
        coin
    }

    /// A whole number below `n`, all equally likely (but for 2⁻⁵³). `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n - 1)
    }

    /// ln of a number uniform in (0, 1].
    fn log_uniform(&mut self) -> f64 {
        libm::log(1.0 - self.uniform())
    }

    /// Normal with mean 0 and variance 1: Box and Muller 1958.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.log_uniform()).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// ln of a gamma variate of this shape > 0 and scale 1: Marsaglia and Tsang, "A simple method for generating gamma
    /// variables", 2000. For a shape a below 1, G(a) = G(a + 1) · U^(1/a), which only its logarithm can hold: at a = 0.01
    /// most variates are below 1e-30, and many below the least f64.
    pub fn log_gamma_variate(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.log_gamma_variate(shape + 1.0) + self.log_uniform() / shape;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let root = 1.0 + c * x;
            if root <= 0.0 {
                continue;
            }
            let log_v = 3.0 * libm::log(root);
            if self.log_uniform() < 0.5 * x * x + d * (1.0 - root * root * root + log_v) {
                return libm::log(d) + log_v;
            }
        }
    }

    /// Probabilities of `n` things by the symmetric Dirichlet distribution of concentration `alpha` > 0: gamma variates,
    /// divided by their sum. What is below the least f64 is 0.
    pub fn dirichlet(&mut self, alpha: f64, n: usize) -> Vec<f64> {
        let logs: Vec<f64> = (0..n).map(|_| self.log_gamma_variate(alpha)).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| libm::exp(log - top)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let n = values.len() as f64;
        values.sum::<f64>() / n
    }

    /// E p = 1/n and E p² = (alpha + 1) / (n (n alpha + 1)). The coins are fixed, so this passes always or never.
    #[test]
    fn moments_of_dirichlet_rows() {
        for alpha in [0.01, 0.1, 1.0, 5.0, 50.0] {
            let n = 4;
            let first: Vec<f64> = (0..20_000).map(|i| Draws::new(Seed(1), 2, i).dirichlet(alpha, n)[1]).collect();
            let expected = [0.25, (alpha + 1.0) / (n as f64 * (n as f64 * alpha + 1.0))];
            assert!((mean(first.iter().copied()) - expected[0]).abs() < 0.01, "alpha {alpha}");
            assert!((mean(first.iter().map(|p| p * p)) - expected[1]).abs() < 0.01, "alpha {alpha}");
        }
    }

    /// E ln G(a) is the digamma function: -0.5772 at 1, -100.56 at 0.01.
    #[test]
    fn logarithms_of_gamma_variates() {
        for (shape, digamma, spread) in [(1.0, -0.5772, 1.3), (0.01, -100.5609, 100.0), (5.0, 1.5061, 0.5)] {
            let mut draws = Draws::new(Seed(3), 0, 0);
            let found = mean((0..20_000).map(|_| draws.log_gamma_variate(shape)));
            assert!((found - digamma).abs() < 4.0 * spread / 20_000f64.sqrt(), "shape {shape}: {found}");
        }
    }

    /// Studies that name a seed depend on these bits.
    #[test]
    fn value_stability() {
        let row = Draws::new(Seed(42), 1, 2).dirichlet(0.3, 3);
        assert_eq!(row, [0.551732853402116, 0.043525560933467856, 0.4047415856644161]);
    }
}
