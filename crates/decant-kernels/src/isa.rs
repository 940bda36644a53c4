//! Which instruction set the kernels use: chosen at run time, never at compile time.

use std::fmt;
use std::str::FromStr;

/// The name of a tier of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsaName {
    /// Plain Rust, on every machine.
    Scalar,
    /// NEON (every little-endian aarch64).
    Neon,
    /// AVX2 and FMA (x86-64 since about 2013).
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI (servers since 2019, Zen 4 and later).
    Avx512,
}

impl IsaName {
    /// All tiers; of those that one machine can have, slowest first.
    pub const ALL: [IsaName; 4] = [IsaName::Scalar, IsaName::Neon, IsaName::Avx2, IsaName::Avx512];

    fn runs_here(self) -> bool {
        match self {
            IsaName::Scalar => true,
            IsaName::Neon => cfg!(all(target_arch = "aarch64", target_endian = "little")),
            #[cfg(target_arch = "x86_64")]
            IsaName::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            IsaName::Avx512 => {
                IsaName::Avx2.runs_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            IsaName::Avx2 | IsaName::Avx512 => false,
        }
    }
}

impl fmt::Display for IsaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IsaName::Scalar => "scalar",
            IsaName::Neon => "neon",
            IsaName::Avx2 => "avx2",
            IsaName::Avx512 => "avx512",
        })
    }
}

impl FromStr for IsaName {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let named = IsaName::ALL.into_iter().find(|name| name.to_string() == s);
        named.ok_or_else(|| {
            let known = IsaName::ALL.map(|name| name.to_string()).join(", ");
            format!("unknown instruction set `{s}` (known: {known})")
        })
    }
}

/// A tier that this machine has: whoever holds one may call its instructions.
///
/// There is no other way to make one than [`Isa::best`] and [`Isa::new`], which ask the processor; that is what makes
/// the kernels safe to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(IsaName);

impl Default for Isa {
    fn default() -> Self {
        Isa::best()
    }
}

impl Isa {
    /// The fastest tier of this machine.
    pub fn best() -> Self {
        let best = IsaName::ALL.into_iter().rev().find(|name| name.runs_here());
        Isa(best.unwrap_or(IsaName::Scalar))
    }

    /// The named tier, if this machine has it.
    pub fn new(name: IsaName) -> Option<Self> {
        name.runs_here().then_some(Isa(name))
    }

    /// Every tier of this machine, slowest first: what the tests loop over.
    pub fn available() -> impl Iterator<Item = Isa> {
        IsaName::ALL.into_iter().filter_map(Isa::new)
    }

    /// The tier's name.
    pub fn name(self) -> IsaName {
        self.0
    }
}
