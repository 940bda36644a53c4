//! Decant's engine beside llama.cpp, on the same files in one run: the second table of `docs/benchmarks.md`.

use crate::cargo;
use crate::peers::{have, lock_versions, machine, write};
use anyhow::{Context, Result, ensure};
use decant_sampling::{Isa, IsaName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lines of the page between which the table stands.
const MARKERS: [&str; 2] = ["<!-- engines:begin -->", "<!-- engines:end -->"];

/// Shape and type of the models.
const MODELS: [[&str; 2]; 5] =
    [["1b", "q8_0"], ["1b", "q4_k_m"], ["small", "q8_0"], ["small", "f32"], ["tiny", "q8_0"]];

/// The engines take turns so often on a model; of their medians the median is told. The largest takes minutes: once must do.
fn rounds(shape: &str) -> usize {
    if shape == "1b" { 1 } else { 3 }
}
/// How long each engine is measured in a turn, in seconds.
const SECONDS: &str = "0.5";
const THREADS: [usize; 2] = [1, 2];
const PREFILL: usize = 512;

/// One of llama.cpp's builds, and the tier of Decant's that has the same instructions.
struct Build {
    name: &'static str,
    rustflags: &'static str,
    /// For the C and C++ compilers.
    cflags: &'static str,
    isa: Isa,
}

/// For this processor; and where that has more, for AVX2. AMX is left out: no tier of Decant's uses it, and virtual machines are
/// known to promise it and then fault.
fn builds() -> Vec<Build> {
    let cflags = if cfg!(target_arch = "x86_64") { "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16" } else { "" };
    let best = Build { name: "native", rustflags: "-C target-cpu=native", cflags, isa: Isa::best() };
    let avx2 = Isa::new(IsaName::Avx2).filter(|isa| *isa != best.isa).map(|isa| Build {
        name: "avx2",
        rustflags: "-C target-feature=+sse4.2,+avx,+avx2,+fma,+f16c,+bmi2",
        cflags: "",
        isa,
    });
    avx2.into_iter().chain([best]).collect()
}

/// What is timed: a step of so many sequences, or a prompt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Task {
    Batch(usize),
    Prefill(usize),
}

const TASKS: [Task; 3] = [Task::Batch(1), Task::Batch(8), Task::Prefill(PREFILL)];

/// A line of either engine.
#[derive(Debug, Deserialize)]
struct Line {
    threads: usize,
    #[serde(flatten)]
    task: Task,
    ms: f64,
    /// Of llama.cpp: what was compiled in.
    #[serde(default)]
    system: String,
    /// Of Decant: the machine's peaks.
    #[serde(default)]
    read_gb_per_s: f64,
    #[serde(default)]
    floats_gop_per_s: f64,
    #[serde(default)]
    bytes_gop_per_s: f64,
}

/// Milliseconds of one engine, one for each round.
type Times = BTreeMap<(Task, usize), Vec<f64>>;

/// Measures both and writes the table.
pub fn bench(root: &Path) -> Result<()> {
    ensure!(have("cmake") && have("clang"), "llama.cpp is built by cmake, and its bindings by clang: install both");
    let (mut notes, mut rows) = (BTreeMap::new(), String::new());
    for [shape, mix] in MODELS {
        let file = ModelFile::write(root, shape, mix)?;
        for build in builds() {
            let [mut ours, mut theirs] = [Times::new(), Times::new()];
            let rounds = rounds(shape);
            for round in 1..=rounds {
                println!("{shape} {mix}, {}, round {round} of {rounds}", build.name);
                let decant = lines(&decant(root, &file.0, &build)?)?;
                let llama = lines(&llama(root, &file.0, &build)?)?;
                notes.entry(build.name).or_insert_with(|| note(&build, &decant, &llama));
                add(&mut ours, decant);
                add(&mut theirs, llama);
            }
            rows.push_str(&table_rows(&format!("{shape} {mix}"), &build, &ours, &theirs));
        }
    }
    let versions = [vec![format!("decant {}", env!("CARGO_PKG_VERSION"))], lock_versions(root, &["llama-cpp-sys-2"])?];
    let notes: String = builds().iter().filter_map(|build| notes.get(build.name)).cloned().collect();
    write(root, MARKERS, &format!("{}\n{notes}\n{HEADINGS}{rows}", machine(&versions.concat())?))
}

/// A model of random weights, which goes away again.
struct ModelFile(PathBuf);

impl ModelFile {
    fn write(root: &Path, shape: &str, mix: &str) -> Result<Self> {
        let file = ModelFile(std::env::temp_dir().join(format!("decant-peers-{}.gguf", std::process::id())));
        let mut command = decant_bench(root);
        command
            .args(["--shape", shape, "--type", mix, "--batch=1", "--prefill=0", "--seconds=0", "--keep"])
            .arg(&file.0);
        crate::output(&mut command, "decant bench engine")?;
        Ok(file)
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for such files.
        let _ = fs::remove_file(&self.0);
    }
}

fn decant_bench(root: &Path) -> Command {
    let mut command = cargo(root);
    command.args(["run", "--release", "--package=decant-cli", "--", "bench", "engine", "--quiet", "--json"]);
    command
}

fn decant(root: &Path, file: &Path, build: &Build) -> Result<String> {
    let mut command = decant_bench(root);
    command.arg("--model").arg(file).arg(format!("--isa={}", build.isa.name()));
    command.args(["--batch=1,8", "--threads=1,2", "--seconds", SECONDS]).arg(format!("--prefill={PREFILL}"));
    crate::output(&mut command, "decant bench engine")
}

/// Its build script takes the instructions from the flags of the compiler; each build keeps its own folder.
fn llama(root: &Path, file: &Path, build: &Build) -> Result<String> {
    let mut command = cargo(root);
    command.env("RUSTFLAGS", build.rustflags).env("CFLAGS", build.cflags).env("CXXFLAGS", build.cflags);
    command.args(["run", "--release", "--manifest-path=peers/Cargo.toml", "--no-default-features"]);
    command.args(["--features=llama-cpp", "--bin=engine"]).arg(format!("--target-dir=peers/target/{}", build.name));
    command.arg("--").arg(file).args(["1,8", "1,2", &PREFILL.to_string(), SECONDS]);
    crate::output(&mut command, "llama.cpp")
}

fn lines(text: &str) -> Result<Vec<Line>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("cannot understand {line}"))).collect()
}

fn add(times: &mut Times, lines: Vec<Line>) {
    for line in lines {
        times.entry((line.task, line.threads)).or_default().push(line.ms);
    }
}

/// What a build of llama.cpp has in it, and what the machine does in the same instructions.
fn note(build: &Build, decant: &[Line], llama: &[Line]) -> String {
    let peak = |of: fn(&Line) -> f64, unit: &str| {
        let of_threads = |threads| decant.iter().find(|line| line.threads == threads).map_or(0.0, of);
        format!("{} {unit}", THREADS.map(|threads| format!("{:.0}", of_threads(threads))).join(" / "))
    };
    format!(
        "- *{}*: Decant's tier `{}`; llama.cpp with `RUSTFLAGS=\"{}\" CFLAGS=\"{}\"`, its `system_info`: {}. The machine reads {}, does {} \
         in f32, {} in bytes.\n",
        build.name,
        build.isa.name(),
        build.rustflags,
        build.cflags,
        llama.first().map_or("", |line| line.system.trim_end_matches(" |")).replace(" | ", ", "),
        peak(|line| line.read_gb_per_s, "GB/s"),
        peak(|line| line.floats_gop_per_s, "GFLOP/s"),
        peak(|line| line.bytes_gop_per_s, "Gop/s"),
    )
}

const HEADINGS: &str =
    "| model | build | | Decant | llama.cpp | Decant's time over llama.cpp's |\n|---|---|---|---:|---:|---:|\n";

/// A row a task; in a cell the numbers of threads. Steps in milliseconds, prompts in tokens a second.
fn table_rows(model: &str, build: &Build, ours: &Times, theirs: &Times) -> String {
    let mut text = String::new();
    for task in TASKS {
        let times = |times: &Times| THREADS.map(|threads| times.get(&(task, threads)).map_or(f64::NAN, |t| median(t)));
        let (ours, theirs) = (times(ours), times(theirs));
        let (what, cell): (_, fn(Task, f64) -> String) = match task {
            Task::Batch(sequences) => (format!("batch {sequences}, ms"), |_, ms| precise(ms)),
            Task::Prefill(tokens) => (format!("prefill {tokens}, tokens/s"), |task, ms| {
                let Task::Prefill(tokens) = task else { return String::new() };
                precise(tokens as f64 / ms * 1e3)
            }),
        };
        let cells = |times: [f64; 2]| times.map(|ms| cell(task, ms)).join(" / ");
        let ratios = [0, 1].map(|i| format!("{:.2}", ours[i] / theirs[i])).join(" / ");
        let _ =
            writeln!(text, "| {model} | {} | {what} | {} | {} | {ratios} |", build.name, cells(ours), cells(theirs));
    }
    text
}

/// To three digits or more.
fn precise(number: f64) -> String {
    let decimals = (2 - number.abs().max(1e-9).log10().floor() as i32).clamp(0, 3) as usize;
    format!("{number:.decimals$}")
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows() {
        let line = |task: &str, threads: usize, ms: f64| {
            format!(r#"{{{task},"threads":{threads},"ms":{ms},"system":"CPU : A = 1 | B = 1 |"}}"#)
        };
        let text = [
            line(r#""batch":1"#, 1, 159.87),
            line(r#""batch":1"#, 1, 150.0),
            line(r#""batch":1"#, 1, 155.5),
            line(r#""prefill":512"#, 2, 256.0),
        ];
        let parsed = lines(&text.join("\n")).unwrap();
        let build = Build { name: "native", rustflags: "-C target-cpu=native", cflags: "", isa: Isa::best() };
        assert!(
            note(&build, &parsed, &parsed).contains("`system_info`: CPU : A = 1, B = 1. The machine reads 0 / 0 GB/s")
        );
        let mut times = Times::new();
        add(&mut times, parsed);
        let rows = table_rows("1b q8_0", &build, &times, &times);
        assert!(
            rows.starts_with("| 1b q8_0 | native | batch 1, ms | 156 / NaN | 156 / NaN | 1.00 / NaN |\n"),
            "{rows}"
        );
        assert!(
            rows.ends_with("| 1b q8_0 | native | prefill 512, tokens/s | NaN / 2000 | NaN / 2000 | NaN / 1.00 |\n"),
            "{rows}"
        );
        assert!(lines("no json").is_err());
        assert_eq!([precise(0.45651), precise(3.2), precise(93.14)], ["0.457", "3.20", "93.1"]);
    }
}
