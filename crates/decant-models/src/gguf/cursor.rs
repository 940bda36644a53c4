//! A place in the file that only moves over bytes that are there.

use super::{Array, GgufError, Value, ValueType};

/// Reads forward; every read names what it reads, for the error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn bytes(&mut self, len: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            return Err(GgufError::Truncated { what, at: self.at, needed: len, left: rest.len() });
        };
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N as u64, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<&'a str, GgufError> {
        let len = self.u64(what)?;
        let at = self.at;
        std::str::from_utf8(self.bytes(len, what)?).map_err(|_| GgufError::Utf8 { what, at })
    }

    fn value_type(&mut self) -> Result<ValueType, GgufError> {
        let at = self.at;
        let tag = self.u32("the type of a metadata value")?;
        ValueType::from_tag(tag).ok_or(GgufError::ValueTag { tag, at })
    }

    /// A value with its type before it.
    pub(super) fn tagged_value(&mut self) -> Result<Value<'a>, GgufError> {
        let value_type = self.value_type()?;
        self.value(value_type)
    }

    /// A value of a type that is known.
    pub(super) fn value(&mut self, value_type: ValueType) -> Result<Value<'a>, GgufError> {
        const WHAT: &str = "a metadata value";
        Ok(match value_type {
            ValueType::U8 => Value::Unsigned(u8::from_le_bytes(self.array(WHAT)?).into()),
            ValueType::U16 => Value::Unsigned(u16::from_le_bytes(self.array(WHAT)?).into()),
            ValueType::U32 => Value::Unsigned(self.u32(WHAT)?.into()),
            ValueType::U64 => Value::Unsigned(self.u64(WHAT)?),
            ValueType::I8 => Value::Signed(i8::from_le_bytes(self.array(WHAT)?).into()),
            ValueType::I16 => Value::Signed(i16::from_le_bytes(self.array(WHAT)?).into()),
            ValueType::I32 => Value::Signed(i32::from_le_bytes(self.array(WHAT)?).into()),
            ValueType::I64 => Value::Signed(i64::from_le_bytes(self.array(WHAT)?)),
            ValueType::F32 => Value::Float(f32::from_le_bytes(self.array(WHAT)?).into()),
            ValueType::F64 => Value::Float(f64::from_le_bytes(self.array(WHAT)?)),
            ValueType::Bool => match self.array(WHAT)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [found] => return Err(GgufError::Bool { found, at: self.at - 1 }),
            },
            ValueType::String => Value::String(self.string("a metadata string")?),
            ValueType::Array => Value::Array(self.items()?),
        })
    }

    /// An array, walked once so that reading its items later cannot fail.
    fn items(&mut self) -> Result<Array<'a>, GgufError> {
        let at = self.at;
        let items = self.value_type()?;
        let len = self.u64("the length of a metadata array")?;
        let start = *self;
        match items {
            // As ggml: arrays do not nest, so a file cannot make a reader recurse.
            ValueType::Array => return Err(GgufError::ValueTag { tag: items.tag(), at }),
            ValueType::String | ValueType::Bool => {
                for _ in 0..len {
                    self.value(items)?;
                }
            }
            number => {
                let size = number.size().saturating_mul(len);
                self.bytes(size, "a metadata array")?;
            }
        }
        // Every item takes a byte at least, so a length that was walked fits usize.
        Ok(Array::new(items, len as usize, start))
    }
}
