//! The one constructor and the one range check: every spelling of a stage passes here.

use super::biases;
use super::error::{At, SpecError, excerpt, nearest};
use super::phrases::{self, Phrase, Phrases};
use super::value::SpecValue;
use crate::TokenId;
use crate::catalog::{Field, Kind, StageInfo, find_flat, find_stage};
use crate::schedule::{Number, Schedule};
use crate::stages::{Stage, catalog};
use std::collections::BTreeMap;

/// A stage as somebody wrote it: names unresolved, values unread.
#[derive(Debug)]
pub(crate) struct Draft {
    pub name: String,
    /// In the order written; the main value goes by the name [`At::VALUE`].
    pub fields: Vec<(String, SpecValue)>,
}

impl Draft {
    /// `"top_h": 0.4` or `"top_h": {"value": 0.4, "rule": "hf"}`.
    pub fn from_pair(name: String, value: SpecValue) -> Self {
        let is_value = |pairs: &[(String, SpecValue)]| find_stage(&name).is_some_and(|info| info.is_value(pairs));
        let fields = match value {
            SpecValue::Object(fields) if !is_value(&fields) => fields,
            value => vec![(At::VALUE.to_owned(), value)],
        };
        Draft { name, fields }
    }
}

/// The value of one parameter of a stage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param {
    Number(Schedule),
    Switch(bool),
    /// An index into the parameter's choices.
    Choice(usize),
    Biases(BTreeMap<TokenId, f64>),
    Phrases(Phrases),
}

impl Param {
    pub fn text(&self, field: &Field) -> String {
        match self {
            Param::Number(schedule) => schedule.to_string(),
            Param::Switch(on) => on.to_string(),
            Param::Choice(index) => field.kind.choices().get(*index).copied().unwrap_or_default().to_owned(),
            Param::Biases(biases) => biases::text(biases),
            Param::Phrases(phrases) => phrases::text(phrases),
        }
    }

    /// Whether it is a constant that makes the stage a no-op.
    pub fn is_neutral(&self, field: &Field) -> bool {
        match self {
            Param::Number(Schedule::Constant(value)) => field.kind.neutral().contains(value),
            Param::Switch(on) => field.name == At::VALUE && !on,
            Param::Biases(biases) => biases.values().all(|bias| *bias == 0.0),
            _ => false,
        }
    }

    /// The token ids that it names.
    pub fn tokens(&self) -> Vec<TokenId> {
        match self {
            Param::Biases(biases) => biases.keys().copied().collect(),
            Param::Phrases(phrases) => phrases.tokens().collect(),
            _ => Vec::new(),
        }
    }

    pub fn to_value(&self, field: &Field) -> SpecValue {
        match self {
            Param::Number(Schedule::Constant(number)) => SpecValue::Number(*number),
            Param::Switch(on) => SpecValue::Bool(*on),
            Param::Biases(biases) => biases::to_value(biases),
            Param::Phrases(phrases) => phrases::to_value(phrases),
            _ => SpecValue::Text(self.text(field)),
        }
    }
}

/// The parameters of a stage by name, in the order of its [`StageInfo::fields`].
#[derive(Debug, Default)]
pub(crate) struct Params(pub Vec<(&'static str, Param)>);

impl Params {
    /// The parameters of a stage that is made of numbers only.
    pub fn numbers<const N: usize>(numbers: [(&'static str, &Schedule); N]) -> Self {
        Params(numbers.into_iter().map(|(name, number)| (name, Param::Number(number.clone()))).collect())
    }

    /// The same with a further number.
    pub fn and_number(mut self, name: &'static str, number: &Schedule) -> Self {
        self.0.push((name, Param::Number(number.clone())));
        self
    }

    /// The same with a further parameter, one of several choices.
    pub fn choice(mut self, name: &'static str, index: usize) -> Self {
        self.0.push((name, Param::Choice(index)));
        self
    }

    /// The same with a further parameter, true or false.
    pub fn switch(mut self, name: &'static str, on: bool) -> Self {
        self.0.push((name, Param::Switch(on)));
        self
    }

    /// The same with a further parameter, biases.
    pub fn and_biases(mut self, name: &'static str, biases: &BTreeMap<TokenId, f64>) -> Self {
        self.0.push((name, Param::Biases(biases.clone())));
        self
    }

    /// The same with a further parameter, phrases.
    pub fn and_phrases(mut self, name: &'static str, phrases: &Phrases) -> Self {
        self.0.push((name, Param::Phrases(phrases.clone())));
        self
    }

    pub fn get(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, param)| param)
    }

    /// A numeric parameter, by its name in the stage's `INFO`.
    pub fn number(&self, name: &str) -> Schedule {
        match self.get(name) {
            Some(Param::Number(schedule)) => schedule.clone(),
            other => unreachable!("INFO declares no number {name}: {other:?}"),
        }
    }

    /// Biases, by their name in the stage's `INFO`.
    pub fn biases(&self, name: &str) -> BTreeMap<TokenId, f64> {
        match self.get(name) {
            Some(Param::Biases(biases)) => biases.clone(),
            other => unreachable!("INFO declares no biases {name}: {other:?}"),
        }
    }

    /// Phrases, by their name in the stage's `INFO`.
    pub fn phrases(&self, name: &str) -> Phrases {
        match self.get(name) {
            Some(Param::Phrases(phrases)) => phrases.clone(),
            other => unreachable!("INFO declares no phrases {name}: {other:?}"),
        }
    }

    /// A switch, by its name in the stage's `INFO`.
    pub fn is_on(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Param::Switch(on)) => *on,
            other => unreachable!("INFO declares no switch {name}: {other:?}"),
        }
    }

    /// The index of a choice, by the parameter's name in the stage's `INFO`.
    pub fn index(&self, name: &str) -> usize {
        match self.get(name) {
            Some(Param::Choice(index)) => *index,
            other => unreachable!("INFO declares no choice {name}: {other:?}"),
        }
    }
}

/// Resolves a name or an alias.
pub(crate) fn resolve(name: &str) -> Result<&'static StageInfo, SpecError> {
    find_stage(name).ok_or_else(|| SpecError::UnknownStage {
        given: excerpt(name),
        nearest: nearest(name, catalog().iter().flat_map(StageInfo::names)),
    })
}

/// Gathers stages from pairs without order, where parameters may stand beside their stage under flat names.
pub(super) fn gather(pairs: impl Iterator<Item = (String, SpecValue)>) -> Result<Vec<Draft>, SpecError> {
    let is_flat = |name: &str| find_stage(name).is_none() && find_flat(name).next().is_some();
    let (flat, stages): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| is_flat(name));
    let mut drafts: Vec<Draft> = stages.into_iter().map(|(name, value)| Draft::from_pair(name, value)).collect();
    for (name, value) in flat {
        let mut taken = false;
        for (info, field) in find_flat(&name) {
            for draft in drafts.iter_mut().filter(|draft| info.names().any(|known| known == draft.name)) {
                draft.fields.push((field.name.to_owned(), value.clone()));
                taken = true;
            }
        }
        if !taken {
            check_alone(name, value)?;
        }
    }
    Ok(drafts)
}

/// A parameter whose stage is not there may say no more than what would hold anyway.
fn check_alone(name: String, value: SpecValue) -> Result<(), SpecError> {
    for (info, field) in find_flat(&name) {
        let param = read_param(field, Some(value.clone()), info.at(field))?;
        if !param.is_neutral(field) && field.kind.default() != Some(param) {
            let stages = find_flat(&name).map(|(info, _)| info.name).collect();
            return Err(SpecError::Alone { given: excerpt(&name), stages });
        }
    }
    Ok(())
}

/// Makes a stage of what was written, and checks it.
pub(crate) fn build(info: &'static StageInfo, draft: Draft) -> Result<Stage, SpecError> {
    let mut given: Vec<Option<SpecValue>> = vec![None; info.fields.len()];
    for (name, value) in draft.fields {
        let Some(index) = info.fields.iter().position(|field| field.names().any(|known| known == name)) else {
            let known = info.fields.iter().flat_map(Field::names);
            let (stage, nearest) = (info.name, nearest(&name, known));
            return Err(SpecError::UnknownField { stage, given: excerpt(&name), nearest });
        };
        if given[index].replace(value).is_some() {
            return Err(SpecError::Twice { at: info.at(&info.fields[index]) });
        }
    }
    let read = |(field, value): (&Field, _)| Ok((field.name, read_param(field, value, info.at(field))?));
    let params = info.fields.iter().zip(given).map(read).collect::<Result<_, SpecError>>()?;
    let stage = Stage::read(info, &Params(params));
    stage.check()?;
    Ok(stage)
}

fn read_param(field: &Field, value: Option<SpecValue>, at: At) -> Result<Param, SpecError> {
    let Some(value) = value else {
        let missing = || SpecError::Missing { at, expected: field.kind.to_string() };
        return field.kind.default().ok_or_else(missing);
    };
    let wrong_part = |given: String| SpecError::Value { at, expected: field.kind.to_string(), given };
    let wrong = |given: &SpecValue| wrong_part(given.excerpt());
    match (field.kind, value) {
        (Kind::Number { .. }, SpecValue::Number(number)) => Ok(Param::Number(Schedule::Constant(number))),
        (Kind::Number { .. }, SpecValue::Text(text)) => match Schedule::parse(&text) {
            Ok(schedule) => Ok(Param::Number(schedule)),
            Err(fault) if text.contains('(') => Err(fault.at(at)),
            Err(_) => Err(wrong(&SpecValue::Text(text))),
        },
        (Kind::Switch { .. }, SpecValue::Bool(on)) => Ok(Param::Switch(on)),
        (Kind::Switch { .. }, SpecValue::Text(text)) => match text.trim() {
            "true" => Ok(Param::Switch(true)),
            "false" => Ok(Param::Switch(false)),
            _ => Err(wrong(&SpecValue::Text(text))),
        },
        (Kind::Choice { values }, SpecValue::Text(text)) => match values.iter().position(|known| *known == text.trim())
        {
            Some(index) => Ok(Param::Choice(index)),
            None => Err(wrong(&SpecValue::Text(text))),
        },
        (Kind::Biases, value) => biases::read(value).map(Param::Biases).map_err(wrong_part),
        (Kind::Phrases { .. }, value) => phrases::read(value).map(Param::Phrases).map_err(wrong_part),
        (_, value) => Err(wrong(&value)),
    }
}

/// Whether a parameter has a value it may have: every number that a schedule can reach lies in the range.
pub(crate) fn check_param(field: &Field, param: &Param, at: At) -> Result<(), SpecError> {
    let wrong = |given: String| SpecError::Value { at, expected: field.kind.to_string(), given };
    match (field.kind, param) {
        (Kind::Number { range, .. }, Param::Number(schedule)) => {
            let whole = |value: f64| !range.integer || value.fract() == 0.0 || !schedule.is_constant();
            for given in schedule.extremes() {
                if !range.contains(given) || !whole(given) {
                    return Err(SpecError::Range { at, range, given });
                }
            }
            schedule.check().map_err(|fault| fault.at(at))
        }
        (_, Param::Biases(biases)) => match biases.iter().find(|(_, bias)| !biases::is_bias(**bias)) {
            Some((token, bias)) => Err(wrong(format!("`{token}={}`", Number(*bias)))),
            None => Ok(()),
        },
        (_, Param::Phrases(phrases)) if phrases.iter().any(Phrase::is_empty) => Err(wrong("an empty one".to_owned())),
        _ => Ok(()),
    }
}
