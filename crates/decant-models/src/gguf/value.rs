//! Metadata values and their types.

use std::fmt;

use super::cursor::Cursor;

/// The type of a metadata value, numbered as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the documentation
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    /// In the order of their numbers in the file.
    const ALL: [ValueType; 13] = [
        ValueType::U8,
        ValueType::I8,
        ValueType::U16,
        ValueType::I16,
        ValueType::U32,
        ValueType::I32,
        ValueType::F32,
        ValueType::Bool,
        ValueType::String,
        ValueType::Array,
        ValueType::U64,
        ValueType::I64,
        ValueType::F64,
    ];

    pub(super) fn from_tag(tag: u32) -> Option<Self> {
        Self::ALL.get(tag as usize).copied()
    }

    pub(super) fn tag(self) -> u32 {
        self as u32
    }

    /// Bytes that a value takes; for strings and arrays, that it takes at least.
    pub(super) fn size(self) -> u64 {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::String => 8,
            ValueType::Array => 12,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::String => "string",
            ValueType::Array => "array",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        })
    }
}

/// A metadata value. Numbers are widened without loss.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A `u8`, `u16`, `u32` or `u64`.
    Unsigned(u64),
    /// An `i8`, `i16`, `i32` or `i64`.
    Signed(i64),
    /// An `f32` or `f64`.
    Float(f64),
    /// A `bool`.
    Bool(bool),
    /// A `string`.
    String(&'a str),
    /// An `array` of one type.
    Array(Array<'a>),
}

impl Value<'_> {
    /// The widest type of its kind.
    pub fn value_type(self) -> ValueType {
        match self {
            Value::Unsigned(_) => ValueType::U64,
            Value::Signed(_) => ValueType::I64,
            Value::Float(_) => ValueType::F64,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Array(_) => ValueType::Array,
        }
    }

    /// The whole number, if it is one and not negative.
    pub fn as_unsigned(self) -> Option<u64> {
        match self {
            Value::Unsigned(number) => Some(number),
            Value::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }
}

/// An array of metadata values of one type, read from the file as it is walked.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    items: ValueType,
    len: usize,
    start: Cursor<'a>,
}

impl<'a> Array<'a> {
    /// `start` stands before `len` items that have been walked once.
    pub(super) fn new(items: ValueType, len: usize, start: Cursor<'a>) -> Self {
        Array { items, len, start }
    }

    /// The type of its items.
    pub fn items(&self) -> ValueType {
        self.items
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (mut cursor, items) = (self.start, self.items);
        (0..self.len).map_while(move |_| cursor.value(items).ok())
    }

    /// The strings among the items, in order.
    pub fn strings(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.iter().filter_map(|value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// The whole numbers among the items that are not negative, in order.
    pub fn unsigned(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.iter().filter_map(Value::as_unsigned)
    }

    /// The floating-point numbers among the items, in order.
    pub fn floats(&self) -> impl Iterator<Item = f64> + use<'a> {
        self.iter().filter_map(|value| match value {
            Value::Float(number) => Some(number),
            _ => None,
        })
    }
}
