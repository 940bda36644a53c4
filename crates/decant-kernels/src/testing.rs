//! What the tests of this crate share.

use crate::{Isa, IsaName};

/// A small generator, so that the tests need no crate: xorshift64*.
pub(crate) struct Numbers(pub u64);

impl Numbers {
    /// In 0..1, a multiple of 2^-24.
    pub fn unit(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / 16_777_216.0
    }
}

/// The tiers of this machine beside scalar.
pub(crate) fn other_tiers() -> Vec<Isa> {
    let others: Vec<Isa> = Isa::available().filter(|isa| isa.name() != IsaName::Scalar).collect();
    if others.is_empty() {
        eprintln!("SKIPPED: this machine has no vector tier to compare with scalar");
    }
    others
}

/// The tier that the others must agree with.
pub(crate) fn scalar() -> Isa {
    Isa::new(IsaName::Scalar).unwrap()
}
