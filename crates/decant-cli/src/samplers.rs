//! `decant samplers`: what a sampler can be made of, from the catalog.

use crate::args::Samplers;
use crate::session::Session;
use anstyle::Style;
use anyhow::Result;
use decant_sampling::{At, SamplerSpec, catalog};
use std::io::{self, Write};

pub fn run(args: &Samplers, session: &Session) -> Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&SamplerSpec::json_schema())?)?;
        return Ok(());
    }
    let dim = session.paint.dim();
    let bold = if session.paint == crate::session::Paint::Off { Style::new() } else { Style::new().bold() };
    for info in catalog() {
        let aliases = match info.aliases {
            [] => String::new(),
            aliases => format!(" {dim}(also {}){dim:#}", aliases.join(", ")),
        };
        writeln!(out, "{bold}{}{bold:#}{aliases}\n    {}", info.name, info.summary)?;
        for field in info.fields {
            let name = match field.name {
                At::VALUE => format!("{}=", info.name),
                name => format!(":{name}="),
            };
            let off = match field.kind.neutral() {
                [] => String::new(),
                neutral => format!("; off: {}", join(neutral)),
            };
            let default = field.default_text().map(|text| format!("; default: {text}")).unwrap_or_default();
            writeln!(out, "    {name:<20} {}: {}{default}{off}", field.summary, field.kind)?;
        }
        writeln!(out, "    {dim}{}{dim:#}\n", info.source)?;
    }
    writeln!(
        out,
        "Stages act in the order written, each on the survivors of those before: temp=0.8,top_h=0.4:rule=hf\n\
         A number may follow the model's uncertainty: temp=by_entropy(0.5..4.0->0.3..1.8)"
    )?;
    Ok(())
}

fn join(numbers: &[f64]) -> String {
    numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}
