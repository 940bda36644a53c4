//! Caches of texts that are over, for prompts that begin in the same way.

use decant_decode::{LanguageModel, TokenId};

/// How many tokens must be in common for a kept cache to be worth a fork.
const WORTH: usize = 16;

/// Kept caches, the one longest unused first.
pub(super) struct Kept<C> {
    texts: Vec<(Vec<TokenId>, C)>,
    most: usize,
}

impl<C: Clone> Kept<C> {
    /// Room for so many positions.
    pub fn new(most: usize) -> Self {
        Kept { texts: Vec::new(), most }
    }

    /// How many positions are kept.
    pub fn positions(&self) -> usize {
        self.texts.iter().map(|(tokens, _)| tokens.len()).sum()
    }

    /// Keeps a cache that holds these tokens, at the cost of those longest unused.
    pub fn keep(&mut self, tokens: Vec<TokenId>, cache: C) {
        if tokens.len() < WORTH || tokens.len() > self.most {
            return;
        }
        // What begins the same text is of no further use.
        self.texts.retain(|(kept, _)| !tokens.starts_with(kept));
        self.texts.push((tokens, cache));
        while self.positions() > self.most {
            self.texts.remove(0);
        }
    }

    /// Lets go of the one longest unused; says whether there was one.
    pub fn let_go(&mut self) -> bool {
        let any = !self.texts.is_empty();
        self.texts.drain(..usize::from(any));
        any
    }

    /// A fork of what is kept of the longest beginning of a prompt, without its last token, which must be fed for a row.
    pub fn find<M: LanguageModel<Cache = C>>(&mut self, prompt: &[TokenId], model: &M) -> Option<C> {
        let common = |tokens: &[TokenId]| tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let lengths = self.texts.iter().map(|(tokens, _)| common(tokens).min(prompt.len() - 1)).enumerate();
        let (place, length) = lengths.max_by_key(|(_, length)| *length).filter(|(_, length)| *length >= WORTH)?;
        let found = self.texts.remove(place);
        let mut cache = found.1.clone();
        model.rewind(&mut cache, length);
        self.texts.push(found);
        Some(cache)
    }
}
