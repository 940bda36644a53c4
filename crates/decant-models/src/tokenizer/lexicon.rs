//! What a sampler asks of a tokenizer.

use super::Tokenizer;
use decant_sampling::{Lexicon, TokenId};
use std::borrow::Cow;

impl Lexicon for Tokenizer {
    fn vocab(&self) -> usize {
        self.vocab()
    }

    /// The bytes of a token; of a control token its name (`<|im_end|>`), so that it can be spoken of.
    fn bytes(&self, token: TokenId) -> Cow<'_, [u8]> {
        match self.bytes(token) {
            [] => Cow::Owned(self.piece(token).unwrap_or_default().into_bytes()),
            bytes => Cow::Borrowed(bytes),
        }
    }

    fn inside(&self, text: &str) -> Option<Vec<TokenId>> {
        // After a line break, so that no space comes before it; by itself if the two become one token.
        [format!("\n{text}"), text.to_owned()].iter().find_map(|framed| {
            let ids = self.encode(framed, false).ok()?;
            let spells = |start: &usize| ids[*start..].iter().flat_map(|&id| self.bytes(id)).eq(text.as_bytes());
            let start = (0..ids.len()).find(spells)?;
            Some(ids[start..].to_vec())
        })
    }
}
