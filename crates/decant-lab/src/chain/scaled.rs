//! Products of many probabilities, and what counts as equal.

use std::cmp::Ordering;

/// How far, relatively, two numbers may differ that are equal but for rounding. Within it the lower token wins.
pub(crate) const TIE: f64 = 1e-12;

/// Whether `a` is as large as `b`, but for rounding. Both >= 0.
pub(crate) fn reaches(a: f64, b: f64) -> bool {
    a >= b * (1.0 - TIE)
}

/// The first of the largest: the index of the first number that reaches the maximum.
pub(crate) fn first_max(values: &[f64]) -> usize {
    let max = values.iter().copied().fold(0.0, f64::max);
    values.iter().position(|&value| reaches(value, max)).unwrap_or(0)
}

/// Sorts by falling value. What is equal but for rounding keeps its order: a run of equals ends at the first value that
/// does not reach the run's largest.
pub(crate) fn sort_falling<T, V: Copy + PartialOrd>(
    items: &mut Vec<T>,
    value: impl Fn(&T) -> V,
    reaches: impl Fn(V, V) -> bool,
) {
    let mut ranked: Vec<(usize, T)> = items.drain(..).enumerate().collect();
    ranked.sort_by(|a, b| value(&b.1).partial_cmp(&value(&a.1)).unwrap_or(Ordering::Equal));
    let mut rest = &mut ranked[..];
    while let Some(top) = rest.first().map(|(_, item)| value(item)) {
        let equals = rest.iter().position(|(_, item)| !reaches(value(item), top)).unwrap_or(rest.len());
        let (run, after) = rest.split_at_mut(equals.max(1));
        run.sort_by_key(|(place, _)| *place);
        rest = after;
    }
    items.extend(ranked.into_iter().map(|(_, item)| item));
}

/// A number >= 0 with an exponent of its own: the product of thousands of probabilities, which f64 would round to 0.
/// Logarithms would do as well, but sums of thousands of them are not exact enough to tell ties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scaled {
    exponent: i64,
    /// 0, or in [0.5, 1).
    mantissa: f64,
}

impl Scaled {
    pub(crate) const ZERO: Scaled = Scaled { exponent: i64::MIN, mantissa: 0.0 };
    pub(crate) const ONE: Scaled = Scaled { exponent: 1, mantissa: 0.5 };

    /// The product with a probability.
    pub(crate) fn times(self, p: f64) -> Scaled {
        // Taken apart first: the product itself might be subnormal.
        let (p, exponent) = libm::frexp(p);
        let (mantissa, carry) = libm::frexp(self.mantissa * p);
        match mantissa {
            0.0 => Scaled::ZERO,
            mantissa => Scaled { exponent: self.exponent + i64::from(exponent) + i64::from(carry), mantissa },
        }
    }

    /// Whether it is as large as another, but for rounding.
    pub(crate) fn reaches(self, other: Scaled) -> bool {
        // Between numbers this far apart there is nothing to compare.
        let apart = self.exponent.saturating_sub(other.exponent).clamp(-64, 64) as i32;
        reaches(libm::ldexp(self.mantissa, apart), other.mantissa)
    }
}

impl PartialOrd for Scaled {
    fn partial_cmp(&self, other: &Scaled) -> Option<Ordering> {
        match self.exponent.cmp(&other.exponent) {
            Ordering::Equal => self.mantissa.partial_cmp(&other.mantissa),
            unequal => Some(unequal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_beyond_the_range_of_f64() {
        let tiny = |p: f64| (0..100).fold(Scaled::ONE, |product, _| product.times(p));
        assert!(tiny(2e-44) > tiny(1e-44) && !tiny(1e-44).reaches(tiny(2e-44)));
        assert!(tiny(1e-320) > Scaled::ZERO && tiny(1e-320).times(0.0) == Scaled::ZERO);
        assert!(Scaled::ZERO.reaches(Scaled::ZERO) && !Scaled::ZERO.reaches(tiny(5e-324)));
        assert!(Scaled::ONE.times(0.5) < Scaled::ONE && Scaled::ONE.times(1.0) == Scaled::ONE);
    }

    #[test]
    fn order_does_not_matter_but_for_rounding() {
        let (up, down) = ([0.1, 0.3, 0.7, 1e-44], [1e-44, 0.7, 0.3, 0.1]);
        let product = |ps: [f64; 4]| ps.into_iter().fold(Scaled::ONE, Scaled::times);
        assert!(product(up).reaches(product(down)) && product(down).reaches(product(up)));
        assert!(!product(up).times(1.0 - 1e-11).reaches(product(up)));
    }

    #[test]
    fn equals_keep_their_order() {
        let third = 1.0 / 3.0;
        let mut items = vec![(0, 0.2), (1, third), (2, third + 1e-16), (3, 0.5), (4, 0.2)];
        sort_falling(&mut items, |item| item.1, reaches);
        assert_eq!(items.iter().map(|item| item.0).collect::<Vec<_>>(), [3, 1, 2, 0, 4]);
        assert_eq!(first_max(&[0.1, third, third + 1e-16]), 1);
    }
}
