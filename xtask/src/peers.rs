//! Decant beside what people run today, measured in one run: the table of `docs/benchmarks.md`.

use anyhow::{Context, Result, ensure};
use decant_sampling::yardstick::{Regime, SAMPLERS};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The page of both tables.
pub const PAGE: &str = "docs/benchmarks.md";
/// The lines of the page between which the samplers' stands.
const MARKERS: [&str; 2] = ["<!-- peers:begin -->", "<!-- peers:end -->"];

/// Logits a row: Llama 3's.
const VOCAB: usize = 128_256;

/// Decant's two columns: everything observed, nothing observed.
const OURS: [&str; 2] = ["Decant pick", "Decant draw"];
const PEERS: [&str; 4] = ["candle", "sort-based", "llama.cpp", "transformers"];

/// What somebody measured.
#[derive(Debug, Deserialize)]
struct Time {
    #[serde(default)]
    peer: String,
    sampler: String,
    regime: String,
    us: f64,
}

/// Microseconds by sampler, column and regime.
type Times = BTreeMap<(String, String, String), f64>;

/// Measures everybody and writes the table.
pub fn bench(root: &Path) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("decant-peers-{}", std::process::id()));
    let (mut times, mut versions) = (Times::new(), vec![format!("decant {}", env!("CARGO_PKG_VERSION"))]);
    fs::create_dir_all(&folder)?;
    write_rows(&folder)?;
    for (column, observe) in OURS.into_iter().zip(["entropy", "nothing"]) {
        add(&mut times, &ours(root, observe)?, Some(column))?;
    }
    let llama = have("cmake") && have("clang");
    add(&mut times, &rust_peers(root, &folder, llama)?, None)?;
    let told: &[&str] = if llama { &["candle-transformers", "llama-cpp-sys-2"] } else { &["candle-transformers"] };
    versions.extend(lock_versions(root, told)?);
    match python(root, &folder)? {
        Some(lines) => {
            let (first, lines) = lines.split_once('\n').context("warpers.py prints its versions first")?;
            let told: BTreeMap<String, String> = serde_json::from_str(first)?;
            versions.extend(told.into_values());
            add(&mut times, lines, None)?;
        }
        None => println!("SKIPPED: no Python with torch and transformers (set PYTHON to one)"),
    }
    fs::remove_dir_all(&folder)?;
    write(root, MARKERS, &format!("{}\n{}", machine(&versions)?, table(&times)))
}

/// Puts a table into the page.
pub fn write(root: &Path, markers: [&str; 2], table: &str) -> Result<()> {
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    fs::write(root.join(PAGE), crate::splice(&page, PAGE, markers, table)?)?;
    println!("wrote {PAGE}");
    Ok(())
}

/// One row of each regime as little-endian f32, `REGIME.f32`.
fn write_rows(folder: &Path) -> Result<()> {
    for regime in Regime::ALL {
        let row = regime.row(VOCAB, 0).context("the vocabulary is too small")?;
        let bytes: Vec<u8> = row.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        fs::write(folder.join(format!("{regime}.f32")), bytes)?;
    }
    Ok(())
}

/// The samplers that are compared, each once.
fn samplers() -> BTreeSet<&'static str> {
    SAMPLERS.into_iter().map(|(spec, _)| spec).collect()
}

/// What `decant bench sampler` says. It spells samplers in canonical text; here they keep the names that all use.
fn ours(root: &Path, observe: &str) -> Result<String> {
    let mut command = crate::cargo(root);
    command.args(["run", "--release", "--package=decant-cli", "--", "bench", "sampler", "--json", "--quiet"]);
    command.arg(format!("--vocab={VOCAB}")).arg(format!("--observe={observe}"));
    command.args(samplers().iter().map(|spec| format!("--sampler={spec}")));
    crate::output(&mut command, "decant bench sampler")
}

fn rust_peers(root: &Path, folder: &Path, llama: bool) -> Result<String> {
    let mut command = crate::cargo(root);
    command.args(["run", "--release", "--manifest-path=peers/Cargo.toml"]);
    match llama {
        true => drop(command.args(["--bin=samplers", "--features=llama-cpp"])),
        false => println!("SKIPPED: llama.cpp needs cmake and clang"),
    }
    // candle would take every core for a softmax.
    command.env("RAYON_NUM_THREADS", "1");
    crate::output(command.arg("--").arg(folder).arg(VOCAB.to_string()), "the peers in Rust")
}

/// What transformers' warpers take, if there is a Python that has them.
fn python(root: &Path, folder: &Path) -> Result<Option<String>> {
    let Some(mut command) = crate::python("torch, transformers") else { return Ok(None) };
    command.arg(root.join("peers/warpers.py")).arg(folder).arg(VOCAB.to_string());
    crate::output(&mut command, "peers/warpers.py").map(Some)
}

pub fn have(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Adds JSON lines; `column` names whose they are where they do not say so themselves.
fn add(times: &mut Times, lines: &str, column: Option<&str>) -> Result<()> {
    for line in lines.lines() {
        let time: Time = serde_json::from_str(line).with_context(|| format!("cannot understand {line}"))?;
        let peer = column.map_or(time.peer, str::to_owned);
        times.insert((canonical(&time.sampler)?, peer, time.regime), time.us);
    }
    Ok(())
}

fn canonical(spec: &str) -> Result<String> {
    Ok(spec.parse::<decant_sampling::SamplerSpec>()?.to_string())
}

/// One line a sampler, one column a peer; in a cell the three regimes.
fn table(times: &Times) -> String {
    let mut seen = BTreeSet::new();
    let names =
        SAMPLERS.into_iter().filter_map(|(spec, _)| canonical(spec).ok()).filter(|name| seen.insert(name.clone()));
    let columns = OURS.into_iter().chain(PEERS);
    let columns: Vec<&str> = columns.filter(|column| times.keys().any(|(_, peer, _)| peer == column)).collect();
    let mut text = format!("| sampler | {} |\n|---|{}\n", columns.join(" | "), "---:|".repeat(columns.len()));
    for name in names {
        let _ = write!(text, "| `{name}` |");
        for column in &columns {
            let time = |regime: Regime| times.get(&(name.clone(), (*column).to_owned(), regime.to_string()));
            let cell: Vec<String> = Regime::ALL.into_iter().filter_map(time).map(|us| format!("{us:.0}")).collect();
            let _ = write!(text, " {} |", cell.join(" / "));
        }
        text.push('\n');
    }
    text
}

/// The versions that `peers/Cargo.lock` pins.
pub fn lock_versions(root: &Path, told: &[&str]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let lock: Lock = toml::from_str(&fs::read_to_string(root.join("peers/Cargo.lock"))?)?;
    let packages = lock.package.into_iter().filter(|package| told.contains(&package.name.as_str()));
    let versions: Vec<String> = packages.map(|package| format!("{} {}", package.name, package.version)).collect();
    ensure!(versions.len() == told.len(), "peers/Cargo.lock has {versions:?}, expected {told:?}");
    Ok(versions)
}

/// Where, when and what was measured.
pub fn machine(versions: &[String]) -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = crate::output(Command::new("rustc").arg("--version"), "rustc")?;
    let date = crate::output(Command::new("date").args(["-u", "+%Y-%m-%d"]), "date")?;
    Ok(format!(
        "{}, {cores} cores, {}; {}; {}; {}.\n",
        model.unwrap_or(std::env::consts::ARCH),
        decant_sampling::Isa::best().name(),
        versions.join(", "),
        rustc.trim(),
        date.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_a_table() {
        let line = |regime: &str, us: f64| format!(r#"{{"sampler":"top_k=50","regime":"{regime}","us":{us}}}"#);
        let lines = [line("peaked", 50.4), line("medium", 60.0), line("flat", 70.6)].join("\n");
        let mut times = Times::new();
        add(&mut times, &lines, Some("Decant pick")).unwrap();
        let other = r#"{"peer":"candle","sampler":"top_k=50","regime":"peaked","us":1234.5}"#;
        add(&mut times, other, None).unwrap();
        let table = table(&times);
        assert!(table.starts_with("| sampler | Decant pick | candle |\n|---|---:|---:|\n"), "{table}");
        assert!(table.contains("| `top_k=50` | 50 / 60 / 71 | 1234 |\n"), "{table}");
        assert!(add(&mut times, "no json", None).is_err());
    }

    #[test]
    fn peers_call_samplers_by_names_that_are_watched() {
        let text = fs::read_to_string(crate::root().join("peers/warpers.py")).unwrap();
        for spec in ["temp=1,top_h=0.4", "typical=0.9", "eta=0.0003"] {
            assert!(samplers().contains(spec) && text.contains(&format!("\"{spec}\"")), "{spec}");
        }
    }
}
