//! From a request's fields to a sampler.
//!
//! No sampler is known by name here: whatever field is left when a route has taken its own is a stage's name or parameter, and
//! the catalog says whether there is such a one.

use super::conventions::Conventions;
use super::{Fields, Object, field};
use crate::error::ApiError;
use decant_decode::LanguageModel;
use decant_models::Model;
use decant_sampling::{At, Sampler, SamplerSpec, SpecError, SpecValue, catalog, find_stage};

/// Fields of OpenAI's API that count generated text only, where the stages of these names count the prompt's, too.
const GENERATED_ONLY: [&str; 2] = ["presence_penalty", "frequency_penalty"];

/// The parameter by which a stage that looks back leaves the prompt out.
const PROMPT: &str = "prompt";

/// What a stage's value may be, as far as JSON goes.
const VALUE: &str = "a number, a text, true, false, a list or an object, without null";

/// Refuses names that are neither a field's nor a stage's; or forgets them, if `lenient`.
///
/// # Errors
/// [`ApiError::Field`] with the name.
pub fn admit(object: &mut Object<'_>, fields: Fields, lenient: bool) -> Result<(), ApiError> {
    let is_field = |name: &str| fields.iter().copied().flatten().any(|field| field.names().any(|known| known == name));
    let is_known = |name: &str| is_field(name) || is_parameter(name);
    let stranger = object.names().find(|name| !is_known(name)).map(unknown);
    match stranger {
        Some(error) if !lenient => Err(error),
        _ => {
            object.retain(is_known);
            Ok(())
        }
    }
}

/// The sampler that the remaining fields ask for: stages by name and alias, those in `vllm_xargs` beside them. `sampler`, a
/// spec's text or list, replaces them all.
///
/// # Errors
/// [`ApiError::Field`] with the field at fault; in `vllm_xargs` one that nobody knows is one, unless `lenient`.
pub fn sampler(mut fields: Object<'_>, lenient: bool) -> Result<SamplerSpec, ApiError> {
    let whole: Option<SpecValue> = fields.take(&field::SAMPLER)?;
    let conventions = Conventions::take(&mut fields)?;
    let extra = fields.take_as(&field::VLLM_XARGS, |value| match value {
        SpecValue::Object(pairs) => Some(pairs),
        _ => None,
    })?;
    let mut extra = extra.unwrap_or_default();
    match extra.iter().find(|(name, _)| !is_parameter(name)) {
        Some((name, _)) if !lenient => return Err(unknown(name)),
        _ => extra.retain(|(name, _)| is_parameter(name)),
    }
    let mut pairs: Vec<(String, SpecValue)> = Vec::new();
    for (name, value) in fields.rest(VALUE)?.into_iter().chain(extra) {
        // Front-ends send a number under every name that some server knows it by.
        let meaning = meaning(&name);
        if !pairs.iter().any(|(other, given)| *given == value && *other != name && self::meaning(other) == meaning) {
            pairs.push((name, value));
        }
    }
    conventions.settle_temperature(&mut pairs)?;
    let asked: Vec<_> = pairs.iter().cloned().map(as_openai).collect();
    let stages = SamplerSpec::from_pairs(asked).map_err(|error| fault(error, &pairs))?;
    match whole {
        Some(spec) => SamplerSpec::from_value(spec).map_err(|error| ApiError::field("sampler", error)),
        None => Ok(conventions.arranged(stages)),
    }
}

/// A sampler for the model's rows.
///
/// # Errors
/// [`ApiError::Field`] where the spec names a token that the model does not have.
pub fn ready(spec: &SamplerSpec, model: &Model) -> Result<Sampler, ApiError> {
    let sampler = Sampler::new(&spec.effective().resolve(&model.tokenizer), model.engine.vocab());
    sampler.map_err(|error| fault(error, &[]))
}

/// Whether a name is a stage's, or a parameter's of one.
fn is_parameter(name: &str) -> bool {
    !meaning(name).is_empty()
}

/// Says that a field is nobody's.
fn unknown(name: &str) -> ApiError {
    let hint = match SamplerSpec::from_pairs([(name, true)]) {
        Err(SpecError::UnknownStage { nearest: Some(nearest), .. }) => format!("; did you mean `{nearest}`?"),
        _ => String::new(),
    };
    let shown: String = name.chars().take(60).collect();
    ApiError::field(name, format!("`{shown}` is neither a field of this request nor a stage of a sampler{hint}"))
}

/// The parameters that a name stands for: a stage's main one, or one that may stand beside its stage; none for a stranger.
pub(super) fn meaning(name: &str) -> Vec<At> {
    match find_stage(name) {
        Some(info) => vec![At { stage: info.name, field: At::VALUE }],
        None => catalog()
            .iter()
            .flat_map(|info| info.fields.iter().map(move |field| (info, field)))
            .filter(|(_, field)| field.flat.contains(&name))
            .map(|(info, field)| At { stage: info.name, field: field.name })
            .collect(),
    }
}

/// A field as OpenAI means it: its penalties look at generated text only, unless the client says otherwise.
fn as_openai((name, value): (String, SpecValue)) -> (String, SpecValue) {
    if !GENERATED_ONLY.contains(&name.as_str()) {
        return (name, value);
    }
    let mut parameters = match value {
        SpecValue::Object(parameters) => parameters,
        value => vec![(At::VALUE.to_owned(), value)],
    };
    if !parameters.iter().any(|(field, _)| field == PROMPT) {
        parameters.push((PROMPT.to_owned(), false.into()));
    }
    (name, SpecValue::Object(parameters))
}

/// An error of the spec, with the field that the client gave.
fn fault(error: SpecError, pairs: &[(String, SpecValue)]) -> ApiError {
    let of_stage = |stage: &str| {
        let given = pairs.iter().find(|(name, _)| find_stage(name).is_some_and(|info| info.name == stage));
        given.map(|(name, _)| name.clone())
    };
    let of_parameter = |at: &At| {
        let given = pairs.iter().rev().find(|(name, _)| at.field != At::VALUE && meaning(name).contains(at));
        given.map(|(name, _)| name.clone()).or_else(|| of_stage(at.stage)).or_else(|| Some(at.stage.to_owned()))
    };
    let param = match &error {
        SpecError::Alone { given, .. } => Some(given.trim_matches('`').to_owned()),
        SpecError::UnknownField { stage, .. } => of_stage(stage),
        SpecError::TwoNames { second, .. } => Some(second.clone()),
        SpecError::Missing { at, .. }
        | SpecError::Range { at, .. }
        | SpecError::Value { at, .. }
        | SpecError::Vocabulary { at, .. }
        | SpecError::Schedule { at, .. }
        | SpecError::Twice { at } => of_parameter(at),
        _ => None,
    };
    ApiError::field(param.unwrap_or_else(|| "sampler".to_owned()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, lenient: bool) -> Result<String, (String, String)> {
        let mut object = Object::parse(body.as_bytes()).unwrap();
        match admit(&mut object, field::COMPLETIONS, lenient).and_then(|()| sampler(object, lenient)) {
            Ok(spec) => Ok(spec.to_string()),
            Err(ApiError::Field { param, message }) => Err((param, message)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn stages_go_by_their_names_wherever_they_stand() {
        for (body, spec) in [
            ("{}", ""),
            (r#"{"temperature": 0.8, "top_h": 0.4}"#, "temp=0.8,top_h=0.4"),
            (r#"{"top_h": {"value": 0.4, "rule": "hf"}}"#, "top_h=0.4:rule=hf"),
            (r#"{"top_p": 0.9, "vllm_xargs": {"top_h": 0.4}}"#, "top_h=0.4,top_p=0.9"),
            (r#"{"temp": "by_entropy(0.5..4->0.3..1.8)"}"#, "temp=by_entropy(0.5..4->0.3..1.8)"),
            (r#"{"logit_bias": {"5": -1}}"#, "logit_bias=(5=-1)"),
            (r#"{"logit_bias": [[5, -1], [7, false]]}"#, "logit_bias=(5=-1,7=-inf)"),
            // OpenAI's penalties leave the prompt out, whoever asks otherwise gets it.
            (r#"{"presence_penalty": 0.5}"#, "presence_penalty=0.5:prompt=false"),
            (r#"{"vllm_xargs": {"frequency_penalty": 0.5}}"#, "frequency_penalty=0.5:prompt=false"),
            (r#"{"frequency_penalty": {"value": 0.5, "prompt": true}}"#, "frequency_penalty=0.5"),
            (r#"{"freq_pen": 0.5}"#, "frequency_penalty=0.5"),
            // A spec in its own order replaces them.
            (r#"{"temperature": 0.1, "sampler": "top_p=0.9,temp=2"}"#, "top_p=0.9,temp=2"),
            (r#"{"sampler": [{"top_k": 3}, {"temp": 2}]}"#, "top_k=3,temp=2"),
            // The same under several names.
            (r#"{"temperature": 0.5, "temp": 0.5}"#, "temp=0.5"),
            (
                r#"{"repetition_penalty": 1.1, "rep_pen": 1.1, "repeat_last_n": 64, "rep_pen_range": 64}"#,
                "repetition_penalty=1.1:last_n=64",
            ),
        ] {
            assert_eq!(read(body, false).as_deref(), Ok(spec), "{body}");
        }
    }

    #[test]
    fn faults_name_the_field_as_it_was_given() {
        for (body, param, says) in [
            (r#"{"tpo_p": 0.9}"#, "tpo_p", "did you mean `top_p`?"),
            (r#"{"chat_id": [null]}"#, "chat_id", "neither a field of this request nor a stage"),
            (r#"{"temperature": "hot"}"#, "temperature", "temp must be a number in 0..=100"),
            (r#"{"temperature": 101}"#, "temperature", "given 101"),
            (r#"{"temperature": [null]}"#, "temperature", "without null"),
            (r#"{"temperature": 0.5, "temp": 0.6}"#, "temp", "the same stage"),
            (r#"{"vllm_xargs": {"nonsense": 1}}"#, "nonsense", "neither a field"),
            (r#"{"vllm_xargs": [1]}"#, "vllm_xargs", "an object"),
            (r#"{"top_p": 0.9, "vllm_xargs": {"top_p": 0.8}}"#, "top_p", "given twice"),
            (r#"{"xtc_threshold": 0.2}"#, "xtc_threshold", "which is not given"),
            (r#"{"xtc_probability": 0.5, "xtc_threshold": 7}"#, "xtc_threshold", "xtc:threshold"),
            (r#"{"sampler": "tmep=1"}"#, "sampler", "did you mean `temp`?"),
            (r#"{"sampler": 3}"#, "sampler", "a text, a list or an object"),
            (r#"{"logit_bias": {"x": 1}}"#, "logit_bias", "token ids"),
            (r#"{"logit_bias": {"5": 1, "5": 2}}"#, "logit_bias", "each once"),
            (r#"{"top_p": 7, "sampler": "temp=1"}"#, "top_p", "top_p must be"),
        ] {
            let (field, message) = read(body, false).unwrap_err();
            assert_eq!(field, param, "{body}: {message}");
            assert!(message.contains(says), "{body}: {message}");
        }
    }

    #[test]
    fn the_lenient_ignore_strangers_and_nothing_else() {
        assert_eq!(
            read(r#"{"chat_id": [null], "top_p": 0.9, "vllm_xargs": {"x": 1}}"#, true).as_deref(),
            Ok("top_p=0.9")
        );
        assert_eq!(read(r#"{"top_p": 7}"#, true).unwrap_err().0, "top_p");
    }
}
