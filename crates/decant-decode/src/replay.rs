//! Proof that a trace comes out again.

use crate::{DecodeError, Decoder, LanguageModel, TextStream, Trace, TraceStep, Watch, alternatives};
use decant_sampling::{Logits, Seed, Step, TokenId};
use std::fmt::{Debug, Display};
use std::ops::ControlFlow;

/// Where a replay first departs from the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {position}: {field} was {recorded}, the replay gives {replayed}")]
pub struct Difference {
    /// Index of the generated token.
    pub position: usize,
    /// Which number of the step.
    pub field: &'static str,
    /// What the trace says.
    pub recorded: String,
    /// What came out now.
    pub replayed: String,
}

/// Decodes again what the trace says was decoded and compares every token, every number (bit for bit), what a strategy had
/// to choose from, and the end.
///
/// `decoder` must be made from the header's sampler and limits, and from the same model; `stops` says whether a text of
/// these generated tokens ends by one of the header's stop strings, which strategies ask that do not stream. A trace that
/// was cut off is compared as far as it goes.
pub fn replay<M: LanguageModel>(
    decoder: &Decoder<'_, M>,
    trace: &Trace,
    stops: &dyn Fn(&[TokenId]) -> bool,
) -> Result<Option<Difference>, DecodeError> {
    if trace.finish.is_none() && trace.steps.is_empty() {
        return Ok(None);
    }
    let header = &trace.header;
    let generated = &header.generated;
    let mut state = decoder.resume(&header.prompt_ids, &generated.ids, Seed(header.seed), header.stream)?;
    let mut text = TextStream::new(&header.stop);
    text.push(generated.piece.bytes());
    let mut replay = Replay { trace, stops, text, seen: 0, difference: None };
    let outcome = decoder.decode(&header.decode, &mut state, &mut replay)?;
    let Replay { seen, difference, .. } = replay;
    if difference.is_some() {
        return Ok(difference);
    }
    if let Some(recorded) = trace.steps.get(seen) {
        let end = format!("the end of the text ({:?})", outcome.finish);
        return Ok(Some(differ(seen, "token", recorded.step.token, end)));
    }
    let whole = trace.finish.is_some();
    let outcome_differs =
        || trace.outcome.as_ref().and_then(|recorded| compare(seen, "outcome", recorded, &outcome)).filter(|_| whole);
    let finish_differs = compare(seen, "finish", trace.finish, Some(outcome.finish)).filter(|_| whole);
    Ok(finish_differs.or_else(outcome_differs))
}

/// A replay as far as it has come.
struct Replay<'t> {
    trace: &'t Trace,
    stops: &'t dyn Fn(&[TokenId]) -> bool,
    text: TextStream,
    seen: usize,
    difference: Option<Difference>,
}

impl Watch for Replay<'_> {
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()> {
        match self.trace.steps.get(self.seen) {
            Some(recorded) => {
                self.difference = compare_step(recorded, step, row);
                self.text.push(recorded.piece.bytes());
            }
            None => self.difference = Some(differ(self.seen, "token", "the end of the text", step.token)),
        }
        self.seen += usize::from(self.difference.is_none());
        let cut_off = self.trace.finish.is_none() && self.seen == self.trace.steps.len();
        match self.difference.is_some() || self.text.stopped() || cut_off {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        (self.stops)(generated)
    }
}

/// Compares one step with its record, number by number.
fn compare_step(recorded: &TraceStep, replayed: &Step, row: &[f32]) -> Option<Difference> {
    let position = recorded.position;
    let (was, is) = (&recorded.step, replayed);
    let number = |field, was: f64, is: f64| (was.to_bits() != is.to_bits()).then(|| differ(position, field, was, is));
    compare(position, "token", was.token, is.token)
        .or_else(|| compare(position, "kept", was.kept, is.kept))
        .or_else(|| number("logprob", was.logprob, is.logprob))
        .or_else(|| number("sampled_logprob", was.sampled_logprob, is.sampled_logprob))
        .or_else(|| number("entropy", was.entropy, is.entropy))
        .or_else(|| number("varentropy", was.varentropy, is.varentropy))
        .or_else(|| number("temperature", was.temperature, is.temperature))
        .or_else(|| number("kept_mass", was.kept_mass, is.kept_mass))
        .or_else(|| number("kept_entropy", was.kept_entropy, is.kept_entropy))
        .or_else(|| match (was.gap, is.gap) {
            (Some(was), Some(is)) => number("gap", was, is),
            (was, is) => compare(position, "gap", was, is),
        })
        .or_else(|| compare_top(recorded, row))
}

/// Compares the alternatives that were recorded with those of the row.
fn compare_top(recorded: &TraceStep, row: &[f32]) -> Option<Difference> {
    let row = Logits::new(row).ok()?;
    let replayed = alternatives(row, recorded.top.len());
    if replayed.len() < recorded.top.len() {
        return compare(recorded.position, "top", recorded.top.len(), replayed.len());
    }
    let mut pairs = recorded.top.iter().zip(replayed);
    let (was, is) = pairs.find(|(was, is)| (was.token, was.logprob.to_bits()) != (is.token, is.logprob.to_bits()))?;
    let show = |token, logprob: f64| format!("{token} at {logprob}");
    Some(differ(recorded.position, "top", show(was.token, was.logprob), show(is.token, is.logprob)))
}

fn compare<T: PartialEq + Debug>(position: usize, field: &'static str, was: T, is: T) -> Option<Difference> {
    (was != is).then(|| differ(position, field, format!("{was:?}"), format!("{is:?}")))
}

fn differ(position: usize, field: &'static str, recorded: impl Display, replayed: impl Display) -> Difference {
    Difference { position, field, recorded: recorded.to_string(), replayed: replayed.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HASHED, Hashed, recorded, recorded_by};
    use crate::{Finish, Generated, Piece};
    use decant_sampling::Sampler;

    fn check(trace: &Trace) -> Option<Difference> {
        let sampler = Sampler::new(&trace.header.sampler, Hashed::VOCAB).unwrap();
        replay(&Decoder::new(&HASHED, sampler, trace.header.limits.clone()).unwrap(), trace, &|_| false).unwrap()
    }

    /// The step and field at which a tampered trace is found out.
    fn tampered(tamper: impl FnOnce(&mut Trace)) -> Option<(usize, &'static str)> {
        let mut trace = recorded(7);
        tamper(&mut trace);
        check(&trace).map(|difference| (difference.position, difference.field))
    }

    #[test]
    fn what_was_recorded_comes_out_again() {
        for seed in 0..20 {
            assert_eq!(check(&recorded(seed)), None);
        }
        assert_eq!(tampered(|trace| trace.finish = None), None, "as far as it goes");
    }

    /// What a stage learned while the text was made, it learns again.
    #[test]
    fn texts_that_taught_their_sampler_come_out_again() {
        for sampler in
            ["temp=1.5,mirostat=2:tau=2:eta=0.5", "temp=2,mirostat=1:tau=3:eta=0.5", "adaptive_p=0.3:decay=0.5"]
        {
            for seed in 0..10 {
                assert_eq!(check(&recorded_by(sampler, "sample", seed)), None, "{sampler}");
            }
        }
        let mut slower = recorded_by("temp=1.5,mirostat=2:tau=2:eta=0.5", "sample", 3);
        slower.header.sampler = "temp=1.5,mirostat=2:tau=2:eta=0.4".parse().unwrap();
        assert!(check(&slower).is_some_and(|difference| difference.position > 0));
    }

    #[test]
    fn what_a_strategy_found_it_finds_again() {
        for decode in
            ["greedy", "lookahead(2)", "map(4)", "beam(3,final=sample)", "stochastic_beam(3)", "best_of(3)", "mbr(3)"]
        {
            let trace = recorded_by("temp=1.5,top_p=0.9", decode, 5);
            assert_eq!(check(&trace), None, "{decode}");
            let mut tampered = trace.clone();
            let outcome = tampered.outcome.as_mut().unwrap();
            outcome.cost.calls += 1;
            assert_eq!(check(&tampered).map(|difference| difference.field), Some("outcome"), "{decode}");
            tampered.finish = None;
            assert_eq!(check(&tampered), None, "{decode}: as far as it goes");
        }
    }

    #[test]
    fn every_number_is_compared_bit_for_bit() {
        let next = |number: &mut f64| *number = f64::from_bits(number.to_bits() + 1);
        assert_eq!(tampered(|t| t.steps[3].step.token ^= 1), Some((3, "token")));
        assert_eq!(tampered(|t| t.steps[3].step.kept += 1), Some((3, "kept")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.logprob)), Some((4, "logprob")));
        assert_eq!(tampered(|t| t.steps[4].step.sampled_logprob -= 1.0), Some((4, "sampled_logprob")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.entropy)), Some((4, "entropy")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.varentropy)), Some((4, "varentropy")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.temperature)), Some((4, "temperature")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.kept_mass)), Some((4, "kept_mass")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.kept_entropy)), Some((4, "kept_entropy")));
        assert_eq!(tampered(|t| t.steps[5].step.gap = Some(0.1)), Some((5, "gap")));
        assert_eq!(tampered(|t| next(&mut t.steps[0].top[1].logprob)), Some((0, "top")));
        assert_eq!(tampered(|t| t.finish = Some(Finish::Eos)), Some((8, "finish")));
        assert_eq!(tampered(|t| t.header.limits.max_tokens = 5), Some((5, "token")));
        assert!(tampered(|t| t.header.seed += 1).is_some());
    }

    /// The stop string begins in what had been generated.
    #[test]
    fn a_text_that_was_gone_on_with_comes_out_again() {
        let mut trace = recorded(7);
        let piece =
            |steps: &[TraceStep]| steps.iter().flat_map(|step| step.piece.bytes().to_vec()).collect::<Vec<u8>>();
        trace.header.stop = vec![String::from_utf8(piece(&trace.steps[2..4])).unwrap()];
        let generated = &trace.steps[..3];
        let ids = generated.iter().map(|step| step.step.token).collect();
        trace.header.generated = Generated { ids, piece: Piece::new(piece(generated)) };
        trace.steps = trace.steps[3..4].to_vec();
        trace.finish = Some(Finish::Stop);
        assert_eq!(check(&trace), None);
        trace.header.generated.ids[1] ^= 1;
        assert!(check(&trace).is_some());
    }

    #[test]
    fn a_stop_string_ends_the_replay_too() {
        let mut trace = recorded(7);
        let stop: String = trace.steps[2..4].iter().map(|step| step.piece.text()).collect();
        trace.header.stop = vec![stop];
        trace.steps.truncate(4);
        trace.finish = Some(Finish::Stop);
        assert_eq!(check(&trace), None);
        trace.finish = Some(Finish::Length);
        assert!(check(&trace).is_some());
    }
}
