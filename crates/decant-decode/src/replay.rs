//! Proof that a trace comes out again.

use crate::{DecodeError, Decoder, Finish, LanguageModel, State, TextStream, Trace, TraceStep, alternatives};
use decant_sampling::{Logits, Seed, Step};
use std::fmt::{Debug, Display};

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

/// Decodes again what the trace says was decoded and compares every token, every number (bit for bit) and the end.
///
/// `decoder` must be made from the header's sampler and limits, and from the same model. A trace that was cut off is
/// compared as far as it goes.
pub fn replay<M: LanguageModel>(decoder: &Decoder<'_, M>, trace: &Trace) -> Result<Option<Difference>, DecodeError> {
    let header = &trace.header;
    let mut state = decoder.start(&header.prompt_ids, Seed(header.seed), header.stream)?;
    let mut text = TextStream::new(&header.stop);
    for recorded in &trace.steps {
        let Some(step) = decoder.step(&mut state)? else {
            return Ok(Some(Difference {
                position: recorded.position,
                field: "token",
                recorded: recorded.step.token.to_string(),
                replayed: format!("the end of the text ({:?})", decoder.finish(&state)),
            }));
        };
        if let Some(difference) = compare_step(recorded, &step, &state) {
            return Ok(Some(difference));
        }
        text.push(recorded.piece.bytes());
    }
    let finish = if text.stopped() { Some(Finish::Stop) } else { decoder.finish(&state) };
    let difference = compare(trace.steps.len(), "finish", trace.finish, finish);
    Ok(difference.filter(|_| trace.finish.is_some()))
}

/// Compares one step with its record, number by number.
fn compare_step<C>(recorded: &TraceStep, replayed: &Step, state: &State<C>) -> Option<Difference> {
    let position = recorded.position;
    let (was, is) = (&recorded.step, replayed);
    let number = |field, was: f64, is: f64| (was.to_bits() != is.to_bits()).then(|| differ(position, field, was, is));
    compare(position, "token", was.token, is.token)
        .or_else(|| compare(position, "kept", was.kept, is.kept))
        .or_else(|| number("logprob", was.logprob, is.logprob))
        .or_else(|| number("entropy", was.entropy, is.entropy))
        .or_else(|| number("varentropy", was.varentropy, is.varentropy))
        .or_else(|| number("temperature", was.temperature, is.temperature))
        .or_else(|| number("kept_mass", was.kept_mass, is.kept_mass))
        .or_else(|| number("kept_entropy", was.kept_entropy, is.kept_entropy))
        .or_else(|| compare_top(recorded, state.row()))
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
    use decant_sampling::Sampler;

    fn check(trace: &Trace) -> Option<Difference> {
        let sampler = Sampler::new(&trace.header.sampler, Hashed::VOCAB).unwrap();
        replay(&Decoder::new(&HASHED, sampler, trace.header.limits.clone()).unwrap(), trace).unwrap()
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
                assert_eq!(check(&recorded_by(sampler, seed)), None, "{sampler}");
            }
        }
        let mut slower = recorded_by("temp=1.5,mirostat=2:tau=2:eta=0.5", 3);
        slower.header.sampler = "temp=1.5,mirostat=2:tau=2:eta=0.4".parse().unwrap();
        assert!(check(&slower).is_some_and(|difference| difference.position > 0));
    }

    #[test]
    fn every_number_is_compared_bit_for_bit() {
        let next = |number: &mut f64| *number = f64::from_bits(number.to_bits() + 1);
        assert_eq!(tampered(|t| t.steps[3].step.token ^= 1), Some((3, "token")));
        assert_eq!(tampered(|t| t.steps[3].step.kept += 1), Some((3, "kept")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.logprob)), Some((4, "logprob")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.entropy)), Some((4, "entropy")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.varentropy)), Some((4, "varentropy")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.temperature)), Some((4, "temperature")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.kept_mass)), Some((4, "kept_mass")));
        assert_eq!(tampered(|t| next(&mut t.steps[4].step.kept_entropy)), Some((4, "kept_entropy")));
        assert_eq!(tampered(|t| next(&mut t.steps[0].top[1].logprob)), Some((0, "top")));
        assert_eq!(tampered(|t| t.finish = Some(Finish::Eos)), Some((8, "finish")));
        assert_eq!(tampered(|t| t.header.limits.max_tokens = 5), Some((5, "token")));
        assert!(tampered(|t| t.header.seed += 1).is_some());
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
