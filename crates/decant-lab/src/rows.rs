//! Real rows: those that plain sampling meets.

use decant_decode::{DecodeError, Decoder, LanguageModel, Limits, TokenId};
use decant_sampling::{Sampler, SamplerSpec, Seed};

/// Goes on from a prompt by up to `limits.max_tokens` tokens drawn from the model's own law, and shows every row of logits,
/// shape `[vocab]`, that a token was drawn from. Draws by a stream of the seed.
///
/// # Errors
/// Those of decoding: an empty or too long prompt, a token that the model does not have.
pub fn rows_met<M: LanguageModel>(
    model: &M,
    prompt: &[TokenId],
    limits: Limits,
    (seed, stream): (Seed, u32),
    mut see: impl FnMut(&[f32]),
) -> Result<(), DecodeError> {
    let law = Sampler::new(&SamplerSpec(vec![]), model.vocab()).expect("no stage is no mistake");
    let decoder = Decoder::new(model, law, limits)?;
    let mut state = decoder.start(prompt, seed, stream)?;
    while decoder.step(&mut state)?.is_some() {
        see(state.row());
    }
    Ok(())
}
