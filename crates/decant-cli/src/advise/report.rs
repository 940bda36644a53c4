//! An advice as one self-contained page.

use super::{Counsel, Texts, interval, number};
use crate::page::escape;
use decant_lab::advise::{Advice, Effort, Goal, Outlook, Ranked};

const TEMPLATE: &str = include_str!("report.html");

/// What the page tells.
pub struct Report<'a> {
    pub goal: Goal,
    pub model: &'a str,
    pub effort: Effort,
    pub counsel: &'a Counsel,
    pub texts: &'a Texts<'a>,
}

impl Report<'_> {
    pub fn html(&self, picture: &str) -> String {
        let body = [self.head(), format!("<figure>{picture}</figure>"), self.table(), self.examples()].concat();
        let (head, tail) = TEMPLATE.split_once("{{body}}").expect("the template has a place for the body");
        [head, &body, tail].concat()
    }

    fn head(&self) -> String {
        let Effort { len, references, draws, budget } = self.effort;
        let prompts = match self.counsel {
            Counsel::Risk(advice) => advice.prompts,
            Counsel::Creative(outlook) => outlook.prompts,
        };
        format!(
            "<h1>Decoding for the goal <code>{}</code></h1><p class=\"advice\">{}</p>\
             <p class=\"sub\">Model <code>{}</code>; {prompts} prompts; texts of up to {len} tokens; {references} references a \
             prompt; {draws} draws of each decoder that draws; at most {budget} model calls a text. Intervals are 95 %, by \
             bootstrap over prompts and references.</p>",
            self.goal,
            escape(&self.counsel.sentence()),
            escape(self.model)
        )
    }

    fn table(&self) -> String {
        match self.counsel {
            Counsel::Risk(advice) => risks(advice),
            Counsel::Creative(outlook) => settings(outlook),
        }
    }

    /// What each decoder said first on the first prompt.
    fn examples(&self) -> String {
        let said: Vec<(&str, &[u32])> = match self.counsel {
            Counsel::Risk(advice) => advice.ranking.iter().map(|r| (r.decoder.as_str(), &r.example[..])).collect(),
            Counsel::Creative(outlook) => {
                outlook.settings.iter().map(|s| (s.sampler.as_str(), &s.example[..])).collect()
            }
        };
        let row = |(name, tokens): (&str, &[u32])| {
            format!(
                "<tr><th><code>{}</code></th><td class=\"text\">{}</td></tr>",
                escape(name),
                escape(&self.texts.text(tokens))
            )
        };
        let rows: String = said.into_iter().map(row).collect();
        let prompt = escape(&self.texts.text(self.texts.prompt));
        format!(
            "<h2>What they say after <q>{prompt}</q></h2><div class=\"wide\"><table class=\"said\">{rows}</table></div>"
        )
    }
}

fn risks(advice: &Advice) -> String {
    let finite = || advice.ranking.iter().flat_map(|ranked| ranked.interval).filter(|risk| risk.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let row = |ranked: &Ranked| {
        format!(
            "<tr{}><th><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td></tr>",
            if ranked.tied { " class=\"best\"" } else { "" },
            escape(&ranked.decoder),
            number(ranked.risk),
            bar(ranked, low, high),
            interval(ranked),
            ranked.calls,
            standing(ranked.decoder == advice.ranking[0].decoder, ranked.tied)
        )
    };
    let rows: String = advice.ranking.iter().map(row).collect();
    format!(
        "<h2>Ranking</h2><p class=\"sub\">Risk: {}.</p><div class=\"wide\"><table><thead><tr><th>decoder</th><th>risk</th>\
         <th></th><th>95 % interval</th><th>calls a text</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>",
        advice.unit
    )
}

fn standing(first: bool, tied: bool) -> &'static str {
    match (first, tied) {
        (true, _) => "best",
        (false, true) => "not told from the best",
        (false, false) => "",
    }
}

/// A risk and its interval on a scale that all rows share; nothing where it is infinite.
fn bar(ranked: &Ranked, low: f64, high: f64) -> String {
    let [from, to] = ranked.interval;
    if !ranked.risk.is_finite() || !to.is_finite() || high <= low {
        return String::new();
    }
    let x = |risk: f64| 6.0 + 148.0 * (risk - low) / (high - low);
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 160 16\" aria-hidden=\"true\"><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"8\" y2=\"8\"/>\
         <circle cx=\"{:.1}\" cy=\"8\" r=\"4\"/></svg>",
        x(from),
        x(to),
        x(ranked.risk)
    )
}

fn settings(outlook: &Outlook) -> String {
    let row = |setting: &decant_lab::advise::Setting| {
        format!(
            "<tr{}><th><code>{}</code></th><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td><td>{}</td></tr>",
            if setting.on_frontier { " class=\"best\"" } else { "" },
            escape(&setting.sampler),
            setting.quality,
            setting.diversity,
            setting.distinct[0],
            setting.distinct[1],
            if setting.on_frontier { "on the frontier" } else { "" }
        )
    };
    let family = |family: &decant_lab::advise::FamilyScore| {
        let [low, high] = family.interval;
        let tied = standing(family.family == outlook.families[0].family, family.tied);
        let class = if family.tied { " class=\"best\"" } else { "" };
        let (name, area) = (escape(&family.family), family.area);
        format!("<tr{class}><th>{name}</th><td>{area:.3}</td><td>{low:.3} to {high:.3}</td><td>{tied}</td></tr>")
    };
    let rows: String = outlook.settings.iter().map(row).collect();
    let families: String = outlook.families.iter().map(family).collect();
    format!(
        "<h2>Families</h2><p class=\"sub\">The share of the picture that lies below a family's own frontier.</p><div \
         class=\"wide\"><table><thead><tr><th>family</th><th>commands</th><th>95 % interval</th><th></th></tr></thead>\
         <tbody>{families}</tbody></table></div><h2>Settings</h2><div class=\"wide\"><table><thead><tr><th>sampler</th>\
         <th>quality</th><th>diversity</th><th>distinct-1</th><th>distinct-2</th><th></th></tr></thead><tbody>{rows}</tbody>\
         </table></div>"
    )
}
