//! The embedded model gives what PyTorch gave for it, and the same bits everywhere.
//!
//! `fixtures/stories.json` is what `train/check_export.py --reference` wrote for the model's file, with every 256th of the
//! last row's logits.

use decant_decode::{LanguageModel, TokenId, Want};
use decant_kernels::Isa;
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::{Model, ModelSource};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    prompt: String,
    ids: Vec<TokenId>,
    /// Some tokens' logits after the prompt.
    logits: Vec<(usize, f32)>,
    /// The likeliest tokens that follow.
    greedy: Vec<TokenId>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("fixtures/stories.json")).unwrap()
}

fn load(isa: Isa) -> Model {
    let options = EngineOptions { isa, ..EngineOptions::default() };
    Model::load(&ModelSource::Embedded, options, &Hub::new(HubSettings::from_env(|_| None)), &mut |_| ()).unwrap()
}

fn greedy(engine: &NativeModel, ids: &[TokenId], count: usize) -> Vec<TokenId> {
    let mut cache = engine.empty();
    let mut rows = engine.feed(&mut cache, ids, Want::Last).unwrap();
    let next = || {
        let row = rows.last().unwrap();
        let token = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as TokenId;
        rows = engine.feed(&mut cache, &[token], Want::Last).unwrap();
        token
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn the_embedded_model_is_the_one_that_was_trained() {
    let model = load(Isa::best());
    for case in cases() {
        assert_eq!(model.tokenizer.encode(&case.prompt, true).unwrap(), case.ids, "{}", case.prompt);
        let rows = model.engine.feed(&mut model.engine.empty(), &case.ids, Want::Last).unwrap();
        let row = rows.last().unwrap();
        for (token, expected) in case.logits {
            // PyTorch had the dequantised weights and kept activations in f32; the engine quantises them, too.
            assert!((row[token] - expected).abs() < 0.3, "{}: {token}: {} for {expected}", case.prompt, row[token]);
        }
        assert_eq!(greedy(&model.engine, &case.ids, case.greedy.len()), case.greedy, "{}", case.prompt);
    }
}

/// One number out of the bits of all logits: it may change only with the model, or in a release that says so.
#[test]
fn its_logits_have_these_bits_on_every_machine() {
    let ids: Vec<TokenId> = cases().into_iter().flat_map(|case| case.ids).collect();
    for isa in Isa::available() {
        let engine = load(isa).engine;
        let rows = engine.feed(&mut engine.empty(), &ids, Want::All).unwrap();
        // FNV-1a.
        let digest = rows.iter().flatten().fold(0xCBF2_9CE4_8422_2325, |digest: u64, logit| {
            (digest ^ u64::from(logit.to_bits())).wrapping_mul(0x0100_0000_01B3)
        });
        assert_eq!(digest, 0x0983_EC34_3DFD_CFAF, "{}: {digest:#X}", isa.name());
    }
}
