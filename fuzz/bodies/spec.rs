//! Bytes -> spec text and JSON -> parse -> print -> parse.

use decant_sampling::{SamplerSpec, SpecError, SpecValue};

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    judge(text.parse(), text);
    if let Ok(value) = serde_json::from_str::<SpecValue>(text) {
        judge(SamplerSpec::from_value(value), text);
    }
}

/// A spec survives printing, in both forms; an error is one short sentence.
fn judge(parsed: Result<SamplerSpec, SpecError>, given: &str) {
    match parsed {
        Ok(spec) => {
            assert_eq!(spec.check(), Ok(()), "{given}");
            assert_eq!(spec.to_string().parse(), Ok(spec.clone()), "{given}");
            assert_eq!(SamplerSpec::from_value(spec.to_json_list()), Ok(spec), "{given}");
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.len() < 600 && !sentence.contains('\n'), "{sentence}");
        }
    }
}
