//! `golden/dequantise.json`: what blocks of every format stand for, computed by ggml's own Python package.

use decant_kernels::weights::{Format, Weights};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    format: String,
    blocks: String,
    numbers: String,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../golden/dequantise.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_format_stands_for_the_numbers_that_ggml_says() {
    let golden = golden();
    for format in Format::ALL.into_iter().filter(|format| *format != Format::F32) {
        let case = golden.cases.iter().find(|case| case.format == format.name());
        let case = case.unwrap_or_else(|| panic!("golden/formats.py does not know {}", format.name()));
        let (blocks, expected) = (bytes(&case.blocks), bytes(&case.numbers));
        let cols = blocks.len() / format.block_bytes() * format.block();
        let mut numbers = vec![f32::NAN; cols];
        Weights::new(format, cols, &blocks).dequantise(0, &mut numbers);
        assert_eq!(expected.len(), 4 * cols, "{}", format.name());
        for (at, (number, expected)) in numbers.iter().zip(expected.as_chunks().0).enumerate() {
            let expected = f32::from_le_bytes(*expected);
            assert_eq!(number.to_bits(), expected.to_bits(), "{} {at}: {number} {expected}", format.name());
        }
    }
}
