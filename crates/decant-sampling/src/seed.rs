//! Randomness as a function of (seed, stream, position, lane).

/// A seed. Together with a stream (which sample of a request) and a position (which token) it gives the [`Coins`] of
/// one step; nothing else enters, so neighbours in a batch, threads and order cannot change a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The coins of one step.
    pub fn coins(self, stream: u32, position: u64) -> Coins {
        let _ = (stream, position);
        todo!()
    }
}

/// The coins of one step.
#[derive(Clone, Copy, Debug)]
pub struct Coins {
    _private: (),
}
