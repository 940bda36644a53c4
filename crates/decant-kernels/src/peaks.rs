//! The yardsticks of the engine's benchmark: the least work that reads memory, multiplies floats or multiplies bytes, and
//! nothing else. Whoever calls them looks at the clock; no result of Decant rests on theirs.

use std::hint::black_box;

use crate::Isa;
#[cfg(target_arch = "x86_64")]
use crate::IsaName;

/// Chains of dependent sums that run side by side: enough to hide the latency of a multiply-add on every processor of the
/// last ten years (5 cycles, two a cycle), few enough for 16 registers.
const CHAINS: usize = 12;

/// How many multiply-adds of floats a round of [`multiply_floats`] is, or of bytes one of [`multiply_bytes`].
pub const ROUND: usize = CHAINS << 16;

/// Reads all of `memory`; what it returns depends on every byte.
///
/// The bytes are XORed in the widest registers that the tier has, four streams of a cache line each, with the lines ahead
/// called into the cache.
pub fn read(isa: Isa, memory: &[u8]) -> u64 {
    match isa.name() {
        // SAFETY: an `Isa` of this name exists only where the processor has these instructions; so below.
        #[cfg(target_arch = "x86_64")]
        IsaName::Avx2 => unsafe { avx2::read(memory) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IsaName::Avx512 => unsafe { avx512::read(memory) },
        _ => plain::read(memory),
    }
}

/// `rounds` times [`ROUND`] fused multiply-adds of f32 that lie in registers.
pub fn multiply_floats(isa: Isa, rounds: usize) -> f32 {
    let factor = black_box(0.999_f32);
    match isa.name() {
        // SAFETY: see `read`; so below.
        #[cfg(target_arch = "x86_64")]
        IsaName::Avx2 => unsafe { avx2::multiply_floats(rounds, factor) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IsaName::Avx512 => unsafe { avx512::multiply_floats(rounds, factor) },
        _ => plain::multiply_floats(rounds, factor),
    }
}

/// `rounds` times [`ROUND`] products of an unsigned and a signed byte that lie in registers, added to sums of 32 bits.
///
/// AVX2 takes three instructions for 32 of them (`vpmaddubsw`, `vpmaddwd`, `vpaddd`). AVX-512 takes one for 64 where the
/// processor has VNNI (`vpdpbusd`), else three.
pub fn multiply_bytes(isa: Isa, rounds: usize) -> i32 {
    let factor = black_box(3_i8);
    match isa.name() {
        // SAFETY: see `read`; so below.
        #[cfg(target_arch = "x86_64")]
        IsaName::Avx2 => unsafe { avx2::multiply_bytes(rounds, factor) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IsaName::Avx512 => unsafe { avx512::multiply_bytes(rounds, factor) },
        _ => plain::multiply_bytes(rounds, factor),
    }
}

/// Plain Rust, for the compiler to make the best of.
mod plain {
    use super::{CHAINS, ROUND};

    pub(super) fn read(memory: &[u8]) -> u64 {
        let (chunks, rest) = memory.as_chunks::<64>();
        let mut sums = [0; 8];
        for chunk in chunks {
            for (sum, word) in sums.iter_mut().zip(chunk.as_chunks::<8>().0) {
                *sum ^= u64::from_ne_bytes(*word);
            }
        }
        sums.iter().fold(super::rest(rest), |all, sum| all ^ sum)
    }

    pub(super) fn multiply_floats(rounds: usize, factor: f32) -> f32 {
        let mut sums = [[1.0_f32; 4]; CHAINS];
        for _ in 0..rounds * (ROUND / (4 * CHAINS)) {
            for sum in sums.as_flattened_mut() {
                *sum = sum.mul_add(factor, factor);
            }
        }
        sums.as_flattened().iter().sum()
    }

    pub(super) fn multiply_bytes(rounds: usize, factor: i8) -> i32 {
        let (values, mut sums) = (std::hint::black_box([factor; 64]), [0_i32; 16]);
        for _ in 0..rounds * (ROUND / 64) {
            let x = std::hint::black_box(values);
            for (sum, (fours, x)) in sums.iter_mut().zip(values.as_chunks::<4>().0.iter().zip(x.as_chunks::<4>().0)) {
                let products = fours.iter().zip(x).map(|(w, x)| i32::from(*w as u8) * i32::from(*x));
                *sum = sum.wrapping_add(products.sum());
            }
        }
        sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
    }
}

/// The bytes behind the last whole chunk.
fn rest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, byte| all ^ u64::from(*byte))
}

/// How far ahead of what is read the next lines are called.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4096;

// Below, loops go by index: iterators the compiler does not unroll, and the sums then live in memory. Each sum is a factor of
// its own next term, so that nothing can be taken out of the loop.

#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)]
mod avx2 {
    use super::{AHEAD, CHAINS, ROUND};
    use std::arch::x86_64::*;
    use std::mem::transmute;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn read(memory: &[u8]) -> u64 {
        let (lines, rest) = memory.as_chunks::<64>();
        let mut sums = [_mm256_setzero_si256(); 2];
        for line in lines {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(AHEAD).cast());
            for i in 0..2 {
                // SAFETY: a line is 64 bytes; the load asks for no alignment.
                sums[i] = _mm256_xor_si256(sums[i], unsafe { _mm256_loadu_si256(line.as_ptr().add(32 * i).cast()) });
            }
        }
        // SAFETY: both are 64 bytes and nothing else.
        let sums: [u64; 8] = unsafe { transmute(sums) };
        sums.iter().fold(super::rest(rest), |all, sum| all ^ sum)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn multiply_floats(rounds: usize, factor: f32) -> f32 {
        let factor = _mm256_set1_ps(factor);
        let mut sums = [factor; CHAINS];
        for _ in 0..rounds * (ROUND / (8 * CHAINS)) {
            for i in 0..CHAINS {
                sums[i] = _mm256_fmadd_ps(sums[i], factor, factor);
            }
        }
        // SAFETY: both are so many floats and nothing else.
        let sums: [f32; 8 * CHAINS] = unsafe { transmute(sums) };
        sums.iter().sum()
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn multiply_bytes(rounds: usize, factor: i8) -> i32 {
        let (factor, ones) = (_mm256_set1_epi8(factor), _mm256_set1_epi16(1));
        let mut sums = [factor; CHAINS];
        for _ in 0..rounds * (ROUND / (32 * CHAINS)) {
            for i in 0..CHAINS {
                let pairs = _mm256_maddubs_epi16(sums[i], factor);
                sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
            }
        }
        // SAFETY: both are so many integers and nothing else.
        let sums: [i32; 8 * CHAINS] = unsafe { transmute(sums) };
        sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)]
mod avx512 {
    use super::{AHEAD, CHAINS, ROUND};
    use std::arch::x86_64::*;
    use std::mem::transmute;

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn read(memory: &[u8]) -> u64 {
        let (lines, rest) = memory.as_chunks::<64>();
        let mut sum = _mm512_setzero_si512();
        for line in lines {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(AHEAD).cast());
            // SAFETY: a line is 64 bytes; the load asks for no alignment.
            sum = _mm512_xor_si512(sum, unsafe { _mm512_loadu_si512(line.as_ptr().cast()) });
        }
        // SAFETY: both are 64 bytes and nothing else.
        let sums: [u64; 8] = unsafe { transmute(sum) };
        sums.iter().fold(super::rest(rest), |all, sum| all ^ sum)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn multiply_floats(rounds: usize, factor: f32) -> f32 {
        let factor = _mm512_set1_ps(factor);
        let mut sums = [factor; CHAINS];
        for _ in 0..rounds * (ROUND / (16 * CHAINS)) {
            for i in 0..CHAINS {
                sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
            }
        }
        // SAFETY: both are so many floats and nothing else.
        let sums: [f32; 16 * CHAINS] = unsafe { transmute(sums) };
        sums.iter().sum()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn multiply_bytes(rounds: usize, factor: i8) -> i32 {
        let factor = _mm512_set1_epi8(factor);
        let mut sums = [factor; CHAINS];
        for _ in 0..rounds * (ROUND / (64 * CHAINS)) {
            for i in 0..CHAINS {
                sums[i] = _mm512_dpbusd_epi32(sums[i], sums[i], factor);
            }
        }
        // SAFETY: both are so many integers and nothing else.
        let sums: [i32; 16 * CHAINS] = unsafe { transmute(sums) };
        sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read() {
        for isa in Isa::available() {
            for len in [0, 1, 63, 64, 65, 1000] {
                let mut memory = vec![0; len];
                assert_eq!(read(isa, &memory), 0);
                for at in 0..len {
                    memory[at] = 1;
                    assert_ne!(read(isa, &memory), 0, "{} {at} of {len}", isa.name());
                    memory[at] = 0;
                }
            }
        }
    }

    /// One million multiply-adds take a hundred microseconds on the slowest machine with vectors; nothing would mean that the
    /// compiler has taken the work away.
    #[test]
    fn work_grows_with_the_rounds() {
        for isa in Isa::available() {
            let time = |rounds: usize| {
                let start = std::time::Instant::now();
                black_box((multiply_floats(isa, rounds), multiply_bytes(isa, rounds)));
                start.elapsed()
            };
            let best = |rounds| (0..5).map(|_| time(rounds)).min().unwrap_or_default();
            assert!(best(8) > 3 * best(1), "{}", isa.name());
        }
    }
}
