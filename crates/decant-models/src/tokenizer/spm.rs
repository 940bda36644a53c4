//! SentencePiece's BPE over scores, as llama.cpp's `llm_tokenizer_spm` runs it: of all neighbours whose joint is a token, the
//! pair of the highest score merges first, the leftmost of equals; what is no token in the end is spelt in bytes.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use aho_corasick::AhoCorasick;
use decant_sampling::TokenId;

use super::pieces::{SPM_SPACE, byte_token};

/// A SentencePiece vocabulary, ready to split text.
#[derive(Debug)]
pub(super) struct Spm {
    pieces: Vec<String>,
    ids: HashMap<String, TokenId>,
    scores: Vec<f32>,
    /// The token of every byte; the unknown token where the vocabulary has none.
    bytes: [TokenId; 256],
    /// Tokens that are cut out of the text before anything is merged, the longest of those that begin at one place.
    whole: AhoCorasick,
    whole_ids: Vec<TokenId>,
    adds_space: bool,
}

impl Spm {
    /// `whole` are the tokens that are recognised in the text as they stand; `unknown` stands for bytes without a token.
    /// `scores` has one entry for each of `pieces`.
    pub(super) fn new(
        pieces: Vec<String>,
        scores: Vec<f32>,
        whole: Vec<TokenId>,
        unknown: TokenId,
        adds_space: bool,
    ) -> Result<Self, aho_corasick::BuildError> {
        let mut ids = HashMap::with_capacity(pieces.len());
        let mut bytes = [unknown; 256];
        for (id, piece) in (0..).zip(&pieces) {
            ids.insert(piece.clone(), id);
            if let Some(byte) = byte_token(piece) {
                bytes[usize::from(byte)] = id;
            }
        }
        let texts = whole.iter().map(|&id| &pieces[id as usize]);
        let matcher = AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostLongest).build(texts)?;
        Ok(Spm { pieces, ids, scores, bytes, whole: matcher, whole_ids: whole, adds_space })
    }

    pub(super) fn piece(&self, id: TokenId) -> Option<&str> {
        self.pieces.get(id as usize).map(String::as_str)
    }

    pub(super) fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        let mut done = 0;
        for found in self.whole.find_iter(text) {
            self.encode_words(&text[done..found.start()], &mut ids);
            ids.push(self.whole_ids[found.pattern().as_usize()]);
            done = found.end();
        }
        self.encode_words(&text[done..], &mut ids);
        ids
    }

    /// Splits what stands between two whole tokens, where each such stretch is a text of its own with a space before it.
    fn encode_words(&self, text: &str, ids: &mut Vec<TokenId>) {
        if text.is_empty() {
            return;
        }
        let space = if self.adds_space { SPM_SPACE } else { "" };
        let text = format!("{space}{}", text.replace(' ', SPM_SPACE));
        for symbol in self.merge(&text) {
            match self.ids.get(symbol) {
                Some(&id) => ids.push(id),
                None => ids.extend(symbol.bytes().map(|byte| self.bytes[usize::from(byte)])),
            }
        }
    }

    fn merge<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
        let mut symbols = Symbols::of_chars(text);
        let mut queue = BinaryHeap::new();
        for left in 1..symbols.0.len() {
            queue.extend(self.pair(text, &symbols, left - 1, left));
        }
        while let Some(Pair { left, right, len, .. }) = queue.pop() {
            if !symbols.join(left, right, len) {
                continue; // one of the two has merged elsewhere since
            }
            let Symbol { before, after, .. } = symbols.0[left];
            queue.extend(before.and_then(|before| self.pair(text, &symbols, before, left)));
            queue.extend(after.and_then(|after| self.pair(text, &symbols, left, after)));
        }
        symbols
            .0
            .into_iter()
            .filter(|symbol| symbol.len > 0)
            .map(|symbol| &text[symbol.start..symbol.start + symbol.len])
    }

    /// The two neighbours as a candidate, if their joint is a token.
    fn pair(&self, text: &str, symbols: &Symbols, left: usize, right: usize) -> Option<Pair> {
        let (start, len) = (symbols.0[left].start, symbols.0[left].len + symbols.0[right].len);
        let id = *self.ids.get(&text[start..start + len])?;
        Some(Pair { score: self.scores[id as usize], left, right, len })
    }
}

/// A stretch of text between two others. Merged into its left neighbour it has no length.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    len: usize,
    before: Option<usize>,
    after: Option<usize>,
}

/// A text as a linked list of symbols.
struct Symbols(Vec<Symbol>);

impl Symbols {
    fn of_chars(text: &str) -> Self {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, char))| Symbol {
                start,
                len: char.len_utf8(),
                before: index.checked_sub(1),
                after: Some(index + 1),
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.after = None;
        }
        Symbols(symbols)
    }

    /// Joins two symbols, if together they are still `len` long.
    fn join(&mut self, left: usize, right: usize, len: usize) -> bool {
        let (l, r) = (self.0[left], self.0[right]);
        if l.len == 0 || r.len == 0 || l.len + r.len != len {
            return false;
        }
        self.0[left] = Symbol { len, after: r.after, ..l };
        self.0[right].len = 0;
        if let Some(after) = r.after {
            self.0[after].before = Some(left);
        }
        true
    }
}

/// Two neighbours that may merge; the greatest goes first.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Of both, when they were found.
    len: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pair {}
