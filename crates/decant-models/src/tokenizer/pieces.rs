//! What each token adds to a text, in bytes.

use std::sync::LazyLock;

use decant_sampling::TokenId;

/// The space of SentencePiece vocabularies.
pub(super) const SPM_SPACE: &str = "\u{2581}";

/// The bytes of all tokens, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<usize>,
    strips_space: bool,
}

impl Pieces {
    /// No tokens yet, of a tokenizer that puts a space before a text, or does not.
    pub(super) fn new(strips_space: bool) -> Self {
        Pieces { strips_space, ..Pieces::default() }
    }

    /// Adds the next token's bytes.
    pub(super) fn push(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn strips_space(&self) -> bool {
        self.strips_space
    }

    pub(super) fn bytes(&self, id: TokenId) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }
}

/// The byte that each of the first characters stands for in a byte-level vocabulary: GPT-2's table, in which printable
/// characters of Latin-1 stand for themselves and the characters from U+0100 on for the other bytes, in order.
static BYTE_OF_CHAR: LazyLock<[Option<u8>; 0x144]> = LazyLock::new(|| {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut table = [None; 0x144];
    for byte in (0..=255).filter(printable) {
        table[usize::from(byte)] = Some(byte);
    }
    for (entry, byte) in table[0x100..].iter_mut().zip((0..=255).filter(|byte| !printable(byte))) {
        *entry = Some(byte);
    }
    table
});

/// The bytes of a byte-level token; its own UTF-8 if it has a character that stands for no byte.
pub(super) fn byte_level(piece: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = piece.chars().map(|char| *BYTE_OF_CHAR.get(char as usize)?).collect();
    bytes.unwrap_or_else(|| piece.as_bytes().to_vec())
}

/// The bytes of a SentencePiece token.
pub(super) fn spm(piece: &str) -> Vec<u8> {
    piece.replace(SPM_SPACE, " ").into_bytes()
}

/// The byte that a token like `<0x0A>` stands for.
pub(super) fn byte_token(piece: &str) -> Option<u8> {
    let hex = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_byte = hex.len() == 2 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_byte { u8::from_str_radix(hex, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut bytes: Vec<u8> = BYTE_OF_CHAR.iter().flatten().copied().collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(byte_level("ĠtheĊ"), b" the\n");
        assert_eq!(byte_level("é"), [0xe9]);
        assert_eq!(byte_level("漢"), "漢".as_bytes());
    }

    #[test]
    fn byte_tokens_are_two_hexadecimal_digits() {
        assert_eq!(byte_token("<0x0A>"), Some(10));
        assert_eq!(byte_token("<0xff>"), Some(255));
        for other in ["<0x0>", "<0x00A>", "<0xGG>", "0x0A", "<0x+1>", "a"] {
            assert_eq!(byte_token(other), None, "{other}");
        }
    }

    #[test]
    fn an_id_outside_the_vocabulary_has_no_bytes() {
        let mut pieces = Pieces::new(false);
        pieces.push(*b"ab");
        pieces.push(*b"");
        pieces.push(*b"c");
        assert_eq!([0, 1, 2, 3, u32::MAX].map(|id| pieces.bytes(id)), [&b"ab"[..], b"", b"c", b"", b""]);
    }
}
