//! Reading GGUF, versions 2 and 3, little endian: typed metadata, the table of tensors, and where their data lies; and writing
//! its header ([`Header`]).
//!
//! The layout is ggml's `docs/gguf.md`. A [`Gguf`] borrows the bytes of the file and copies none of them, so a vocabulary of
//! 150,000 strings costs one walk. Nothing a file says is believed before it is checked: whatever the bytes, parsing ends
//! in a [`Gguf`] or a [`GgufError`], and allocates no more than in proportion to the bytes that are there.

mod cursor;
mod error;
mod tensor;
mod value;
mod writer;

use std::collections::HashMap;
use std::ops::Range;

use cursor::Cursor;
pub use error::GgufError;
pub use tensor::{TensorInfo, TensorType};
pub use value::{Array, Value, ValueType};
use writer::DEFAULT_ALIGNMENT;
pub use writer::{Field, Header, padding};

/// The first four bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// A parsed header: everything in the file but the numbers of its tensors.
#[derive(Debug)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    version: u32,
    metadata: HashMap<&'a str, Value<'a>>,
    tensors: HashMap<&'a str, TensorInfo<'a>>,
    data_start: usize,
}

impl<'a> Gguf<'a> {
    /// Parses the header that `bytes`, a whole file, begins with.
    ///
    /// # Errors
    /// Whatever is wrong with it, with the place in the file. A tensor of a type that this reader does not know is no
    /// error yet: it becomes one in [`Gguf::range`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(bytes);
        let version = read_version(&mut cursor)?;
        let tensor_count = cursor.u64("the number of tensors")?;
        let entry_count = cursor.u64("the number of metadata entries")?;

        let mut metadata = HashMap::new();
        for _ in 0..entry_count {
            let at = cursor.at();
            let key = cursor.string("a metadata key")?;
            if metadata.insert(key, cursor.tagged_value()?).is_some() {
                return Err(GgufError::Duplicate { what: "the metadata key", name: key.into(), at });
            }
        }

        let mut tensors = HashMap::new();
        for _ in 0..tensor_count {
            let at = cursor.at();
            let tensor = TensorInfo::read(&mut cursor)?;
            if tensors.insert(tensor.name, tensor).is_some() {
                return Err(GgufError::Duplicate { what: "the tensor", name: tensor.name.into(), at });
            }
        }

        let mut gguf = Gguf { bytes, version, metadata, tensors, data_start: 0 };
        let alignment = gguf.alignment()?;
        // A file without tensors may end before the padding.
        gguf.data_start = cursor.at().next_multiple_of(alignment as usize).min(bytes.len());
        for tensor in gguf.tensors.values() {
            tensor.check(alignment, (bytes.len() - gguf.data_start) as u64)?;
        }
        Ok(gguf)
    }

    /// The version of the format: 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many bytes of the file are header: what stands before the tensors' data.
    pub fn header_len(&self) -> usize {
        self.data_start
    }

    /// All metadata, in no order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&'a str, Value<'a>)> {
        self.metadata.iter().map(|(&key, &value)| (key, value))
    }

    /// All tensors, in no order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo<'a>> {
        self.tensors.values()
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo<'a>> {
        self.tensors.get(name)
    }

    /// Which bytes of the file hold the tensor's data.
    ///
    /// # Errors
    /// [`GgufError::UnknownType`] if the size of its blocks is not known.
    pub fn range(&self, tensor: &TensorInfo<'_>) -> Result<Range<usize>, GgufError> {
        // `check` has bounded every offset and size by the length of the file.
        let start = self.data_start + tensor.offset as usize;
        Ok(start..start + tensor.size()? as usize)
    }

    /// The tensor's bytes.
    ///
    /// # Errors
    /// As [`Gguf::range`].
    pub fn data(&self, tensor: &TensorInfo<'_>) -> Result<&'a [u8], GgufError> {
        Ok(&self.bytes[self.range(tensor)?])
    }

    /// The value of a metadata key, if the file has it.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.metadata.get(key).copied()
    }

    /// The text under `key`, if the file has it.
    ///
    /// # Errors
    /// [`GgufError::ValueType`] if it is no text.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// The non-negative whole number under `key`, of whatever width and sign it was written, if the file has it.
    ///
    /// # Errors
    /// [`GgufError::ValueType`] if it is none.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.typed(key, "a whole number, not negative", Value::as_unsigned)
    }

    /// The floating-point number under `key`, if the file has it.
    ///
    /// # Errors
    /// [`GgufError::ValueType`] if it is none.
    pub fn float(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.typed(key, "a floating-point number", |value| match value {
            Value::Float(number) => Some(number),
            _ => None,
        })
    }

    /// The yes or no under `key`, if the file has it.
    ///
    /// # Errors
    /// [`GgufError::ValueType`] if it is none.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.typed(key, "a bool", |value| match value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    /// The array of `items` under `key`, if the file has it.
    ///
    /// # Errors
    /// [`GgufError::ValueType`] if it is no array, [`GgufError::ItemType`] if one of other items.
    pub fn array(&self, key: &str, items: ValueType) -> Result<Option<Array<'a>>, GgufError> {
        let array = self.typed(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })?;
        match array {
            Some(array) if array.items() != items => {
                Err(GgufError::ItemType { key: key.into(), wanted: items, found: array.items() })
            }
            array => Ok(array),
        }
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: &'static str,
        cast: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        cast(value).map(Some).ok_or_else(|| GgufError::ValueType { key: key.into(), wanted, found: value.value_type() })
    }

    fn alignment(&self) -> Result<u64, GgufError> {
        let alignment = self.unsigned("general.alignment")?.unwrap_or(DEFAULT_ALIGNMENT);
        // 2^31 is far beyond any page; the bound keeps the padding's arithmetic from overflowing.
        match alignment.is_power_of_two() && alignment <= 1 << 31 {
            true => Ok(alignment),
            false => Err(GgufError::Alignment { alignment }),
        }
    }
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<u32, GgufError> {
    let magic = cursor.bytes(4, "the magic number")?;
    if magic != MAGIC {
        return Err(GgufError::Magic { found: magic.escape_ascii().to_string() });
    }
    match cursor.u32("the version")? {
        version @ 2..=3 => Ok(version),
        version if version.swap_bytes() <= 0xffff => Err(GgufError::BigEndian { version: version.swap_bytes() }),
        version => Err(GgufError::Version { version }),
    }
}
