//! Randomness as a function of (seed, stream, position, lane).

/// A seed. Together with a stream (which sample of a request) and a position (which token) it gives the [`Coins`] of
/// one step; nothing else enters, so neighbours in a batch, threads and order cannot change a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The coins of one step.
    pub fn coins(self, stream: u32, position: u64) -> Coins {
        Coins(Source::Philox { seed: self.0, stream, position })
    }
}

/// The coins of one step: a pure function from lanes to uniform numbers. Whatever needs a coin of its own (the draw, a
/// stage that gambles) has a lane of its own, so adding one never shifts another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coins(Source);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Philox { seed: u64, stream: u32, position: u64 },
    Fixed(f64),
}

impl Coins {
    /// The lane of the draw itself.
    pub const DRAW: u32 = 0;
    /// The lane of a chain's first `xtc`; its nth (from 0) has lane `XTC + n`. Nothing else uses lanes from here on.
    pub const XTC: u32 = 1 << 31;

    /// Coins that show `u` on every lane, so that a test can sweep all of them.
    ///
    /// # Panics
    /// If `u` is not in [0, 1).
    pub fn fixed(u: f64) -> Self {
        assert!((0.0..1.0).contains(&u), "a coin lies in [0, 1), not at {u}");
        Coins(Source::Fixed(u))
    }

    /// The coin of a lane: uniform in [0, 1), a multiple of 2⁻⁵³.
    ///
    /// It is Philox4x32-10 with the seed as key (low word first) and the counter (position low, position high, stream,
    /// lane); the first two words of its output, low word first, make 64 bits, and the upper 53 of them are the coin.
    pub fn uniform(self, lane: u32) -> f64 {
        match self.0 {
            Source::Fixed(u) => u,
            Source::Philox { seed, stream, position } => {
                let [low, high, ..] =
                    philox4x32_10([word(position, 0), word(position, 1), stream, lane], [word(seed, 0), word(seed, 1)]);
                let bits = u64::from(high) << 32 | u64::from(low);
                (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
            }
        }
    }
}

/// The low (0) or high (1) half of a 64-bit number.
fn word(x: u64, half: u32) -> u32 {
    (x >> (32 * half)) as u32
}

/// Philox4x32 with ten rounds: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [c0, c1, c2, c3] = counter;
        let p0 = u64::from(c0) * 0xD251_1F53;
        let p1 = u64::from(c2) * 0xCD9E_8D57;
        counter = [word(p1, 1) ^ c1 ^ key[0], word(p1, 0), word(p0, 1) ^ c3 ^ key[1], word(p0, 0)];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `kat_vectors` of Random123.
    #[test]
    fn known_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(philox4x32_10(counter, key), answer);
        }
    }

    /// Every run that names a seed depends on these numbers: they change only under "Values changed".
    #[test]
    fn value_stability() {
        let cases = [
            ((0, 0, 0, 0), 0.8805201978886142),
            ((42, 0, 0, 0), 0.4685865183391049),
            ((42, 0, 1, 0), 0.32706338120338474),
            ((42, 1, 0, 0), 0.1262498542224193),
            ((42, 0, 0, 1), 0.593870170909453),
            ((0xfeedfacecafebeef, 7, 1 << 40 | 3, 2), 0.0408297043659831),
        ];
        for ((seed, stream, position, lane), coin) in cases {
            assert_eq!(Seed(seed).coins(stream, position).uniform(lane), coin, "{seed} {stream} {position} {lane}");
        }
    }

    #[test]
    fn every_part_of_the_counter_counts() {
        let base = Seed(7).coins(3, 5).uniform(Coins::DRAW);
        for other in [
            Seed(8).coins(3, 5).uniform(0),
            Seed(7 | 1 << 40).coins(3, 5).uniform(0),
            Seed(7).coins(4, 5).uniform(0),
            Seed(7).coins(3, 6).uniform(0),
            Seed(7).coins(3, 5 | 1 << 40).uniform(0),
            Seed(7).coins(3, 5).uniform(1),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn coins_are_uniform_on_the_unit_interval() {
        let n = 20_000;
        let mut counts = [0u32; 20];
        for position in 0..n {
            let u = Seed(1).coins(0, position).uniform(Coins::DRAW);
            assert!((0.0..1.0).contains(&u));
            counts[(u * 20.0) as usize] += 1;
        }
        // 1000 expected a bin, standard deviation 31.
        assert!(counts.iter().all(|&c| (850..1150).contains(&c)), "{counts:?}");
    }

    #[test]
    fn fixed_coins_show_their_value_on_every_lane() {
        let coins = Coins::fixed(0.25);
        assert_eq!([coins.uniform(0), coins.uniform(9)], [0.25, 0.25]);
    }

    #[test]
    #[should_panic(expected = "a coin lies in [0, 1)")]
    fn one_is_no_coin() {
        Coins::fixed(1.0);
    }
}
