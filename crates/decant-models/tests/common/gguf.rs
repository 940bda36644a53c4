//! A writer of GGUF files, for tests: what it is told to write it writes, however wrong.

pub use decant_models::gguf::Field;
use decant_models::gguf::{Header, TensorType, padding};

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
        let mut header = Header::default();
        self.metadata.iter().for_each(|(key, value)| header.add(key, value));
        for Tensor { name, dimensions, tensor_type, data } in &self.tensors {
            header.add_tensor(name, dimensions, *tensor_type, data.len() as u64);
        }
        let mut out = header.bytes();
        for tensor in &self.tensors {
            out.resize(out.len() + padding(out.len() as u64), 0);
            out.extend(&tensor.data);
        }
        out
    }
}
