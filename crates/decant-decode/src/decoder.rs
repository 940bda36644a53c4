//! Sampling from a model: an immutable machine and a state that is a value.

use crate::{Feed, LanguageModel, ModelError, Rows, Want};
use decant_sampling::{History, Memory, RowError, Sampler, Scratch, Seed, Step, TokenId};
use serde::{Deserialize, Serialize};

/// How many prompt tokens are fed between two reports of progress. The logits do not depend on it.
const PREFILL_CHUNK: usize = 128;

/// Where a text ends at the latest, in tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many tokens to generate at most; the model's context may end a text before.
    pub max_tokens: usize,
    /// The ids by which the model says that the text is over (EOS and its kin).
    pub ends: Vec<TokenId>,
    /// Whether to go on after such an id as after any other.
    pub ignore_eos: bool,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The most tokens allowed were made, or the model's context is full.
    Length,
    /// A stop string appeared.
    Stop,
    /// The model said that the text is over.
    Eos,
}

/// Why decoding could not go on. The state is then as it was before the call, and every step made stays made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No token to start from.
    #[error("the prompt has no tokens, and a model needs at least one to start from")]
    EmptyPrompt,
    /// The prompt has more tokens than the model has positions.
    #[error("the prompt has {prompt} tokens, the model's context only {context}")]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Positions of the model.
        context: usize,
    },
    /// The sampler was made for another vocabulary.
    #[error("the sampler was made for a vocabulary of {sampler}, the model has {model}")]
    Vocabulary {
        /// The sampler's.
        sampler: usize,
        /// The model's.
        model: usize,
    },
    /// The model could not take the tokens.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model gave a row that is not one of logits.
    #[error("at generated token {position}: {source}")]
    Row {
        /// Index of the token to be drawn, from 0.
        position: usize,
        /// What is wrong with the row.
        source: RowError,
    },
}

/// A model, a sampler, limits: everything about decoding that does not change.
///
/// ```
/// # use decant_decode::*;
/// # use decant_sampling::*;
/// # struct Constant;
/// # impl LanguageModel for Constant {
/// #     type Cache = usize;
/// #     fn vocab(&self) -> usize { 3 }
/// #     fn context(&self) -> usize { 64 }
/// #     fn empty(&self) -> usize { 0 }
/// #     fn len(&self, cache: &usize) -> usize { *cache }
/// #     fn rewind(&self, cache: &mut usize, len: usize) { *cache = len.min(*cache) }
/// #     fn feed_all(&self, batch: &mut [Feed<'_, usize>]) -> Result<Vec<Rows>, ModelError> {
/// #         Ok(batch.iter_mut().map(|feed| {
/// #             *feed.cache += feed.tokens.len();
/// #             Rows::new([0.0, 1.0, 2.0].repeat(feed.want.rows(feed.tokens.len())), 3)
/// #         }).collect())
/// #     }
/// # }
/// # let model = Constant;
/// let sampler = Sampler::new(&"temp=1,top_h=0.4".parse()?, model.vocab())?;
/// let limits = Limits { max_tokens: 8, ends: vec![], ignore_eos: false };
/// let decoder = Decoder::new(&model, sampler, limits)?;
///
/// let mut state = decoder.start(&[1, 2], Seed(42), 0)?;
/// while let Some(step) = decoder.step(&mut state)? {
///     println!("{} at {:.2} nats", step.token, step.entropy);
/// }
/// assert_eq!(state.generated().len(), 8);
/// assert_eq!(decoder.finish(&state), Some(Finish::Length));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Decoder<'m, M> {
    pub(crate) model: &'m M,
    pub(crate) sampler: Sampler,
    pub(crate) limits: Limits,
}

/// A text in the making. Cloning forks it: both go on as if the other were not there.
#[derive(Clone, Debug)]
pub struct State<C> {
    pub(crate) cache: C,
    /// Prompt and text so far. The cache holds a prefix of it; what is missing there is fed before the next draw.
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) prompt_len: usize,
    /// How many tokens the text had generated when it was begun here.
    resumed: usize,
    /// The logits after the last token in the cache; empty before the first.
    pub(crate) row: Vec<f32>,
    pub(crate) seed: Seed,
    pub(crate) stream: u32,
    memory: Memory,
    scratch: Scratch,
}

impl<C> State<C> {
    /// The prompt.
    pub fn prompt(&self) -> &[TokenId] {
        &self.tokens[..self.prompt_len]
    }

    /// The tokens after the prompt, an end token included.
    pub fn generated(&self) -> &[TokenId] {
        &self.tokens[self.prompt_len..]
    }

    /// Those of them that were drawn here, not [given](Decoder::resume).
    pub fn drawn(&self) -> &[TokenId] {
        &self.generated()[self.resumed..]
    }

    /// What the model keeps of the tokens fed so far.
    pub fn cache(&self) -> &C {
        &self.cache
    }

    /// The stream of the seed that it is drawn from.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// The model's own row, shape `[vocab]`, that the last token was drawn from; after a prefill, that the next
    /// one will be drawn from.
    pub fn row(&self) -> &[f32] {
        &self.row
    }

    /// The same text, drawn on by another seed: how samples share one prefill.
    #[must_use]
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// The same text, drawn on from another stream of its seed.
    #[must_use]
    pub fn with_stream(mut self, stream: u32) -> Self {
        self.stream = stream;
        self
    }

    /// Takes in the rows that a feed of [`Decoder::next_feed`] brought.
    pub fn fed(&mut self, rows: Rows) {
        if let Some(row) = rows.last() {
            self.row.clear();
            self.row.extend_from_slice(row);
        }
    }

    /// Goes on with another cache, which holds the first tokens of the text, but not all of them: one that was kept, or
    /// an empty one, from which all is fed anew.
    pub fn adopt(&mut self, cache: C) {
        self.cache = cache;
    }

    /// Prompt and text so far.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Goes on with a cache that holds all tokens, and the row after the last of them.
    pub(crate) fn take(&mut self, cache: C, row: Vec<f32>) {
        (self.cache, self.row) = (cache, row);
    }
}

impl<'m, M: LanguageModel> Decoder<'m, M> {
    /// Puts the three together; the sampler must be made for the model's vocabulary.
    pub fn new(model: &'m M, sampler: Sampler, limits: Limits) -> Result<Self, DecodeError> {
        match (sampler.vocab(), model.vocab()) {
            (sampler, model) if sampler != model => Err(DecodeError::Vocabulary { sampler, model }),
            _ => Ok(Decoder { model, sampler, limits }),
        }
    }

    /// A text that begins with `prompt`; its token i is drawn with the coins of position i of the seed's stream,
    /// whatever the length of the prompt. Nothing is fed yet.
    pub fn start(&self, prompt: &[TokenId], seed: Seed, stream: u32) -> Result<State<M::Cache>, DecodeError> {
        self.resume(prompt, &[], seed, stream)
    }

    /// The same of a text that some tokens were generated of elsewhere: they count for positions, limits and stages that
    /// look back, so that it goes on as if it had been drawn here. Only what a stage learns from drawing (`mirostat`,
    /// `adaptive_p`) begins anew. Nothing is fed yet.
    pub fn resume(
        &self,
        prompt: &[TokenId],
        generated: &[TokenId],
        seed: Seed,
        stream: u32,
    ) -> Result<State<M::Cache>, DecodeError> {
        let (tokens, context) = ([prompt, generated].concat(), self.model.context());
        if prompt.is_empty() {
            return Err(DecodeError::EmptyPrompt);
        }
        if tokens.len() > context {
            return Err(DecodeError::PromptTooLong { prompt: tokens.len(), context });
        }
        Ok(State {
            cache: self.model.empty(),
            tokens,
            prompt_len: prompt.len(),
            resumed: generated.len(),
            row: Vec::new(),
            seed,
            stream,
            memory: Memory::default(),
            scratch: Scratch::default(),
        })
    }

    /// Feeds what the cache lacks, in chunks, and reports (tokens fed, tokens to feed) after each.
    /// [`Decoder::step`] does it too: call this to show progress on a long prompt, or to share it between forks.
    pub fn prefill(
        &self,
        state: &mut State<M::Cache>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), DecodeError> {
        let State { cache, tokens, row, .. } = state;
        let mut pending = &tokens[self.model.len(cache)..];
        let total = pending.len();
        while !pending.is_empty() {
            let (chunk, rest) = pending.split_at(PREFILL_CHUNK.min(pending.len()));
            let want = if rest.is_empty() { Want::Last } else { Want::None };
            let rows = self.model.feed(cache, chunk, want)?;
            if rest.is_empty() {
                *row = rows.into_inner();
            }
            pending = rest;
            progress(total - pending.len(), total);
        }
        Ok(())
    }

    /// Feeds what the cache lacks and draws the next token; `None` once the text has ended.
    pub fn step(&self, state: &mut State<M::Cache>) -> Result<Option<Step>, DecodeError> {
        if self.finish(state).is_some() {
            return Ok(None);
        }
        self.prefill(state, |_, _| ())?;
        self.draw(state).map(Some)
    }

    /// How many tokens of a text its cache lacks.
    pub fn lacks(&self, state: &State<M::Cache>) -> usize {
        state.tokens.len() - self.model.len(&state.cache)
    }

    /// What a text lacks next, at most so many tokens, for whoever feeds many texts in one batch. The rows that come back
    /// go to [`State::fed`].
    pub fn next_feed<'s>(&self, state: &'s mut State<M::Cache>, most: usize) -> Feed<'s, M::Cache> {
        let State { cache, tokens, .. } = state;
        let lacking = &tokens[self.model.len(cache)..];
        let tokens = &lacking[..most.min(lacking.len())];
        let want = if tokens.len() == lacking.len() { Want::Last } else { Want::None };
        Feed { cache, tokens, want }
    }

    /// Feeds what the caches of several texts lack, in one batch; says how many texts lacked any.
    pub(crate) fn feed_pending(&self, states: &mut [&mut State<M::Cache>]) -> Result<usize, DecodeError> {
        let mut lacking: Vec<_> = states.iter_mut().filter(|state| self.lacks(state) > 0).collect();
        if lacking.is_empty() {
            return Ok(0);
        }
        let mut batch: Vec<_> = lacking.iter_mut().map(|state| self.next_feed(state, usize::MAX)).collect();
        let rows = self.model.feed_all(&mut batch)?;
        let fed = lacking.len();
        lacking.into_iter().zip(rows).for_each(|(state, rows)| state.fed(rows));
        Ok(fed)
    }

    /// Draws the next token from the row of a text that lacks nothing and is not over.
    ///
    /// # Errors
    /// [`DecodeError::Row`] for a row that is not one of logits.
    pub fn draw(&self, state: &mut State<M::Cache>) -> Result<Step, DecodeError> {
        let position = state.generated().len();
        let coins = state.seed.coins(state.stream, position as u64);
        let history = History::new(&state.tokens, state.prompt_len);
        let step = self
            .sampler
            .pick(&state.row, history, coins, &mut state.memory, &mut state.scratch)
            .map_err(|source| DecodeError::Row { position, source })?;
        state.tokens.push(step.token);
        Ok(step)
    }

    /// Why the text has ended, if it has: by an end token, or by its length. (Stop strings are a matter of text, see
    /// [`TextStream`](crate::TextStream).) Prompt and text together never exceed the model's context.
    pub fn finish(&self, state: &State<M::Cache>) -> Option<Finish> {
        self.finish_of(&state.tokens, state.prompt_len)
    }

    /// The same of prompt and text as they stand in one.
    pub(crate) fn finish_of(&self, tokens: &[TokenId], prompt_len: usize) -> Option<Finish> {
        let generated = &tokens[prompt_len..];
        let ended = generated.last().is_some_and(|token| self.limits.ends.contains(token));
        if ended && !self.limits.ignore_eos {
            Some(Finish::Eos)
        } else if generated.len() >= self.limits.max_tokens || tokens.len() >= self.model.context() {
            Some(Finish::Length)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HASHED, Hashed};
    use proptest::prelude::*;

    fn decoder(spec: &str, limits: Limits) -> Decoder<'static, Hashed> {
        let sampler = Sampler::new(&spec.parse().unwrap(), Hashed::VOCAB).unwrap();
        Decoder::new(&HASHED, sampler, limits).unwrap()
    }

    fn limits(max_tokens: usize) -> Limits {
        Limits { max_tokens, ends: vec![], ignore_eos: false }
    }

    fn run<M: LanguageModel>(decoder: &Decoder<'_, M>, state: &mut State<M::Cache>) -> Vec<Step> {
        std::iter::from_fn(|| decoder.step(state).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn is_feeding_picking_and_nothing_else(
            prompt in prop::collection::vec(0..Hashed::VOCAB as u32, 1..290), seed: u64, stream: u32,
        ) {
            let decoder = decoder("temp=1,top_h=0.4", limits(12));
            let mut state = decoder.start(&prompt, Seed(seed), stream).unwrap();
            let steps = run(&decoder, &mut state);

            let mut context = prompt.clone();
            for (position, step) in steps.iter().enumerate() {
                let coins = Seed(seed).coins(stream, position as u64);
                let row = Hashed::row(&context);
                let alone = decoder.sampler.pick(&row, &context, coins, &mut Memory::default(), &mut Scratch::default());
                prop_assert_eq!(*step, alone.unwrap());
                context.push(step.token);
            }
            prop_assert_eq!(state.prompt(), &prompt);
            prop_assert_eq!(state.generated(), &context[prompt.len()..]);
            prop_assert_eq!(context.len(), (prompt.len() + 12).min(Hashed::CONTEXT));
        }

        #[test]
        fn a_text_resumed_anywhere_goes_on_as_if_unbroken(seed: u64, cut in 0usize..=20) {
            let decoder = decoder("temp=2,repetition_penalty=1.5,top_h=0.8", limits(20));
            let mut whole = decoder.start(&[3, 1], Seed(seed), 4).unwrap();
            let steps = run(&decoder, &mut whole);

            let mut state = decoder.resume(&[3, 1], &whole.generated()[..cut], Seed(seed), 4).unwrap();
            prop_assert_eq!(run(&decoder, &mut state), &steps[cut..]);
            prop_assert_eq!((state.generated(), state.drawn()), (whole.generated(), &whole.generated()[cut..]));
        }

        #[test]
        fn a_fork_goes_on_as_if_the_other_were_not_there(seed: u64, other: u64, cut in 0usize..20) {
            let decoder = decoder("temp=2", limits(20));
            let mut whole = decoder.start(&[3, 1], Seed(seed), 0).unwrap();
            let steps = run(&decoder, &mut whole);

            let mut state = decoder.start(&[3, 1], Seed(seed), 0).unwrap();
            for step in &steps[..cut] {
                prop_assert_eq!(decoder.step(&mut state).unwrap(), Some(*step));
            }
            run(&decoder, &mut state.clone().with_seed(Seed(other)));
            prop_assert_eq!(run(&decoder, &mut state), &steps[cut..]);
        }
    }

    /// Texts of one decoder are taught by themselves alone, however they are made side by side.
    #[test]
    fn every_text_learns_on_its_own() {
        for spec in ["temp=1.5,mirostat=2:tau=2:eta=0.8", "temp=2,mirostat=1:tau=3:eta=0.8", "adaptive_p=0.3:decay=0.5"]
        {
            let decoder = decoder(spec, limits(24));
            let text = |seed| {
                let mut state = decoder.start(&[3, 1], Seed(seed), 0).unwrap();
                run(&decoder, &mut state)
            };
            let [one, other] = [text(1), text(2)];
            assert_eq!(one, text(1), "`{spec}`: one seed, one text");

            // Turn by turn from one prefill, as samples are made; a fork goes on as its own text.
            let mut first = decoder.start(&[3, 1], Seed(1), 0).unwrap();
            decoder.prefill(&mut first, |_, _| ()).unwrap();
            let mut second = first.clone().with_seed(Seed(2));
            for position in 0..12 {
                assert_eq!(decoder.step(&mut first).unwrap(), Some(one[position]), "`{spec}`");
                assert_eq!(decoder.step(&mut second).unwrap(), Some(other[position]), "`{spec}`");
            }
            let mut fork = first.clone().with_seed(Seed(9));
            let forked = run(&decoder, &mut fork);
            assert_eq!(run(&decoder, &mut first), one[12..], "`{spec}`: the fork taught its origin");

            // What was learned is carried along: with a blank memory the fork would go another way.
            let mut again = decoder.start(&[3, 1], Seed(1), 0).unwrap();
            (0..12).for_each(|_| drop(decoder.step(&mut again)));
            again.memory = Memory::default();
            assert_ne!(run(&decoder, &mut again.with_seed(Seed(9))), forked, "`{spec}`: nothing was learned");
        }
    }

    #[test]
    fn prefill_reports_every_chunk() {
        let decoder = decoder("temp=0", limits(3));
        let mut state = decoder.start(&[5; 2 * PREFILL_CHUNK + 1], Seed(0), 0).unwrap();
        let mut fed = Vec::new();
        decoder.prefill(&mut state, |done, total| fed.push((done, total))).unwrap();
        assert_eq!(fed, [(128, 257), (256, 257), (257, 257)]);
        assert_eq!(state.row(), Hashed::row(&[5; 257]));
    }

    #[test]
    fn ends_are_ends_unless_ignored() {
        let greedy = decoder("temp=0", limits(6));
        let mut state = greedy.start(&[1], Seed(0), 0).unwrap();
        let text: Vec<TokenId> = run(&greedy, &mut state).iter().map(|step| step.token).collect();
        assert_eq!((text.len(), greedy.finish(&state)), (6, Some(Finish::Length)));
        let first_end = text.iter().position(|&token| token == text[2]).unwrap();

        let ends = |ignore_eos| Limits { max_tokens: 6, ends: vec![text[2]], ignore_eos };
        let ending = decoder("temp=0", ends(false));
        let mut state = ending.start(&[1], Seed(0), 0).unwrap();
        run(&ending, &mut state);
        assert_eq!((state.generated(), ending.finish(&state)), (&text[..=first_end], Some(Finish::Eos)));

        let ignoring = decoder("temp=0", ends(true));
        let mut state = ignoring.start(&[1], Seed(0), 0).unwrap();
        run(&ignoring, &mut state);
        assert_eq!((state.generated(), ignoring.finish(&state)), (&text[..], Some(Finish::Length)));
    }

    #[test]
    fn prompts_that_cannot_be() {
        let decoder = decoder("temp=0", limits(1));
        let start = |prompt: &[TokenId]| decoder.start(prompt, Seed(0), 0).map(|state| decoder.finish(&state));
        assert_eq!(start(&[]), Err(DecodeError::EmptyPrompt));
        assert_eq!(start(&[0; 301]), Err(DecodeError::PromptTooLong { prompt: 301, context: 300 }));
        assert_eq!(start(&[0; 300]), Ok(Some(Finish::Length)), "the context is full");
        assert_eq!(start(&[0; 299]), Ok(None));
    }

    #[test]
    fn a_bad_row_ends_the_text_and_loses_nothing() {
        let model = Hashed { sound: 4 };
        let sampler = Sampler::new(&"temp=1".parse().unwrap(), Hashed::VOCAB).unwrap();
        let decoder = Decoder::new(&model, sampler, limits(20)).unwrap();
        let mut state = decoder.start(&[1, 2], Seed(0), 0).unwrap();
        let step = |state: &mut _| decoder.step(state).map(|step| step.unwrap().token);
        let made: Vec<TokenId> = (0..3).map(|_| step(&mut state).unwrap()).collect();
        for _ in 0..2 {
            let error = step(&mut state).unwrap_err();
            assert!(error.to_string().starts_with("at generated token 3: the logit of token 3 is NaN"), "{error}");
            assert_eq!(state.generated(), made);
        }
    }

    #[test]
    fn a_sampler_for_another_vocabulary() {
        let sampler = Sampler::new(&"temp=1".parse().unwrap(), 7).unwrap();
        let error = Decoder::new(&HASHED, sampler, limits(1)).unwrap_err();
        assert_eq!(error, DecodeError::Vocabulary { sampler: 7, model: Hashed::VOCAB });
    }
}
