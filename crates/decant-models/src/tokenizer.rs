//! Text to token ids and back: from a `tokenizer.json`, or from the vocabulary that a GGUF file carries.

mod error;
mod gguf;
mod hugging_face;
mod lexicon;
mod pieces;
mod pre;
mod spm;

use decant_sampling::TokenId;

pub use error::TokenizerError;
pub use hugging_face::Hints;
use pieces::Pieces;
use spm::Spm;

/// A vocabulary and the rules to split text into its tokens.
#[derive(Debug)]
pub struct Tokenizer {
    encoder: Encoder,
    pieces: Pieces,
    specials: Specials,
}

/// The algorithm that splits text.
#[derive(Debug)]
enum Encoder {
    /// Whatever a `tokenizer.json` says, or a byte-level BPE built from a GGUF file.
    HuggingFace(Box<tokenizers::Tokenizer>),
    /// SentencePiece's BPE with scores, as llama.cpp runs it.
    Spm(Box<Spm>),
}

/// The tokens that frame a text.
#[derive(Clone, Debug, Default)]
struct Specials {
    bos: Option<TokenId>,
    /// Ascending.
    ends: Vec<TokenId>,
    /// What encoding puts before and after a text when it adds special tokens. The post-processor of a `tokenizer.json` is
    /// asked for them once, so that there is one way of adding them.
    before: Vec<TokenId>,
    after: Vec<TokenId>,
}

impl Tokenizer {
    /// Splits `text` into tokens. Control tokens written out in the text (`<|im_end|>`) are recognised, as the Hugging Face
    /// tokenizers and chat templates want it. `add_special` puts BOS and the like around it where the tokenizer says so;
    /// a rendered chat template brings its own.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the tokenizer's own rules fail on the text.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TokenizerError> {
        let mut ids = match &self.encoder {
            Encoder::HuggingFace(tokenizer) => {
                let encoding = tokenizer.encode_fast(text, false);
                encoding.map_err(|error| TokenizerError::Encode { reason: error.to_string() })?.get_ids().to_vec()
            }
            Encoder::Spm(spm) => spm.encode(text),
        };
        if add_special {
            ids.splice(0..0, self.specials.before.iter().copied());
            ids.extend(&self.specials.after);
        }
        Ok(ids)
    }

    /// The tokens of a prompt, at least one: as [`encode`](Self::encode) has them, and BOS alone for an empty text.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); [`TokenizerError::Empty`] where an empty text has no BOS to start from.
    pub fn encode_prompt(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TokenizerError> {
        match text.is_empty() {
            true => self.bos().map(|bos| vec![bos]).ok_or(TokenizerError::Empty),
            false => self.encode(text, add_special),
        }
    }

    /// The bytes that a token adds to a text, whatever stands before it: nothing for control tokens and ids outside the
    /// vocabulary, perhaps a part of a character for others.
    pub fn bytes(&self, id: TokenId) -> &[u8] {
        self.pieces.bytes(id)
    }

    /// The bytes that a token adds at the very start of a text: [`bytes`](Self::bytes) without the space that a
    /// SentencePiece tokenizer puts before every text.
    pub fn first_bytes(&self, id: TokenId) -> &[u8] {
        let bytes = self.bytes(id);
        match bytes {
            [b' ', rest @ ..] if self.pieces.strips_space() => rest,
            _ => bytes,
        }
    }

    /// The text of a sequence of tokens. What is no UTF-8 becomes U+FFFD.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        let mut speaking = ids.iter().skip_while(|&&id| self.bytes(id).is_empty());
        let mut text = speaking.next().map_or(Vec::new(), |&first| self.first_bytes(first).to_vec());
        text.extend(speaking.flat_map(|&id| self.bytes(id)));
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The token as the vocabulary spells it (`Ġthe`, `▁the`, `<|im_end|>`), if there is one of that id.
    pub fn piece(&self, id: TokenId) -> Option<String> {
        match &self.encoder {
            Encoder::HuggingFace(tokenizer) => tokenizer.id_to_token(id),
            Encoder::Spm(spm) => spm.piece(id).map(str::to_owned),
        }
    }

    /// One more than the highest id.
    pub fn vocab(&self) -> usize {
        self.pieces.len()
    }

    /// The token that begins a text, if there is one.
    pub fn bos(&self) -> Option<TokenId> {
        self.specials.bos
    }

    /// Whether the tokenizer itself puts [`bos`](Self::bos) before a text.
    pub fn adds_bos(&self) -> bool {
        self.bos().is_some_and(|bos| self.specials.before.contains(&bos))
    }

    /// All tokens that end a generation: end of text, of a turn, of a message. Ascending.
    pub fn ends(&self) -> &[TokenId] {
        &self.specials.ends
    }
}
