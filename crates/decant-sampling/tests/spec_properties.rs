//! What holds for every spec, whatever stages the catalog has.

use decant_sampling::{
    Field, Kind, Range, SamplerSpec, Schedule, Shape, Signal, Signals, SpecValue, StageInfo, catalog,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn signal() -> impl Strategy<Value = Signal> {
    select(vec![Signal::Entropy, Signal::Varentropy, Signal::MaxProb, Signal::EntropyNorm])
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Linear), Just(Shape::Sigmoid), (0.01..9.0).prop_map(Shape::Power), Just(Shape::Power(2.0))]
}

/// Schedules whose values lie in a range.
fn schedule(range: Range) -> impl Strategy<Value = Schedule> {
    let (min, max) = (range.min, range.max.min(range.min + 1e6));
    let value = move || min..=max;
    let thresholds = (0.0..9.0, 1e-6..9.0).prop_map(|(x0, width): (f64, f64)| [x0, x0 + width]);
    let ramp = (signal(), thresholds, value(), value(), shape(), option::of(1e-3..9.0)).prop_map(
        |(by, x, y0, y1, shape, cap)| Schedule::Ramp { by, x, y: [y0, y1], shape, cap: cap.map(|above| x[0] + above) },
    );
    // The bits of floats >= 0 are ordered as they are.
    let points = btree_map((0.0..20.0).prop_map(f64::to_bits), value(), 2..6)
        .prop_map(|points| points.into_iter().map(|(x, y)| (f64::from_bits(x), y)).collect());
    let table = (signal(), points).prop_map(|(by, points)| Schedule::Table { by, points });
    let dynatemp =
        (value(), value(), 0.0..5.0).prop_map(|(low, high, exponent)| Schedule::Dynatemp { low, high, exponent });
    let constant = value().prop_map(move |v| Schedule::Constant(if range.integer { v.round() } else { v }));
    let mut kinds = vec![constant.boxed(), ramp.boxed(), table.boxed(), dynatemp.boxed()];
    if min <= 0.0 {
        let edt = (0.0..=max, 0.01..=1.0, 0.0..3.0).prop_map(|(t0, base, theta)| Schedule::Edt { t0, base, theta });
        kinds.push(edt.boxed());
    }
    proptest::strategy::Union::new(kinds)
}

fn parameter(field: &'static Field) -> BoxedStrategy<SpecValue> {
    match field.kind {
        Kind::Number { range, .. } => schedule(range).prop_map(|s| s.to_string().into()).boxed(),
        Kind::Choice { values } => select(values).prop_map(SpecValue::from).boxed(),
        Kind::Switch { .. } => any::<bool>().prop_map(SpecValue::from).boxed(),
        Kind::Biases => {
            let bias = prop_oneof![-200.0..200.0, Just(f64::NEG_INFINITY), Just(-0.0)];
            btree_map(0u32..500, bias, 0..5)
                .prop_map(|biases| {
                    let pair = |(token, bias): (u32, f64)| (token.to_string(), bias.to_string().into());
                    SpecValue::object(biases.into_iter().map(pair))
                })
                .boxed()
        }
        Kind::Phrases { .. } => {
            let ids = vec(0u32..500, 1..4).prop_map(|ids| ids.into_iter().map(f64::from).collect::<SpecValue>());
            let text = r#"[ ,:()"\\=a\n\x01é\[\]]{1,4}"#.prop_map(SpecValue::from);
            vec(prop_oneof![ids, text], 0..4).prop_map(SpecValue::List).boxed()
        }
        other => panic!("no strategy for {other}"),
    }
}

/// One stage as the list form writes it, further parameters present or not.
fn stage(info: &'static StageInfo) -> impl Strategy<Value = SpecValue> {
    let fields: Vec<BoxedStrategy<Option<(&str, SpecValue)>>> = info
        .fields
        .iter()
        .map(|field| {
            let given = parameter(field).prop_map(|value| (field.name, value));
            let required = matches!(field.kind, Kind::Number { default: None, .. });
            if required { given.prop_map(Some).boxed() } else { option::of(given).boxed() }
        })
        .collect();
    fields.prop_map(|fields| SpecValue::object([(info.name, SpecValue::object(fields.into_iter().flatten()))]))
}

fn spec() -> impl Strategy<Value = SamplerSpec> {
    let any_stage = (0..catalog().len()).prop_flat_map(|i| stage(&catalog()[i]));
    vec(any_stage, 0..6).prop_map(|stages| SamplerSpec::from_value(SpecValue::List(stages)).expect("made to be valid"))
}

fn signals() -> impl Strategy<Value = Signals> {
    (0.0..12.5, 0.0..40.0, 0.0..=1.0, 1..300_000u32).prop_map(|(entropy, varentropy, max_prob, support)| Signals {
        entropy,
        varentropy,
        max_prob,
        support,
    })
}

proptest! {
    #[test]
    fn specs_survive_printing_and_json(spec in spec()) {
        prop_assert_eq!(spec.check(), Ok(()));
        let text = spec.to_string();
        prop_assert_eq!(text.parse(), Ok(spec.clone()), "{}", text);
        let json = serde_json::to_string(&spec.to_json_list()).unwrap();
        prop_assert_eq!(serde_json::from_str::<SamplerSpec>(&json).unwrap(), spec.clone(), "{}", json);
        let json = serde_json::to_string(&spec).unwrap();
        prop_assert_eq!(serde_json::from_str::<SamplerSpec>(&json).unwrap(), spec, "{}", json);
    }

    #[test]
    fn schedules_survive_printing_and_stay_in_range(
        schedule in schedule(Range { min: 0.25, max: 7.5, integer: false }),
        signals in signals(),
    ) {
        prop_assert_eq!(schedule.to_string().parse(), Ok(schedule.clone()), "{}", schedule);
        let value = schedule.at(&signals);
        prop_assert!((0.25..=7.5).contains(&value), "{} gives {}", schedule, value);
    }

    #[test]
    fn ramps_are_monotone(
        y0 in 0.0..2.0, y1 in 0.0..2.0, shape in shape(), h in 0.0..6.0, step in 0.0..1.0, signals in signals(),
    ) {
        let ramp = Schedule::Ramp { by: Signal::Entropy, x: [0.5, 4.0], y: [y0, y1], shape, cap: None };
        let at = |entropy: f64| ramp.at(&Signals { entropy, ..signals });
        let (before, after) = (at(h), at(h + step));
        // A last bit of rounding is no fall.
        prop_assert!((after - before) * (y1 - y0) >= -1e-15, "{} falls: {} then {}", ramp, before, after);
    }

    #[test]
    fn no_text_panics_or_gets_a_long_answer(text in r#"[a-z_0-9=:,.()> \[\]{}"\\-]{0,80}|\PC{0,300}"#) {
        if let Err(error) = text.parse::<SamplerSpec>() {
            prop_assert!(error.to_string().len() < 600, "{}", error);
        }
    }

    /// Words of the grammar in any order come closer to being a spec than random letters do.
    #[test]
    fn no_sequence_of_words_panics(words in vec(select(WORDS), 0..24)) {
        let text = words.concat();
        if let Ok(spec) = text.parse::<SamplerSpec>() {
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }
    }
}

const WORDS: &[&str] = &[
    "temp",
    "temperature",
    "top_h",
    "top_k",
    "top_p",
    "min_p",
    "p_less",
    "norm",
    "true",
    "xtc",
    "=",
    "=",
    ":",
    ",",
    "0.4",
    "1",
    "-1",
    "40",
    "nan",
    "inf",
    "1e400",
    "rule",
    "hf",
    "n",
    "min_keep",
    "value",
    "by_entropy(",
    ")",
    "0.5..4",
    "->",
    "..",
    "0.3..1.8",
    "table",
    "edt",
    "dynatemp",
    "low=",
    "high=",
    "t0=",
    "theta=",
    ":shape=",
    "power",
    ":cap=6",
    ":by=max_prob",
    "1=2",
    "logit_bias",
    "(",
    "dry",
    "breakers",
    "\"",
    "\\n",
    ":3=0.5",
    " ",
];

#[test]
fn a_megabyte_of_garbage_gets_a_short_answer() {
    for unit in ["x", "temp=1,", "=", ":", "(", "top_k=1:", "temp=by_entropy(table:", "1=1:", "é,"] {
        let text = unit.repeat(1_000_000 / unit.len());
        let error = text.parse::<SamplerSpec>().expect_err(unit).to_string();
        assert!(error.len() < 600, "{unit}: {error}");
    }
    let object = SpecValue::object([("temp".to_owned(), SpecValue::object([("x".repeat(1_000_000), 1.0.into())]))]);
    assert!(SamplerSpec::from_value(object).unwrap_err().to_string().len() < 600);
}

#[test]
fn a_spec_made_by_hand_is_checked_too() {
    use decant_sampling::stages::{Temp, TopP};
    let top_p = |p: f64| TopP { p: p.into(), min_tokens_to_keep: 0.0.into() };
    let spec = |t: f64, p: f64| SamplerSpec(vec![Temp { t: t.into() }.into(), top_p(p).into()]);
    assert_eq!(spec(1.5, 0.9).check(), Ok(()));
    assert_eq!(spec(1.5, 0.9).to_string(), "temp=1.5,top_p=0.9");
    assert_eq!(spec(1.5, 1.9).check(), "temp=1.5,top_p=1.9".parse::<SamplerSpec>().map(drop));
}

#[test]
fn neutral_stages_know_it() {
    let neutral =
        |text: &str| text.parse::<SamplerSpec>().unwrap().0.iter().map(|s| s.is_neutral()).collect::<Vec<_>>();
    assert_eq!(neutral("temp=1,top_h=1:rule=hf,top_k=0,top_k=-1,top_p=1,min_p=0"), [true; 6]);
    assert_eq!(neutral("typical=1,epsilon=0,eta=0,top_n_sigma=0,top_n_sigma=-1"), [true; 5]);
    assert_eq!(neutral("p_less=false,top_b=1,top_a=0,tfs=1,xtc=0:threshold=0.2"), [true; 5]);
    assert_eq!(
        neutral("typical=0,epsilon=1,top_n_sigma=1,p_less,p_less:norm=true,min_k=0,top_b=0,tfs=0,xtc=1"),
        [false; 9]
    );
    assert_eq!(neutral("temp=0,top_h=0,top_k=1,top_p=0,min_p=1,temp=by_entropy(0..1->1..1)"), [false; 6]);
}

#[test]
fn keyword_arguments_take_the_canonical_order() {
    let spec = SamplerSpec::from_pairs([("min_p", 0.1), ("temperature", 0.8), ("top_k", 40.0)]).unwrap();
    assert_eq!(spec.to_string(), "temp=0.8,top_k=40,min_p=0.1");
    let ranks: Vec<u32> = catalog().iter().map(|info| info.rank).collect();
    assert!(ranks.is_sorted_by(|a, b| a < b), "the catalog is not in canonical order");
}

#[test]
fn names_are_unambiguous() {
    let mut names: Vec<&str> = catalog().iter().flat_map(StageInfo::names).collect();
    for field in catalog().iter().flat_map(|info| info.fields) {
        assert!(field.flat.iter().all(|flat| !names.contains(flat)), "{:?} name a stage", field.flat);
    }
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for info in catalog() {
        let mut names: Vec<&str> = info.fields.iter().flat_map(Field::names).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}: {names:?}", info.name);
    }
}
