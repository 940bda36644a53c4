//! Rows of f32 or f16 in NumPy's NPY format, read and written one by one.
//!
//! Source: numpy/lib/format.py: magic, version, the header's length, a Python dict, padding, the numbers.

use decant_sampling::{Row, f16};
use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Why a file is not rows of logits.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it does not begin with NPY's magic bytes")]
    Magic,
    #[error("NPY version {major} is unknown (known: 1, 2, 3)")]
    Version { major: u8 },
    #[error("its header is broken: {0}")]
    Header(&'static str),
    #[error("its dtype is {0}, expected '<f4' or '<f2' (float32 or float16, little-endian)")]
    Dtype(String),
    #[error("it is in Fortran order, expected row after row (np.ascontiguousarray)")]
    FortranOrder,
    #[error("its shape is {0:?}, expected [V] or [N, V]")]
    Shape(Vec<usize>),
    #[error("it ends in row {row} of {rows}")]
    Truncated { row: usize, rows: usize },
}

/// One row, in the type of its file.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

impl<'a> From<&'a Numbers> for Row<'a> {
    fn from(numbers: &'a Numbers) -> Self {
        match numbers {
            Numbers::F32(row) => row.into(),
            Numbers::F16(row) => row.into(),
        }
    }
}

/// Rows, shape `[rows, width]`, read from anywhere.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    rows: usize,
    width: usize,
    read: usize,
    /// Whether the numbers are f16.
    half: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header. A file of shape `[V]` is one row.
    pub fn new(mut input: R) -> Result<Self, NpyError> {
        let header = read_header(&mut input)?;
        let Header { descr, fortran_order, shape } = Header::parse(&header)?;
        let half = match descr.as_str() {
            "<f4" => false,
            "<f2" => true,
            _ => return Err(NpyError::Dtype(format!("'{descr}'"))),
        };
        let (rows, width) = match shape[..] {
            [width] => (1, width),
            [rows, width] => (rows, width),
            _ => return Err(NpyError::Shape(shape)),
        };
        if fortran_order && rows > 1 && width > 1 {
            return Err(NpyError::FortranOrder);
        }
        Ok(Reader { input, rows, width, read: 0, half })
    }

    /// Numbers a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The next row, `None` after the last.
    pub fn next_row(&mut self) -> Result<Option<Numbers>, NpyError> {
        if self.read == self.rows {
            return Ok(None);
        }
        let truncated = NpyError::Truncated { row: self.read, rows: self.rows };
        // The width is only a claim: `take` and `read_to_end` allocate no more than what is really there.
        let Some(bytes) = self.width.checked_mul(if self.half { 2 } else { 4 }) else { return Err(truncated) };
        let mut row = Vec::new();
        (&mut self.input).take(bytes as u64).read_to_end(&mut row)?;
        if row.len() < bytes {
            return Err(truncated);
        }
        self.read += 1;
        Ok(Some(match self.half {
            false => Numbers::F32(row.as_chunks().0.iter().map(|le| f32::from_le_bytes(*le)).collect()),
            true => Numbers::F16(row.as_chunks().0.iter().map(|le| f16::from_le_bytes(*le)).collect()),
        }))
    }
}

/// The header's text, whatever the version.
fn read_header(input: &mut impl Read) -> Result<String, NpyError> {
    let mut start = [0; 8];
    input.read_exact(&mut start).map_err(|_| NpyError::Magic)?;
    let [magic @ .., major, _minor] = start;
    if &magic != MAGIC {
        return Err(NpyError::Magic);
    }
    let mut len = [0; 4];
    let len_bytes = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(NpyError::Version { major }),
    };
    input.read_exact(&mut len[..len_bytes]).map_err(|_| NpyError::Header("it has no length"))?;
    let len = u32::from_le_bytes(len);
    let mut header = Vec::new();
    input.take(len.into()).read_to_end(&mut header)?;
    if header.len() < len as usize {
        return Err(NpyError::Header("it is cut off"));
    }
    String::from_utf8(header).map_err(|_| NpyError::Header("it is not text"))
}

/// What the header says.
#[derive(Debug, Default, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses a Python dict of just these three keys, in any order.
    fn parse(text: &str) -> Result<Self, NpyError> {
        let bad = NpyError::Header;
        let mut rest = text.trim().strip_prefix('{').ok_or(bad("it is no dict"))?.trim_start();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.starts_with('}') {
            let (key, after) = quoted(rest).ok_or(bad("a key is not in quotes"))?;
            let value = after.trim_start().strip_prefix(':').ok_or(bad("a key has no value"))?.trim_start();
            rest = match key {
                "descr" => {
                    let Some((name, after)) = quoted(value) else {
                        return Err(NpyError::Dtype("a record".to_owned()));
                    };
                    descr = Some(name.to_owned());
                    after
                }
                "fortran_order" => {
                    let (flag, after) = boolean(value).ok_or(bad("fortran_order is neither True nor False"))?;
                    fortran_order = Some(flag);
                    after
                }
                "shape" => {
                    let (sizes, after) = tuple(value).ok_or(bad("shape is no tuple of sizes"))?;
                    shape = Some(sizes);
                    after
                }
                _ => return Err(bad("it has an unknown key")),
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        Ok(Header {
            descr: descr.ok_or(bad("it lacks descr"))?,
            fortran_order: fortran_order.ok_or(bad("it lacks fortran_order"))?,
            shape: shape.ok_or(bad("it lacks shape"))?,
        })
    }
}

/// A Python string without escapes, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    text[1..].split_once(quote)
}

/// A Python bool, and what follows.
fn boolean(text: &str) -> Option<(bool, &str)> {
    let literal = |name, value| text.strip_prefix(name).map(|rest| (value, rest));
    literal("True", true).or_else(|| literal("False", false))
}

/// A Python tuple of sizes, and what follows.
fn tuple(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inside, rest) = text.strip_prefix('(')?.split_once(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    Some((sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?, rest))
}

/// Begins a file of `rows` rows of `width` numbers; the rows follow by [`write_rows`].
pub fn write_header(out: &mut impl Write, rows: usize, width: usize) -> io::Result<()> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // The numbers begin at a multiple of 64; 10 bytes and a newline stand around the text.
    let padded = (header.len() + 11).next_multiple_of(64) - 11;
    header = format!("{header:padded$}\n");
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())
}

/// Writes numbers, row after row.
pub fn write_rows(out: &mut impl Write, rows: &[f32]) -> io::Result<()> {
    rows.iter().try_for_each(|number| out.write_all(&number.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(version: u8, header: &str, numbers: &[f32]) -> Vec<u8> {
        let mut file = [MAGIC.as_slice(), &[version, 0]].concat();
        let len = (header.len() as u32).to_le_bytes();
        file.extend(if version == 1 { &len[..2] } else { &len });
        file.extend(header.as_bytes());
        write_rows(&mut file, numbers).unwrap();
        file
    }

    fn read(file: &[u8]) -> Result<Vec<Numbers>, NpyError> {
        let mut reader = Reader::new(file)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
        Ok(rows)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in 0usize..4, width in 1usize..5) {
            let numbers: Vec<f32> = (0..rows * width).map(|n| n as f32).collect();
            let mut file = Vec::new();
            write_header(&mut file, rows, width).unwrap();
            prop_assert_eq!(file.len() % 64, 0);
            write_rows(&mut file, &numbers).unwrap();
            let expected: Vec<Numbers> = numbers.chunks(width).map(|row| Numbers::F32(row.to_vec())).collect();
            prop_assert_eq!(read(&file).unwrap(), expected);
        }

        #[test]
        fn no_file_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), header in "[{}'a-z():, 0-9<>]{0,60}") {
            let _ = read(&bytes);
            let _ = read(&file(2, &header, &[1.0]));
            bytes.splice(0..0, [MAGIC.as_slice(), &[1, 0]].concat());
            let _ = read(&bytes);
        }
    }

    #[test]
    fn every_version_and_spelling() {
        let spellings = [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }          \n",
            "{\"shape\": (1, 2), \"fortran_order\": False, \"descr\": \"<f4\"}",
            "{'descr':'<f4','fortran_order':True,'shape':(1,2)}",
        ];
        for header in spellings {
            for version in 1..=3 {
                assert_eq!(
                    read(&file(version, header, &[1.5, -2.0])).unwrap(),
                    [Numbers::F32(vec![1.5, -2.0])],
                    "{header}"
                );
            }
        }
    }

    #[test]
    fn half_precision() {
        let header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }";
        // A binary32 of these bits is two binary16: 1.5 is 0x3e00, -inf 0xfc00.
        let file = file(1, header, &[f32::from_bits(0xfc00_3e00), f32::from_bits(0x3e00_3e00)]);
        let half = |row: [f32; 2]| Numbers::F16(row.map(f16::from_f32).to_vec());
        assert_eq!(read(&file).unwrap(), [half([1.5, f32::NEG_INFINITY]), half([1.5, 1.5])]);
        assert_eq!(read(&file[..file.len() - 1]).unwrap_err().to_string(), "it ends in row 1 of 2");
    }

    #[test]
    fn each_fault_is_named() {
        let error = |descr: &str, order: &str, shape: &str| {
            let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
            read(&file(1, &header, &[0.0; 4])).unwrap_err().to_string()
        };
        assert_eq!(
            error("'<f8'", "False", "(4,)"),
            "its dtype is '<f8', expected '<f4' or '<f2' (float32 or float16, little-endian)"
        );
        assert!(error("[('a', '<f4')]", "False", "(4,)").starts_with("its dtype is a record"));
        assert!(error("'<f4'", "True", "(2, 2)").starts_with("it is in Fortran order"));
        assert_eq!(error("'<f4'", "False", "(1, 2, 2)"), "its shape is [1, 2, 2], expected [V] or [N, V]");
        assert_eq!(error("'<f4'", "False", "()"), "its shape is [], expected [V] or [N, V]");
        assert_eq!(error("'<f4'", "False", "(3, 3)"), "it ends in row 1 of 3");
        assert_eq!(
            error("'<f4'", "False", "(9, 99999999999999999999)"),
            "its header is broken: shape is no tuple of sizes"
        );
        assert_eq!(error("'<f4'", "False", "(1, 9223372036854775807)"), "it ends in row 0 of 1");
        assert_eq!(error("'<f4'", "Maybe", "(4,)"), "its header is broken: fortran_order is neither True nor False");
        assert_eq!(read(b"PK\x03\x04 a zip").unwrap_err().to_string(), "it does not begin with NPY's magic bytes");
        assert_eq!(read(&file(9, "", &[])).unwrap_err().to_string(), "NPY version 9 is unknown (known: 1, 2, 3)");
        let cut = &file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", &[])[..30];
        assert_eq!(read(cut).unwrap_err().to_string(), "its header is broken: it is cut off");
        assert_eq!(
            read(&file(1, "{'descr': '<f4'}", &[])).unwrap_err().to_string(),
            "its header is broken: it lacks fortran_order"
        );
    }
}
