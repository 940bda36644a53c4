//! The `decant` command.

mod advise;
mod args;
mod bench;
mod calibrate;
mod doctor;
mod generate;
mod heat;
mod lab;
mod logits;
mod memory;
mod model;
mod npy;
mod page;
mod pick;
mod print;
mod profile;
mod prompts;
mod record;
mod sampler;
mod samplers;
mod serve;
mod session;
mod spans;
mod tokens;
mod trace;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use decant_sampling::SpecError;
use decant_sampling::yardstick::CountingAllocator;
use profile::ProfileError;

use session::{Session, Usage};
use std::io::{self, Write};
use std::process::ExitCode;

/// The system's allocator; `bench` counts with it.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Every other reading and writing says by itself what it was about.
            let untold = error.chain().next().is_some_and(|first| first.is::<io::Error>());
            let error = if untold { error.context("cannot write standard output") } else { error };
            let red = anstyle::AnsiColor::Red.on_default().bold();
            // If not even the error can be told, the exit code still tells.
            let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {}", sentence(&error));
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let session = Session::new(&cli.global);
    match &cli.command {
        Command::Generate(args) => generate::run(args, &session),
        Command::Trace(args) => trace::run(args, &session),
        Command::Pick(args) => pick::run(args, &session),
        Command::Logits(args) => logits::run(args, &session),
        Command::Tokenize(args) => tokens::tokenize(args, &session),
        Command::Detokenize(args) => tokens::detokenize(args, &session),
        Command::Samplers(args) => samplers::run(args, &session),
        Command::Serve(args) => serve::run(args, &session),
        Command::Bench(args) => bench::run(args, &session),
        Command::Lab(args) => lab::run(args, &session),
        Command::Advise(args) => advise::run(args, &session),
        Command::Calibrate(args) => calibrate::run(args, &session),
        Command::Doctor => doctor::run(&session),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "decant", &mut script);
            Ok(io::stdout().write_all(&script)?)
        }
    }
}

/// The error and what led to it, each said once: some errors tell their cause themselves.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether what the user wrote is wrong, rather than what happened.
fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<Usage>() || error.is::<SpecError>() || error.is::<ProfileError>()
}
