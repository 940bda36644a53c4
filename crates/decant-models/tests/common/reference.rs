//! The forward pass written plainly in f64, straight from the definitions: no cache, no batch, no tricks.

use decant_models::weights::{ModelConfig, Part, RopeScaling};

use super::random_model::RandomModel;

/// Logits after every token.
pub fn logits(model: &RandomModel, tokens: &[u32]) -> Vec<Vec<f64>> {
    let c = &model.config;
    let embedding = model.numbers(Part::Embedding, 0);
    let mut stream: Vec<Vec<f64>> =
        tokens.iter().map(|&token| wide(&embedding[token as usize * c.dim..][..c.dim])).collect();
    for layer in 0..c.layers {
        let normed = each(&stream, |x| rms_norm(x, model.numbers(Part::AttentionNorm, layer), c));
        let mixed = attention(model, layer, &normed);
        add(&mut stream, each(&mixed, |x| linear(model, Part::AttentionOutput, layer, x)));

        let normed = each(&stream, |x| rms_norm(x, model.numbers(Part::FeedForwardNorm, layer), c));
        let gate = each(&normed, |x| linear(model, Part::Gate, layer, x));
        let up = each(&normed, |x| linear(model, Part::Up, layer, x));
        let gated = gate.iter().zip(&up).map(|(gate, up)| {
            gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect::<Vec<_>>()
        });
        add(&mut stream, gated.map(|x| linear(model, Part::Down, layer, &x)).collect());
    }
    let normed = each(&stream, |x| rms_norm(x, model.numbers(Part::OutputNorm, 0), c));
    let output = if c.tied_embeddings { Part::Embedding } else { Part::Output };
    each(&normed, |x| linear(model, output, 0, x))
}

fn attention(model: &RandomModel, layer: usize, normed: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let c = &model.config;
    let project = |weight, bias| -> Vec<Vec<Vec<f64>>> {
        let biased = |x: &Vec<f64>| {
            let mut y = linear(model, weight, layer, x);
            if c.qkv_bias {
                y.iter_mut().zip(model.numbers(bias, layer)).for_each(|(y, bias)| *y += f64::from(*bias));
            }
            y.chunks(c.head_dim).map(<[f64]>::to_vec).collect()
        };
        each(normed, biased)
    };
    let turned = |heads: Vec<Vec<Vec<f64>>>, norm| -> Vec<Vec<Vec<f64>>> {
        let at = |(position, heads): (usize, Vec<Vec<f64>>)| {
            let head = |x: Vec<f64>| {
                let x = if c.qk_norm { rms_norm(&x, model.numbers(norm, layer), c) } else { x };
                rotate(&x, position, c)
            };
            heads.into_iter().map(head).collect()
        };
        heads.into_iter().enumerate().map(at).collect()
    };
    let queries = turned(project(Part::Query, Part::QueryBias), Part::QueryNorm);
    let keys = turned(project(Part::Key, Part::KeyBias), Part::KeyNorm);
    let values = project(Part::Value, Part::ValueBias);

    let at = |position: usize| -> Vec<f64> {
        let first = (position + 1).saturating_sub(c.sliding_window.unwrap_or(usize::MAX));
        let head = |h: usize| -> Vec<f64> {
            let shared = h / (c.heads / c.kv_heads);
            let score = |p: usize| dot(&queries[position][h], &keys[p][shared]) / (c.head_dim as f64).sqrt();
            let weights: Vec<f64> = (first..=position).map(|p| score(p).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mean = |i: usize| (first..=position).zip(&weights).map(|(p, w)| w * values[p][shared][i]).sum::<f64>();
            (0..c.head_dim).map(|i| mean(i) / total).collect()
        };
        (0..c.heads).flat_map(head).collect()
    };
    (0..normed.len()).map(at).collect()
}

/// Rotates element i against element i + d/2 by position · theta^(-2i/d), stretched.
fn rotate(x: &[f64], position: usize, c: &ModelConfig) -> Vec<f64> {
    let half = x.len() / 2;
    let mut turned = x.to_vec();
    for i in 0..half {
        let frequency = f64::from(c.rope_theta).powf(-2.0 * i as f64 / x.len() as f64);
        let (sin, cos) = (position as f64 * stretched(frequency, &c.rope_scaling)).sin_cos();
        turned[i] = x[i] * cos - x[i + half] * sin;
        turned[i + half] = x[i + half] * cos + x[i] * sin;
    }
    turned
}

/// As transformers defines Llama 3's scaling: a mean of the frequency and its quotient.
fn stretched(frequency: f64, scaling: &RopeScaling) -> f64 {
    match *scaling {
        RopeScaling::Linear { factor } => frequency / f64::from(factor),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let [factor, low, high] = [factor, low_freq_factor, high_freq_factor].map(f64::from);
            let turns = original_context as f64 * frequency / std::f64::consts::TAU;
            let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 - kept) * frequency / factor + kept * frequency
        }
        _ => frequency,
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
