//! What one writes in an afternoon: softmax, sort everything, walk down until the rule says stop, draw.

use crate::Peer;

type Tokens = Vec<(u32, f32)>;

pub fn peers() -> Vec<Peer<'static>> {
    let rules: [(&str, fn(&Tokens) -> usize); 4] = [
        ("temp=1,top_h=0.4", |tokens| {
            let bound = 0.4 * entropy(tokens.iter().map(|(_, p)| *p));
            let (mut mass, mut first, mut keep) = (0.0, 0.0, 0);
            for (_, p) in tokens.iter().filter(|(_, p)| *p > 0.0) {
                (mass, first) = (mass + p, first - p * p.ln());
                // H of the prefix renormalised.
                if keep > 0 && mass.ln() + first / mass > bound {
                    break;
                }
                keep += 1;
            }
            keep
        }),
        ("temp=1,top_p=0.9", |tokens| reached(tokens, 0.9)),
        ("min_p=0.1", |tokens| tokens.iter().take_while(|(_, p)| *p >= 0.1 * tokens[0].1).count()),
        ("top_k=50", |_| 50),
    ];
    let mut peers: Vec<Peer<'static>> = Vec::new();
    for (name, rule) in rules {
        let mut coin = coin();
        peers.push((
            "sort-based",
            name,
            Box::new(move |row| {
                let mut tokens = softmax(row);
                tokens.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
                let keep = rule(&tokens);
                draw(&tokens[..keep], coin())
            }),
        ));
    }
    let mut coins = coin();
    peers.push((
        "sort-based",
        "typical=0.9",
        Box::new(move |row| {
            let mut tokens = softmax(row);
            let h = entropy(tokens.iter().map(|(_, p)| *p));
            let distance = |p: f32| (-p.ln() - h).abs();
            tokens.sort_unstable_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
            let keep = reached(&tokens, 0.9);
            draw(&tokens[..keep], coins())
        }),
    ));
    let mut coins = coin();
    peers.push(("sort-based", "temp=1", Box::new(move |row| draw(&softmax(row), coins()))));
    peers
}

fn softmax(row: &[f32]) -> Tokens {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut tokens: Tokens = (0..).zip(row.iter().map(|logit| (logit - max).exp())).collect();
    let sum: f32 = tokens.iter().map(|(_, e)| e).sum();
    tokens.iter_mut().for_each(|(_, p)| *p /= sum);
    tokens
}

fn entropy(probabilities: impl Iterator<Item = f32>) -> f32 {
    probabilities.filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
}

/// The shortest prefix with this mass.
fn reached(tokens: &Tokens, mass: f32) -> usize {
    let mut sum = 0.0;
    tokens
        .iter()
        .position(|(_, p)| {
            sum += p;
            sum >= mass
        })
        .map_or(tokens.len(), |last| last + 1)
}

fn draw(tokens: &[(u32, f32)], coin: f32) -> u32 {
    let mut left = coin * tokens.iter().map(|(_, p)| p).sum::<f32>();
    let drawn = tokens.iter().find(|(_, p)| {
        left -= p;
        left < 0.0
    });
    drawn.or(tokens.last()).map_or(0, |(token, _)| *token)
}

/// xorshift64*, in 0..1.
fn coin() -> impl FnMut() -> f32 {
    let mut state = 88_172_645_463_325_252_u64;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / 16_777_216.0
    }
}
