//! Decant's own CPU engine for the Llama family: bit-equal logits whatever the batch, the chunking of the prompt, the
//! thread count and the instruction set.

use decant_kernels::Isa;

/// How the engine runs; none of it changes a bit of any logit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How many threads multiply; at least 1.
    pub threads: usize,
    /// Which instructions they use.
    pub isa: Isa,
}
