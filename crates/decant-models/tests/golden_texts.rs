//! `golden/texts.json`: what models say and the bits of their logits, on every platform, tier and number of threads.
//!
//! What stands there changes only with the embedded model, or in a release that says so under "Values changed".
//! `GOLDEN=write cargo test -p decant-models --test golden_texts` writes it.

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Mutex;

use common::random_model::{RandomModel, small};
use common::tiers::{engines, plain};
use decant_decode::{Decoder, LanguageModel, Limits, TokenId};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::weights::{Architecture, Format};
use decant_models::{Model, ModelSource};
use decant_sampling::{Sampler, Seed};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file: a part for each test.
#[derive(Default, Serialize, Deserialize)]
struct Golden {
    /// What the embedded model says, by prompt, spec and seed.
    embedded: BTreeMap<String, Text>,
    /// What random models give, by architecture and format.
    random: BTreeMap<String, Random>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Text {
    begins: String,
    tokens: usize,
    /// SHA-256 of the text in UTF-8.
    text: String,
    /// SHA-256 of the logits that it was drawn from, little-endian binary32.
    logits: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Random {
    greedy: Vec<TokenId>,
    sampled: Vec<TokenId>,
    /// SHA-256 of the logits that these were drawn from, little-endian binary32.
    logits: String,
}

const WRITE: &str = "GOLDEN=write cargo test -p decant-models --test golden_texts";

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/texts.json"))
}

fn read() -> Golden {
    std::fs::read_to_string(path()).map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default()
}

/// Holds what `make` makes, by name, to its part of the file: on every tier, and with two threads. Where the environment
/// says so, that part is written first, by the plainest engine.
fn hold<T: Clone + Debug + PartialEq>(
    part: impl Fn(&mut Golden) -> &mut BTreeMap<String, T>,
    make: impl Fn(&[EngineOptions]) -> Vec<BTreeMap<String, T>>,
) {
    static FILE: Mutex<()> = Mutex::new(());
    let write = std::env::var_os("GOLDEN").is_some_and(|golden| golden == "write");
    let written = write.then(|| make(&[plain()]).remove(0));
    let alone = FILE.lock();
    let mut golden = read();
    if let Some(written) = written {
        *part(&mut golden) = written;
        std::fs::write(path(), serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
    }
    drop(alone);
    let expected = part(&mut golden);
    let mut engines = engines([1]);
    engines.push(EngineOptions { threads: NonZeroUsize::MIN.saturating_add(1), ..EngineOptions::default() });
    for (got, engine) in make(&engines).iter().zip(&engines) {
        for (name, got) in got {
            let Some(expected) = expected.get(name) else {
                panic!("golden/texts.json does not know {name}; `{WRITE}` writes it");
            };
            assert_eq!(got, expected, "{name} on {} with {} threads", engine.isa.name(), engine.threads);
        }
        assert!(expected.keys().eq(got.keys()), "golden/texts.json knows what nobody makes; `{WRITE}` drops it");
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tokens that follow a prompt. The logits that they are drawn from go to `rows`.
fn follow(
    engine: &NativeModel,
    prompt: &[TokenId],
    (spec, seed): (&str, u64),
    limits: Limits,
    rows: &mut Sha256,
) -> Vec<TokenId> {
    let sampler = Sampler::new(&spec.parse().unwrap(), engine.vocab()).unwrap().with_isa(engine.options().isa);
    let decoder = Decoder::new(engine, sampler, limits).unwrap();
    let mut state = decoder.start(prompt, Seed(seed), 0).unwrap();
    while decoder.step(&mut state).unwrap().is_some() {
        state.row().iter().for_each(|logit| rows.update(logit.to_le_bytes()));
    }
    state.generated().to_vec()
}

/// What the embedded model is asked to say.
const STORIES: [(&str, &str, u64); 6] = [
    ("Once upon a time", "temp=0", 0),
    ("Once upon a time", "temp=1,top_h=0.4", 1),
    ("Once upon a time", "temp=by_entropy(0.5..4.0->0.3..1.8),top_p=0.9", 2),
    ("The dog saw a big", "temp=0", 0),
    ("The dog saw a big", "repetition_penalty=1.2,temp=1.2,min_p=0.05", 3),
    ("\"I am not afraid,\" said", "top_k=40,temp=0.8,typical=0.95", 18_446_744_073_709_551_615),
];

#[test]
fn the_embedded_model_says_the_same_everywhere() {
    let tell = |options: &EngineOptions| {
        let hub = Hub::new(HubSettings::from_env(|_| None));
        let model = Model::load(&ModelSource::Embedded, *options, &hub, &mut |_| ()).unwrap();
        let limits = Limits { max_tokens: 32, ends: model.tokenizer.ends().to_vec(), ignore_eos: false };
        let texts = STORIES.map(|(prompt, spec, seed)| {
            let ids = model.tokenizer.encode(prompt, true).unwrap();
            let mut rows = Sha256::new();
            let tokens = follow(&model.engine, &ids, (spec, seed), limits.clone(), &mut rows);
            let text = model.tokenizer.decode(&tokens);
            let begins = text.split_inclusive(' ').take(8).collect();
            let text =
                Text { begins, tokens: tokens.len(), text: hex(Sha256::digest(&text)), logits: hex(rows.finalize()) };
            (format!("{prompt} | {spec} | seed {seed}"), text)
        });
        BTreeMap::from(texts)
    };
    hold(|golden| &mut golden.embedded, |engines| engines.iter().map(tell).collect());
}

#[test]
fn random_models_give_the_same_bits_everywhere() {
    let answer = |engine: &NativeModel| {
        let vocab = engine.vocab() as TokenId;
        // Beyond a page of keys and values, and beyond the windows.
        let prompt: Vec<TokenId> = (0..35).map(|i| (i * i * 31 + i * 7 + 3) % vocab).collect();
        let limits = Limits { max_tokens: 8, ends: Vec::new(), ignore_eos: false };
        let mut rows = Sha256::new();
        let greedy = follow(engine, &prompt, ("temp=0", 0), limits.clone(), &mut rows);
        let sampled = follow(engine, &prompt[..5], ("temp=1.5,min_p=0.01", 7), limits, &mut rows);
        Random { greedy, sampled, logits: hex(rows.finalize()) }
    };
    let make = |engines: &[EngineOptions]| {
        let mut answers = vec![BTreeMap::new(); engines.len()];
        for architecture in Architecture::ALL {
            for format in Format::ALL {
                let model = RandomModel::new(small(architecture), format, 7);
                for (answers, options) in answers.iter_mut().zip(engines) {
                    let name = format!("{architecture:?} {}", format.name());
                    answers.insert(name, answer(&model.load(*options)));
                }
            }
        }
        answers
    };
    hold(|golden| &mut golden.random, make);
}
