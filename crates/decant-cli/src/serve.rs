//! `decant serve`: a model for OpenAI's clients.

use crate::args::ModelArg;
use crate::model::Model;
use crate::session::Session;
use anyhow::Result;
use clap::{Args, ValueEnum};
use decant_server::app::{Serving, Settings};
use decant_server::scheduler::Options;
use decant_server::{Listen, serve};
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Serve a model to OpenAI's clients
///
/// Answers /v1/completions, /v1/chat/completions, /v1/models and more (docs/server.md) while the model loads, with 503 until
/// it is there. SIGTERM or Ctrl-C completes what runs and lets nothing more in; a second one stops what runs. The first line
/// of stdout tells where it listens, stderr has the log.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    pub model: ModelArg,
    /// The name or address to listen on; beyond this machine, better with a key
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// The port to listen on; 0 for one that is free
    #[arg(long, value_name = "N", default_value_t = 8383)]
    pub port: u16,
    /// What clients must send as `Authorization: Bearer KEY` (/health is open); other users of this machine see arguments, so
    /// better set the variable
    #[arg(long, value_name = "KEY", env = "DECANT_API_KEY", hide_env_values = true, value_parser = key)]
    pub api_key: Option<String>,
    /// An origin whose pages may call from a browser, such as `http://localhost:3000`, or `*`; may be given several times
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub cors: Vec<String>,
    /// Ignore fields of a request that nobody knows, instead of refusing them
    #[arg(long)]
    pub lenient: bool,
    /// How many requests may wait; further ones get 429
    #[arg(long, value_name = "N", default_value_t = Options::default().waiting)]
    pub max_waiting: usize,
    /// How many texts are made at once; further ones wait, so that these are made the sooner
    #[arg(long, value_name = "N", default_value_t = default_live())]
    pub max_live: NonZeroUsize,
    /// How many tokens the caches of all texts hold at most; a quarter may be kept for prompts that begin in the same way
    #[arg(long, value_name = "N", default_value_t = default_cache())]
    pub cache_tokens: NonZeroUsize,
    /// The most bytes of a request's body
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().body_limit)]
    pub body_limit: usize,
    /// How many seconds a client may take for a head, pause within a body, take nothing of a response, or idle
    #[arg(long, value_name = "SECONDS", default_value_t = default_timeout())]
    pub client_timeout: NonZeroU32,
    /// How the log is written: text, or an object of JSON a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The examples that the help shows; a test runs every one of them.
const EXAMPLES: &str = "\
Examples:
  decant serve
  decant serve --kv f16 --cache-tokens 65536 --log-format json
  decant serve --host 0.0.0.0 --api-key some-long-secret --cors http://localhost:3000

Then, from another terminal:
  curl http://127.0.0.1:8383/v1/completions -H 'Content-Type: application/json' \\
    -d '{\"prompt\": \"Once upon a time\", \"max_tokens\": 40, \"top_h\": 0.4}'";

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

fn default_live() -> NonZeroUsize {
    NonZeroUsize::new(Options::default().live).unwrap_or(NonZeroUsize::MIN)
}

fn default_cache() -> NonZeroUsize {
    NonZeroUsize::new(Options::default().positions).unwrap_or(NonZeroUsize::MIN)
}

fn default_timeout() -> NonZeroU32 {
    let seconds = Settings::default().client_timeout.as_secs().try_into().ok();
    seconds.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

/// A key that can stand in a header.
fn key(key: &str) -> Result<String, String> {
    match !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(key.to_owned()),
        false => Err("a key has at least one character, all of them visible ASCII".to_owned()),
    }
}

/// An origin as browsers send it: scheme, host and perhaps a port.
fn origin(origin: &str) -> Result<String, String> {
    let host = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
    let is_host = |host: &str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    match origin == "*" || host.is_some_and(is_host) {
        true => Ok(origin.to_owned()),
        false => Err("an origin is `*`, or http:// or https:// with a host and nothing after it".to_owned()),
    }
}

pub fn run(args: &Serve, session: &Session) -> Result<()> {
    log(args.log_format, session);
    let listen = Listen { host: args.host.clone(), port: args.port };
    let settings = Settings {
        lenient: args.lenient,
        api_key: args.api_key.clone(),
        cors: args.cors.clone(),
        body_limit: args.body_limit,
        client_timeout: Duration::from_secs(args.client_timeout.get().into()),
    };
    let options = Options {
        waiting: args.max_waiting,
        live: args.max_live.get(),
        positions: args.cache_tokens.get(),
        kept: args.cache_tokens.get() / 4,
        ..Options::default()
    };
    let (model, own) = (args.model.clone(), session.clone());
    let load = move || Ok(Serving::new(Model::load(&model, &own)?.into_inner(), options));
    let is_open = args.api_key.is_none();
    Ok(serve(&listen, settings, |address| announce(address, is_open, session), load)?)
}

/// Tells where the server listens. Nobody may be there to read it.
fn announce(address: SocketAddr, is_open: bool, session: &Session) {
    let mut out = io::stdout();
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
    if is_open && !address.ip().is_loopback() {
        session.warn(format!("whoever reaches {address} may use this server: give an --api-key"));
    }
}

/// Lines of the log go to stderr; with --quiet only what went wrong.
fn log(format: LogFormat, session: &Session) {
    let level = if session.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
    let lines = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
    }
}
