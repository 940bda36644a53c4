"""Write a checkpoint as GGUF (Q8_0 matrices, f32 norms) and, if asked, as a Hugging Face folder.

    python export.py --data OUT --weights RUN/best.pt RUN/ema.pt --gguf model.gguf [--safetensors DIR]

Both hold the same numbers: the safetensors are what the Q8_0 blocks dequantise to.
"""
import argparse
import json
import os
import tomllib
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.numpy import save_file
from tokenizers import Tokenizer, processors

HERE = Path(__file__).parent
EOT = "<|endoftext|>"
NAME, VERSION = "Decant Stories", "1.0"

# our name -> (GGUF name, Hugging Face name); {i} is the block
NAMES = {
    "embed.weight": ("token_embd.weight", "model.embed_tokens.weight"),
    "norm.weight": ("output_norm.weight", "model.norm.weight"),
    "blocks.{i}.attn_norm.weight": ("blk.{i}.attn_norm.weight", "model.layers.{i}.input_layernorm.weight"),
    "blocks.{i}.attn.q.weight": ("blk.{i}.attn_q.weight", "model.layers.{i}.self_attn.q_proj.weight"),
    "blocks.{i}.attn.k.weight": ("blk.{i}.attn_k.weight", "model.layers.{i}.self_attn.k_proj.weight"),
    "blocks.{i}.attn.v.weight": ("blk.{i}.attn_v.weight", "model.layers.{i}.self_attn.v_proj.weight"),
    "blocks.{i}.attn.o.weight": ("blk.{i}.attn_output.weight", "model.layers.{i}.self_attn.o_proj.weight"),
    "blocks.{i}.ffn_norm.weight": ("blk.{i}.ffn_norm.weight", "model.layers.{i}.post_attention_layernorm.weight"),
    "blocks.{i}.ffn.gate.weight": ("blk.{i}.ffn_gate.weight", "model.layers.{i}.mlp.gate_proj.weight"),
    "blocks.{i}.ffn.up.weight": ("blk.{i}.ffn_up.weight", "model.layers.{i}.mlp.up_proj.weight"),
    "blocks.{i}.ffn.down.weight": ("blk.{i}.ffn_down.weight", "model.layers.{i}.mlp.down_proj.weight"),
}


def names(layers):
    """(ours, GGUF, Hugging Face) for every tensor of a model with that many layers."""
    for ours, (g, h) in NAMES.items():
        for i in range(layers) if "{i}" in ours else [0]:
            yield ours.format(i=i), g.format(i=i), h.format(i=i)


def permute(w, heads):
    """Rows of Q or K for rotations of neighbouring features (2j, 2j+1) instead of (j, j + half).

    llama.cpp's `llama` architecture rotates neighbours; this is convert_hf_to_gguf's LlamaModel.permute.
    """
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpermute(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def heads_of(name, c):
    """How many heads the rows of this tensor fall into, if rotary positions touch them."""
    return {"q": c["heads"], "k": c["kv_heads"]}.get(name.split(".")[-2])


def read_weights(paths):
    """Mean of one or more checkpoints: float32 arrays by name."""
    states = [torch.load(p, weights_only=True, map_location="cpu") for p in paths]
    return {k: np.mean([s[k].float().numpy() for s in states], axis=0, dtype=np.float32) for k in states[0]}


def write_gguf(path, weights, c, tokenizer):
    w = gguf.GGUFWriter(str(path) + ".tmp", "llama")
    w.add_name(NAME)
    w.add_version(VERSION)
    w.add_description("A small English story model, trained from scratch; see train/MODEL_CARD.md")
    w.add_license("CDLA-Sharing-1.0 (TinyStories), Apache-2.0 (FairytaleQA), public domain (Project Gutenberg)")
    w.add_languages(["en"])
    w.add_tags(["text-generation", "stories"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_block_count(c["layers"])
    w.add_context_length(c["context"])
    w.add_embedding_length(c["dim"])
    w.add_feed_forward_length(c["hidden"])
    w.add_head_count(c["heads"])
    w.add_head_count_kv(c["kv_heads"])
    w.add_layer_norm_rms_eps(c["norm_eps"])
    w.add_rope_dimension_count(c["dim"] // c["heads"])
    w.add_rope_freq_base(c["rope_base"])
    w.add_vocab_size(c["vocab_size"])

    bpe = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    eot = tokens.index(EOT)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")          # the plain GPT-2 regex, which prepare.py trained with
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t == EOT else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]])
    w.add_bos_token_id(eot)
    w.add_eos_token_id(eot)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)

    for ours, theirs, _ in names(c["layers"]):
        a = weights[ours]
        if heads := heads_of(ours, c):
            a = permute(a, heads)
        a = np.ascontiguousarray(a)
        if a.ndim == 2:
            w.add_tensor(theirs, gguf.quants.quantize(a, Kind.Q8_0), raw_dtype=Kind.Q8_0)
        else:
            w.add_tensor(theirs, a)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    os.replace(str(path) + ".tmp", path)   # readers never see half a file


def write_hf(folder, weights, c, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)

    def q8(a):
        return gguf.quants.dequantize(gguf.quants.quantize(a, Kind.Q8_0), Kind.Q8_0) if a.ndim == 2 else a

    save_file({hf: np.ascontiguousarray(q8(weights[ours])) for ours, _, hf in names(c["layers"])},
              str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": c["vocab_size"], "hidden_size": c["dim"], "intermediate_size": c["hidden"],
        "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"],
        "num_key_value_heads": c["kv_heads"], "head_dim": c["dim"] // c["heads"],
        "max_position_embeddings": c["context"], "rms_norm_eps": c["norm_eps"], "rope_theta": c["rope_base"],
        "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{EOT} $A", special_tokens=[(EOT, 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": EOT, "eos_token": EOT, "add_bos_token": True,
        "model_max_length": c["context"], "clean_up_tokenization_spaces": False}, indent=2) + "\n")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--data", type=Path, required=True, help="folder with tokenizer.json, from prepare.py")
    args.add_argument("--weights", type=Path, nargs="+", required=True, help="several are averaged")
    args.add_argument("--gguf", type=Path, required=True)
    args.add_argument("--safetensors", type=Path, metavar="DIR")
    args = args.parse_args()
    c = tomllib.loads((HERE / "config.toml").read_text())["model"]
    weights = read_weights(args.weights)
    tokenizer = Tokenizer.from_file(str(args.data / "tokenizer.json"))
    args.gguf.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(args.gguf, weights, c, tokenizer)
    print(f"{args.gguf}: {args.gguf.stat().st_size} bytes, {sum(w.size for w in weights.values())} parameters")
    if args.safetensors:
        write_hf(args.safetensors, weights, c, tokenizer)


if __name__ == "__main__":
    main()
