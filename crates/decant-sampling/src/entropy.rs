//! The one place where entropy is computed.

/// What one pass over a row tells about p = softmax(l). Nats. A monoid, so lanes, threads and shards merge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntropyStats {
    max: f64,
    support: u32,
    sums: [f64; 3],
}
