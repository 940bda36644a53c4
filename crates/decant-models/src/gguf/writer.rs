//! Writing GGUF, version 3, little endian: the header. Whoever writes a file appends the tensors' data himself, so that a
//! large one need not lie in memory.

use super::{MAGIC, TensorType, ValueType};

/// Where tensor data is aligned when `general.alignment` does not say.
pub(super) const DEFAULT_ALIGNMENT: u64 = 32;

/// A metadata value to write.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each is what it is called.
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
    fn write(&self, out: &mut Vec<u8>) {
        let array = |out: &mut Vec<u8>, items: ValueType, len: usize| {
            tag(out, ValueType::Array);
            tag(out, items);
            out.extend((len as u64).to_le_bytes());
        };
        match self {
            Field::U32(number) => {
                tag(out, ValueType::U32);
                out.extend(number.to_le_bytes());
            }
            Field::F32(number) => {
                tag(out, ValueType::F32);
                out.extend(number.to_le_bytes());
            }
            Field::Bool(flag) => {
                tag(out, ValueType::Bool);
                out.push((*flag).into());
            }
            Field::Text(text) => {
                tag(out, ValueType::String);
                string(out, text);
            }
            Field::Texts(texts) => {
                array(out, ValueType::String, texts.len());
                texts.iter().for_each(|text| string(out, text));
            }
            Field::F32s(numbers) => {
                array(out, ValueType::F32, numbers.len());
                numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
            }
            Field::I32s(numbers) => {
                array(out, ValueType::I32, numbers.len());
                numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
            }
            Field::Bools(flags) => {
                array(out, ValueType::Bool, flags.len());
                out.extend(flags.iter().map(|flag| u8::from(*flag)));
            }
        }
    }
}

fn tag(out: &mut Vec<u8>, value_type: ValueType) {
    out.extend(value_type.tag().to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A header in the making: metadata and the table of tensors. It checks nothing; [`Gguf::parse`](super::Gguf::parse) does.
#[derive(Clone, Debug, Default)]
pub struct Header {
    metadata: Vec<u8>,
    metadata_len: u64,
    tensors: Vec<u8>,
    tensors_len: u64,
    data_len: u64,
}

impl Header {
    /// Adds a metadata entry.
    pub fn add(&mut self, key: &str, value: &Field) {
        string(&mut self.metadata, key);
        value.write(&mut self.metadata);
        self.metadata_len += 1;
    }

    /// Adds a tensor of `len` bytes, whose `dimensions` are given as ggml has them, the fastest first. Its data begins where
    /// that of the one before it ends, [padded](padding).
    pub fn add_tensor(&mut self, name: &str, dimensions: &[u64], tensor_type: TensorType, len: u64) {
        string(&mut self.tensors, name);
        self.tensors.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|dimension| self.tensors.extend(dimension.to_le_bytes()));
        self.tensors.extend(tensor_type.0.to_le_bytes());
        self.tensors.extend(self.data_len.to_le_bytes());
        self.tensors_len += 1;
        self.data_len += len + padding(len) as u64;
    }

    /// The header's bytes, with the padding before the first tensor's data.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend(self.tensors_len.to_le_bytes());
        out.extend(self.metadata_len.to_le_bytes());
        out.extend(&self.metadata);
        out.extend(&self.tensors);
        out.resize(out.len() + padding(out.len() as u64), 0);
        out
    }

    /// How many bytes of data follow it, padding included.
    pub fn data_len(&self) -> u64 {
        self.data_len
    }
}

/// How many bytes of zeros stand behind `len` bytes of data.
pub fn padding(len: u64) -> usize {
    (len.next_multiple_of(DEFAULT_ALIGNMENT) - len) as usize
}
