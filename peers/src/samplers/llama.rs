//! llama.cpp's own samplers, driven without a model.

use crate::Peer;
use llama_cpp_2::sampling::LlamaSampler as Sampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

pub fn peers(vocab: usize) -> Vec<Peer<'static>> {
    let dist = || Sampler::dist(0);
    let default = || [Sampler::top_k(40), Sampler::top_p(0.95, 1), Sampler::min_p(0.05, 1), Sampler::temp(0.8), dist()];
    let chains: [(&str, Vec<Sampler>); 9] = [
        ("temp=0", vec![Sampler::greedy()]),
        ("temp=1", vec![dist()]),
        ("temp=1,top_p=0.9", vec![Sampler::top_p(0.9, 1), dist()]),
        ("min_p=0.1", vec![Sampler::min_p(0.1, 1), dist()]),
        ("top_k=50", vec![Sampler::top_k(50), dist()]),
        ("typical=0.9", vec![Sampler::typical(0.9, 1), dist()]),
        ("top_n_sigma=1", vec![Sampler::top_n_sigma(1.0), dist()]),
        ("mirostat=2", vec![Sampler::mirostat_v2(0, 5.0, 0.1)]),
        ("top_k=40,top_p=0.95,min_p=0.05,temp=0.8", default().into()),
    ];
    let mut chains: Vec<(&str, Vec<Sampler>)> = chains.into();
    chains.push(("temp=by_entropy(0.5..4.0->0.3..1.8)", vec![Sampler::temp_ext(1.05, 0.75, 1.0), dist()]));
    chains.into_iter().map(|(name, chain)| peer(name, chain, vocab)).collect()
}

/// The array is filled from the row before every draw, as llama.cpp does, and its memory is kept.
fn peer(name: &'static str, chain: Vec<Sampler>, vocab: usize) -> Peer<'static> {
    let mut chain = Sampler::chain(chain, true);
    let mut array = LlamaTokenDataArray::new(Vec::with_capacity(vocab), false);
    (
        "llama.cpp",
        name,
        Box::new(move |row| {
            array.data.clear();
            array.data.extend((0..).zip(row).map(|(token, logit)| LlamaTokenData::new(LlamaToken(token), *logit, 0.0)));
            (array.sorted, array.selected) = (false, None);
            array.apply_sampler(&mut chain);
            let token = array.selected_token().expect("the chain ends with a draw");
            chain.accept(token);
            token.0 as u32
        }),
    )
}
