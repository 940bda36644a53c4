//! Quantising while loading: the blocks are those of ggml's Python package, and a model stays what it was, nearly.

use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroUsize;

use decant_decode::{LanguageModel, Want};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::EngineOptions;
use decant_models::random::{Size, write_model};
use decant_models::weights::{Format, Shape, Storage, Tensor, TensorSource};
use decant_models::{LoadError, LoadOptions, Model, ModelSource, Quantisation, Quantised};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    row: String,
    q8_0: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A source of one tensor, whatever it is called.
struct One(Tensor);

impl TensorSource for One {
    fn tensor(&self, _: &str) -> Result<Tensor, LoadError> {
        Ok(self.0.clone())
    }
}

fn quantised(format: Format, shape: Shape, bytes: Vec<u8>, threads: usize) -> Tensor {
    let source = One(Tensor::new("it", format, shape, &Storage::new(bytes), 0).unwrap());
    Quantised::new(&source, NonZeroUsize::new(threads).unwrap(), &mut |_| ()).tensor("it").unwrap()
}

#[test]
fn the_blocks_are_those_of_ggml() {
    let golden: Golden = serde_json::from_str(include_str!("../../../golden/quantise.json")).unwrap();
    let rows: Vec<u8> = golden.cases.iter().flat_map(|case| bytes(&case.row)).collect();
    let expected: Vec<u8> = golden.cases.iter().flat_map(|case| bytes(&case.q8_0)).collect();
    let shape = Shape { rows: golden.cases.len(), cols: 64 };
    assert!(shape.rows > 5);
    for threads in [1, 2, 5, 100] {
        let tensor = quantised(Format::F32, shape, rows.clone(), threads);
        assert_eq!((tensor.format(), tensor.shape()), (Format::Q8_0, shape));
        assert_eq!(tensor.bytes(), expected, "{threads} threads");
    }
}

#[test]
fn what_is_no_matrix_of_floats_in_whole_blocks_stays() {
    for (format, rows, cols) in [(Format::F32, 1, 64), (Format::F16, 3, 40), (Format::Q4_0, 2, 64)] {
        let shape = Shape { rows, cols };
        let stored = vec![0; rows * format.row_bytes(cols).unwrap()];
        assert_eq!(quantised(format, shape, stored, 2).format(), format);
    }
    for format in [Format::F16, Format::BF16] {
        let shape = Shape { rows: 2, cols: 32 };
        let ones = if format == Format::F16 { 0x3C00u16 } else { 0x3F80 }.to_le_bytes();
        let tensor = quantised(format, shape, ones.repeat(64), 1);
        assert_eq!((tensor.format(), &tensor.bytes()[2..34]), (Format::Q8_0, &[127; 32][..]));
    }
}

#[test]
fn a_quantised_model_is_nearly_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let out = &mut BufWriter::new(File::create(&path).unwrap());
    write_model(Size::Tiny, "bf16".parse().unwrap(), 3, out).unwrap();
    let logits = |quantise| {
        let options = LoadOptions { quantise, engine: EngineOptions::default() };
        let hub = Hub::new(HubSettings::from_env(|_| None));
        let mut told = 0;
        let source = ModelSource::Path(path.clone());
        let model = Model::load(&source, options, &hub, &mut |progress| told = progress.done).unwrap();
        let formats: Vec<Format> = model.engine.matrices().map(Tensor::format).collect();
        let expected = if quantise.is_some() { Format::Q8_0 } else { Format::BF16 };
        assert!(formats.len() > 40 && formats.iter().all(|format| *format == expected), "{formats:?}");
        // Nearly all of the file is matrices.
        let share = told as f64 / model.info.file_len as f64;
        assert_eq!(share > 0.9, quantise.is_some(), "{share}");
        model.engine.feed(&mut model.engine.empty(), &[300, 301, 302], Want::Last).unwrap().last().unwrap().to_vec()
    };
    let (plain, quantised) = (logits(None), logits(Some(Quantisation::Q8_0)));
    let power: f32 = plain.iter().map(|x| x * x).sum();
    let error: f32 = plain.iter().zip(&quantised).map(|(a, b)| (a - b).powi(2)).sum();
    let relative = (error / power).sqrt();
    assert!(relative > 0.0 && relative < 0.05, "{relative}");
}
