//! What to do, as data.

pub(crate) mod biases;
pub(crate) mod build;
mod error;
mod lexicon;
pub(crate) mod phrases;
mod text;
mod value;
mod warnings;

pub(crate) use error::excerpt;
pub use error::{At, SpecError};
pub use lexicon::Lexicon;
pub use phrases::{Phrase, Phrases};
pub use value::SpecValue;
pub use warnings::Warning;

use crate::catalog::Field;
use crate::stages::Stage;
use build::{Draft, Param, build, check_param, resolve};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// An ordered list of stages. Its canonical text (`Display`) is a run's identity.
///
/// Text, a list of one-key objects and an object mean the same; an object has no order and takes the canonical one.
///
/// ```
/// use decant_sampling::SamplerSpec;
/// let spec: SamplerSpec = "temperature=1.20, top_h=0.4:rule=paper".parse()?;
/// assert_eq!(spec.to_string(), "temp=1.2,top_h=0.4");
/// # let json = |text: &str| serde_json::from_str::<SamplerSpec>(text).unwrap();
/// assert_eq!(spec, json(r#"[{"temp": 1.2}, {"top_h": {"value": 0.4, "rule": "paper"}}]"#));
/// assert_eq!(spec, json(r#"{"top_h": 0.4, "temp": 1.2}"#));
/// # Ok::<(), decant_sampling::SpecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerSpec(pub Vec<Stage>);

impl SamplerSpec {
    /// A spec from keyword arguments, which have no order: the stages take their canonical one. A parameter may stand
    /// beside its stage under a flat name.
    ///
    /// ```
    /// # use decant_sampling::SamplerSpec;
    /// let spec = SamplerSpec::from_pairs([("top_p", 0.9), ("temperature", 1.0), ("min_keep", 2.0)])?;
    /// assert_eq!(spec.to_string(), "temp=1,top_p=0.9:min_tokens_to_keep=2");
    /// # Ok::<(), decant_sampling::SpecError>(())
    /// ```
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, SpecError>
    where
        K: Into<String>,
        V: Into<SpecValue>,
    {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        let mut stages = Self::from_drafts(build::gather(pairs)?)?.0;
        stages.sort_by_key(|stage| stage.info().rank);
        match stages.windows(2).find(|pair| pair[0].info().name == pair[1].info().name) {
            Some(pair) => Err(SpecError::Twice { at: At { stage: pair[0].info().name, field: At::VALUE } }),
            None => Ok(SamplerSpec(stages)),
        }
    }

    /// A spec from any of its spellings.
    pub fn from_value(value: SpecValue) -> Result<Self, SpecError> {
        match value {
            SpecValue::Text(text) => text.parse(),
            SpecValue::List(items) => {
                Self::from_drafts(items.into_iter().map(Draft::from_item).collect::<Result<_, _>>()?)
            }
            SpecValue::Object(pairs) => Self::from_pairs(pairs),
            SpecValue::Number(_) | SpecValue::Bool(_) => {
                Err(SpecError::Syntax { expected: "a sampler is a text, a list or an object", given: value.excerpt() })
            }
        }
    }

    /// The list form, in order: `[{"temp":1.2},{"top_h":{"value":0.4,"rule":"hf"}}]`.
    pub fn to_json_list(&self) -> SpecValue {
        self.0.iter().map(|stage| SpecValue::object([(stage.info().name, stage.to_value())])).collect()
    }

    /// The stages that act: all but those that are [neutral](Stage::is_neutral).
    #[must_use]
    pub fn effective(&self) -> SamplerSpec {
        SamplerSpec(self.0.iter().filter(|stage| !stage.is_neutral()).cloned().collect())
    }

    /// Checks every parameter of every stage, as parsing does: for specs put together by hand.
    pub fn check(&self) -> Result<(), SpecError> {
        self.0.iter().try_for_each(Stage::check)
    }

    /// Checks that every token id named is one of a vocabulary.
    pub(crate) fn check_vocab(&self, vocab: usize) -> Result<(), SpecError> {
        for (info, params) in self.0.iter().map(|stage| (stage.info(), stage.write())) {
            for (field, param) in info.fields.iter().filter_map(|field| Some((field, params.get(field.name)?))) {
                if let Some(token) = param.tokens().into_iter().find(|token| *token as usize >= vocab) {
                    return Err(SpecError::Vocabulary { at: info.at(field), token, vocab });
                }
            }
        }
        Ok(())
    }

    fn from_drafts(drafts: Vec<Draft>) -> Result<Self, SpecError> {
        let mut used: BTreeMap<&str, String> = BTreeMap::new();
        let mut stages = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let info = resolve(&draft.name)?;
            let first = used.entry(info.name).or_insert_with(|| draft.name.clone());
            if *first != draft.name {
                return Err(SpecError::TwoNames { first: first.clone(), second: draft.name });
            }
            stages.push(build(info, draft)?);
        }
        Ok(SamplerSpec(stages))
    }
}

impl FromStr for SamplerSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::from_drafts(text::parse(text)?)
    }
}

impl fmt::Display for SamplerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, stage) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{stage}")?;
        }
        Ok(())
    }
}

impl Serialize for SamplerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SamplerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(SpecValue::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Draft {
    /// One entry of the list form.
    fn from_item(item: SpecValue) -> Result<Self, SpecError> {
        let expected = "a stage in a list is an object with one key, such as {\"temp\": 1.2}";
        match item {
            SpecValue::Object(mut pairs) if pairs.len() == 1 => {
                let (name, value) = pairs.remove(0);
                Ok(Draft::from_pair(name, value))
            }
            other => Err(SpecError::Syntax { expected, given: other.excerpt() }),
        }
    }
}

impl Stage {
    /// Whether the stage, as it stands, changes nothing: a parameter is a constant that its definition calls neutral.
    pub fn is_neutral(&self) -> bool {
        let params = self.write();
        let neutral = |field: &Field| params.get(field.name).is_some_and(|param| param.is_neutral(field));
        self.info().fields.iter().any(neutral)
    }

    /// Whether some parameter follows the model's uncertainty.
    pub(crate) fn follows_entropy(&self) -> bool {
        let follows = |param: &Param| matches!(param, Param::Number(schedule) if !schedule.is_constant());
        self.write().0.iter().any(|(_, param)| follows(param))
    }

    /// Checks every parameter, as parsing does.
    pub fn check(&self) -> Result<(), SpecError> {
        let (info, params) = (self.info(), self.write());
        info.fields.iter().try_for_each(|field| match params.get(field.name) {
            Some(param) => check_param(field, param, info.at(field)),
            None => Ok(()),
        })
    }

    /// What stands after the stage's name in JSON: the value itself where it tells everything; true where there is
    /// nothing to tell but the stage's name.
    fn to_value(&self) -> SpecValue {
        match self.told().as_slice() {
            [] => true.into(),
            [(field, param)] if field.name == At::VALUE => param.to_value(field),
            told => SpecValue::object(told.iter().map(|(field, param)| (field.name, param.to_value(field)))),
        }
    }

    /// The parameters that canonical forms tell: whatever is not at its default, so always a main value that has none.
    fn told(&self) -> Vec<(&'static Field, Param)> {
        let params = self.write();
        let told = |field: &'static Field| {
            let param = params.get(field.name)?.clone();
            (field.kind.default().as_ref() != Some(&param)).then_some((field, param))
        };
        self.info().fields.iter().filter_map(told).collect()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().name)?;
        for (field, param) in self.told() {
            let text = param.text(field);
            if field.name == At::VALUE { write!(f, "={text}")? } else { write!(f, ":{}={text}", field.name)? }
        }
        Ok(())
    }
}
