//! Bytes -> a GGUF file -> everything that is made of one: configuration, tensors, tokenizer, chat template, engine.

use decant_models::checkpoint::{GgufTensors, gguf_config};
use decant_models::gguf::{Gguf, Value};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::template::{ChatTemplate, Message};
use decant_models::tokenizer::Tokenizer;
use decant_models::weights::{Storage, TensorSource};

pub fn run(bytes: &[u8]) {
    let storage = Storage::new(bytes.to_vec());
    let Ok(gguf) = Gguf::parse(storage.bytes()) else { return };
    for (key, value) in gguf.metadata() {
        if let Value::Array(array) = value {
            assert_eq!(array.iter().count(), array.len(), "{key}");
        }
    }
    let tensors = GgufTensors::new(&gguf, &storage);
    for tensor in gguf.tensors() {
        let data = gguf.data(tensor);
        if let Ok(loaded) = tensors.tensor(tensor.name) {
            assert_eq!(data, Ok(loaded.bytes()), "{}", tensor.name);
        }
    }
    if let Ok(tokenizer) = Tokenizer::from_gguf(&gguf) {
        speak(&gguf, &tokenizer);
    }
    if let Ok(config) = gguf_config(&gguf) {
        let options = EngineOptions::default();
        let _ = NativeModel::new(config, &tensors, options);
    }
}

/// All ids of a text are in the vocabulary.
fn speak(gguf: &Gguf<'_>, tokenizer: &Tokenizer) {
    let messages = [Message::new("user", "The sea <|im_end|> é🚢\n  12</s>")];
    let text = match ChatTemplate::from_gguf(gguf, tokenizer) {
        Ok(Some(template)) => template.render(&messages, true, None).unwrap_or_default(),
        _ => messages[0].content.clone(),
    };
    if let Ok(ids) = tokenizer.encode(&text, true) {
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab()), "{ids:?}");
        let _ = tokenizer.decode(&ids);
    }
}
