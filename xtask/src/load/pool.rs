//! What is asked, sensible and not.

use decant_sampling::Seed;
use serde_json::{Value, json};

/// Random numbers of one client.
pub struct Dice {
    seed: Seed,
    stream: u32,
    thrown: u64,
}

impl Dice {
    pub fn new(seed: u64, stream: u32) -> Self {
        Dice { seed: Seed(seed), stream, thrown: 0 }
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.thrown += 1;
        self.seed.coins(self.stream, self.thrown).uniform(0)
    }

    /// In 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }
}

/// The embedded model's vocabulary and context.
const VOCAB: usize = 4096;
const CONTEXT: usize = 512;

/// The longest prompt, in tokens.
const LONGEST: usize = 500;

/// Prompts begin alike with these, so that caches are shared.
const BEGINNINGS: [&str; 3] = [
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her friends.",
    "One day, a big dog and a small cat went to the forest. They wanted to find a treasure that an old man had hidden.",
    "Tom had a red ball. He liked to throw the ball very high and to catch it again before it fell on the ground.",
];

const SAMPLERS: [&str; 9] = [
    "temp=0",
    "temp=1",
    "temp=1.2,top_h=0.4",
    "temp=1.3,top_p=0.95",
    "repetition_penalty=1.2,temp=0.8,top_k=40,min_p=0.05",
    "dry=0.8,temp=1.1,typical=0.9",
    "temp=1.5,mirostat=2:tau=3:eta=0.2",
    "temp=by_entropy(0.5..4.0->0.3..1.8)",
    "xtc=0.5:threshold=0.1,temp=1.4",
];

const STRATEGIES: [&str; 6] =
    ["greedy", "lookahead(2,budget=40)", "beam(3)", "stochastic_beam(2)", "mbr(3)", "best_of(3)"];

/// A request that is well.
#[derive(Debug)]
pub struct Ask {
    pub path: &'static str,
    pub body: String,
    /// Whether the answer comes as events.
    pub streams: bool,
    /// Whether tokens are told as they are drawn.
    pub draws: bool,
}

impl Ask {
    pub fn any(dice: &mut Dice) -> Self {
        let u = dice.uniform();
        let sampler = *dice.one_of(&SAMPLERS);
        let (path, body) = match u {
            _ if u < 0.05 => ("/tokenize", json!({ "prompt": BEGINNINGS[dice.below(3)].repeat(1 + dice.below(9)) })),
            _ if u < 0.1 => {
                ("/v1/next", json!({ "prompt": ids(dice, 60), "sampler": sampler, "seed": dice.below(1000) }))
            }
            _ => ("/v1/completions", completion(dice, sampler)),
        };
        let streams = body["stream"] == true;
        Ask { path, streams, draws: streams && body.get("decode").is_none(), body: body.to_string() }
    }

    /// As it is sent.
    pub fn request(&self) -> Vec<u8> {
        post(self.path, self.body.as_bytes())
    }
}

/// A POST with a body of JSON.
fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn completion(dice: &mut Dice, sampler: &str) -> Value {
    let mut body = json!({ "sampler": sampler, "seed": dice.below(1 << 30), "stream": dice.chance(0.8) });
    // Most texts are short, some are as long as the context allows.
    let length = if dice.chance(0.1) { CONTEXT } else { 1 + dice.below(100) };
    body["max_tokens"] = json!(length);
    body["prompt"] = match dice.below(5) {
        0 => json!(ids(dice, LONGEST)),
        1 => json!([ids(dice, 40), ids(dice, 40)]),
        2 => json!(*dice.one_of(&BEGINNINGS)),
        _ => {
            let words: Vec<&str> = BEGINNINGS[dice.below(3)].split(' ').collect();
            let end = 1 + dice.below(words.len());
            json!(format!("{} {}", dice.one_of(&BEGINNINGS), words[..end].join(" ")))
        }
    };
    if dice.chance(0.15) {
        body["n"] = json!(2 + dice.below(3));
    }
    if dice.chance(0.15) {
        body["decode"] = json!(*dice.one_of(&STRATEGIES));
        body["max_tokens"] = json!(1 + dice.below(12));
    }
    if dice.chance(0.2) {
        body["logprobs"] = json!(dice.below(6));
        body["echo"] = json!(dice.chance(0.5));
    }
    if dice.chance(0.2) {
        body["stop"] = json!([" the", ".", "zebra"][..1 + dice.below(3)]);
    }
    if dice.chance(0.2) {
        body["ignore_eos"] = json!(true);
    }
    if body["stream"] == true && dice.chance(0.5) {
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

/// Any tokens, 1 to `most` of them.
fn ids(dice: &mut Dice, most: usize) -> Vec<usize> {
    (0..1 + dice.below(most)).map(|_| dice.below(VOCAB)).collect()
}

/// What no client should send.
pub struct Nonsense {
    pub what: &'static str,
    pub bytes: Vec<u8>,
    /// What it may be told.
    pub statuses: &'static [u16],
    /// Whether the client stops sending there, so that there may be no answer.
    pub leaves: bool,
}

impl Nonsense {
    pub fn any(dice: &mut Dice) -> Self {
        let body = |what, body: &[u8]| (what, post("/v1/completions", body), &[400][..], false);
        let cut = |mut bytes: Vec<u8>, dice: &mut Dice| {
            bytes.truncate(1 + dice.below(bytes.len() - 1));
            bytes
        };
        let sound = post("/v1/completions", br#"{"prompt": "Once upon a time", "max_tokens": 5}"#);
        let (what, bytes, statuses, leaves) = match dice.below(12) {
            0 => body("JSON without an end", br#"{"prompt": "Once""#),
            1 => body("an unknown field", br#"{"prompt": "Once", "top_hh": 0.4}"#),
            2 => body("a wrong type", br#"{"prompt": "Once", "temperature": "hot"}"#),
            3 => body("no UTF-8", b"{\"prompt\": \"On\xff\xfece\"}"),
            4 => body("deep JSON", &[b'['; 20_000]),
            5 => body("too long a prompt", json!({ "prompt": vec![5; CONTEXT + 1] }).to_string().as_bytes()),
            6 => body("no token of the model", br#"{"prompt": [4294967295]}"#),
            7 => {
                let head = "POST /v1/completions HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n";
                ("too long a body", format!("{head}Content-Length: 10000000\r\n\r\n{{").into(), &[413][..], false)
            }
            8 => ("no HTTP", b"\x16\x03\x01\x02\x00 hello\r\n\r\n".to_vec(), &[400][..], false),
            9 => ("no such route", post("/v2/completions", b"{}"), &[404][..], false),
            10 => {
                let chunked = "POST /tokenize HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n";
                ("no chunk", format!("{chunked}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into(), &[400][..], false)
            }
            _ => ("a request without its end", cut(sound, dice), &[400, 408][..], true),
        };
        Nonsense { what, bytes, statuses, leaves }
    }
}
