//! Pinned values. They change only in a minor version, under "Values changed" in the changelog.

use decant_sampling::{Coins, EntropyStats, Isa, Logits, Memory, Sampler, Scratch, Seed, Step, TokenId};

/// 1000 logits in steps of 1/64, exact in every float format, peaked at the multiples of 97.
fn row() -> Vec<f32> {
    (0..1000_u32).map(|i| (i * 7919 % 512) as f32 / 64.0 + if i.is_multiple_of(97) { 3.5 } else { 0.0 }).collect()
}

fn tokens(spec: &str) -> Vec<TokenId> {
    let picks = |isa: Isa| -> Vec<TokenId> {
        let sampler = Sampler::new(&spec.parse().unwrap(), 1000).unwrap().with_isa(isa);
        let mut scratch = Scratch::default();
        let mut pick = |i| sampler.pick(&row(), &[], Seed(42).coins(0, i), &mut Memory::default(), &mut scratch);
        (0..8).map(|i| pick(i).unwrap().token).collect()
    };
    let values = picks(Isa::best());
    assert!(Isa::available().all(|isa| picks(isa) == values));
    values
}

#[test]
fn tokens_of_seed_42() {
    assert_eq!(tokens(""), [550, 379, 679, 679, 863, 338, 741, 469]);
    assert_eq!(tokens("temp=0.7"), [679, 546, 679, 679, 803, 467, 679, 679]);
    assert_eq!(tokens("temp=1,top_h=0.4"), [679, 582, 679, 679, 964, 497, 679, 679]);
    assert_eq!(tokens("top_p=0.9"), [574, 392, 679, 679, 873, 347, 741, 482]);
    assert_eq!(tokens("min_p=0.1"), [679, 679, 679, 679, 679, 679, 679, 679]);
    assert_eq!(tokens("top_k=20"), [679, 582, 679, 679, 964, 482, 679, 679]);
    assert_eq!(tokens("temp=by_entropy(0.5..4->0.3..1.8)"), [482, 347, 679, 679, 859, 308, 758, 424]);
}

#[test]
fn bits_of_one_step() {
    let sampler = Sampler::new(&"temp=0.8,top_h=0.4".parse().unwrap(), 1000).unwrap();
    let step = sampler.pick(&row(), &[], Coins::fixed(0.75), &mut Memory::default(), &mut Scratch::default()).unwrap();
    let Step { token, kept, .. } = step;
    assert_eq!((token, kept), (679, 19));
    let bits = [step.logprob, step.entropy, step.varentropy, step.kept_mass, step.kept_entropy].map(f64::to_bits);
    assert_eq!(
        bits,
        [
            0xbfff_8896_d21a_c049,
            0x4014_e245_4128_ecd4,
            0x400a_00a5_479f_cf4c,
            0x3fe0_a2f8_29b1_7c98,
            0x3ffa_ac0d_2d36_74a2
        ]
    );
    let row = row();
    assert_eq!(EntropyStats::of(&Logits::new(&row).unwrap()).entropy().to_bits(), bits[1]);
}
