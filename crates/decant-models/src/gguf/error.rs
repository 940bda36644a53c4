//! What can be wrong with a GGUF file.

use super::{TensorType, ValueType};

/// Why a GGUF file cannot be read. Offsets are in bytes from the start of the file unless a field says otherwise.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file does not begin with `GGUF`.
    #[error("this is no GGUF file: it begins with `{found}`, not `GGUF`")]
    Magic {
        /// Its first four bytes, escaped.
        found: String,
    },
    /// A version of the format that is not read.
    #[error("GGUF version {version} is not read, only versions 2 and 3")]
    Version {
        /// What the file says.
        version: u32,
    },
    /// Written for a big-endian machine.
    #[error("this is a big-endian GGUF file (version {version}); only little-endian files are read")]
    BigEndian {
        /// Its version, bytes swapped.
        version: u32,
    },
    /// The file ends before something that it promises, or says an impossible length.
    #[error("{what} at byte {at} needs {needed} bytes, but the file has only {left} more")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// How many bytes it takes.
        needed: u64,
        /// How many there are.
        left: usize,
    },
    /// A string that is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    Utf8 {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// A number that stands for no type of metadata, or an array of arrays.
    #[error("metadata value type {tag} at byte {at} is unknown or cannot stand there")]
    ValueTag {
        /// The number.
        tag: u32,
        /// Where.
        at: usize,
    },
    /// A bool that is neither 0 nor 1.
    #[error("the bool at byte {at} is {found}, not 0 or 1")]
    Bool {
        /// What it is.
        found: u8,
        /// Where.
        at: usize,
    },
    /// A key or a tensor that stands twice.
    #[error("{what} `{name}` stands twice, the second time at byte {at}")]
    Duplicate {
        /// Key or tensor.
        what: &'static str,
        /// Its name.
        name: String,
        /// Where the second one begins.
        at: usize,
    },
    /// A metadata key that must be there is not.
    #[error("the metadata key `{key}` is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A metadata value of another type than its key has.
    #[error("the metadata value of `{key}` is {found}, where {wanted} must stand")]
    ValueType {
        /// The key.
        key: String,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: ValueType,
    },
    /// An array of other items than its key has.
    #[error("the metadata array `{key}` holds {found}, where {wanted} must stand")]
    ItemType {
        /// The key.
        key: String,
        /// What its items must be.
        wanted: ValueType,
        /// What they are.
        found: ValueType,
    },
    /// `general.alignment` is no alignment.
    #[error("general.alignment is {alignment}; it must be a power of two, at most 2^31")]
    Alignment {
        /// What the file says.
        alignment: u64,
    },
    /// More dimensions than a tensor may have.
    #[error("the tensor `{tensor}` has {dimensions} dimensions; at most {limit} are allowed")]
    Dimensions {
        /// Its name.
        tensor: String,
        /// How many the file says.
        dimensions: u32,
        /// How many there may be.
        limit: usize,
    },
    /// Dimensions that no memory holds, or rows that are not whole blocks.
    #[error("the tensor `{tensor}` cannot have the shape {shape:?} in {tensor_type}: {reason}")]
    Shape {
        /// Its name.
        tensor: String,
        /// Its dimensions, the fastest first.
        shape: Vec<u64>,
        /// Its type.
        tensor_type: TensorType,
        /// Why not.
        reason: &'static str,
    },
    /// A tensor that does not begin at a multiple of the alignment.
    #[error("the tensor `{tensor}` begins at byte {offset} of the data, which is not a multiple of {alignment}")]
    Misaligned {
        /// Its name.
        tensor: String,
        /// Where it begins, from the start of the tensor data.
        offset: u64,
        /// What that must be a multiple of.
        alignment: u64,
    },
    /// A tensor that reaches beyond the end of the file.
    #[error(
        "the tensor `{tensor}` takes {size} bytes from byte {offset} of the data, which is only {limit} bytes long"
    )]
    OutOfFile {
        /// Its name.
        tensor: String,
        /// Where it begins, from the start of the tensor data.
        offset: u64,
        /// How long it is.
        size: u64,
        /// How long the data is.
        limit: u64,
    },
    /// The data of a tensor was asked for whose type is not known.
    #[error("the tensor `{tensor}` is of type {tensor_type}; known are {}", TensorType::known())]
    UnknownType {
        /// Its name.
        tensor: String,
        /// Its type.
        tensor_type: TensorType,
    },
}
