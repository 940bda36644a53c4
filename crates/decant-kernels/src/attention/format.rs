//! How keys and values are stored.

use std::fmt;
use std::str::FromStr;

/// How a cache stores keys and values. Each is rounded once, when it is written; what attention then computes, it
/// computes in f32 for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KvFormat {
    /// IEEE binary32: as computed.
    #[default]
    F32,
    /// IEEE binary16: half the memory.
    F16,
    /// Blocks of 32 signed bytes with a scale, as ggml's Q8_0: about a quarter of the memory.
    Q8_0,
}

impl KvFormat {
    /// Every format, the most exact first.
    pub const ALL: [KvFormat; 3] = [KvFormat::F32, KvFormat::F16, KvFormat::Q8_0];
}

impl fmt::Display for KvFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KvFormat::F32 => "f32",
            KvFormat::F16 => "f16",
            KvFormat::Q8_0 => "q8_0",
        })
    }
}

impl FromStr for KvFormat {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        KvFormat::ALL
            .into_iter()
            .find(|format| format.to_string() == s)
            .ok_or_else(|| format!("unknown format of keys and values `{s}` (known: f32, f16, q8_0)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for format in KvFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("q4_0".parse::<KvFormat>().unwrap_err().contains("q4_0"));
    }
}
