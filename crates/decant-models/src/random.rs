//! Models of random weights, of the sizes and formats that people run: what benchmarks measure on, without a download.

mod blocks;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use blocks::Blocks;

use crate::gguf::{Field, Header, TensorType, padding};
use crate::weights::{Format, Naming, Part};

/// How large a model is. All are of the architecture `llama`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Llama 3.2 1B: 2048/8192, 16 layers, 32 heads over 8, a vocabulary of 128,256, embedding and output one matrix.
    OneB,
    /// 512/1536, 8 layers, 8 heads, a vocabulary of 32,000, an output matrix of its own.
    Small,
    /// The embedded model: 256/768, 6 layers, 8 heads over 4, a vocabulary of 4,096, embedding and output one matrix.
    Tiny,
}

/// A size in numbers.
struct Widths {
    layers: usize,
    dim: usize,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    vocab: usize,
    tied: bool,
    rope_theta: f32,
}

impl Size {
    /// All sizes, the largest first.
    pub const ALL: [Size; 3] = [Size::OneB, Size::Small, Size::Tiny];

    #[rustfmt::skip]
    fn widths(self) -> Widths {
        match self {
            Size::OneB => Widths { layers: 16, dim: 2048, hidden: 8192, heads: 32, kv_heads: 8, vocab: 128_256, tied: true, rope_theta: 5e5 },
            Size::Small => Widths { layers: 8, dim: 512, hidden: 1536, heads: 8, kv_heads: 8, vocab: 32_000, tied: false, rope_theta: 1e4 },
            Size::Tiny => Widths { layers: 6, dim: 256, hidden: 768, heads: 8, kv_heads: 4, vocab: 4096, tied: true, rope_theta: 1e4 },
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Size::OneB => "1b",
            Size::Small => "small",
            Size::Tiny => "tiny",
        })
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Size::ALL.into_iter().find(|size| size.to_string() == name);
        found.ok_or_else(|| format!("unknown shape `{name}` (known: 1b, small, tiny)"))
    }
}

/// How the matrices of a model are stored; vectors are F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All in one format.
    Pure(Format),
    /// llama.cpp's `Q4_K_M`: Q4_K, but Q6_K for the output and, in half of the layers (the first and the last eighth and
    /// every third between), for the values and the down projection (`llama-quant.cpp`, `use_more_bits`).
    Q4KM,
}

impl Mix {
    /// How a matrix is stored in a model of `layers` whose embedding is its output, too, if `tied`.
    fn of(self, part: Part, layer: usize, layers: usize, tied: bool) -> Format {
        let eighth = layers / 8;
        let more_bits = layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
        match (self, part) {
            (Mix::Pure(pure), _) => pure,
            (Mix::Q4KM, Part::Output) => Format::Q6_K,
            (Mix::Q4KM, Part::Embedding) if tied => Format::Q6_K,
            (Mix::Q4KM, Part::Value | Part::Down) if more_bits => Format::Q6_K,
            (Mix::Q4KM, _) => Format::Q4_K,
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Mix::Pure(pure) => pure.name().to_lowercase(),
            Mix::Q4KM => "q4_k_m".to_owned(),
        })
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `q4_k_m`, or the name of a format, in whatever case.
    fn from_str(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("q4_k_m") {
            return Ok(Mix::Q4KM);
        }
        let pure = Format::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name));
        pure.map(Mix::Pure).ok_or_else(|| {
            let known = Format::ALL.map(|format| format.name().to_lowercase()).join(", ");
            format!("unknown type `{name}` (known: {known}, q4_k_m)")
        })
    }
}

/// A matrix or vector of the graph.
struct Tensor {
    part: Part,
    layer: usize,
    rows: usize,
    cols: usize,
    format: Format,
}

impl Tensor {
    fn len(&self) -> u64 {
        (self.rows * self.cols / self.format.block() * self.format.block_bytes()) as u64
    }
}

/// Writes a GGUF file that Decant and llama.cpp run: random blocks, uniform in all their bits, with scales at which a row's
/// numbers have a variance of 1 / its length; norms of 1; SentencePiece's tokenizer over byte tokens and made-up words. Equal
/// for equal size, mix and seed.
///
/// # Errors
/// What `out` says.
pub fn write_model(size: Size, mix: Mix, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let widths = size.widths();
    let tensors = tensors(&widths, mix);
    let mut header = Header::default();
    metadata(&mut header, &format!("random {size} {mix}"), &widths);
    for tensor in &tensors {
        let Tensor { part, layer, rows, cols, format } = *tensor;
        let tensor_type = TensorType::named(format.name()).ok_or_else(|| io::Error::other("ggml has no such type"))?;
        let name = Naming::Gguf.name(part, layer);
        let dimensions = if rows == 1 { vec![cols as u64] } else { vec![cols as u64, rows as u64] };
        header.add_tensor(&name, &dimensions, tensor_type, tensor.len());
    }
    out.write_all(&header.bytes())?;
    for (number, tensor) in (1..).zip(&tensors) {
        write_data(tensor, seed.wrapping_add(number << 32), out)?;
        out.write_all(&vec![0; padding(tensor.len())])?;
    }
    out.flush()
}

fn write_data(tensor: &Tensor, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let Tensor { rows, cols, format, .. } = *tensor;
    if rows == 1 {
        return (0..cols).try_for_each(|_| out.write_all(&1f32.to_le_bytes()));
    }
    let Some(mut blocks) = Blocks::new(format, seed, 1.0 / (cols as f32).sqrt()) else {
        return Err(io::Error::other(format!("no random blocks of {} are made", format.name())));
    };
    let mut row = vec![0; (tensor.len() / rows as u64) as usize];
    (0..rows).try_for_each(|_| {
        blocks.fill(&mut row);
        out.write_all(&row)
    })
}

fn tensors(widths: &Widths, mix: Mix) -> Vec<Tensor> {
    let Widths { layers, dim, hidden, heads, kv_heads, vocab, tied, .. } = *widths;
    let kv = dim / heads * kv_heads;
    let vector = |part, layer| Tensor { part, layer, rows: 1, cols: dim, format: Format::F32 };
    let matrix = |part, layer, rows, cols| {
        let format = mix.of(part, layer, layers, tied);
        Tensor { part, layer, rows, cols, format }
    };
    let mut tensors = vec![matrix(Part::Embedding, 0, vocab, dim), vector(Part::OutputNorm, 0)];
    if !tied {
        tensors.push(matrix(Part::Output, 0, vocab, dim));
    }
    for layer in 0..layers {
        tensors.extend([
            vector(Part::AttentionNorm, layer),
            matrix(Part::Query, layer, dim, dim),
            matrix(Part::Key, layer, kv, dim),
            matrix(Part::Value, layer, kv, dim),
            matrix(Part::AttentionOutput, layer, dim, dim),
            vector(Part::FeedForwardNorm, layer),
            matrix(Part::Gate, layer, hidden, dim),
            matrix(Part::Up, layer, hidden, dim),
            matrix(Part::Down, layer, dim, hidden),
        ]);
    }
    tensors
}

/// Positions that the models are said to be made for.
const CONTEXT: u32 = 8192;

fn metadata(header: &mut Header, name: &str, widths: &Widths) {
    header.add("general.architecture", &Field::Text("llama".into()));
    header.add("general.name", &Field::Text(name.into()));
    let sizes = [
        ("block_count", widths.layers),
        ("context_length", CONTEXT as usize),
        ("embedding_length", widths.dim),
        ("feed_forward_length", widths.hidden),
        ("attention.head_count", widths.heads),
        ("attention.head_count_kv", widths.kv_heads),
        ("rope.dimension_count", widths.dim / widths.heads),
        ("vocab_size", widths.vocab),
    ];
    for (key, size) in sizes {
        header.add(&format!("llama.{key}"), &Field::U32(size as u32));
    }
    header.add("llama.attention.layer_norm_rms_epsilon", &Field::F32(1e-5));
    header.add("llama.rope.freq_base", &Field::F32(widths.rope_theta));

    let (mut tokens, mut kinds) = (Vec::new(), Vec::new());
    for (token, kind) in ["<unk>", "<s>", "</s>"].into_iter().zip([UNKNOWN, CONTROL, CONTROL]) {
        tokens.push(token.to_owned());
        kinds.push(kind);
    }
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    kinds.resize(tokens.len(), BYTE);
    tokens.extend((tokens.len()..widths.vocab).map(|id| format!("▁w{id}")));
    kinds.resize(tokens.len(), NORMAL);
    header.add("tokenizer.ggml.model", &Field::Text("llama".into()));
    header.add("tokenizer.ggml.scores", &Field::F32s((0..tokens.len()).map(|id| -(id as f32)).collect()));
    header.add("tokenizer.ggml.tokens", &Field::Texts(tokens));
    header.add("tokenizer.ggml.token_type", &Field::I32s(kinds));
    for (id, special) in ["unknown", "bos", "eos"].into_iter().enumerate() {
        header.add(&format!("tokenizer.ggml.{special}_token_id"), &Field::U32(id as u32));
    }
}

/// What a token is for, as `tokenizer.ggml.token_type` numbers it.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;
