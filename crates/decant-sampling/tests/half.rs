//! Rows of half precision: what is picked from the same row in f32, bit for bit.

mod support;

use decant_sampling::{Coins, Isa, Kept, Memory, Row, RowMut, Sampler, SamplerSpec, Scratch, Seed, TokenId, bf16, f16};
use support::rows;

/// A type of half precision.
trait Half: Copy + PartialEq {
    const MAX: f32;
    fn of(number: f32) -> Self;
    fn wide(self) -> f32;
}

macro_rules! half {
    ($half:ident) => {
        impl Half for $half {
            const MAX: f32 = $half::MAX.to_f32_const();
            fn of(number: f32) -> Self {
                $half::from_f32(number)
            }
            fn wide(self) -> f32 {
                self.to_f32()
            }
        }
    };
}
half!(f16);
half!(bf16);

const SPECS: &[&str] = &[
    "",
    "temp=0",
    "temp=0.7",
    "temp=0.001",
    "temp=0.8,top_h=0.4",
    "top_p=0.9",
    "top_k=7,temp=1.4",
    "smoothing=0.2",
    "top_p=0.95,mirostat=2:tau=2",
    "min_p=0.01,adaptive_p=0.3",
    "temp=by_entropy(0.5..4.0->0.3..1.8)",
];

fn check<H: Half>(seed: u64)
where
    for<'a> Row<'a>: From<&'a Vec<H>>,
    for<'a> RowMut<'a>: From<&'a mut Vec<H>>,
{
    let coins = Seed(5).coins(0, seed);
    for (name, row) in rows(seed) {
        let half: Vec<H> = row.iter().map(|logit| H::of(*logit)).collect();
        let wide: Vec<f32> = half.iter().map(|logit| logit.wide()).collect();
        for (text, isa) in SPECS.iter().flat_map(|text| Isa::available().map(move |isa| (text, isa))) {
            let spec: SamplerSpec = text.parse().unwrap();
            let sampler = Sampler::new(&spec, row.len()).unwrap().with_isa(isa);
            let [mut memory, mut half_memory] = [Memory::default(), Memory::default()];
            let [mut scratch, mut half_scratch] = [Scratch::default(), Scratch::default()];
            for _ in 0..2 {
                let step = sampler.pick(&wide, &[], coins, &mut memory, &mut scratch);
                assert_eq!(
                    sampler.pick(&half, &[], coins, &mut half_memory, &mut half_scratch),
                    step,
                    "{name}, `{text}`"
                );
            }
            assert_eq!(memory, half_memory, "{name}, `{text}`");
            assert!(scratch.kept(&wide).eq(half_scratch.kept(&half)), "{name}, `{text}`");
            let token = sampler.draw(&wide, &[], coins, &mut memory, &mut scratch);
            assert_eq!(sampler.draw(&half, &[], coins, &mut half_memory, &mut half_scratch), token);

            let (mut masked, mut half_masked) = (wide.clone(), half.clone());
            let kept = sampler.mask(&mut masked, (&[]).into(), coins, &mut memory, &mut scratch).unwrap();
            let half_kept =
                sampler.mask(&mut half_masked, (&[]).into(), coins, &mut half_memory, &mut half_scratch).unwrap();
            assert_eq!(half_kept, kept, "{name}, `{text}`");
            for (got, meant) in half_masked.iter().zip(&masked) {
                let rounded = if meant.is_finite() { H::of(meant.clamp(-H::MAX, H::MAX)) } else { H::of(*meant) };
                assert!(*got == rounded, "{name}, `{text}`: {} for {meant}", got.wide());
            }
            let token = token.unwrap();
            sampler.learn(&wide, token, &mut memory, &scratch);
            sampler.learn(&half, token, &mut half_memory, &half_scratch);
            assert_eq!(memory, half_memory, "{name}, `{text}`");
        }
    }
}

#[test]
fn halves_pick_as_the_widened_row_does() {
    for seed in 0..2 {
        check::<f16>(seed);
        check::<bf16>(seed);
    }
}

#[test]
fn faults_name_the_token() {
    let sampler = Sampler::new(&"temp=0.8".parse().unwrap(), 40).unwrap();
    let error = |row: &[f16]| -> String {
        let (mut memory, mut scratch) = (Memory::default(), Scratch::default());
        let mut masked = row.to_vec();
        let masking = sampler.mask(&mut masked, (&[]).into(), Coins::fixed(0.0), &mut memory, &mut scratch);
        assert!(masked.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_bits()), "the row is as it was");
        let picking = sampler.pick(row, &[], Coins::fixed(0.0), &mut memory, &mut scratch).unwrap_err().to_string();
        assert_eq!(masking.map_err(|error| error.to_string()), Err::<Kept, _>(picking.clone()));
        picking
    };
    let mut row = vec![f16::from_f32(0.5); 40];
    row[33] = f16::NAN;
    assert!(error(&row).starts_with("the logit of token 33 is NaN"));
    row[21] = f16::INFINITY;
    assert!(error(&row).starts_with("the logit of token 21 is inf"));
    assert!(error(&[f16::NEG_INFINITY; 40]).contains("all 40 tokens"));
    assert!(error(&row[1..]).contains("has 39 logits"));
    assert!(error(&[]).contains("empty"));
}

#[test]
fn what_is_kept_stays_a_logit() {
    // At T = 0.001 a binary16 logit of 70 would be 70,000, beyond 65,504; and one of -70 must not forbid its token.
    let sampler = Sampler::new(&"temp=0.001".parse().unwrap(), 3).unwrap();
    let mut row = [70.0, -70.0, f32::NEG_INFINITY].map(f16::from_f32).to_vec();
    let coins = Coins::fixed(0.0);
    sampler.mask(&mut row, (&[]).into(), coins, &mut Memory::default(), &mut Scratch::default()).unwrap();
    let finite: Vec<TokenId> = (0..).zip(&row).filter(|(_, logit)| logit.is_finite()).map(|(token, _)| token).collect();
    assert_eq!((finite, row[0], row[1]), (vec![0, 1], f16::MAX, f16::MIN));
}
