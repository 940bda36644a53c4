//! A model whose feeds join the scheduler's batches: what strategies run on that are more than drawing token after token.

use super::door::Bell;
use super::text::Audience;
use crate::sync::{Arc, Sender, SyncSender, sync_channel};
use decant_decode::{Feed, LanguageModel, ModelError, Rows, TokenId, Want};

/// Some sequences to be fed in the next batch.
pub(super) struct Errand<C> {
    pub parts: Vec<Part<C>>,
    pub reply: SyncSender<Result<Fed<C>, ModelError>>,
}

/// The caches as they were given, grown, and the rows.
pub(super) type Fed<C> = Vec<(C, Rows)>;

/// One sequence of an errand.
pub(super) struct Part<C> {
    pub cache: C,
    pub tokens: Vec<TokenId>,
    pub want: Want,
}

/// The model as a strategy sees it.
pub(super) struct Proxy<M: LanguageModel> {
    pub model: Arc<M>,
    pub errands: Sender<Errand<M::Cache>>,
    pub bell: Bell,
    /// Whom it works for: when they are gone, it stops.
    pub audience: Audience,
}

impl<M: LanguageModel> LanguageModel for Proxy<M> {
    type Cache = M::Cache;

    fn vocab(&self) -> usize {
        self.model.vocab()
    }

    fn context(&self) -> usize {
        self.model.context()
    }

    fn empty(&self) -> M::Cache {
        self.model.empty()
    }

    fn len(&self, cache: &M::Cache) -> usize {
        self.model.len(cache)
    }

    fn rewind(&self, cache: &mut M::Cache, len: usize) {
        self.model.rewind(cache, len);
    }

    /// Hands the caches over, and takes them back grown. Where nobody listens any more they do not come back: the strategy
    /// ends there.
    fn feed_all(&self, batch: &mut [Feed<'_, M::Cache>]) -> Result<Vec<Rows>, ModelError> {
        if self.audience.has_left() {
            return Err(ModelError::Stopped);
        }
        let checked = |feed: &Feed<'_, M::Cache>| feed.check(self.len(feed.cache), self.vocab(), self.context());
        batch.iter().try_for_each(checked)?;
        let part = |feed: &mut Feed<'_, M::Cache>| {
            let cache = std::mem::replace(feed.cache, self.model.empty());
            Part { cache, tokens: feed.tokens.to_vec(), want: feed.want }
        };
        let (reply, answer) = sync_channel(1);
        let errand = Errand { parts: batch.iter_mut().map(part).collect(), reply };
        self.errands.send(errand).map_err(|_| ModelError::Stopped)?;
        self.bell.ring();
        let fed = answer.recv().map_err(|_| ModelError::Stopped)??;
        let back = |(feed, (cache, rows)): (&mut Feed<'_, M::Cache>, (M::Cache, Rows))| {
            *feed.cache = cache;
            rows
        };
        Ok(batch.iter_mut().zip(fed).map(back).collect())
    }
}
