//! Bytes -> a spec (the first line) and a row of logits (the rest, little-endian f32) -> pick and mask on every tier.

use decant_sampling::{Coins, History, Isa, Memory, Sampler, SamplerSpec, Scratch, SpecError, Step, TokenId};

pub fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (line, rest) = bytes.split_at(end);
    let written = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
    let spec: SamplerSpec = written.unwrap_or_else(|| "temp=0.8,top_h=0.4".parse().unwrap());
    let row: Vec<f32> =
        rest[rest.len().min(1)..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let coin = bytes.len() % 100;

    let text: Vec<TokenId> = bytes.iter().rev().map(|byte| TokenId::from(byte % 16)).collect();
    let history = History::new(&text, coin);

    let tiers: Vec<_> = Isa::available().map(|isa| pick(&spec, &row, history, coin as f64 / 100.0, isa)).collect();
    assert!(tiers.windows(2).all(|pair| pair[0] == pair[1]), "tiers differ on `{spec}`: {tiers:?}");
}

/// Picks and masks; what comes back is one of the kept tokens, or an error that left the row alone.
fn pick(
    spec: &SamplerSpec,
    row: &[f32],
    history: History<'_>,
    coin: f64,
    isa: Isa,
) -> Result<(Step, Vec<TokenId>), String> {
    let sampler = match Sampler::new(spec, row.len()) {
        Ok(sampler) => sampler.with_isa(isa),
        Err(error @ SpecError::Vocabulary { .. }) => return Err(error.to_string()),
        Err(error) => panic!("a parsed spec is in range: {error}"),
    };
    let mut scratch = Scratch::default();
    let mut masked = row.to_vec();
    let picked = sampler.pick(row, history, Coins::fixed(coin), &mut Memory::default(), &mut scratch);
    let kept: Vec<TokenId> = picked.iter().flat_map(|_| scratch.kept(row)).collect();
    let left = sampler.mask(&mut masked, history, Coins::fixed(coin), &mut Memory::default(), &mut scratch);
    let step = match picked {
        Ok(step) => step,
        Err(error) => {
            assert_eq!(left.map_err(|error| error.to_string()), Err(error.to_string()));
            assert!(masked.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_bits()));
            // As text: the NaN in it is not equal to itself.
            return Err(error.to_string());
        }
    };
    assert!(kept.contains(&step.token) && kept.len() == step.kept as usize, "{step:?}");
    assert!(row[step.token as usize] > f32::NEG_INFINITY && step.logprob <= 0.0, "{step:?}");
    assert!((0.0..=1.0 + 1e-6).contains(&step.kept_mass), "{step:?}");
    for entropy in [step.entropy, step.kept_entropy] {
        assert!((0.0..=(row.len() as f64).ln() + 1e-5).contains(&entropy), "{step:?}");
    }
    let finite: Vec<TokenId> = (0..).zip(&masked).filter(|(_, l)| l.is_finite()).map(|(token, _)| token).collect();
    assert_eq!(finite, kept, "`{spec}`");
    Ok((step, kept))
}
