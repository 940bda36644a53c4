//! JSON as Python writes it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
pub(super) fn dumps(value: &impl Serialize, indent: Option<usize>) -> serde_json::Result<String> {
    let mut out = Vec::new();
    match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut out, Spaced))?,
        Some(width) => {
            let indent = vec![b' '; width.min(64)];
            value.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(&indent)))?;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// A space after every comma and colon.
struct Spaced;

impl Spaced {
    fn comma<W: ?Sized + Write>(writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        Self::comma(writer, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        Self::comma(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::dumps;

    #[test]
    fn spaces_as_python_has_them() {
        let value = json!([1, "é<>'", {"a": [], "b": null}, true]);
        assert_eq!(dumps(&value, None).unwrap(), r#"[1, "é<>'", {"a": [], "b": null}, true]"#);
        assert_eq!(dumps(&json!({"a": [1, 2]}), Some(2)).unwrap(), "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
    }
}
