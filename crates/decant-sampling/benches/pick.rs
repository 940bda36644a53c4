//! Criterion benches for whoever tunes a stage: `cargo bench -p decant-sampling -- top_p`.
//!
//! `decant bench sampler` compares with the floor and is what the bounds are held to; this compares with the last run.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use decant_sampling::yardstick::{Regime, SAMPLERS, floor};
use decant_sampling::{Memory, Sampler, Scratch, Seed};
use std::hint::black_box;
use std::time::Duration;

const VOCAB: usize = 128_256;

fn samplers(criterion: &mut Criterion) {
    for regime in Regime::ALL {
        let row = regime.row(VOCAB, 0).expect("the vocabulary is large enough");
        let mut group = criterion.benchmark_group(regime.to_string());
        group.throughput(Throughput::Elements(VOCAB as u64));
        group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500)).sample_size(20);
        group.bench_function("floor", |bencher| bencher.iter(|| floor(black_box(&row))));
        for (text, observed) in SAMPLERS {
            let spec = text.parse().expect("the spec is one");
            let sampler = Sampler::new(&spec, VOCAB).expect("the spec is in range");
            let (mut memory, mut scratch, mut position) = (Memory::default(), Scratch::default(), 0);
            let mut coins = || {
                position += 1;
                Seed(0).coins(0, position)
            };
            if observed {
                group.bench_function(BenchmarkId::new("pick", text), |bencher| {
                    bencher.iter(|| sampler.pick(black_box(&row), &[], coins(), &mut memory, &mut scratch));
                });
            } else {
                group.bench_function(BenchmarkId::new("draw", text), |bencher| {
                    bencher.iter(|| sampler.draw(black_box(&row), &[], coins(), &mut memory, &mut scratch));
                });
            }
        }
    }
}

criterion_group!(benches, samplers);
criterion_main!(benches);
