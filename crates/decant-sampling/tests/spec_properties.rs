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

/// Every name that front-ends send, at a value that switches it off, and what it stands for.
const FRONT_ENDS: &[(&str, &str, &str)] = &[
    ("temperature", "1", "temp=1"),
    ("temp", "1", "temp=1"),
    ("top_p", "1", "top_p=1"),
    ("top_k", "-1", "top_k=-1"),
    ("min_p", "0", "min_p=0"),
    ("typical_p", "1", "typical=1"),
    ("typical", "1", "typical=1"),
    ("typ_p", "1", "typical=1"),
    ("top_a", "0", "top_a=0"),
    ("tfs", "1", "tfs=1"),
    ("tfs_z", "1", "tfs=1"),
    ("epsilon_cutoff", "0", "epsilon=0"),
    ("eta_cutoff", "0", "eta=0"),
    ("repetition_penalty", "1", "repetition_penalty=1"),
    ("rep_pen", "1", "repetition_penalty=1"),
    ("repeat_penalty", "1", "repetition_penalty=1"),
    ("rep_pen_range", "0", ""),
    ("repetition_penalty_range", "0", ""),
    ("repeat_last_n", "0", ""),
    ("frequency_penalty", "0", "frequency_penalty=0"),
    ("presence_penalty", "0", "presence_penalty=0"),
    ("dynatemp_exponent", "1", ""),
    ("smoothing_factor", "0", "smoothing=0"),
    ("smoothing_curve", "1", ""),
    ("dry_multiplier", "0", "dry=0"),
    ("dry_base", "1.75", ""),
    ("dry_allowed_length", "2", ""),
    ("dry_sequence_breakers", r#"["\n", ":", "\"", "*"]"#, ""),
    ("dry_penalty_last_n", "0", ""),
    ("xtc_threshold", "0.1", ""),
    ("xtc_probability", "0", "xtc=0"),
    ("nsigma", "0", "top_n_sigma=0"),
    ("top_n_sigma", "-1", "top_n_sigma=-1"),
    ("mirostat", "0", "mirostat=0"),
    ("mirostat_mode", "0", "mirostat=0"),
    ("mirostat_tau", "5", ""),
    ("mirostat_eta", "0.1", ""),
    ("adaptive_target", "-1", "adaptive_p=-1"),
    ("adaptive_decay", "0.9", ""),
    ("min_keep", "0", ""),
    ("logit_bias", "{}", "logit_bias=()"),
    ("logit_bias", "[]", "logit_bias=()"),
];

#[test]
fn what_front_ends_send_to_switch_a_stage_off_is_a_stage_that_is_off() {
    for (name, value, meaning) in FRONT_ENDS {
        let spec: SamplerSpec = serde_json::from_str(&format!(r#"{{"{name}": {value}}}"#)).unwrap();
        assert_eq!(spec.to_string(), *meaning, "{name}: {value}");
        assert_eq!(spec.effective(), SamplerSpec::default(), "{name}: {value}");
    }
}

#[test]
fn everything_at_once_is_off_as_well() {
    // One name for each thing, and values that differ from the defaults where the stage is off.
    let mut seen = Vec::new();
    let mut pairs = Vec::new();
    for (name, value, meaning) in
        FRONT_ENDS.iter().filter(|(name, ..)| !name.starts_with("rep_pen") && *name != "repeat_last_n")
    {
        let stage = meaning.split('=').next().unwrap();
        if meaning.is_empty() || !seen.contains(&stage) {
            seen.push(stage);
            let value = match *name {
                "dry_base" | "mirostat_tau" | "dry_allowed_length" => "3",
                "smoothing_curve" => "2",
                "xtc_threshold" | "mirostat_eta" => "0.5",
                _ => value,
            };
            pairs.push(format!(r#""{name}": {value}"#));
        }
    }
    let json = format!("{{{}}}", pairs.join(", "));
    let spec: SamplerSpec = serde_json::from_str(&json).unwrap();
    assert_eq!(spec.effective(), SamplerSpec::default(), "{spec}");
    for given in
        ["dry=0:base=3:allowed=3:last_n=0", "mirostat=0:tau=3:eta=0.5", "xtc=0:threshold=0.5", "smoothing=0:curve=2"]
    {
        assert!(spec.to_string().contains(given), "`{spec}` has no `{given}`");
    }
}

#[test]
fn parameters_join_their_stage_whatever_comes_first() {
    let json = r#"{"dry_base": 2, "xtc_probability": 0.5, "mirostat_tau": 4, "xtc_threshold": 0.2, "mirostat": 2,
        "dry_multiplier": 0.8, "repeat_last_n": 64, "frequency_penalty": 0.1, "rep_pen": 1.1, "dry_penalty_last_n": -1}"#;
    let spec: SamplerSpec = serde_json::from_str(json).unwrap();
    let canonical = "repetition_penalty=1.1:last_n=64,frequency_penalty=0.1:last_n=64,dry=0.8:base=2,\
        xtc=0.5:threshold=0.2,mirostat=2:tau=4";
    assert_eq!(spec.to_string(), canonical);
}

#[test]
fn hand_made_lists_are_checked_too() {
    use decant_sampling::stages::{Dry, LogitBias, Window};
    use decant_sampling::{Phrase, Sampler};
    let bias = |token: u32, bias: f64| SamplerSpec(vec![LogitBias { biases: [(token, bias)].into() }.into()]);
    assert_eq!(bias(3, f64::NEG_INFINITY).check(), Ok(()));
    for wrong in [f64::NAN, f64::INFINITY] {
        assert!(bias(3, wrong).check().unwrap_err().to_string().starts_with("logit_bias must be token ids"));
    }
    let dry = |multiplier: f64, phrase: Phrase| {
        let (base, allowed) = (1.75.into(), 2.0.into());
        let (window, breakers) = (Window::default(), [phrase].into_iter().collect());
        SamplerSpec(vec![Dry { multiplier: multiplier.into(), base, allowed, window, breakers }.into()])
    };
    for empty in [Phrase::Tokens(vec![]), Phrase::Text(String::new())] {
        assert!(dry(1.0, empty).check().unwrap_err().to_string().contains("an empty one"));
    }
    for (spec, message) in [
        (bias(300, 1.0), "logit_bias: token 300 is not in the vocabulary of 300"),
        (dry(1.0, Phrase::Tokens(vec![0, 301])), "dry:breakers: token 301 is not in the vocabulary of 300"),
    ] {
        assert_eq!(Sampler::new(&spec, 300).unwrap_err().to_string(), message);
        assert!(Sampler::new(&spec, 302).is_ok());
    }
    let off = dry(0.0, Phrase::Tokens(vec![301]));
    assert!(Sampler::new(&off, 300).is_ok(), "what does not act needs no vocabulary");
}
