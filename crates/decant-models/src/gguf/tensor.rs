//! The table of tensors: names, shapes, types and places.

use std::fmt;

use super::GgufError;
use super::cursor::Cursor;

/// What a file may say of one tensor at most.
const MAX_DIMENSIONS: usize = 4;

/// How a tensor's numbers are stored, by ggml's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType(pub u32);

/// The types that stand in files, as ggml's `ggml.h` numbers them: number, name, numbers in a block, bytes of a block.
const TYPES: [(u32, &str, u64, u64); 32] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

impl TensorType {
    /// Plain f32.
    pub const F32: TensorType = TensorType(0);
    /// IEEE half precision.
    pub const F16: TensorType = TensorType(1);
    /// Blocks of 32 numbers: an f16 scale and 32 signed bytes.
    pub const Q8_0: TensorType = TensorType(8);
    /// The upper half of an f32.
    pub const BF16: TensorType = TensorType(30);

    /// (numbers, bytes) of a block, if the type is known.
    pub fn block(self) -> Option<(u64, u64)> {
        self.row().map(|&(.., numbers, bytes)| (numbers, bytes))
    }

    /// ggml's name for it, if the type is known.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.1)
    }

    /// The type that ggml gives this name.
    pub fn named(name: &str) -> Option<Self> {
        TYPES.iter().find(|row| row.1 == name).map(|row| TensorType(row.0))
    }

    fn row(self) -> Option<&'static (u32, &'static str, u64, u64)> {
        TYPES.iter().find(|row| row.0 == self.0)
    }

    pub(super) fn known() -> String {
        TYPES.map(|row| row.1).join(", ")
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "number {}", self.0),
        }
    }
}

/// What the file's table says of one tensor.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its numbers are stored.
    pub tensor_type: TensorType,
    /// Where its data begins, in bytes from the start of the tensor data.
    pub offset: u64,
    dimensions: [u64; MAX_DIMENSIONS],
    rank: usize,
}

impl<'a> TensorInfo<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, GgufError> {
        let name = cursor.string("a tensor's name")?;
        let rank = cursor.u32("the number of a tensor's dimensions")?;
        let mut dimensions = [1; MAX_DIMENSIONS];
        let Some(said) = dimensions.get_mut(..rank as usize) else {
            return Err(GgufError::Dimensions { tensor: name.into(), dimensions: rank, limit: MAX_DIMENSIONS });
        };
        for dimension in said {
            *dimension = cursor.u64("a tensor's dimension")?;
        }
        let tensor_type = TensorType(cursor.u32("a tensor's type")?);
        let offset = cursor.u64("a tensor's offset")?;
        Ok(TensorInfo { name, tensor_type, offset, dimensions, rank: rank as usize })
    }

    /// Its dimensions as ggml has them, the fastest first: a matrix of r rows and c columns says [c, r].
    pub fn dimensions(&self) -> &[u64] {
        &self.dimensions[..self.rank]
    }

    /// Checks all that can be checked without knowing the type, and with it the rest.
    pub(super) fn check(&self, alignment: u64, data_len: u64) -> Result<(), GgufError> {
        let (tensor, offset) = (|| self.name.to_owned(), self.offset);
        if !offset.is_multiple_of(alignment) {
            return Err(GgufError::Misaligned { tensor: tensor(), offset, alignment });
        }
        let size = match self.size() {
            Err(GgufError::UnknownType { .. }) => 0,
            size => size?,
        };
        match offset.checked_add(size) {
            Some(end) if end <= data_len => Ok(()),
            _ => Err(GgufError::OutOfFile { tensor: tensor(), offset, size, limit: data_len }),
        }
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> Result<u64, GgufError> {
        let Some((numbers, bytes)) = self.tensor_type.block() else {
            return Err(GgufError::UnknownType { tensor: self.name.into(), tensor_type: self.tensor_type });
        };
        if !self.dimensions[0].is_multiple_of(numbers) {
            return Err(self.misshapen("a row is not a whole number of blocks"));
        }
        let elements = self.dimensions.iter().try_fold(1u64, |product, &dimension| product.checked_mul(dimension));
        elements
            .and_then(|elements| (elements / numbers).checked_mul(bytes))
            .ok_or_else(|| self.misshapen("its size overflows 64 bits"))
    }

    fn misshapen(&self, reason: &'static str) -> GgufError {
        let (shape, tensor_type) = (self.dimensions().to_vec(), self.tensor_type);
        GgufError::Shape { tensor: self.name.into(), shape, tensor_type, reason }
    }
}
