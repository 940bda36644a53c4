//! `golden/specs.toml`: every spelling and every mistake.

use decant_sampling::{SamplerSpec, SpecError, SpecValue, catalog};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    good: Vec<Case>,
    bad: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    text: Option<String>,
    json: Option<String>,
    canonical: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    says: Vec<String>,
}

impl Case {
    fn given(&self) -> &str {
        self.text.as_ref().or(self.json.as_ref()).expect("a case has text or json")
    }

    fn parse(&self) -> Result<SamplerSpec, SpecError> {
        match &self.text {
            Some(text) => text.parse(),
            None => {
                let value: SpecValue = serde_json::from_str(self.given()).expect("the json of a case is JSON");
                SamplerSpec::from_value(value)
            }
        }
    }
}

fn golden() -> Golden {
    toml::from_str(include_str!("../../../golden/specs.toml")).unwrap()
}

#[test]
fn every_spelling_has_its_canonical_text() {
    for case in golden().good {
        let spec = case.parse().unwrap_or_else(|error| panic!("{}: {error}", case.given()));
        assert_eq!(spec.to_string(), case.canonical.as_ref().expect("a canonical text").as_str(), "{}", case.given());
        assert_eq!(spec.to_string().parse(), Ok(spec.clone()), "{} does not survive printing", case.given());
        assert_eq!(SamplerSpec::from_value(spec.to_json_list()), Ok(spec), "{} does not survive JSON", case.given());
    }
}

#[test]
fn every_mistake_is_named() {
    for case in golden().bad {
        let error = case.parse().expect_err(case.given());
        let kind: String = format!("{error:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
        assert_eq!(Some(kind), case.kind, "{}: {error}", case.given());
        for words in &case.says {
            assert!(error.to_string().contains(words), "{}: `{error}` does not say `{words}`", case.given());
        }
    }
}

#[test]
fn every_stage_has_a_row_that_sets_all_its_parameters() {
    let rows: Vec<String> = golden().good.into_iter().filter_map(|case| case.canonical).collect();
    for info in catalog() {
        let sets_all = |row: &&String| {
            !row.contains(',')
                && row.split(['=', ':']).next() == Some(info.name)
                && info.fields.iter().all(|field| field.name == "value" || row.contains(&format!(":{}=", field.name)))
        };
        assert!(rows.iter().any(|row| sets_all(&row)), "golden/specs.toml has no full row for {}", info.name);
    }
}
