//! The JSON Schema of a spec, made from the catalog.

use crate::catalog::{Field, Kind, StageInfo};
use crate::spec::{At, SamplerSpec, SpecValue};
use crate::stages::catalog;
use std::collections::BTreeMap;

impl SamplerSpec {
    /// The JSON Schema (2020-12) of everything that deserialises to a spec: text, list or object. What a schema cannot say
    /// (the inside of a text, two names for one stage) only parsing checks. What the catalog knows beyond constraints
    /// stands under keys that begin with `x-`.
    pub fn json_schema() -> SpecValue {
        object([
            ("$schema", "https://json-schema.org/draft/2020-12/schema".into()),
            ("title", "SamplerSpec".into()),
            (
                "description",
                "What a sampler does to a row of logits: stages, each on the survivors of those before".into(),
            ),
            ("anyOf", SpecValue::List(vec![text_form(), list_form(), object_form()])),
            ("$defs", definitions()),
        ])
    }
}

/// The definition of an object of stages.
const STAGES: &str = "stages";
/// The definition of a number in text form.
const NUMBER_TEXT: &str = "number_text";

fn text_form() -> SpecValue {
    object([
        ("type", "string".into()),
        ("description", "stages in the order written".into()),
        (
            "examples",
            ["temp=1.2,top_h=0.4:rule=hf", "temp=by_entropy(0.5..4->0.3..1.8),top_p=0.95"].into_iter().collect(),
        ),
    ])
}

fn list_form() -> SpecValue {
    let one = object([reference(STAGES), ("minProperties", 1.0.into()), ("maxProperties", 1.0.into())]);
    object([("type", "array".into()), ("description", "stages in the order written".into()), ("items", one)])
}

fn object_form() -> SpecValue {
    object([
        ("type", "object".into()),
        ("description", "stages in canonical order, and parameters beside their stage".into()),
        ("properties", SpecValue::object(by_name().chain(by_flat_name()))),
        ("additionalProperties", false.into()),
    ])
}

fn by_name() -> impl Iterator<Item = (&'static str, SpecValue)> {
    catalog().iter().flat_map(|info| info.names().map(|name| (name, object([reference(info.name)]))))
}

/// Parameters that may stand beside their stages. Those that share a name are of one kind.
fn by_flat_name() -> BTreeMap<&'static str, SpecValue> {
    let fields = catalog().iter().flat_map(|info| info.fields);
    fields.flat_map(|field| field.flat.iter().map(|&name| (name, parameter(field)))).collect()
}

fn definitions() -> SpecValue {
    let stages = object([
        ("type", "object".into()),
        ("properties", SpecValue::object(by_name())),
        ("additionalProperties", false.into()),
    ]);
    let number_text = object([
        ("type", "string".into()),
        ("description", "a number, or one that follows the model's uncertainty".into()),
        ("examples", ["1.2", "by_entropy(0.5..4->0.3..1.8)"].into_iter().collect()),
    ]);
    let shared = [(STAGES, stages), (NUMBER_TEXT, number_text)];
    SpecValue::object(shared.into_iter().chain(catalog().iter().map(|info| (info.name, stage(info)))))
}

fn stage(info: &StageInfo) -> SpecValue {
    let fields = info.fields.iter().flat_map(|field| field.names().map(|name| (name, parameter(field))));
    let required = info.fields.iter().filter(|field| field.kind.default().is_none()).map(|field| field.name);
    let with_fields = object([
        ("type", "object".into()),
        ("properties", SpecValue::object(fields)),
        ("required", required.collect()),
        ("additionalProperties", false.into()),
    ]);
    let forms = info.value().map(parameter).into_iter().chain([with_fields]);
    object([
        ("description", info.summary.into()),
        ("anyOf", forms.collect()),
        ("x-aliases", info.aliases.iter().copied().collect()),
        ("x-role", info.role.name().into()),
        ("x-rank", f64::from(info.rank).into()),
        ("x-source", info.source.into()),
        ("x-keeps-argmax", info.keeps_argmax.into()),
        ("x-temperature-invariant", info.temperature_invariant.into()),
        ("x-order-sensitive", info.order_sensitive.into()),
    ])
}

fn parameter(field: &Field) -> SpecValue {
    let mut keys = vec![("description", field.summary.into())];
    match field.kind {
        Kind::Number { range, neutral, default } => {
            let mut number =
                vec![("type", if range.integer { "integer" } else { "number" }.into()), ("minimum", range.min.into())];
            number.extend(range.max.is_finite().then(|| ("maximum", range.max.into())));
            keys.push(("anyOf", SpecValue::List(vec![object(number), object([reference(NUMBER_TEXT)])])));
            keys.extend(default.map(|default| ("default", default.into())));
            if field.name == At::VALUE {
                keys.push(("x-neutral", neutral.iter().copied().collect()));
            }
        }
        Kind::Switch { default } => keys.extend([("type", "boolean".into()), ("default", default.into())]),
        Kind::Choice { values } => {
            keys.push(("enum", values.iter().copied().collect()));
            keys.extend(values.first().map(|&first| ("default", first.into())));
        }
        Kind::Biases => keys.push(("anyOf", biases_forms())),
        Kind::Phrases { default } => {
            keys.push(("anyOf", phrases_forms()));
            keys.push(("default", default.iter().copied().collect()));
        }
    }
    if let Some(usual) = field.usual {
        keys.push(("examples", [usual.value].into_iter().collect()));
        keys.push(("x-usual", [usual.min, usual.max].into_iter().collect()));
    }
    object(keys)
}

/// `{"15": -2.5}`, `[[15, -2.5]]` or text.
fn biases_forms() -> SpecValue {
    let bias = || one_of([typed("number"), object([("enum", SpecValue::List(vec!["-inf".into(), false.into()]))])]);
    let by_id = object([
        ("type", "object".into()),
        ("propertyNames", object([("pattern", "^[0-9]+$".into())])),
        ("additionalProperties", bias()),
    ]);
    let pair = object([
        ("type", "array".into()),
        ("prefixItems", SpecValue::List(vec![token(), bias()])),
        ("items", false.into()),
        ("minItems", 2.0.into()),
    ]);
    let text = object([("type", "string".into()), ("examples", ["(15=-2.5,42=-inf)"].into_iter().collect())]);
    SpecValue::List(vec![by_id, list_of(pair), text])
}

/// `["\n", 198, [13, 198]]` or text.
fn phrases_forms() -> SpecValue {
    let ids = object([("type", "array".into()), ("items", token()), ("minItems", 1.0.into())]);
    let words = object([("type", "string".into()), ("minLength", 1.0.into())]);
    let text = object([("type", "string".into()), ("examples", [r#"("\n",198,13 198)"#].into_iter().collect())]);
    SpecValue::List(vec![list_of(one_of([words, token(), ids])), text])
}

fn token() -> SpecValue {
    object([("type", "integer".into()), ("minimum", 0.0.into())])
}

fn list_of(items: SpecValue) -> SpecValue {
    object([("type", "array".into()), ("items", items)])
}

fn one_of<const N: usize>(forms: [SpecValue; N]) -> SpecValue {
    object([("anyOf", forms.into_iter().collect())])
}

fn typed(name: &'static str) -> SpecValue {
    object([("type", name.into())])
}

fn reference(definition: &str) -> (&'static str, SpecValue) {
    ("$ref", format!("#/$defs/{definition}").into())
}

fn object(pairs: impl IntoIterator<Item = (&'static str, SpecValue)>) -> SpecValue {
    SpecValue::object(pairs)
}
