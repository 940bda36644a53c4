//! The forward pass written plainly in f64, straight from the definitions: no cache, no batch, no tricks.

use decant_models::weights::{Activation, ModelConfig, Part, QkNorm, RopeFactors, RopeScaling};

use super::random_model::RandomModel;

/// Logits after every token.
pub fn logits(model: &RandomModel, tokens: &[u32]) -> Vec<Vec<f64>> {
    let c = &model.config;
    let embedding = model.numbers(Part::Embedding, 0);
    let embedded = |token: &u32| {
        let row = wide(&embedding[*token as usize * c.dim..][..c.dim]);
        row.into_iter().map(|x| x * f64::from(c.embedding_scale)).collect()
    };
    let mut stream: Vec<Vec<f64>> = tokens.iter().map(embedded).collect();
    for layer in 0..c.layers {
        let norm = |rows: &[Vec<f64>], there: bool, part| match there {
            true => each(rows, |x| rms_norm(x, model.numbers(part, layer), c)),
            false => rows.to_vec(),
        };
        let read = norm(&stream, c.norms.before(), Part::AttentionNorm);
        let mixed = attention(model, layer, &read);
        let made = each(&mixed, |x| linear(model, Part::AttentionOutput, layer, x));
        add(&mut stream, norm(&made, c.norms.after(), Part::AttentionPostNorm));

        let read = norm(&stream, c.norms.before(), Part::FeedForwardNorm);
        let made = each(&read, |x| feed_forward(model, layer, x));
        add(&mut stream, norm(&made, c.norms.after(), Part::FeedForwardPostNorm));
    }
    let normed = each(&stream, |x| rms_norm(x, model.numbers(Part::OutputNorm, 0), c));
    let output = if c.tied_embeddings { Part::Embedding } else { Part::Output };
    let logits = each(&normed, |x| linear(model, output, 0, x));
    each(&logits, |row| row.iter().map(|logit| capped(*logit, c.logit_softcap)).collect())
}

fn feed_forward(model: &RandomModel, layer: usize, x: &[f64]) -> Vec<f64> {
    let activation = |x: f64| match model.config.activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
    };
    let (gate, up) = (linear(model, Part::Gate, layer, x), linear(model, Part::Up, layer, x));
    let gated: Vec<f64> = gate.iter().zip(&up).map(|(gate, up)| activation(*gate) * up).collect();
    linear(model, Part::Down, layer, &gated)
}

fn attention(model: &RandomModel, layer: usize, read: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let c = &model.config;
    let project = |weight, bias| -> Vec<Vec<f64>> {
        let biased = |x: &Vec<f64>| {
            let mut y = linear(model, weight, layer, x);
            if c.qkv_bias {
                y.iter_mut().zip(model.numbers(bias, layer)).for_each(|(y, bias)| *y += f64::from(*bias));
            }
            y
        };
        each(read, biased)
    };
    let by_head = |row: &[f64]| -> Vec<Vec<f64>> { row.chunks(c.head_dim).map(<[f64]>::to_vec).collect() };
    let turned = |rows: Vec<Vec<f64>>, norm| -> Vec<Vec<Vec<f64>>> {
        let at = |(position, row): (usize, Vec<f64>)| {
            let normed: Vec<f64> = match c.qk_norm {
                None => row,
                Some(QkNorm::AllHeads) => rms_norm(&row, model.numbers(norm, layer), c),
                Some(QkNorm::ByHead) => {
                    row.chunks(c.head_dim).flat_map(|head| rms_norm(head, model.numbers(norm, layer), c)).collect()
                }
            };
            by_head(&normed).iter().map(|head| rotate(head, position, layer, c)).collect()
        };
        rows.into_iter().enumerate().map(at).collect()
    };
    let queries = turned(project(Part::Query, Part::QueryBias), Part::QueryNorm);
    let keys = turned(project(Part::Key, Part::KeyBias), Part::KeyNorm);
    let values = each(&project(Part::Value, Part::ValueBias), |row| by_head(row));

    let window = if c.windowed.contains(layer) { c.sliding_window } else { None };
    let at = |position: usize| -> Vec<f64> {
        let first = (position + 1).saturating_sub(window.unwrap_or(usize::MAX));
        let head = |h: usize| -> Vec<f64> {
            let shared = h / (c.heads / c.kv_heads);
            let score = |p: usize| {
                let score = dot(&queries[position][h], &keys[p][shared]) * f64::from(c.attention_scale);
                capped(score, c.attention_softcap)
            };
            let weights: Vec<f64> = (first..=position).map(|p| score(p).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mean = |i: usize| (first..=position).zip(&weights).map(|(p, w)| w * values[p][shared][i]).sum::<f64>();
            (0..c.head_dim).map(|i| mean(i) / total).collect()
        };
        (0..c.heads).flat_map(head).collect()
    };
    (0..read.len()).map(at).collect()
}

/// Rotates element i against element i + d/2, of the first d, by position · theta^(-2i/d), stretched.
fn rotate(x: &[f64], position: usize, layer: usize, c: &ModelConfig) -> Vec<f64> {
    let rope = match &c.local_rope {
        Some(local) if c.sliding_window.is_some() && c.windowed.contains(layer) => local,
        _ => &c.rope,
    };
    let (half, mut turned) = (c.rope_dim / 2, x.to_vec());
    if !c.roped.contains(layer) {
        return turned;
    }
    for i in 0..half {
        let frequency = f64::from(rope.theta).powf(-2.0 * i as f64 / c.rope_dim as f64);
        let (frequency, magnitude) = stretched(frequency, i, c.context, &rope.scaling);
        let (sin, cos) = (position as f64 * frequency).sin_cos();
        turned[i] = (x[i] * cos - x[i + half] * sin) * magnitude;
        turned[i + half] = (x[i + half] * cos + x[i] * sin) * magnitude;
    }
    turned
}

fn capped(x: f64, cap: Option<f32>) -> f64 {
    cap.map_or(x, |cap| f64::from(cap) * (x / f64::from(cap)).tanh())
}

/// The i-th frequency stretched, and what goes before cosine and sine. Llama 3's scaling is a mean of the frequency and its
/// quotient, as transformers defines it.
fn stretched(frequency: f64, i: usize, context: usize, scaling: &RopeScaling) -> (f64, f64) {
    match scaling {
        RopeScaling::Linear { factor } => (frequency / f64::from(*factor), 1.0),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let [factor, low, high] = [*factor, *low_freq_factor, *high_freq_factor].map(f64::from);
            let turns = *original_context as f64 * frequency / std::f64::consts::TAU;
            let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            ((1.0 - kept) * frequency / factor + kept * frequency, 1.0)
        }
        RopeScaling::LongRope { short, long, original_context, magnitude } => {
            let RopeFactors::Listed(factors) = (if context > *original_context { long } else { short }) else {
                panic!("models are written with their factors")
            };
            (frequency / f64::from(factors[i]), f64::from(*magnitude))
        }
        RopeScaling::None | RopeScaling::Factors(_) => (frequency, 1.0),
    }
}

fn rms_norm(x: &[f64], weight: &[f32], c: &ModelConfig) -> Vec<f64> {
    let mean = dot(x, x) / x.len() as f64;
    let scale = 1.0 / (mean + f64::from(c.norm_eps)).sqrt();
    x.iter().zip(weight).map(|(x, weight)| x * scale * f64::from(*weight)).collect()
}

/// Weights times x; for formats of blocks x is quantised first, as the engine documents it.
fn linear(model: &RandomModel, part: Part, layer: usize, x: &[f64]) -> Vec<f64> {
    let x = match model.format.quantises() {
        Some(block) => x.chunks(block).flat_map(quantised).collect(),
        None => x.to_vec(),
    };
    model.numbers(part, layer).chunks(x.len()).map(|row| dot(&wide(row), &x)).collect()
}

fn quantised(block: &[f64]) -> Vec<f64> {
    let largest = block.iter().fold(0f64, |largest, x| largest.max(x.abs()));
    block.iter().map(|x| (x * 127.0 / largest).round_ties_even() * largest / 127.0).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn each<T>(rows: &[Vec<f64>], f: impl Fn(&Vec<f64>) -> T) -> Vec<T> {
    rows.iter().map(f).collect()
}

fn add(stream: &mut [Vec<f64>], update: Vec<Vec<f64>>) {
    for (x, update) in stream.iter_mut().zip(update) {
        x.iter_mut().zip(update).for_each(|(x, update)| *x += update);
    }
}
