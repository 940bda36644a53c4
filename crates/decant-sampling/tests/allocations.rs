//! Once its buffers have grown, a sampler allocates nothing.

mod support;

use decant_sampling::yardstick::{CountingAllocator, SAMPLERS, count_allocations};
use decant_sampling::{Memory, Sampler, Scratch, Seed};
use support::{Numbers, history, rows};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn the_steady_state_allocates_nothing() {
    assert!(count_allocations(|| drop(vec![1])) > 0, "the allocator counts");
    let others = [
        "",
        "top_h=0.4:rule=hf",
        "top_h=0.4:certify=true",
        "epsilon=1e-3,eta=1e-2,top_a=0.2",
        "tfs=0.9",
        "xtc=1:threshold=0.01",
        "dynatemp=0.5:high=1.5,edt=1.2",
        "smoothing=0.2,mirostat=1",
        "top_k=40,smoothing=0.1,adaptive_p=0.3",
        "repetition_penalty=1.1,frequency_penalty=0.1,presence_penalty=0.1",
        "logit_bias=(0=1),dry=0.8:allowed=1:breakers=(0),no_repeat_ngram=30,temp=0.8",
    ];
    let specs: Vec<_> = SAMPLERS.into_iter().map(|(spec, _)| spec).chain(others).collect();
    for (name, row) in rows(1) {
        let text = history::text(&mut Numbers(3), row.len(), 300);
        for spec in &specs {
            let sampler = Sampler::new(&spec.parse().unwrap(), row.len()).unwrap();
            let (mut scratch, mut masked) = (Scratch::default(), row.clone());
            let mut round = |memory: &mut Memory| {
                let coins = Seed(1).coins(0, 0);
                sampler.pick(&row, &text, coins, memory, &mut scratch).unwrap();
                sampler.draw(&row, &text, coins, memory, &mut scratch).unwrap();
                masked.copy_from_slice(&row);
                sampler.mask(&mut masked, (&text).into(), coins, memory, &mut scratch).unwrap();
            };
            let mut memory = Memory::default();
            round(&mut memory);
            // What a sampler has learned may make it keep more: both rounds start from the same memory.
            let [mut first, mut second] = [memory.clone(), memory];
            round(&mut first);
            assert_eq!(count_allocations(|| round(&mut second)), 0, "{name}, `{spec}`");
        }
    }
}
