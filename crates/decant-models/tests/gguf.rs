//! The GGUF reader on good files, lying files, cut files and noise.

mod common;

use common::gguf::{Field, File};
use decant_models::gguf::{Gguf, GgufError, TensorType, ValueType};
use proptest::prelude::*;

/// One of everything.
fn sample() -> File {
    File::default()
        .with("general.architecture", Field::Text("llama".into()))
        .with("llama.block_count", Field::U32(2))
        .with("llama.rope.freq_base", Field::F32(10000.0))
        .with("tokenizer.ggml.add_bos_token", Field::Bool(true))
        .with("tokenizer.ggml.tokens", Field::Texts(vec!["a".into(), "".into(), "é".into()]))
        .with("tokenizer.ggml.scores", Field::F32s(vec![0.0, -1.5, -2.0]))
        .with("tokenizer.ggml.token_type", Field::I32s(vec![1, 3, -1]))
        .f32s("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .tensor("q", &[64], TensorType::Q8_0, vec![7; 68])
}

/// Where `needle` first stands in the sample, so that a test can lie exactly there.
fn place(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len()
}

fn lie(after: &[u8], skip: usize, bytes: &[u8]) -> GgufError {
    let mut file = sample().bytes();
    let at = place(&file, after) + skip;
    file[at..at + bytes.len()].copy_from_slice(bytes);
    Gguf::parse(&file).unwrap_err()
}

#[test]
fn reads_what_was_written() {
    let file = sample().bytes();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(gguf.version(), 3);
    assert_eq!(gguf.text("general.architecture").unwrap(), Some("llama"));
    assert_eq!(gguf.unsigned("llama.block_count").unwrap(), Some(2));
    assert_eq!(gguf.float("llama.rope.freq_base").unwrap(), Some(10000.0));
    assert_eq!(gguf.flag("tokenizer.ggml.add_bos_token").unwrap(), Some(true));
    assert_eq!(gguf.unsigned("nowhere").unwrap(), None);
    let tokens = gguf.array("tokenizer.ggml.tokens", ValueType::String).unwrap().unwrap();
    assert_eq!(tokens.strings().collect::<Vec<_>>(), ["a", "", "é"]);
    let scores = gguf.array("tokenizer.ggml.scores", ValueType::F32).unwrap().unwrap();
    assert_eq!(scores.floats().collect::<Vec<_>>(), [0.0, -1.5, -2.0]);
    let w = gguf.tensor("w").unwrap();
    assert_eq!((w.dimensions(), w.tensor_type), (&[3, 2][..], TensorType::F32));
    assert_eq!(gguf.data(w).unwrap()[4..8], 2f32.to_le_bytes());
    assert_eq!(gguf.data(gguf.tensor("q").unwrap()).unwrap(), [7; 68]);
}

#[test]
fn a_file_without_tensors_needs_no_padding() {
    let file = File::default().with("general.name", Field::Text("only words".into())).bytes();
    assert!(Gguf::parse(&file).is_ok());
}

#[test]
fn version_2_reads_and_others_are_named() {
    let with_version = |version: u32| {
        let mut file = sample().bytes();
        file[4..8].copy_from_slice(&version.to_le_bytes());
        Gguf::parse(&file).map(|gguf| gguf.version())
    };
    assert_eq!(with_version(2), Ok(2));
    assert_eq!(with_version(1), Err(GgufError::Version { version: 1 }));
    assert_eq!(with_version(3 << 24), Err(GgufError::BigEndian { version: 3 }));
    assert!(matches!(Gguf::parse(b"ELF!"), Err(GgufError::Magic { .. })));
}

#[test]
fn lengths_that_lie_are_named_with_their_place() {
    let file = sample().bytes();
    let huge = u64::MAX.to_le_bytes();
    // The length of the architecture's name, of the token array, of the score array.
    assert!(matches!(lie(b"general.architecture", 4, &huge), GgufError::Truncated { needed: u64::MAX, .. }));
    assert!(matches!(lie(b"tokenizer.ggml.tokens", 8, &huge), GgufError::Truncated { .. }));
    assert!(matches!(lie(b"tokenizer.ggml.scores", 8, &huge), GgufError::Truncated { needed: u64::MAX, .. }));
    // The counts in the head.
    assert!(matches!(lie(b"GGUF", 4, &huge), GgufError::Truncated { .. }));
    assert!(matches!(lie(b"GGUF", 12, &huge), GgufError::Truncated { .. } | GgufError::ValueTag { .. }));
    let at = place(&file, b"llama.block_count");
    let unknown = lie(b"llama.block_count", 0, &99u32.to_le_bytes());
    assert_eq!(unknown, GgufError::ValueTag { tag: 99, at });
}

#[test]
fn values_that_lie_are_errors() {
    assert!(matches!(lie(b"add_bos_token", 4, &[2]), GgufError::Bool { found: 2, .. }));
    assert!(matches!(lie(b"general.architecture", 12, &[0xff]), GgufError::Utf8 { .. }));
    // An array of arrays.
    assert!(matches!(lie(b"tokenizer.ggml.tokens", 4, &[9]), GgufError::ValueTag { tag: 9, .. }));
    let twice = sample().with("general.architecture", Field::U32(1)).bytes();
    assert!(matches!(Gguf::parse(&twice), Err(GgufError::Duplicate { name, .. }) if name == "general.architecture"));
    let twice = sample().f32s("w", &[1], &[1.0]).bytes();
    assert!(matches!(Gguf::parse(&twice), Err(GgufError::Duplicate { name, .. }) if name == "w"));
    for alignment in [0, 3, u32::MAX] {
        let file = sample().with("general.alignment", Field::U32(alignment)).bytes();
        let error = Gguf::parse(&file).unwrap_err();
        assert_eq!(error, GgufError::Alignment { alignment: alignment.into() });
    }
}

#[test]
fn tensors_that_lie_are_errors() {
    // After the name `w` and the rank: two dimensions, type, offset.
    let w: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 0, b'w', 2, 0, 0, 0];
    let wide = (1u64 << 62).to_le_bytes();
    assert!(matches!(lie(w, 0, &wide), GgufError::Shape { reason: "its size overflows 64 bits", .. }));
    assert!(matches!(lie(w, 0, &3000u64.to_le_bytes()), GgufError::OutOfFile { size: 24000, offset: 0, .. }));
    assert!(matches!(lie(w, 20, &1u64.to_le_bytes()), GgufError::Misaligned { offset: 1, alignment: 32, .. }));
    assert!(matches!(lie(w, 20, &(!31u64).to_le_bytes()), GgufError::OutOfFile { .. }));
    assert!(matches!(lie(w, 16, &8u32.to_le_bytes()), GgufError::Shape { tensor_type: TensorType::Q8_0, .. }));
    let rank = lie(&w[..9], 0, &5u32.to_le_bytes());
    assert_eq!(rank, GgufError::Dimensions { tensor: "w".into(), dimensions: 5, limit: 4 });
}

#[test]
fn an_unknown_type_is_an_error_only_where_it_is_used() {
    let file = sample().tensor("new", &[5], TensorType(77), vec![]).bytes();
    let gguf = Gguf::parse(&file).unwrap();
    let error = gguf.data(gguf.tensor("new").unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("the tensor `new` is of type number 77; known are F32, F16, Q4_0"));
}

#[test]
fn wrong_types_name_the_key() {
    let file = sample().bytes();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(
        gguf.unsigned("general.architecture").unwrap_err().to_string(),
        "the metadata value of `general.architecture` is string, where a whole number, not negative must stand"
    );
    assert!(matches!(gguf.array("tokenizer.ggml.scores", ValueType::String), Err(GgufError::ItemType { .. })));
}

#[test]
fn every_cut_is_an_error() {
    let file = sample().bytes();
    for len in 0..file.len() {
        assert!(Gguf::parse(&file[..len]).is_err(), "cut at {len} of {}", file.len());
    }
}

/// Reads everything that a header offers.
fn walk(bytes: &[u8]) {
    let Ok(gguf) = Gguf::parse(bytes) else { return };
    for (_, value) in gguf.metadata() {
        if let decant_models::gguf::Value::Array(array) = value {
            assert_eq!(array.iter().count(), array.len());
        }
    }
    for tensor in gguf.tensors() {
        let _ = gguf.data(tensor);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_change_of_bytes_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut file = sample().bytes();
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        walk(&file);
    }

    #[test]
    fn no_noise_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        walk(&[b"GGUF\x03\0\0\0".as_slice(), &noise].concat());
    }
}
