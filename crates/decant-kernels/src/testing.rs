//! What the tests of this crate share.

use std::io::Write;
use std::sync::Once;

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

/// The tiers of this machine beside scalar. Says which there are not, once.
pub(crate) fn other_tiers() -> Vec<Isa> {
    static SAY: Once = Once::new();
    SAY.call_once(|| {
        for name in IsaName::ALL.into_iter().filter(|name| Isa::new(*name).is_none()) {
            // Past the harness, which keeps to itself what a passing test prints.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {name}, which this machine does not have");
        }
    });
    Isa::available().filter(|isa| isa.name() != IsaName::Scalar).collect()
}

/// The tier that the others must agree with.
pub(crate) fn scalar() -> Isa {
    Isa::new(IsaName::Scalar).unwrap()
}
