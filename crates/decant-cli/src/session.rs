//! What every command is given: how to run, and how to speak on the terminal.

use crate::args::{Color, Global};
use anstyle::{AnsiColor, Style};
use decant_sampling::Isa;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;

/// How many colours standard output takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// None: not a terminal, or not wished.
    Off,
    /// The cube of 256 colours.
    Indexed,
    /// 24 bits.
    Rgb,
}

impl Paint {
    /// Faint text, where there is paint at all.
    pub fn dim(self) -> Style {
        if self == Paint::Off { Style::new() } else { Style::new().dimmed() }
    }
}

/// The global flags, made ready.
#[derive(Clone, Debug)]
pub struct Session {
    pub isa: Isa,
    pub threads: NonZeroUsize,
    pub quiet: bool,
    pub paint: Paint,
}

impl Session {
    pub fn new(global: &Global) -> Self {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Session {
            isa: global.isa,
            threads: global.threads.unwrap_or_else(cores),
            quiet: global.quiet,
            paint: paint(global.color),
        }
    }

    /// Whether somebody looks at standard output, or wants colours as if.
    pub fn is_view(&self) -> bool {
        self.paint != Paint::Off || io::stdout().is_terminal()
    }

    /// Tells the user something beside the result, on stderr.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            let dim = Style::new().dimmed();
            // A note that cannot be told is no failure.
            let _ = writeln!(anstream::stderr(), "{dim}{text}{dim:#}");
        }
    }

    /// Tells the user, on stderr, what is probably not meant.
    pub fn warn(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            let yellow = AnsiColor::Yellow.on_default().bold();
            let _ = writeln!(anstream::stderr(), "{yellow}warning:{yellow:#} {text}");
        }
    }

    /// A bar on stderr for work of `total` parts; invisible unless stderr is a terminal.
    pub fn bar(&self, what: &str, total: u64, bytes: bool) -> ProgressBar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let template = match bytes {
            true => "{msg} {bar:30} {bytes}/{total_bytes} {eta}",
            false => "{msg} {bar:30} {pos}/{len}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        ProgressBar::with_draw_target(Some(total), target).with_message(what.to_owned()).with_style(style)
    }

    /// A counter on stderr for work whose end nobody knows; invisible unless stderr is a terminal.
    pub fn counter(&self, what: &str) -> ProgressBar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template("{msg} {pos} {elapsed}").expect("the template is constant");
        ProgressBar::with_draw_target(None, target).with_message(what.to_owned()).with_style(style)
    }
}

fn paint(color: Color) -> Paint {
    let painted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
    };
    let rgb = std::env::var("COLORTERM").is_ok_and(|term| ["truecolor", "24bit"].contains(&term.as_str()));
    match (painted, rgb) {
        (false, _) => Paint::Off,
        (true, false) => Paint::Indexed,
        (true, true) => Paint::Rgb,
    }
}

/// A prompt or text: the argument, or stdin without its last newline.
pub fn text_or_stdin(argument: Option<&str>, what: &str) -> anyhow::Result<String> {
    match argument {
        Some(text) if text != "-" => return Ok(text.to_owned()),
        None if io::stdin().is_terminal() => {
            return Err(Usage(format!("give a {what}, or `-` to type it on stdin")).into());
        }
        _ => {}
    }
    let mut text = io::read_to_string(io::stdin()).map_err(|error| anyhow::anyhow!("cannot read stdin: {error}"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// A wrong command line that only the command itself could see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
