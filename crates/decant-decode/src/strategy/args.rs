//! What stands between the parentheses of a strategy.

use super::spec::DecodeSpecError;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The fields of a strategy as they were given, by name or by place.
pub(super) struct Args<'t> {
    strategy: &'static str,
    given: Vec<(&'static str, &'t str)>,
}

impl<'t> Args<'t> {
    /// Reads `value, field=value, ..`. Values without a name are the fields in their order.
    pub fn read(strategy: &'static str, inside: &'t str, fields: &[&'static str]) -> Result<Self, DecodeSpecError> {
        let unknown = |given: &str| {
            let known = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
            DecodeSpecError::UnknownField { strategy, given: excerpt(given), known }
        };
        let mut args = Args { strategy, given: Vec::new() };
        let items = inside.split(',').map(str::trim).enumerate();
        for (place, item) in items.filter(|_| !inside.trim().is_empty()) {
            let (field, value) = match item.split_once('=') {
                Some((name, value)) => (fields.iter().find(|field| **field == name.trim()), value.trim()),
                None => (fields.get(place), item),
            };
            let name = item.split('=').next().unwrap_or_default().trim();
            let field = *field.ok_or_else(|| unknown(name))?;
            if args.find(field).is_some() {
                return Err(DecodeSpecError::Twice { strategy, field });
            }
            args.given.push((field, value));
        }
        Ok(args)
    }

    fn find(&self, field: &str) -> Option<&'t str> {
        self.given.iter().find(|(name, _)| *name == field).map(|(_, value)| *value)
    }

    /// A whole number of at least `least`; without a default it must be given.
    pub fn count(&self, field: &'static str, least: usize, default: Option<usize>) -> Result<usize, DecodeSpecError> {
        let allowed = format!("an integer >= {least}");
        match (self.find(field), default) {
            (Some(given), _) => match given.parse() {
                Ok(count) if count >= least => Ok(count),
                _ => Err(self.wrong(field, allowed, given)),
            },
            (None, Some(default)) => Ok(default),
            (None, None) => Err(DecodeSpecError::Missing { strategy: self.strategy, field, allowed }),
        }
    }

    /// A number in a range.
    pub fn number(
        &self,
        field: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Result<f64, DecodeSpecError> {
        let Some(given) = self.find(field) else { return Ok(default) };
        let allowed = || format!("a number in {}..={}", range.start(), range.end());
        given.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| self.wrong(field, allowed(), given))
    }

    /// One of several names; the first is the default.
    pub fn choice<T: Copy + Default>(
        &self,
        field: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<T, DecodeSpecError> {
        let Some(given) = self.find(field) else { return Ok(T::default()) };
        let found = choices.iter().find(|(name, _)| *name == given).map(|(_, choice)| *choice);
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        found.ok_or_else(|| self.wrong(field, either(&names), given))
    }

    /// A value that reads itself.
    pub fn parsed<T: FromStr>(&self, field: &'static str, allowed: &str, default: T) -> Result<T, DecodeSpecError> {
        let Some(given) = self.find(field) else { return Ok(default) };
        given.parse().map_err(|_| self.wrong(field, allowed, given))
    }

    fn wrong(&self, field: &'static str, allowed: impl Display, given: &str) -> DecodeSpecError {
        let allowed = allowed.to_string();
        DecodeSpecError::Value { strategy: self.strategy, field, allowed, given: excerpt(given) }
    }
}

/// `a, b or c`.
fn either(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn excerpt(given: &str) -> String {
    given.chars().take(60).collect()
}
