//! A writer of GGUF files, for tests: what it is told to write it writes, however wrong.

use decant_models::gguf::{MAGIC, TensorType};

/// A metadata value to write.
#[derive(Clone)]
#[allow(dead_code)] // each test binary uses some
pub enum Field {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
    Bools(Vec<bool>),
}

impl Field {
    fn tag(&self) -> u32 {
        match self {
            Field::U32(_) => 4,
            Field::F32(_) => 6,
            Field::Bool(_) => 7,
            Field::Text(_) => 8,
            Field::Texts(_) | Field::F32s(_) | Field::I32s(_) | Field::Bools(_) => 9,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Field::U32(number) => out.extend(number.to_le_bytes()),
            Field::F32(number) => out.extend(number.to_le_bytes()),
            Field::Bool(flag) => out.push((*flag).into()),
            Field::Text(text) => string(out, text),
            Field::Texts(texts) => {
                array_head(out, 8, texts.len());
                texts.iter().for_each(|text| string(out, text));
            }
            Field::F32s(numbers) => {
                array_head(out, 6, numbers.len());
                numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
            }
            Field::I32s(numbers) => {
                array_head(out, 5, numbers.len());
                numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
            }
            Field::Bools(flags) => {
                array_head(out, 7, flags.len());
                out.extend(flags.iter().map(|flag| u8::from(*flag)));
            }
        }
    }
}

fn array_head(out: &mut Vec<u8>, item_tag: u32, len: usize) {
    out.extend(item_tag.to_le_bytes());
    out.extend((len as u64).to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A tensor to write: its table entry and its bytes.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    /// Fastest first.
    pub dimensions: Vec<u64>,
    pub tensor_type: TensorType,
    pub data: Vec<u8>,
}

/// A file to write.
#[derive(Clone, Default)]
pub struct File {
    pub metadata: Vec<(String, Field)>,
    pub tensors: Vec<Tensor>,
}

#[allow(dead_code)]
impl File {
    pub fn with(mut self, key: &str, value: Field) -> Self {
        self.metadata.push((key.into(), value));
        self
    }

    pub fn tensor(mut self, name: &str, dimensions: &[u64], tensor_type: TensorType, data: Vec<u8>) -> Self {
        self.tensors.push(Tensor { name: name.into(), dimensions: dimensions.into(), tensor_type, data });
        self
    }

    pub fn f32s(self, name: &str, dimensions: &[u64], numbers: &[f32]) -> Self {
        self.tensor(name, dimensions, TensorType::F32, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    /// The file's bytes, version 3, alignment 32.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut out, key);
            out.extend(value.tag().to_le_bytes());
            value.write(&mut out);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            string(&mut out, &tensor.name);
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            tensor.dimensions.iter().for_each(|dimension| out.extend(dimension.to_le_bytes()));
            out.extend(tensor.tensor_type.0.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += tensor.data.len().next_multiple_of(32) as u64;
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(&tensor.data);
        }
        out
    }
}
