//! The tokenizer that a GGUF file carries in its metadata.

use decant_sampling::TokenId;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

use super::pieces::{Pieces, byte_level, byte_token, spm};
use super::pre::Pre;
use super::{Encoder, Specials, Spm, Tokenizer, TokenizerError};
use crate::LoadError;
use crate::gguf::{Gguf, GgufError, ValueType};

/// Control tokens that end a generation whether or not the metadata names them; llama.cpp's list.
const ENDS: [&str; 7] =
    ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>"];

/// What a token is for: `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    /// Stands for what the vocabulary cannot spell.
    Unknown,
    /// Adds no text.
    Control,
    /// Never split, never joined.
    UserDefined,
    /// Stands for one byte.
    Byte,
    Unused,
}

impl Kind {
    fn from_number(number: Option<u64>) -> Self {
        match number {
            Some(1) => Kind::Normal,
            Some(2) => Kind::Unknown,
            Some(3) => Kind::Control,
            Some(4) => Kind::UserDefined,
            Some(6) => Kind::Byte,
            _ => Kind::Unused,
        }
    }

    /// Whether it is recognised in a text as it stands.
    fn is_whole(self) -> bool {
        matches!(self, Kind::Unknown | Kind::Control | Kind::UserDefined)
    }
}

impl Tokenizer {
    /// The tokenizer of a GGUF file: a byte-level BPE (`gpt2`) or SentencePiece's BPE with byte fallback (`llama`).
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] or [`LoadError::Gguf`] if the metadata describe none, or one that is not known.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, LoadError> {
        let vocabulary = Vocabulary::read(gguf)?;
        match vocabulary.text("tokenizer.ggml.model")? {
            "gpt2" => vocabulary.byte_level_bpe(),
            "llama" => vocabulary.spm(),
            other => Err(TokenizerError::Kind { found: other.to_owned() }.into()),
        }
    }
}

/// The metadata that every kind of vocabulary has.
struct Vocabulary<'g, 'a> {
    gguf: &'g Gguf<'a>,
    tokens: Vec<&'a str>,
    kinds: Vec<Kind>,
}

impl<'g, 'a> Vocabulary<'g, 'a> {
    fn read(gguf: &'g Gguf<'a>) -> Result<Self, LoadError> {
        const TYPES: &str = "tokenizer.ggml.token_type";
        let tokens = gguf.array("tokenizer.ggml.tokens", ValueType::String)?;
        let tokens: Vec<&str> = tokens.ok_or_else(|| missing("tokenizer.ggml.tokens"))?.strings().collect();
        let kinds = match gguf.array(TYPES, ValueType::I32)? {
            Some(types) => types.iter().map(|number| Kind::from_number(number.as_unsigned())).collect(),
            None => vec![Kind::Normal; tokens.len()],
        };
        check_length(TYPES, kinds.len(), tokens.len())?;
        Ok(Vocabulary { gguf, tokens, kinds })
    }

    fn text(&self, key: &str) -> Result<&'a str, LoadError> {
        self.gguf.text(key)?.ok_or_else(|| missing(key))
    }

    fn byte_level_bpe(&self) -> Result<Tokenizer, LoadError> {
        let pre = Pre::named(self.gguf.text("tokenizer.ggml.pre")?.unwrap_or("default"))?;
        let mut pieces = Pieces::new(false);
        for (token, kind) in self.tokens.iter().zip(&self.kinds) {
            pieces.push(match kind {
                Kind::Normal => byte_level(token),
                Kind::UserDefined => token.as_bytes().to_vec(),
                _ => Vec::new(),
            });
        }
        let encoder = self.bpe(pre)?;
        let specials = self.specials(pre.adds_bos, None, None)?;
        Ok(Tokenizer { encoder: Encoder::HuggingFace(Box::new(encoder)), pieces, specials })
    }

    fn bpe(&self, pre: &Pre) -> Result<tokenizers::Tokenizer, LoadError> {
        let made = |error: tokenizers::Error| TokenizerError::Invalid { reason: error.to_string() };
        let vocab: Vocab = (0..).zip(&self.tokens).map(|(id, &token)| (token.to_owned(), id)).collect();
        let merges = self.merges(&vocab)?;
        let bpe = BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(pre.ignore_merges).build();
        let mut tokenizer = tokenizers::Tokenizer::new(bpe.map_err(made)?);
        tokenizer.with_normalizer(pre.normalizer()).map_err(made)?;
        tokenizer.with_pre_tokenizer(Some(pre.pre_tokenizer().map_err(made)?));
        let whole = self
            .whole()
            .map(|(id, kind)| AddedToken::from(self.tokens[id as usize], kind != Kind::UserDefined).normalized(false));
        tokenizer.add_tokens(whole.collect::<Vec<_>>()).map_err(made)?;
        Ok(tokenizer)
    }

    /// The merges in falling rank, checked: the builder of the BPE trusts them.
    fn merges(&self, vocab: &Vocab) -> Result<Merges, LoadError> {
        let merges = self.gguf.array("tokenizer.ggml.merges", ValueType::String)?;
        let merges = merges.ok_or_else(|| missing("tokenizer.ggml.merges"))?;
        let mut joint = String::new();
        let mut split = |merge: &str| {
            // A token may begin with a space, so the first character never parts two.
            let (space, _) = merge.char_indices().skip(1).find(|&(_, char)| char == ' ')?;
            let (left, right) = (&merge[..space], &merge[space + 1..]);
            joint.clear();
            joint.extend([left, right]);
            let known = [left, right, &joint].into_iter().all(|token| vocab.contains_key(token));
            known.then(|| (left.to_owned(), right.to_owned()))
        };
        let pairs = merges.strings().enumerate().map(|(index, merge)| {
            split(merge).ok_or_else(|| TokenizerError::Merge { index, merge: merge.to_owned() }.into())
        });
        pairs.collect()
    }

    fn spm(&self) -> Result<Tokenizer, LoadError> {
        const SCORES: &str = "tokenizer.ggml.scores";
        let vocab = self.tokens.len();
        let scores = self.gguf.array(SCORES, ValueType::F32)?.ok_or_else(|| missing(SCORES))?;
        let scores: Vec<f32> = scores.floats().map(|score| score as f32).collect();
        check_length(SCORES, scores.len(), vocab)?;
        let adds_space = self.gguf.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        let unknown = self.id("unknown", Some(0))?.unwrap_or(0);
        if unknown as usize >= vocab {
            return Err(TokenizerError::NoUnknown { id: unknown, vocab }.into());
        }
        let mut pieces = Pieces::new(adds_space);
        for (token, kind) in self.tokens.iter().zip(&self.kinds) {
            pieces.push(match kind {
                Kind::Normal => spm(token),
                Kind::UserDefined => token.as_bytes().to_vec(),
                Kind::Byte => byte_token(token).into_iter().collect(),
                _ => Vec::new(),
            });
        }
        let tokens = self.tokens.iter().map(|&token| token.to_owned()).collect();
        let whole = self.whole().map(|(id, _)| id).filter(|&id| !self.tokens[id as usize].is_empty()).collect();
        let spm = Spm::new(tokens, scores, whole, unknown, adds_space)
            .map_err(|error| TokenizerError::Invalid { reason: error.to_string() })?;
        let specials = self.specials(true, Some(1), Some(2))?;
        Ok(Tokenizer { encoder: Encoder::Spm(Box::new(spm)), pieces, specials })
    }

    /// The tokens that are recognised in a text as they stand.
    fn whole(&self) -> impl Iterator<Item = (TokenId, Kind)> {
        (0..).zip(self.kinds.iter().copied()).filter(|(_, kind)| kind.is_whole())
    }

    /// Special tokens; the defaults are those of the kind of vocabulary.
    fn specials(&self, adds_bos: bool, bos: Option<TokenId>, eos: Option<TokenId>) -> Result<Specials, LoadError> {
        let (bos, eos) = (self.id("bos", bos)?, self.id("eos", eos)?);
        let framing = |name: &str, default: bool, id: Option<TokenId>| {
            let adds = self.gguf.flag(&format!("tokenizer.ggml.add_{name}_token"))?.unwrap_or(default);
            match (adds, id) {
                (false, _) => Ok(Vec::new()),
                (true, Some(id)) => Ok(vec![id]),
                (true, None) => Err(LoadError::from(TokenizerError::NoSpecialId { key: key(name) })),
            }
        };
        let controls = self.whole().filter(|&(_, kind)| kind == Kind::Control);
        let known_ends = controls.map(|(id, _)| id).filter(|&id| ENDS.contains(&self.tokens[id as usize]));
        let mut ends: Vec<TokenId> = known_ends.chain(eos).collect();
        ends.extend(self.id("eot", None)?);
        ends.extend(self.id("eom", None)?);
        ends.sort_unstable();
        ends.dedup();
        Ok(Specials { bos, ends, before: framing("bos", adds_bos, bos)?, after: framing("eos", false, eos)? })
    }

    /// `tokenizer.ggml.{name}_token_id`, or else the default if the vocabulary has it.
    fn id(&self, name: &str, default: Option<TokenId>) -> Result<Option<TokenId>, LoadError> {
        let (key, vocab) = (key(name), self.tokens.len());
        match self.gguf.unsigned(&key)? {
            Some(id) if id < vocab as u64 => Ok(Some(id as TokenId)),
            Some(id) => Err(TokenizerError::SpecialId { key, id, vocab }.into()),
            None => Ok(default.filter(|&id| (id as usize) < vocab)),
        }
    }
}

fn key(name: &str) -> String {
    format!("tokenizer.ggml.{name}_token_id")
}

fn missing(key: &str) -> LoadError {
    GgufError::Missing { key: key.to_owned() }.into()
}

fn check_length(key: &'static str, found: usize, vocab: usize) -> Result<(), TokenizerError> {
    if found == vocab { Ok(()) } else { Err(TokenizerError::Length { key, found, vocab }) }
}
