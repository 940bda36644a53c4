//! The text form: `temp=1.2,top_h=0.4:rule=hf`.

use super::build::Draft;
use super::error::{At, SpecError, excerpt};
use super::value::SpecValue;

/// Reads the names and values of every stage, in order. What they mean is not judged here. An empty text has no stages.
pub(super) fn parse(text: &str) -> Result<Vec<Draft>, SpecError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    split(text, ',').into_iter().map(stage).collect()
}

fn stage(text: &str) -> Result<Draft, SpecError> {
    let mut parts = split(text, ':').into_iter();
    let head = parts.next().unwrap_or_default();
    let (name, value) = match head.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value)),
        None => (head.trim(), None),
    };
    if name.is_empty() {
        return Err(SpecError::Syntax { expected: "a stage reads name=value", given: excerpt(text) });
    }
    let mut fields: Vec<(String, SpecValue)> = Vec::new();
    fields.extend(value.map(|value| (At::VALUE.to_owned(), value.trim().into())));
    for part in parts {
        let Some((field, value)) = part.split_once('=') else {
            let expected = "a stage's further parameters read name=value after a colon";
            return Err(SpecError::Syntax { expected, given: excerpt(part) });
        };
        fields.push((field.trim().to_owned(), value.trim().into()));
    }
    Ok(Draft { name: name.to_owned(), fields })
}

/// The items of a list in parentheses; or in brackets, or in nothing, where it does not stand in a longer text.
pub(super) fn items(text: &str) -> Option<Vec<&str>> {
    let text = text.trim();
    let within = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    match within('(', ')').or_else(|| within('[', ']')) {
        Some(list) if list.trim().is_empty() => Some(Vec::new()),
        None if text.is_empty() => None,
        list => Some(split(list.unwrap_or(text), ',').into_iter().map(str::trim).collect()),
    }
}

/// The two sides of `name=value`.
pub(super) fn split_pair(text: &str) -> Option<(SpecValue, SpecValue)> {
    text.split_once('=').map(|(name, value)| (name.trim().into(), value.trim().into()))
}

/// Splits at a separator wherever it stands outside parentheses and quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    text.split(|c| {
        match c {
            '"' if !escaped => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        depth == 0 && !quoted && c == separator
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_respect_parentheses() {
        assert_eq!(split("a=f(1,2:3),b", ','), ["a=f(1,2:3)", "b"]);
        assert_eq!(split("a)=1,b=(", ','), ["a)=1", "b=("]);
        assert_eq!(split("", ','), [""]);
        assert_eq!(split(r#"a=("),\"",1),b="\\",c"#, ','), [r#"a=("),\"",1)"#, r#"b="\\""#, "c"]);
    }
}
