//! The fields of a request: what each is called, may be and means. Readers take fields by this table, and the OpenAPI document
//! tells it; whoever sends a name that stands neither here nor in the catalog of stages is told so.

use super::generation::{MOST_ALTERNATIVES, MOST_CHOICES, MOST_PROMPTS, MOST_STOPS};
use serde_json::{Value, json};

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What OpenAI calls it, or else we.
    pub name: &'static str,
    /// What front-ends call it.
    pub aliases: &'static [&'static str],
    /// What it may be, in words.
    pub expected: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What it may be, as JSON Schema, with an example where that is not plain.
    pub schema: fn() -> Value,
    /// Whether it must be given.
    pub required: bool,
}

impl Field {
    /// A field that may be left out.
    const fn new(name: &'static str, expected: &'static str, meaning: &'static str, schema: fn() -> Value) -> Self {
        Field { name, aliases: &[], expected, meaning, schema, required: false }
    }

    /// A field for what is not built here. The values of its schema ask for nothing and pass.
    const fn refused(name: &'static str, schema: fn() -> Value) -> Self {
        Field::new(name, "absent", "not supported by this server; these values ask for nothing and pass", schema)
    }

    /// A field of OpenAI's that changes no text.
    const fn without_effect(name: &'static str, meaning: &'static str) -> Self {
        Field::new(name, "JSON", meaning, || json!({"examples": ["anything"]}))
    }

    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }
}

/// What a form takes beside stages, in parts that it shares with others.
pub type Fields = &'static [&'static [Field]];

/// What `/v1/completions` takes.
pub const COMPLETIONS: Fields =
    &[&[PROMPT, GENERATED, ECHO, LOGPROBS, ADD_SPECIAL_TOKENS, SUFFIX], COMMON, CONVENTIONS, WITHOUT_EFFECT, REFUSED];

/// What `/v1/chat/completions` takes.
pub const CHAT: Fields =
    &[&[MESSAGES, WHETHER_LOGPROBS, TOP_LOGPROBS, ADD_GENERATION_PROMPT], COMMON, CONVENTIONS, WITHOUT_EFFECT, REFUSED];

/// What both take.
pub const COMMON: &[Field] = &[
    MAX_TOKENS,
    N,
    BEST_OF,
    DECODE,
    SAMPLER,
    VLLM_XARGS,
    SEED,
    STOP,
    IGNORE_EOS,
    STREAM,
    STREAM_OPTIONS,
    DEADLINE,
    TRACE,
    N_PROBS,
];

/// What says in other programs' ways how the stages are to be taken.
pub const CONVENTIONS: &[Field] = &[SAMPLERS, TEMPERATURE_LAST, DYNAMIC_TEMPERATURE, DYNATEMP_RANGE];

/// What changes no text.
pub const WITHOUT_EFFECT: &[Field] = &[
    Field::without_effect("model", "the model's name; there is one model, and the answer names it"),
    Field::without_effect("user", "without effect"),
    Field::without_effect("metadata", "without effect"),
    Field::without_effect("safety_identifier", "without effect"),
    Field::without_effect("store", "without effect: nothing is kept"),
    Field::without_effect("service_tier", "without effect"),
    Field::without_effect("prompt_cache_key", "without effect: prompts that begin alike are found by their tokens"),
    Field::without_effect("parallel_tool_calls", "without effect, since no tools are called"),
    // Front-ends' notes on themselves, and sizes that are the model's own here.
    Field::without_effect("api_type", "without effect"),
    Field::without_effect("api_server", "without effect"),
    Field::without_effect("truncation_length", "without effect: the context is the model's"),
    Field::without_effect("num_ctx", "without effect: the context is the model's"),
    Field::without_effect("cache_prompt", "without effect: beginnings of prompts are always kept"),
    Field::without_effect("include_reasoning", "without effect"),
    Field::without_effect("spaces_between_special_tokens", "without effect: special tokens are not told"),
];

/// What is not built here. Clients send it all the same, with values that ask for nothing.
pub const REFUSED: &[Field] = &[
    Field::refused("tools", || json!({"enum": [[]]})),
    Field::refused("tool_choice", || json!({"enum": ["none", "auto"]})),
    Field::refused("functions", || json!({"enum": [[]]})),
    Field::refused("function_call", || json!({"enum": ["none", "auto"]})),
    Field::refused("response_format", || json!({"enum": [{"type": "text"}]})),
    Field::refused("modalities", || json!({"enum": [["text"]]})),
    Field::refused("verbosity", || json!({"enum": ["medium"]})),
    Field::refused("skew", || json!({"enum": [0]})),
    Field::refused("min_length", || json!({"enum": [0]})),
    Field::refused("min_tokens", || json!({"enum": [0]})),
    Field::refused("num_beams", || json!({"enum": [1]})),
    Field::refused("length_penalty", || json!({"enum": [1]})),
    Field::refused("early_stopping", || json!({"enum": [false]})),
    Field::refused("do_sample", || json!({"enum": [true]})),
    Field::refused("penalty_alpha", || json!({"enum": [0]})),
    Field::refused("encoder_repetition_penalty", || json!({"enum": [1]})),
    Field::refused("rep_pen_slope", || json!({"enum": [0, 1]})),
    Field::refused("guidance_scale", || json!({"enum": [1]})),
    Field::refused("negative_prompt", || json!({"enum": [""]})),
    Field::refused("grammar", || json!({"enum": [""]})),
    Field::refused("grammar_string", || json!({"enum": [""]})),
    Field::refused("ban_eos_token", || json!({"enum": [false]})),
    Field::refused("skip_special_tokens", || json!({"enum": [true]})),
    Field::refused("include_stop_str_in_output", || json!({"enum": [false]})),
    Field::refused("trim_stop", || json!({"enum": [true]})),
    Field::refused("custom_token_bans", || json!({"enum": ["", []]})),
    Field::refused("banned_strings", || json!({"enum": [[], ""]})),
    Field::refused("max_tokens_second", || json!({"enum": [0]})),
    Field::refused("speculative_ngram", || json!({"enum": [false]})),
];

/// What a text goes on from.
pub const PROMPT: Field = Field {
    required: true,
    ..Field::new(
        "prompt",
        "a text, token ids, or a list of 1 to 1024 of either",
        "what to go on from; nothing is put before ids, and an empty text is BOS alone",
        || {
            let (text, token) = (json!({"type": "string"}), json!({"type": "integer", "minimum": 0}));
            let ids = json!({"type": "array", "items": token, "minItems": 1});
            let list =
                |items: &Value| json!({"type": "array", "items": items, "minItems": 1, "maxItems": MOST_PROMPTS});
            json!({"anyOf": [text, list(&text), ids, list(&ids)], "examples": ["Once upon a time"]})
        },
    )
};

/// What was generated of the text before.
pub const GENERATED: Field = Field::new(
    "generated",
    "a list of token ids",
    "what was generated of the one text that is asked for: the text goes on as it would have gone on from there",
    || json!({"type": "array", "items": {"type": "integer", "minimum": 0}, "examples": [[5]]}),
);

/// Whether an answer begins with its prompt.
pub const ECHO: Field =
    Field::new("echo", "true or false", "whether the prompt is said again, with its logprobs if those are told", flag);

/// How many alternatives a completion tells of each token.
pub const LOGPROBS: Field = Field::new(
    "logprobs",
    "an integer in 0..=20: how many alternatives are told",
    "tell the model's own logprobs of each token and of so many alternatives",
    alternatives,
);

/// Whether BOS and the like are put around a text.
pub const ADD_SPECIAL_TOKENS: Field = Field {
    aliases: &["add_bos_token"],
    ..Field::new(
        "add_special_tokens",
        "true or false",
        "whether BOS and the like are put around a prompt of text, as the tokenizer has it (default: true)",
        flag,
    )
};

/// What a text leads to.
pub const SUFFIX: Field = Field::refused("suffix", || json!({"enum": [""]}));

/// What a conversation goes on from.
pub const MESSAGES: Field = Field {
    required: true,
    ..Field::new(
        "messages",
        "a list of messages, each with a role and a content of text",
        "the conversation so far",
        || {
            let parts = json!({
                "type": "object",
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                "required": ["type", "text"],
            });
            let content = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": parts}]});
            let message = json!({
                "type": "object",
                "properties": {
                    "role": {"type": "string", "examples": ["system", "user", "assistant"]},
                    "content": content,
                    "name": {"type": "string", "description": "without effect"},
                },
                "required": ["role", "content"],
            });
            json!({"type": "array", "items": message, "examples": [[{"role": "user", "content": "Tell me a story."}]]})
        },
    )
};

/// Whether a chat completion tells logprobs.
pub const WHETHER_LOGPROBS: Field =
    Field::new("logprobs", "true or false", "whether the model's own logprob of each token is told", flag);

/// How many alternatives a chat completion tells of each token.
pub const TOP_LOGPROBS: Field = Field::new(
    "top_logprobs",
    "an integer in 0..=20",
    "how many alternatives are told of each token, where logprobs are",
    alternatives,
);

/// Whether it is the assistant's turn.
pub const ADD_GENERATION_PROMPT: Field = Field::new(
    "add_generation_prompt",
    "true or false",
    "whether the template ends where the assistant begins to speak (default: true)",
    flag,
);

/// How long a text may be.
pub const MAX_TOKENS: Field = Field {
    aliases: &["max_completion_tokens", "max_new_tokens", "n_predict", "num_predict"],
    ..Field::new(
        "max_tokens",
        "an integer >= 0, or -1 for as many as there is room for",
        "the most tokens of a text (default: 16 for completions; as many as there is room for in chat)",
        || json!({"type": "integer", "minimum": -1, "examples": [64]}),
    )
};

/// How many texts.
pub const N: Field = Field::new(
    "n",
    "an integer in 1..=128",
    "how many texts go on from each prompt; text i draws by seed + i",
    choices,
);

/// How many texts are drawn to give the best.
pub const BEST_OF: Field =
    Field::new("best_of", "an integer in 1..=128", "the same as decode best_of(..), which gives one text", choices);

/// The strategy.
pub const DECODE: Field = Field::new(
    "decode",
    "a strategy's text, such as \"beam(8)\"",
    "the strategy that makes a text (default: sample)",
    || json!({"type": "string", "examples": ["greedy", "beam(8)", "mbr(16)"]}),
);

/// The stages in their own order.
pub const SAMPLER: Field = Field::new(
    "sampler",
    "a sampler's text, or a list of stages",
    "the stages in their own order; replaces those that are fields",
    || json!({"$ref": "#/components/schemas/SamplerSpec", "examples": ["temp=1.2,top_h=0.4"]}),
);

/// A place for fields that vLLM's clients do not know.
pub const VLLM_XARGS: Field = Field::new(
    "vllm_xargs",
    "an object of sampling parameters",
    "stages and their parameters, as if they were fields of the request",
    || json!({"type": "object", "examples": [{"top_h": 0.4}]}),
);

/// Which draws.
pub const SEED: Field = Field {
    aliases: &["sampler_seed"],
    ..Field::new(
        "seed",
        "an integer in 0..=18446744073709551615, or -1 for a random one",
        "equal seeds give equal texts (default: random, and told)",
        || json!({"type": "integer", "minimum": -1, "maximum": u64::MAX, "examples": [1]}),
    )
};

/// What ends a text.
pub const STOP: Field = Field {
    aliases: &["stopping_strings"],
    ..Field::new(
        "stop",
        "a string or a list of at most 32 strings",
        "texts that end a text, and are not part of it",
        || {
            let (text, items) = (json!({"type": "string"}), json!({"type": "string"}));
            json!({"anyOf": [text, {"type": "array", "items": items, "maxItems": MOST_STOPS}], "examples": ["\n\n"]})
        },
    )
};

/// Whether an end is one.
pub const IGNORE_EOS: Field = Field::new("ignore_eos", "true or false", "whether to go on after an end token", flag);

/// Whether a text is told as it is made.
pub const STREAM: Field =
    Field::new("stream", "true or false", "whether the answer comes as server-sent events, as it is made", flag);

/// How a stream is told.
pub const STREAM_OPTIONS: Field = Field::new(
    "stream_options",
    "an object with include_usage, true or false",
    "what a stream tells beside the text",
    || {
        let flag = |meaning: &str| json!({"type": "boolean", "description": meaning});
        let properties = json!({
            "include_usage": flag("whether a last chunk tells the usage"),
            "continuous_usage_stats": flag("with it, whether every chunk tells the usage so far"),
            "include_obfuscation": flag("without effect: nothing is padded"),
        });
        let example = json!({"include_usage": true});
        json!({"type": "object", "properties": properties, "additionalProperties": false, "examples": [example]})
    },
);

/// How long a text may take.
pub const DEADLINE: Field = Field::new(
    "deadline",
    "a number of seconds > 0",
    "seconds; what was made by then stands, with finish_reason `length`",
    || json!({"type": "number", "exclusiveMinimum": 0, "examples": [30]}),
);

/// Whether traces are told.
pub const TRACE: Field =
    Field::new("trace", "true or false", "whether every choice is told as a trace, too, in its decant object", flag);

/// llama.cpp's name for how many alternatives are told.
pub const N_PROBS: Field = Field::new(
    "n_probs",
    "an integer in 0..=20",
    "llama.cpp's name for logprobs with so many alternatives; 0 asks for none",
    alternatives,
);

/// The order of the stages, where they are fields.
pub const SAMPLERS: Field = Field {
    aliases: &["sampler_priority", "sampler_order"],
    ..Field::new(
        "samplers",
        "names of stages, in a list or between semicolons or line breaks, or a list of KoboldCpp's numbers",
        "the order of those stages that are fields; those without a name in it stay where they are",
        || {
            let names = json!({"type": "array", "items": {"type": "string"}});
            let numbers = json!({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 6}});
            json!({"anyOf": [names, numbers, {"type": "string"}], "examples": [["top_k", "temperature"]]})
        },
    )
};

/// Whether tokens are dropped before the temperature acts.
pub const TEMPERATURE_LAST: Field =
    Field::new("temperature_last", "true or false", "whether temperatures act after all truncations", flag);

/// Whether a temperature that follows the entropy is meant.
pub const DYNAMIC_TEMPERATURE: Field = Field::new(
    "dynamic_temperature",
    "true or false",
    "false: dynatemp_low, dynatemp_high and dynatemp_range are without effect; true: they take the temperature's place",
    || json!({"type": "boolean", "examples": [false]}),
);

/// How far a temperature follows the entropy.
pub const DYNATEMP_RANGE: Field = Field::new(
    "dynatemp_range",
    "a number in 0..=100",
    "dynatemp from temperature - range (0 at the least) to temperature + range, in the temperature's place; 0: none",
    || json!({"type": "number", "minimum": 0, "maximum": 100}),
);

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn alternatives() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": MOST_ALTERNATIVES})
}

fn choices() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": MOST_CHOICES})
}
