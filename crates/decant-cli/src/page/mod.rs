//! A trace as one self-contained page: the text as a heat map, and its plots.

mod plot;

use crate::heat::{Palette, SCALE};
use crate::spans::Spans;
use anstyle::RgbColor;
use decant_decode::{Finish, Trace, TraceStep};
use serde::Serialize;
use std::fmt::Write;

const TEMPLATE: &str = include_str!("trace.html");

/// Steps of the palette in the page: a class each, so that light and dark pages share the text.
const LEVELS: usize = 24;

/// The page of the traces of one file.
pub fn html(traces: &[Trace]) -> String {
    let sections: String = traces.iter().map(section).collect();
    // The template is cut before anything is put in, so nothing that a text holds is taken for a mark.
    let (head, rest) = TEMPLATE.split_once("{{palette}}").expect("the template has a place for the palette");
    let (middle, tail) = rest.split_once("{{traces}}").expect("the template has a place for the traces");
    [head, &palette(), middle, &sections, tail].concat()
}

/// The heat's colours for light pages and for dark ones.
fn palette() -> String {
    let rules = |palette: Palette| -> String {
        (0..LEVELS)
            .map(|level| {
                let RgbColor(r, g, b) = palette.color(SCALE * level as f64 / (LEVELS - 1) as f64);
                format!(".h{level}{{background:#{r:02x}{g:02x}{b:02x}}}")
            })
            .collect()
    };
    let (light, dark) = (rules(Palette::LIGHT), rules(Palette::DARK));
    format!("{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}")
}

/// The class of an entropy.
fn level(entropy: f64) -> usize {
    ((entropy / SCALE).clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as usize
}

fn section(trace: &Trace) -> String {
    format!(
        "<section>\n{}\n{}\n{}\n{}\n{}\n<script type=\"application/json\">{}</script>\n</section>\n",
        facts(trace),
        numbers(trace),
        text(trace),
        legend(),
        plot::svg(&trace.steps),
        data(&trace.steps),
    )
}

/// What the run was asked to do.
fn facts(trace: &Trace) -> String {
    let header = &trace.header;
    let finish = match trace.finish {
        Some(Finish::Length) => "length: as many tokens as allowed",
        Some(Finish::Stop) => "stop: a stop string appeared",
        Some(Finish::Eos) => "eos: the model ended the text",
        None => "none: the run was cut off",
    };
    let row = |name: &str, value: &str| format!("<dt>{name}</dt><dd>{value}</dd>");
    let code = |text: &str| format!("<code>{}</code>", escape(text));
    format!(
        "<dl>{}{}{}{}{}</dl>",
        if header.decode.is_sample() { String::new() } else { row("strategy", &code(&header.decode.to_string())) },
        row("sampler", &code(&header.sampler.to_string())),
        row("seed", &code(&header.seed.to_string())),
        row("model", &format!("{} {}", code(&header.model.source), code(&header.model.hash))),
        row("finish", finish),
    )
}

/// The run in a few numbers.
fn numbers(trace: &Trace) -> String {
    let mean = |of: fn(&TraceStep) -> f64| crate::heat::mean(&trace.steps.iter().map(of).collect::<Vec<_>>());
    let number = |value: String, name: &str| format!("<div><b>{value}</b>{name}</div>");
    [
        "<div class=\"numbers\">".to_owned(),
        number(trace.steps.len().to_string(), "tokens"),
        number(format!("{:.2}", mean(|step| step.step.entropy)), "mean entropy, nats"),
        number(format!("{:.2}", mean(|step| step.step.temperature)), "mean temperature"),
        number(format!("{:.1}", mean(|step| f64::from(step.step.kept))), "mean kept tokens"),
        number(format!("{:.1}%", 100.0 * mean(|step| step.step.kept_mass)), "mean kept mass"),
        number(format!("{:.2}", -mean(|step| step.step.logprob)), "mean surprise, nats"),
        "</div>".to_owned(),
    ]
    .concat()
}

/// Prompt and text, each token on its colour.
fn text(trace: &Trace) -> String {
    let mut html = format!("<p class=\"text\"><span class=\"prompt\">{}</span>", escape(&trace.header.before()));
    for span in Spans::of(trace) {
        let step = &trace.steps[span.token];
        let line_end = if span.text.starts_with('\n') { " nl" } else { "" };
        let (index, level, text) = (span.token, level(step.step.entropy), escape(&span.text));
        let _ = write!(html, r#"<span class="t h{level}{line_end}" data-i="{index}">{text}</span>"#);
    }
    html + "</p>"
}

fn legend() -> String {
    let cells: String = (0..LEVELS).map(|level| format!("<i class=\"h{level}\"></i>")).collect();
    format!("<div class=\"legend\">entropy 0 <span>{cells}</span> {SCALE} nats and more</div>")
}

/// A step as the page's script reads it.
#[derive(Serialize)]
struct Datum<'t> {
    position: usize,
    #[serde(flatten)]
    step: &'t decant_sampling::Step,
    text: String,
    top: Vec<Other>,
}

#[derive(Serialize)]
struct Other {
    token: u32,
    logprob: f64,
    text: String,
}

/// The steps as JSON that may stand inside a script element.
fn data(steps: &[TraceStep]) -> String {
    let datum = |step: &'_ TraceStep| {
        let other = |top: &decant_decode::TopToken| Other {
            token: top.token,
            logprob: top.logprob,
            text: top.piece.text().into_owned(),
        };
        serde_json::to_string(&Datum {
            position: step.position,
            step: &step.step,
            text: step.piece.text().into_owned(),
            top: step.top.iter().map(other).collect(),
        })
        .expect("numbers and text are always JSON")
    };
    let data: Vec<String> = steps.iter().map(datum).collect();
    // `<` could begin `</script>` or `<!--`; it stands only inside strings, where it may be written so.
    format!("[{}]", data.join(",")).replace('<', "\\u003c")
}

/// Text as it stands in HTML.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            _ => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use decant_decode::Traces;

    /// A trace whose steps have these entropies and, of every other number, the largest or the least.
    fn trace(entropies: &[f64]) -> Vec<Trace> {
        let header = r#"{"header":{"format":1,"version":"0","model":{"source":"<m>","hash":"h"},"sampler":"temp=1",
            "seed":0,"stream":0,"prompt":"a<b","prompt_ids":[],"limits":{"max_tokens":9,"ends":[],"ignore_eos":false},
            "stop":[]}}"#
            .replace('\n', "");
        let step = |(position, entropy): (usize, &f64)| {
            format!(
                "\n{{\"step\":{{\"position\":{position},\"token\":{0},\"logprob\":{1},\"sampled_logprob\":{1},\"entropy\":{entropy:?},\"varentropy\":{2},\
                 \"temperature\":{2},\"kept\":{0},\"kept_mass\":{1},\"kept_entropy\":{2},\"text\":\"<\",\"top\":[]}}}}",
                if position % 2 == 0 { 0 } else { u32::MAX },
                f64::MIN,
                f64::MAX
            )
        };
        let file = header + &entropies.iter().enumerate().map(step).collect::<String>();
        let Traces { traces, error } = Traces::read(file.as_bytes());
        assert!(error.is_none(), "{error:?}");
        traces
    }

    #[test]
    fn any_numbers_make_a_page() {
        for entropies in [&[][..], &[0.0], &[f64::MAX, f64::MIN], &[-1.0, 5e-324, 1e300]] {
            let page = html(&trace(entropies));
            assert!(page.contains("<code>&lt;m&gt;</code>") && page.contains("a&lt;b"));
        }
    }
}
