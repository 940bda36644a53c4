//! The native engine: that it computes what the architectures define, and that nothing but the tokens changes a bit.

mod common;

use std::num::NonZeroUsize;

use common::random_model::{RandomModel, llama3, load_gguf, long_rope, small, with_heads};
use common::reference;
use decant_decode::{Feed, LanguageModel, ModelError, Rows, TokenId, Want};
use decant_kernels::{Isa, IsaName};
use decant_models::LoadError;
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::weights::{
    Architecture, Format, Layers, ModelConfig, Part, RopeConfig, RopeFactors, RopeScaling, RowOrder, Shape,
};

fn options(threads: usize, isa: IsaName) -> Option<EngineOptions> {
    Some(EngineOptions { threads: NonZeroUsize::new(threads)?, isa: Isa::new(isa)?, ..EngineOptions::default() })
}

fn best() -> EngineOptions {
    EngineOptions::default()
}

fn tokens(len: usize, vocab: usize) -> Vec<TokenId> {
    (0..len).map(|i| (i * i * 31 + i * 7 + 3) as TokenId % vocab as TokenId).collect()
}

fn bits(rows: &Rows) -> Vec<u32> {
    rows.iter().flatten().map(|logit| logit.to_bits()).collect()
}

/// Small models of every architecture, and one for each further feature.
fn models() -> Vec<ModelConfig> {
    let rope = |theta, scaling| RopeConfig { theta, scaling };
    let [llama, qwen2, phi3] = [Architecture::Llama, Architecture::Qwen2, Architecture::Phi3].map(small);
    let mut models = Architecture::ALL.map(small).to_vec();
    models.push(ModelConfig { rope: rope(5e5, llama3()), ..llama.clone() });
    models.push(ModelConfig { rope: rope(1e4, RopeScaling::Linear { factor: 4.0 }), ..llama.clone() });
    models.push(ModelConfig { sliding_window: Some(21), ..llama.clone() });
    models.push(with_heads(ModelConfig { heads: 6, kv_heads: 2, norm_eps: 1e-2, layers: 1, ..llama }, 32));
    models.push(ModelConfig { sliding_window: Some(21), ..qwen2 });
    models.extend([100, 200].map(|original| ModelConfig { rope: rope(1e4, long_rope(original)), ..phi3.clone() }));
    models
}

#[test]
fn logits_are_those_of_the_definition() {
    for format in Format::ALL {
        let (mut same, mut all) = (0, 0);
        for (seed, config) in models().into_iter().enumerate() {
            let model = RandomModel::new(config.clone(), format, seed as u64);
            let tokens = tokens(70, config.vocab);
            let expected = reference::logits(&model, &tokens);
            let engine = model.load(best());
            let rows = engine.feed(&mut engine.empty(), &tokens, Want::All).unwrap();
            // Now and then rounding decides, and the two quantise an activation to neighbouring integers; whatever depends
            // on it is then off by what quantising costs.
            let tolerance = if format.quantises().is_some() { 0.1 } else { 1e-5 };
            for (position, (got, expected)) in rows.iter().zip(&expected).enumerate() {
                let largest = expected.iter().fold(0f64, |largest, x| largest.max(x.abs()));
                assert!(largest > 1.0, "rows that say something");
                for (got, expected) in got.iter().zip(expected) {
                    let error = (f64::from(*got) - expected).abs() / largest;
                    assert!(error < tolerance, "{config:?} {format:?} at {position}: {got} for {expected}");
                    (same, all) = (same + usize::from(error < 1e-5), all + 1);
                }
            }
        }
        assert!(2 * same > all, "{format:?}: most logits are those of the definition: {same} of {all}");
    }
}

#[test]
fn both_file_formats_give_the_same_bits() {
    for (seed, config) in models().into_iter().enumerate() {
        for format in [Format::F32, Format::F16, Format::BF16] {
            let model = RandomModel::new(config.clone(), format, seed as u64);
            let tokens = tokens(70, config.vocab);
            let all = |engine: NativeModel| engine.feed(&mut engine.empty(), &tokens, Want::All).unwrap();
            let (gguf, folder) = (all(model.load(best())), all(model.load_folder(best())));
            assert!(bits(&gguf) == bits(&folder), "{config:?} {format:?}");
        }
    }
}

/// Wide enough that two threads share its products, its attention and its output.
fn wide() -> ModelConfig {
    let llama = small(Architecture::Llama);
    ModelConfig { layers: 1, dim: 128, hidden: 512, heads: 8, kv_heads: 4, vocab: 8192, context: 200, ..llama }
}

#[test]
fn threads_and_instructions_change_no_bit() {
    for format in Format::ALL {
        let model = RandomModel::new(wide(), format, 1);
        let tokens = tokens(199, 8192);
        let mut expected = None;
        for threads in [1, 2, 3] {
            for isa in IsaName::ALL {
                let Some(options) = options(threads, isa) else {
                    eprintln!("SKIPPED: this machine does not have {isa}");
                    continue;
                };
                let engine = model.load(options);
                let mut cache = engine.empty();
                let first = engine.feed(&mut cache, &tokens[..198], Want::Last).unwrap();
                let second = engine.feed(&mut cache, &tokens[198..], Want::All).unwrap();
                let got = [bits(&first), bits(&second)];
                assert_eq!(&got, expected.get_or_insert(got.clone()), "{format:?} {threads} {isa}");
            }
        }
    }
}

mod any_schedule {
    //! However sequences are fed, forked, rewound and batched, every row has the bits of its tokens fed one by one.

    use std::sync::OnceLock;

    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// What may happen to a set of sequences.
    #[derive(Clone, Debug)]
    enum Event {
        /// These many tokens to some of the sequences, in one batch.
        Feed(Vec<(Index, usize, Want)>),
        Fork(Index),
        Rewind(Index, Index),
    }

    fn event() -> impl Strategy<Value = Event> {
        let want = prop_oneof![Just(Want::All), Just(Want::Last), Just(Want::None)];
        let part = (any::<Index>(), 0..40usize, want);
        prop_oneof![
            4 => proptest::collection::vec(part, 1..4).prop_map(Event::Feed),
            1 => any::<Index>().prop_map(Event::Fork),
            1 => (any::<Index>(), any::<Index>()).prop_map(|(sequence, len)| Event::Rewind(sequence, len)),
        ]
    }

    struct Engines {
        /// One thread, scalar.
        plain: NativeModel,
        others: Vec<NativeModel>,
    }

    /// Every architecture in every format.
    const KINDS: usize = Architecture::ALL.len() * Format::ALL.len();

    /// Their engines, each loaded once.
    fn engines(index: usize) -> &'static Engines {
        static ENGINES: [OnceLock<Engines>; KINDS] = [const { OnceLock::new() }; KINDS];
        ENGINES[index].get_or_init(|| {
            let architecture = Architecture::ALL[index / Format::ALL.len()];
            let model = RandomModel::new(small(architecture), Format::ALL[index % Format::ALL.len()], index as u64);
            let all = [1, 2].into_iter().flat_map(|threads| IsaName::ALL.map(|isa| options(threads, isa)));
            let mut engines = all.flatten().map(|options| model.load(options));
            Engines { plain: engines.next().unwrap(), others: engines.collect() }
        })
    }

    /// The rows of `tokens`, fed one by one.
    fn one_by_one(engine: &NativeModel, tokens: &[TokenId]) -> Vec<Vec<u32>> {
        let mut cache = engine.empty();
        tokens.iter().map(|&token| bits(&engine.feed(&mut cache, &[token], Want::All).unwrap())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn gives_the_bits_of_one_by_one(
            kind in 0..KINDS,
            other in any::<Index>(),
            events in proptest::collection::vec(event(), 1..8),
            seed in any::<u32>(),
        ) {
            let Engines { plain, others } = engines(kind);
            let engine = if others.is_empty() { plain } else { other.get(others) };
            let (vocab, context) = (engine.vocab() as u32, engine.context());
            let mut sequences = vec![(engine.empty(), Vec::<TokenId>::new()); 2];
            let mut next = seed;
            for event in events {
                match event {
                    Event::Fork(sequence) => sequences.push(sequence.get(&sequences).clone()),
                    Event::Rewind(sequence, len) => {
                        let (cache, history) = { let i = sequence.index(sequences.len()); &mut sequences[i] };
                        let len = len.index(history.len() + 1);
                        engine.rewind(cache, len);
                        history.truncate(len);
                    }
                    Event::Feed(parts) => {
                        // At most one part a sequence.
                        let mut fed: Vec<Option<(Vec<TokenId>, Want)>> = vec![None; sequences.len()];
                        for (sequence, count, want) in parts {
                            let i = sequence.index(sequences.len());
                            let count = count.min(context - sequences[i].1.len());
                            let tokens = (0..count).map(|_| {
                                next = next.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                                (next >> 16) % vocab
                            });
                            fed[i] = Some((tokens.collect(), want));
                        }
                        let parts = sequences.iter_mut().zip(&fed).filter_map(|((cache, _), part)| {
                            part.as_ref().map(|(tokens, want)| Feed { cache, tokens, want: *want })
                        });
                        let rows = engine.feed_all(&mut parts.collect::<Vec<_>>()).unwrap();
                        let mut rows = rows.iter();
                        for ((cache, history), (tokens, want)) in
                            sequences.iter_mut().zip(&fed).filter_map(|(s, part)| Some((s, part.as_ref()?)))
                        {
                            history.extend(tokens);
                            prop_assert_eq!(engine.len(cache), history.len());
                            let expected = one_by_one(plain, history);
                            let wanted = want.rows(tokens.len());
                            let expected = expected[history.len() - wanted..].concat();
                            prop_assert_eq!(bits(rows.next().unwrap()), expected);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_error_leaves_every_cache_as_it_was() {
    let model = RandomModel::new(small(Architecture::Llama), Format::F32, 4).load(best());
    let (mut good, mut bad) = (model.empty(), model.empty());
    model.feed(&mut good, &[1, 2, 3], Want::None).unwrap();
    model.feed(&mut bad, &[4; 100], Want::None).unwrap();
    let expected = bits(&model.feed(&mut good.clone(), &[5], Want::Last).unwrap());
    for (tokens, expected) in [
        (&[0, 50][..], ModelError::Token { token: 50, position: 101, vocab: 50 }),
        (&[0; 21][..], ModelError::Context { needed: 121, context: 120 }),
    ] {
        let mut batch = [
            Feed { cache: &mut good, tokens: &[9], want: Want::Last },
            Feed { cache: &mut bad, tokens, want: Want::Last },
        ];
        assert_eq!(model.feed_all(&mut batch).unwrap_err(), expected);
    }
    assert_eq!((model.len(&good), model.len(&bad)), (3, 100));
    assert_eq!(bits(&model.feed(&mut good, &[5], Want::Last).unwrap()), expected);
    assert!(model.feed(&mut bad, &[0; 20], Want::Last).is_ok(), "a full context is no error");
    assert!(model.feed_all(&mut []).unwrap().is_empty());
}

#[test]
fn a_configuration_that_lies_is_refused() {
    let llama = || small(Architecture::Llama);
    let refused = |config: ModelConfig| {
        // The tensors are those of the honest model.
        let folder = tempfile::tempdir().unwrap();
        RandomModel::new(llama(), Format::F32, 0).write_folder(folder.path());
        let shards = decant_models::checkpoint::Shards::open(folder.path()).unwrap();
        NativeModel::new(config, &shards, best()).unwrap_err()
    };
    let rope = |theta, scaling| RopeConfig { theta, scaling };
    let factors = |factors| RopeScaling::Factors(RopeFactors::Listed(factors));
    let fields = [
        ("layers", ModelConfig { layers: 0, ..llama() }),
        ("dim", ModelConfig { dim: 0, ..llama() }),
        ("hidden", ModelConfig { hidden: 0, ..llama() }),
        ("heads", ModelConfig { heads: 0, ..llama() }),
        ("kv_heads", ModelConfig { kv_heads: 0, ..llama() }),
        ("kv_heads", ModelConfig { kv_heads: 3, ..llama() }),
        ("head_dim", ModelConfig { head_dim: 0, ..llama() }),
        ("head_dim", ModelConfig { head_dim: 15, ..llama() }),
        ("head_dim", ModelConfig { head_dim: usize::MAX - 1, ..llama() }),
        ("vocab", ModelConfig { vocab: 0, ..llama() }),
        ("context", ModelConfig { context: 0, ..llama() }),
        ("context", ModelConfig { context: usize::MAX, ..llama() }),
        ("norm_eps", ModelConfig { norm_eps: f32::NAN, ..llama() }),
        ("norm_offset", ModelConfig { norm_offset: f32::INFINITY, ..llama() }),
        ("embedding_scale", ModelConfig { embedding_scale: 0.0, ..llama() }),
        ("attention_scale", ModelConfig { attention_scale: f32::NAN, ..llama() }),
        ("attention_softcap", ModelConfig { attention_softcap: Some(-1.0), ..llama() }),
        ("logit_softcap", ModelConfig { logit_softcap: Some(0.0), ..llama() }),
        ("rope_dim", ModelConfig { rope_dim: 0, ..llama() }),
        ("rope_dim", ModelConfig { rope_dim: 7, ..llama() }),
        ("rope_dim", ModelConfig { rope_dim: 18, ..llama() }),
        ("qkv_bias", ModelConfig { fused: true, qkv_bias: true, ..llama() }),
        ("row_order", ModelConfig { rope_dim: 8, row_order: RowOrder::Pairs, ..llama() }),
        ("rope.theta", ModelConfig { rope: rope(0.0, RopeScaling::None), ..llama() }),
        ("rope.theta", ModelConfig { local_rope: Some(rope(-1.0, RopeScaling::None)), ..llama() }),
        ("rope.scaling.factor", ModelConfig { rope: rope(1e4, RopeScaling::Linear { factor: 0.0 }), ..llama() }),
        ("rope.scaling.factors", ModelConfig { rope: rope(1e4, factors(vec![1.0; 7])), ..llama() }),
        ("rope.scaling.factors", ModelConfig { rope: rope(1e4, factors(vec![0.0; 8])), ..llama() }),
        ("sliding_window", ModelConfig { sliding_window: Some(0), ..llama() }),
        ("windowed", ModelConfig { windowed: Layers::Listed(vec![true]), ..llama() }),
        ("roped", ModelConfig { roped: Layers::Listed(vec![true; 3]), ..llama() }),
    ];
    for (expected, config) in fields {
        match refused(config) {
            LoadError::Config { field, .. } => assert_eq!(field, expected),
            other => panic!("{expected}: {other}"),
        }
    }
    assert!(matches!(
        refused(ModelConfig { layers: 1 << 31, ..llama() }),
        LoadError::MissingTensor { name } if name == "model.layers.2.self_attn.q_proj.weight"
    ));
    assert!(matches!(
        refused(ModelConfig { vocab: 1 << 31, ..llama() }),
        LoadError::TensorShape { name, expected: Shape { rows: 0x8000_0000, cols: 64 }, found: Shape { rows: 50, cols: 64 } }
            if name == "model.embed_tokens.weight"
    ));
    for config in [
        ModelConfig { heads: 8, ..llama() },
        ModelConfig { hidden: 97, ..llama() },
        ModelConfig { head_dim: 32, ..llama() },
        ModelConfig { dim: usize::MAX, ..llama() },
    ] {
        assert!(matches!(refused(config), LoadError::TensorShape { .. }));
    }
    let stored = RopeScaling::Factors(RopeFactors::Stored(Part::RopeFactors));
    let without_factors = ModelConfig { rope: rope(1e4, stored), ..llama() };
    assert!(matches!(refused(without_factors), LoadError::MissingTensor { .. }));
}

#[test]
fn a_file_that_lacks_a_tensor_is_refused() {
    let whole = RandomModel::new(small(Architecture::Qwen3), Format::Q8_0, 0).gguf();
    assert!(load_gguf(&whole, best()).is_ok());
    for index in 0..whole.tensors.len() {
        let mut file = whole.clone();
        let name = file.tensors.remove(index).name;
        // Without Q's norm in the first layer the file describes a model that has none: then others are left over.
        if name != "blk.0.attn_q_norm.weight" {
            let error = load_gguf(&file, best()).unwrap_err();
            assert!(
                matches!(&error, LoadError::MissingTensor { name: missing } if *missing == name),
                "{name}: {error}"
            );
        }
    }
}
