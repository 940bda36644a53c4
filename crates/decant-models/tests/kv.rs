//! Keys and values in every format, and windows that let pages go: memory is bounded, and no bit depends on it.

mod common;

use std::num::NonZeroUsize;

use common::random_model::{RandomModel, small};
use common::reference;
use decant_decode::{LanguageModel, Rows, TokenId, Want};
use decant_kernels::attention::KvFormat;
use decant_kernels::{Isa, IsaName};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::weights::{Architecture, Format, ModelConfig};

/// A model whose layers see `window` positions.
fn model(architecture: Architecture, window: Option<usize>) -> RandomModel {
    let config = ModelConfig { context: 700, sliding_window: window, ..small(architecture) };
    RandomModel::new(config, Format::F32, 7)
}

fn with(kv: KvFormat) -> EngineOptions {
    EngineOptions { kv, ..EngineOptions::default() }
}

fn tokens(len: usize) -> Vec<TokenId> {
    (0..len as TokenId).map(|i| (i * i * 31 + i * 7 + 3) % 50).collect()
}

fn bits(rows: &Rows) -> Vec<u32> {
    rows.iter().flatten().map(|logit| logit.to_bits()).collect()
}

/// The rows of `tokens`, fed to an empty cache at once.
fn at_once(engine: &NativeModel, tokens: &[TokenId]) -> Rows {
    engine.feed(&mut engine.empty(), tokens, Want::All).unwrap()
}

/// The largest error against the definition in f64, relative to the largest logit of its row.
fn error(rows: &Rows, expected: &[Vec<f64>]) -> f64 {
    let row = |(got, expected): (&[f32], &Vec<f64>)| {
        let largest = expected.iter().fold(0f64, |largest, x| largest.max(x.abs()));
        got.iter().zip(expected).map(|(got, expected)| (f64::from(*got) - expected).abs() / largest).fold(0.0, f64::max)
    };
    rows.iter().zip(expected).map(row).fold(0.0, f64::max)
}

#[test]
fn each_format_is_as_near_the_definition_as_its_numbers() {
    for window in [None, Some(40)] {
        let model = model(Architecture::Qwen3, window);
        let tokens = tokens(300);
        let expected = reference::logits(&model, &tokens);
        let errors = KvFormat::ALL.map(|kv| error(&at_once(&model.load(with(kv)), &tokens), &expected));
        let [f32, f16, q8_0] = errors;
        assert!(f32 < 1e-5 && f16 < 1e-2 && q8_0 < 0.15, "{errors:?}");
        assert!(f32 < f16 && f16 < q8_0, "they round, and differently: {errors:?}");
    }
}

#[test]
fn threads_instructions_and_chunks_change_no_bit_in_any_format() {
    let llama = small(Architecture::Llama);
    let config = ModelConfig { layers: 1, dim: 128, heads: 8, kv_heads: 2, context: 700, ..llama };
    for kv in KvFormat::ALL {
        let model = RandomModel::new(config.clone(), Format::F32, 1);
        let tokens = tokens(650);
        let mut expected = None;
        for threads in [1, 3] {
            for isa in IsaName::ALL {
                let Some(isa) = Isa::new(isa) else {
                    eprintln!("SKIPPED: this machine does not have {isa}");
                    continue;
                };
                let engine = model.load(EngineOptions { threads: NonZeroUsize::new(threads).unwrap(), isa, kv });
                let mut cache = engine.empty();
                for chunk in tokens[..640].chunks(640 / threads) {
                    engine.feed(&mut cache, chunk, Want::None).unwrap();
                }
                // Token by token, in segments shared by the threads.
                let rows: Vec<Vec<u32>> = tokens[640..]
                    .iter()
                    .map(|&token| bits(&engine.feed(&mut cache, &[token], Want::All).unwrap()))
                    .collect();
                assert_eq!(&rows, expected.get_or_insert(rows.clone()), "{kv} {threads} {isa:?}");
            }
        }
    }
}

#[test]
fn a_window_bounds_the_memory() {
    // How many layers see 21 positions, and how many all.
    for (model, windowed, whole) in [
        (model(Architecture::Llama, Some(21)), 2, 0),
        (model(Architecture::Gemma3, Some(21)), 2, 1),
        (model(Architecture::Llama, None), 0, 2),
    ] {
        for kv in KvFormat::ALL {
            // Two heads of 16.
            let position = 2 * match kv {
                KvFormat::F32 => 128,
                KvFormat::F16 => 64,
                _ => 40,
            };
            let engine = model.load(with(kv));
            let tokens = tokens(650);
            let (mut chunked, mut stepwise) = (engine.empty(), engine.empty());
            let mut most = 0;
            for token in &tokens {
                engine.feed(&mut stepwise, &[*token], Want::None).unwrap();
                most = most.max(stepwise.bytes());
            }
            engine.feed(&mut chunked, &tokens, Want::None).unwrap();
            let all = whole * tokens.len().next_multiple_of(32);
            // The window, what a rewind may take back, and what is left of two pages; a prompt has its pass of 64 besides.
            let few = windowed * (21 + 64 + 2 * 32);
            assert!(most <= (all + few) * position, "{kv}: {most} bytes");
            assert!(chunked.bytes() <= (all + few + windowed * 64) * position, "{kv}: {} bytes", chunked.bytes());
            assert!(most >= (all + windowed * (21 + 64)) * position, "{kv}: {most} bytes");
        }
    }
}

#[test]
fn a_rewind_behind_the_window_costs_a_prefill_and_no_bit() {
    for (kv, architecture) in
        KvFormat::ALL.into_iter().zip([Architecture::Gemma3, Architecture::Llama, Architecture::Gemma2])
    {
        let engine = model(architecture, Some(21)).load(with(kv));
        let tokens = tokens(400);
        let expected = bits(&at_once(&engine, &tokens));
        let row = |position: usize| &expected[position * 50..(position + 1) * 50];
        let mut cache = engine.empty();
        engine.feed(&mut cache, &tokens, Want::None).unwrap();
        // Near: the pages are there. Far: they are not, and the cache is empty until it is fed.
        for (len, gone) in [(390, false), (370, false), (300, true), (10, true), (0, true)] {
            let mut cache = cache.clone();
            engine.rewind(&mut cache, len);
            assert_eq!((engine.len(&cache), cache.bytes() == 0), (len, gone), "{kv} {len}");
            assert!(engine.feed(&mut cache, &[], Want::All).unwrap().is_empty());
            let fork = cache.clone();
            for mut cache in [cache, fork] {
                let got = engine.feed(&mut cache, &tokens[len..len + 3], Want::All).unwrap();
                assert_eq!(bits(&got), [row(len), row(len + 1), row(len + 2)].concat(), "{kv} {len}");
                engine.rewind(&mut cache, len + 1);
                let got = engine.feed(&mut cache, &tokens[len + 1..len + 2], Want::Last).unwrap();
                assert_eq!(bits(&got), row(len + 1), "{kv} {len}");
            }
        }
    }
}

mod any_schedule {
    //! However a sequence with a window is fed, forked and rewound, its rows have the bits of its tokens fed at once.

    use std::sync::OnceLock;

    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    #[derive(Clone, Debug)]
    enum Event {
        Feed(Index, usize),
        Fork(Index),
        /// By so many tokens.
        Rewind(Index, usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (any::<Index>(), prop_oneof![1..4usize, 1..200usize]).prop_map(|(i, count)| Event::Feed(i, count)),
            1 => any::<Index>().prop_map(Event::Fork),
            2 => (any::<Index>(), prop_oneof![0..80usize, 0..300usize]).prop_map(|(i, by)| Event::Rewind(i, by)),
        ]
    }

    const MODELS: [(Architecture, Option<usize>); 4] = [
        (Architecture::Llama, Some(1)),
        (Architecture::Gemma2, Some(31)),
        (Architecture::Gemma3, Some(100)),
        (Architecture::Llama, None),
    ];

    fn engine(format: usize, index: usize) -> &'static NativeModel {
        static ENGINES: [OnceLock<NativeModel>; 12] = [const { OnceLock::new() }; 12];
        let (architecture, window) = MODELS[index];
        ENGINES[format * 4 + index].get_or_init(|| model(architecture, window).load(with(KvFormat::ALL[format])))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn gives_the_bits_of_all_at_once(
            format in 0..3usize,
            index in 0..4usize,
            events in proptest::collection::vec(event(), 1..9),
            seed in any::<u32>(),
        ) {
            let engine = engine(format, index);
            let mut sequences = vec![(engine.empty(), Vec::<TokenId>::new())];
            let mut next = seed;
            for event in events {
                match event {
                    Event::Fork(sequence) => sequences.push(sequence.get(&sequences).clone()),
                    Event::Rewind(sequence, by) => {
                        let (cache, history) = { let i = sequence.index(sequences.len()); &mut sequences[i] };
                        history.truncate(history.len().saturating_sub(by));
                        engine.rewind(cache, history.len());
                    }
                    Event::Feed(sequence, count) => {
                        let (cache, history) = { let i = sequence.index(sequences.len()); &mut sequences[i] };
                        let count = count.min(engine.context() - history.len());
                        history.extend((0..count).map(|_| {
                            next = next.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                            (next >> 16) % 50
                        }));
                        let fed = &history[history.len() - count..];
                        let got = bits(&engine.feed(cache, fed, Want::All).unwrap());
                        let expected = bits(&at_once(engine, history));
                        prop_assert_eq!(&got[..], &expected[expected.len() - got.len()..]);
                    }
                }
            }
        }
    }
}
