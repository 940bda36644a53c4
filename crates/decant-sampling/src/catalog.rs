//! The catalog: every stage's names, ranges and properties, as data. Parsing, printing, checks, the JSON Schema and the
//! generated documentation all read it.

use crate::effect::{Effect, Learn};
use crate::schedule::{Number, Schedule};
use crate::spec::build::{Param, Params};
use crate::spec::{At, Phrase, SpecValue, biases, phrases};
use crate::stages::catalog;
use decant_kernels::rows::Want;
use std::fmt;
use std::ops::RangeInclusive;

/// Makes the enum of all stages, and the catalog, of a list of their types, given as module::Type.
macro_rules! stages {
    ($($module:ident::$Type:ident),* $(,)?) => {
        use $crate::catalog::{StageDef, StageInfo};
        use $crate::effect::{Effect, Learn};
        use $crate::spec::build::Params;
        use decant_kernels::rows::Want;
        $(pub use $module::$Type;)*

        /// One step of a sampler: a change of temperature or a rule that drops tokens.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Stage {
            $(#[doc = concat!("See [`", stringify!($Type), "`](struct@", stringify!($Type), ").")] $Type($Type),)*
        }

        /// Every stage there is.
        pub fn catalog() -> &'static [StageInfo] {
            &[$($Type::INFO),*]
        }

        impl Stage {
            /// What the catalog says about this kind of stage.
            pub fn info(&self) -> &'static StageInfo {
                match self { $(Stage::$Type(_) => &const { $Type::INFO },)* }
            }

            pub(crate) fn read(info: &StageInfo, params: &Params) -> Stage {
                $(if info.name == $Type::INFO.name { return Stage::$Type($Type::read(params)) })*
                unreachable!("every StageInfo is from the catalog, unlike {}", info.name)
            }

            pub(crate) fn write(&self) -> Params {
                match self { $(Stage::$Type(stage) => stage.write(),)* }
            }

            pub(crate) fn effect(&self) -> Effect<'_> {
                match self { $(Stage::$Type(stage) => stage.effect(),)* }
            }

            pub(crate) fn want(&self) -> Want {
                match self { $(Stage::$Type(stage) => stage.want(),)* }
            }

            pub(crate) fn learner(&self) -> Option<&dyn Learn> {
                match self { $(Stage::$Type(stage) => stage.learner(),)* }
            }
        }

        $(impl From<$Type> for Stage {
            fn from(stage: $Type) -> Self {
                Stage::$Type(stage)
            }
        })*
    };
}

pub(crate) use stages;

/// What is known about a stage before it has values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageInfo {
    /// The canonical name.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub summary: &'static str,
    /// The parameters; the main one, named [`At::VALUE`], first.
    pub fields: &'static [Field],
    /// Where the stage stands when the spec has no order of its own: transformers' order.
    pub rank: u32,
    /// Paper or project that the rule is from.
    pub source: &'static str,
    /// Whether the most probable token always survives.
    pub keeps_argmax: bool,
    /// Whether it keeps the same tokens whatever temperature > 0 acted before it.
    pub temperature_invariant: bool,
    /// Whether the tokens it keeps depend on which others the stages before it have dropped.
    pub order_sensitive: bool,
    /// What it does to a row.
    pub role: Role,
    /// Which way its value grows stricter, if whatever survives a stricter value also survives a looser one that stands
    /// further on, with nothing but truncations between.
    pub stricter: Option<Stricter>,
    /// Values that leave the most probable token alone.
    pub greedy: &'static [f64],
    /// Whether the rule is meant for logits that no temperature has touched.
    pub before_temperature: bool,
    /// Whether it is meant to stand last: it steers by what is drawn, and a stage after it would draw something else.
    pub last: bool,
}

impl StageInfo {
    /// What most stages of a role have in common: a definition ends in `..StageInfo::of(role)` and tells what is its own.
    pub(crate) const fn of(role: Role) -> Self {
        StageInfo {
            name: "",
            aliases: &[],
            summary: "",
            fields: &[],
            rank: 0,
            source: "",
            keeps_argmax: matches!(role, Role::Temperature | Role::Truncation),
            temperature_invariant: false,
            order_sensitive: matches!(role, Role::Truncation),
            role,
            stricter: None,
            greedy: &[],
            before_temperature: false,
            last: false,
        }
    }

    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }

    /// The parameter after the equals sign, if the stage has one.
    pub fn value(&self) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == At::VALUE)
    }

    /// Whether the pairs of an object are the main parameter itself and not the parameters by their names.
    pub(crate) fn is_value(&self, pairs: &[(String, SpecValue)]) -> bool {
        let takes_objects = self.value().is_some_and(|field| field.kind == Kind::Biases);
        let named = |name: &str| self.fields.iter().any(|field| field.names().any(|known| known == name));
        takes_objects && !pairs.iter().any(|(name, _)| named(name))
    }

    pub(crate) fn at(&self, field: &Field) -> At {
        At { stage: self.name, field: field.name }
    }
}

/// What a stage does to a row, as far as other stages are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Divides all logits by one number.
    Temperature,
    /// Drops tokens.
    Truncation,
    /// Changes the logits of some tokens, by id: those seen before, those listed.
    Adjustment,
    /// Changes all logits, each by its own size.
    Shaping,
}

impl Role {
    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Role::Temperature => "temperature",
            Role::Truncation => "truncation",
            Role::Adjustment => "adjustment",
            Role::Shaping => "shaping",
        }
    }
}

/// Which way the value of a truncation grows stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stricter {
    /// A lower value keeps fewer tokens.
    Lower,
    /// A higher value keeps fewer tokens.
    Higher,
}

/// A parameter of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Its name in JSON and after a colon.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// Names by which it may stand beside the stages where they have no order (an object, keyword arguments), as
    /// front-ends send `dry_base` beside `dry_multiplier`. Stages may share one: it then speaks to each that is given.
    pub flat: &'static [&'static str],
    /// What it is, in a few words.
    pub summary: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What people choose, if it is a number: for sliders, and to begin with.
    pub usual: Option<Usual>,
}

impl Field {
    /// A parameter without further names.
    pub(crate) const fn new(name: &'static str, summary: &'static str, kind: Kind) -> Self {
        Field { name, aliases: &[], flat: &[], summary, kind, usual: None }
    }

    /// The main parameter of a stage.
    pub(crate) const fn value(summary: &'static str, kind: Kind) -> Self {
        Field::new(At::VALUE, summary, kind)
    }

    /// The same with [`Field::aliases`].
    pub(crate) const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Field { aliases, ..self }
    }

    /// The same with [`Field::flat`] names.
    pub(crate) const fn flat(self, flat: &'static [&'static str]) -> Self {
        Field { flat, ..self }
    }

    /// The same with [`Field::usual`].
    pub(crate) const fn usual(self, value: f64, range: RangeInclusive<f64>) -> Self {
        Field { usual: Some(Usual { value, min: *range.start(), max: *range.end() }), ..self }
    }

    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }

    /// What holds where it is not given, as text; `None` if it must be given.
    pub fn default_text(&self) -> Option<String> {
        self.kind.default().map(|param| param.text(self))
    }
}

/// What people choose for a number, where more is allowed than makes sense: it constrains nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// A value to begin with, at which the stage acts.
    pub value: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A number, or a [`Schedule`] of numbers.
    Number {
        /// The numbers allowed.
        range: Range,
        /// Values that make the stage a no-op.
        neutral: &'static [f64],
        /// The value where none is given.
        default: Option<f64>,
    },
    /// true or false. As the main parameter of a stage it says whether the stage acts at all.
    Switch {
        /// What holds where nothing is said.
        default: bool,
    },
    /// One of several words; the first is the default.
    Choice {
        /// The words.
        values: &'static [&'static str],
    },
    /// Token ids, each with a finite number to add to its logit, or with -inf.
    Biases,
    /// A set of texts and sequences of token ids.
    Phrases {
        /// The texts that hold where none is given.
        default: &'static [&'static str],
    },
}

impl Kind {
    /// A number that must be given, and the values that switch the stage off.
    pub(crate) const fn required(range: Range, neutral: &'static [f64]) -> Self {
        Kind::Number { range, neutral, default: None }
    }

    /// A number that may be left out.
    pub(crate) const fn optional(range: Range, default: f64) -> Self {
        Kind::Number { range, neutral: &[], default: Some(default) }
    }

    /// Numbers that make the stage a no-op.
    pub fn neutral(&self) -> &'static [f64] {
        match self {
            Kind::Number { neutral, .. } => neutral,
            _ => &[],
        }
    }

    /// The words to choose from, if it is a choice.
    pub fn choices(&self) -> &'static [&'static str] {
        match self {
            Kind::Choice { values } => values,
            _ => &[],
        }
    }

    pub(crate) fn default(&self) -> Option<Param> {
        match self {
            Kind::Number { default, .. } => default.map(|value| Param::Number(Schedule::Constant(value))),
            Kind::Switch { default } => Some(Param::Switch(*default)),
            Kind::Choice { .. } => Some(Param::Choice(0)),
            Kind::Biases => None,
            Kind::Phrases { default } => {
                Some(Param::Phrases(default.iter().map(|&text| Phrase::Text(text.to_owned())).collect()))
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Number { range, .. } => write!(f, "{range}"),
            Kind::Switch { .. } => f.write_str("true or false"),
            Kind::Choice { values } => write!(f, "one of {}", values.join(", ")),
            Kind::Biases => f.write_str(biases::FORM),
            Kind::Phrases { .. } => f.write_str(phrases::FORM),
        }
    }
}

/// The numbers a parameter may take, ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least.
    pub min: f64,
    /// The greatest; infinity for none.
    pub max: f64,
    /// Whether a constant must be a whole number. (What a schedule gives is rounded where it is used.)
    pub integer: bool,
}

impl Range {
    pub(crate) const fn numbers(min: f64, max: f64) -> Self {
        Range { min, max, integer: false }
    }

    pub(crate) const fn integers_from(min: f64) -> Self {
        Range { min, max: f64::INFINITY, integer: true }
    }

    /// Whether a number lies in the range; NaN and infinities never do.
    pub fn contains(&self, number: f64) -> bool {
        number.is_finite() && (self.min..=self.max).contains(&number)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, min) = (if self.integer { "an integer" } else { "a number" }, Number(self.min));
        if self.max.is_finite() {
            write!(f, "{noun} in {min}..={}", Number(self.max))
        } else {
            write!(f, "{noun} >= {min}")
        }
    }
}

/// Looks a stage up by its name or an alias.
pub fn find_stage(name: &str) -> Option<&'static StageInfo> {
    catalog().iter().find(|info| info.names().any(|known| known == name))
}

/// The parameters that go by a flat name, each with its stage; see [`Field::flat`].
pub(crate) fn find_flat(name: &str) -> impl Iterator<Item = (&'static StageInfo, &'static Field)> {
    let fields = catalog().iter().flat_map(|info| info.fields.iter().map(move |field| (info, field)));
    fields.filter(move |(_, field)| field.flat.contains(&name))
}

/// What a stage's file defines; everything else about stages follows from it.
pub(crate) trait StageDef: Sized {
    const INFO: StageInfo;

    /// The stage with these values: exactly the fields of `INFO`, each of its kind.
    fn read(params: &Params) -> Self;

    /// The inverse of [`StageDef::read`].
    fn write(&self) -> Params;

    /// What it does to a row.
    fn effect(&self) -> Effect<'_>;

    /// Which sums over the row its rule asks for, so that one pass can take them all.
    fn want(&self) -> Want {
        Want::default()
    }

    /// How it learns from what was drawn, if it does.
    fn learner(&self) -> Option<&dyn Learn> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_allowed_and_acts() {
        for (info, field) in catalog().iter().flat_map(|info| info.fields.iter().map(move |field| (info, field))) {
            let Some(Usual { value, min, max }) = field.usual else {
                assert!(field.name != At::VALUE || !matches!(field.kind, Kind::Number { .. }), "{}", info.name);
                continue;
            };
            let Kind::Number { range, neutral, default } = field.kind else { panic!("{}: no number", info.name) };
            assert!(min < max && (min..=max).contains(&value), "{}:{}", info.name, field.name);
            assert!([value, min, max].iter().all(|&number| range.contains(number)), "{}:{}", info.name, field.name);
            assert!(!neutral.contains(&value) && default.is_none_or(|default| default == value), "{}", info.name);
        }
    }
}
