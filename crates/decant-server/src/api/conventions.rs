//! How other programs' front-ends say what a list of stages says by itself: the stages' order, and a temperature that follows
//! the entropy. They send all of this with every request, mostly at values that ask for nothing.
//!
//! Whose it is: `samplers` is llama.cpp's server's, `sampler_priority`, `temperature_last` and `dynamic_temperature` are
//! text-generation-webui's, `sampler_order` is KoboldCpp's, `dynatemp_range` is both llama.cpp's and KoboldCpp's.

use super::sampling::meaning;
use super::{Object, field};
use crate::error::ApiError;
use decant_sampling::{Role, SamplerSpec, SpecValue, Stage, find_stage};
use serde::Deserialize;

/// The stage of a constant temperature, and the one that follows the entropy.
const TEMPERATURE: &str = "temp";
const DYNAMIC: &str = "dynatemp";

/// Names in orders that are no stage's, with the stages that they stand for.
const GROUPS: [(&str, &[&str]); 5] = [
    ("penalties", &["repetition_penalty", "frequency_penalty", "presence_penalty"]),
    ("temperature", &[TEMPERATURE, DYNAMIC]),
    ("dynamic_temperature", &[DYNAMIC]),
    ("quadratic_sampling", &["smoothing"]),
    ("encoder_repetition_penalty", &[]),
];

/// KoboldCpp's numbers of its samplers.
const NUMBERS: [&[&str]; 7] = [
    &["top_k"],
    &["top_a"],
    &["top_p", "min_p"],
    &["tfs"],
    &["typical"],
    &[TEMPERATURE, DYNAMIC, "smoothing"],
    &["repetition_penalty", "frequency_penalty", "presence_penalty"],
];

/// What a request says in these ways.
#[derive(Debug)]
pub(super) struct Conventions {
    /// Canonical names of stages.
    order: Vec<&'static str>,
    temperature_last: bool,
    dynamic_temperature: Option<bool>,
    dynatemp_range: f64,
}

impl Conventions {
    /// Takes the fields.
    ///
    /// # Errors
    /// [`ApiError::Field`] with the one at fault.
    pub fn take(object: &mut Object<'_>) -> Result<Self, ApiError> {
        let range = |range: f64| (0.0..=100.0).contains(&range).then_some(range);
        Ok(Conventions {
            order: object.take_as(&field::SAMPLERS, Order::stages)?.unwrap_or_default(),
            temperature_last: object.take(&field::TEMPERATURE_LAST)?.unwrap_or(false),
            dynamic_temperature: object.take(&field::DYNAMIC_TEMPERATURE)?,
            dynatemp_range: object.take_as(&field::DYNATEMP_RANGE, range)?.unwrap_or(0.0),
        })
    }

    /// Makes one temperature of the two that a front-end may have given.
    ///
    /// # Errors
    /// [`ApiError::Field`] where one that follows the entropy has no bounds.
    pub fn settle_temperature(&self, pairs: &mut Vec<(String, SpecValue)>) -> Result<(), ApiError> {
        let is = |stage: &str, name: &str| find_stage(name).is_some_and(|info| info.name == stage);
        match self.dynamic_temperature {
            Some(false) => pairs.retain(|(name, _)| meaning(name).iter().all(|at| at.stage != DYNAMIC)),
            None if self.dynatemp_range == 0.0 => {}
            _ => {
                if !pairs.iter().any(|(name, _)| is(DYNAMIC, name)) {
                    let constant = pairs.iter().find(|(name, _)| is(TEMPERATURE, name));
                    let bounds = self.bounds(constant.map(|(_, value)| value))?;
                    pairs.push((DYNAMIC.to_owned(), bounds));
                }
                pairs.retain(|(name, _)| !is(TEMPERATURE, name));
            }
        }
        Ok(())
    }

    /// The parameters of a temperature that follows the entropy around a constant one.
    fn bounds(&self, constant: Option<&SpecValue>) -> Result<SpecValue, ApiError> {
        let middle = match constant {
            _ if self.dynatemp_range == 0.0 => {
                let message = "dynamic_temperature has bounds: give dynatemp_low and dynatemp_high, or dynatemp_range";
                return Err(ApiError::field(field::DYNAMIC_TEMPERATURE.name, message));
            }
            None => 1.0,
            Some(SpecValue::Number(constant)) => *constant,
            Some(_) => {
                let message = "dynatemp_range is around a temperature that is a number";
                return Err(ApiError::field(field::DYNATEMP_RANGE.name, message));
            }
        };
        let bounds = [("value", middle - self.dynatemp_range), ("high", middle + self.dynatemp_range)];
        Ok(SpecValue::object(bounds.map(|(name, bound)| (name, bound.max(0.0).into()))))
    }

    /// The stages in the order that was asked for: those that it names change places among themselves.
    pub fn arranged(&self, mut spec: SamplerSpec) -> SamplerSpec {
        let place = |stage: &Stage| self.order.iter().rposition(|name| *name == stage.info().name);
        let places: Vec<usize> = (0..spec.0.len()).filter(|&at| place(&spec.0[at]).is_some()).collect();
        let mut named: Vec<Stage> = places.iter().map(|&at| spec.0[at].clone()).collect();
        named.sort_by_key(place);
        for (at, stage) in places.into_iter().zip(named) {
            spec.0[at] = stage;
        }
        if self.temperature_last {
            // What learns from the draw stays behind it all.
            spec.0.sort_by_key(|stage| (stage.info().last, stage.info().role == Role::Temperature));
        }
        spec
    }
}

/// An order, as it is sent.
#[derive(Deserialize)]
#[serde(untagged)]
enum Order {
    Text(String),
    Names(Vec<String>),
    Numbers(Vec<usize>),
}

impl Order {
    /// The stages in it, if it names nothing else.
    fn stages(self) -> Option<Vec<&'static str>> {
        let parts: Option<Vec<&[&str]>> = match self {
            Order::Text(text) => text.split([';', '\n']).filter(|name| !name.trim().is_empty()).map(named).collect(),
            Order::Names(names) => names.iter().map(|name| named(name)).collect(),
            Order::Numbers(numbers) => numbers.iter().map(|&number| NUMBERS.get(number).copied()).collect(),
        };
        Some(parts?.concat())
    }
}

/// The stages that a name in an order stands for.
fn named(name: &str) -> Option<&'static [&'static str]> {
    let name = name.trim();
    let group = GROUPS.iter().find(|(known, _)| *known == name).map(|(_, stages)| *stages);
    group.or_else(|| find_stage(name).map(|info| std::slice::from_ref(&info.name)))
}

#[cfg(test)]
mod tests {
    use crate::api::{Object, admit, field, sampler};
    use crate::error::ApiError;

    fn read(body: &str) -> Result<String, (String, String)> {
        let mut object = Object::parse(body.as_bytes()).unwrap();
        match admit(&mut object, field::COMPLETIONS, false).and_then(|()| sampler(object, false)) {
            Ok(spec) => Ok(spec.effective().to_string()),
            Err(ApiError::Field { param, message }) => Err((param, message)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_temperature_of_two() {
        for (body, spec) in [
            (r#"{"temperature": 0.7, "dynatemp_range": 0}"#, "temp=0.7"),
            (r#"{"temperature": 1, "dynatemp_range": 0.5}"#, "dynatemp=0.5:high=1.5"),
            (
                r#"{"temp": 0.5, "temperature": 0.5, "dynatemp_range": 2, "dynatemp_exponent": 2}"#,
                "dynatemp=0:high=2.5:exponent=2",
            ),
            (r#"{"dynatemp_range": 0.25}"#, "dynatemp=0.75:high=1.25"),
            (
                r#"{"temperature": 1, "dynamic_temperature": false, "dynatemp_low": 0.1, "dynatemp_high": 3, "dynatemp_exponent": 2}"#,
                "",
            ),
            (r#"{"temperature": 0.7, "dynamic_temperature": false, "dynatemp_range": 3}"#, "temp=0.7"),
            // As SillyTavern says it, all at once.
            (
                r#"{"temperature": 1.5, "dynamic_temperature": true, "dynatemp_low": 0.5, "dynatemp_high": 2.5, "dynatemp_range": 1}"#,
                "dynatemp=0.5:high=2.5",
            ),
            // Without a switch they are two stages.
            (r#"{"temperature": 2, "dynatemp_low": 0.5, "dynatemp_high": 2}"#, "temp=2,dynatemp=0.5:high=2"),
        ] {
            assert_eq!(read(body).as_deref(), Ok(spec), "{body}");
        }
    }

    #[test]
    fn stages_change_places_as_an_order_has_them() {
        let fields = r#""temperature": 2, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1, "top_h": 0.4"#;
        let canonical = "repetition_penalty=1.1,temp=2,top_h=0.4,top_k=5,top_p=0.9,min_p=0.1";
        for (order, spec) in [
            (r#""samplers": []"#, canonical),
            (r#""samplers": ["xtc", "tfs_z"]"#, canonical),
            // llama.cpp's default order; what it does not know stays where it is.
            (
                r#""samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]"#,
                "repetition_penalty=1.1,top_k=5,top_h=0.4,top_p=0.9,min_p=0.1,temp=2",
            ),
            (r#""samplers": "min_p;top_k""#, "repetition_penalty=1.1,temp=2,top_h=0.4,min_p=0.1,top_p=0.9,top_k=5"),
            (
                r#""sampler_priority": "top_p\ntemperature\n""#,
                "repetition_penalty=1.1,top_p=0.9,top_h=0.4,top_k=5,temp=2,min_p=0.1",
            ),
            (
                r#""sampler_order": [6, 0, 1, 3, 4, 2, 5]"#,
                "repetition_penalty=1.1,top_k=5,top_h=0.4,top_p=0.9,min_p=0.1,temp=2",
            ),
            (r#""temperature_last": true"#, "repetition_penalty=1.1,top_h=0.4,top_k=5,top_p=0.9,min_p=0.1,temp=2"),
            (r#""temperature_last": false"#, canonical),
            (
                r#""samplers": ["top_p", "top_k"], "temperature_last": true"#,
                "repetition_penalty=1.1,top_h=0.4,top_p=0.9,top_k=5,min_p=0.1,temp=2",
            ),
            (r#""samplers": ["top_p", "top_k"], "sampler": "temp=2,top_k=3""#, "temp=2,top_k=3"),
        ] {
            assert_eq!(read(&format!("{{{fields}, {order}}}")).as_deref(), Ok(spec), "{order}");
        }
        let dynamic = r#"{"dynatemp_range": 0.5, "smoothing_factor": 0.2, "top_k": 5, "sampler_priority":
            ["temperature", "quadratic_sampling", "top_k", "dynamic_temperature"]}"#;
        assert_eq!(read(dynamic).as_deref(), Ok("smoothing=0.2,top_k=5,dynatemp=0.5:high=1.5"));
    }

    #[test]
    fn what_learns_from_the_draw_stays_last() {
        let body = r#"{"temperature": 2, "top_k": 5, "adaptive_target": 0.5, "temperature_last": true}"#;
        assert_eq!(read(body).as_deref(), Ok("top_k=5,temp=2,adaptive_p=0.5"));
    }

    #[test]
    fn faults() {
        for (body, param) in [
            (r#"{"samplers": ["top_k", "magic"]}"#, "samplers"),
            (r#"{"sampler_order": [7]}"#, "sampler_order"),
            (r#"{"sampler_priority": "top_k\nmagic"}"#, "sampler_priority"),
            (r#"{"samplers": ["top_k"], "sampler_order": [1]}"#, "sampler_order"),
            (r#"{"temperature_last": 1}"#, "temperature_last"),
            (r#"{"dynamic_temperature": true}"#, "dynamic_temperature"),
            (r#"{"dynatemp_range": -1}"#, "dynatemp_range"),
            (r#"{"dynatemp_range": 1, "temp": "by_entropy(0.5..4->0.3..1.8)"}"#, "dynatemp_range"),
        ] {
            assert_eq!(read(body).map_err(|(param, _)| param), Err(param.to_owned()), "{body}");
        }
    }
}
