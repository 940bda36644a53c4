//! Schemas of what other crates tell; they know of no HTTP. A test holds them to what is really told.

use utoipa::ToSchema;

/// What the sampler saw at a token. Entropies in nats.
#[derive(ToSchema)]
#[allow(dead_code)] // Its fields are the schema's.
pub struct Step {
    /// The token drawn.
    token: u32,
    /// ln p of the token in the model's own row: temperature 1, before any stage.
    logprob: f64,
    /// ln p of the token in the distribution that it was drawn from.
    sampled_logprob: f64,
    /// Entropy of the model's own row.
    entropy: f64,
    /// Variance of -ln p in the model's own row, in nats².
    varentropy: f64,
    /// The product of all temperature stages; 0 is greedy.
    temperature: f64,
    /// How many tokens the draw was among.
    kept: u32,
    /// Which share of the probability the truncations left.
    kept_mass: f64,
    /// Entropy of the distribution that it was drawn from.
    kept_entropy: f64,
    /// Where `top_h` certifies: how much more probability another set of tokens could have had, at most.
    gap: Option<f64>,
}

/// What came of a strategy.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Outcome {
    /// Why the text ended: `length`, `stop` or `eos`.
    finish: String,
    /// For searches: whether the result is proven to be what was searched for.
    proven: Option<bool>,
    /// For `map`: the ln P that no text exceeds.
    bound: Option<f64>,
    cost: Cost,
    /// The texts that it had to choose from, best first; absent where each token was final at once.
    candidates: Option<Vec<Candidate>>,
    /// Which of them was taken.
    chosen: Option<usize>,
}

/// What was spent on a text, beyond feeding its prompt and telling its rows.
#[derive(ToSchema)]
#[allow(dead_code)]
struct Cost {
    /// Rows that the model was asked for.
    calls: u64,
    /// Batches that they came in.
    batches: u64,
    /// Tokens fed for them.
    tokens: u64,
}

/// One of the texts that a strategy had to choose from.
#[derive(ToSchema)]
#[allow(dead_code)]
struct Candidate {
    /// The generated tokens, an end token included.
    tokens: Vec<u32>,
    /// Why it ended: `length`, `stop` or `eos`.
    finish: String,
    /// ln P of the tokens in the law that was searched or, where they were drawn, in the model's own rows.
    logprob: f64,
    /// Mean entropy of the model's rows along it, in nats.
    entropy: f64,
    /// What the strategy ranks by, greater first.
    score: f64,
    /// The estimated risk, for `mbr`.
    risk: Option<f64>,
    /// The probability that it is among the texts drawn, for `stochastic_beam`.
    inclusion: Option<f64>,
}
