"""Decant's engine beside transformers: small random models of every architecture, logits compared.

    python xtask/check_models.py DECANT    # the program; `cargo xtask check-models` builds it and calls this

Each model is made by transformers itself, saved with `save_pretrained`, read back by it in float32 and by
`decant logits` from the folder. Where the `gguf` package is there, the model is also written as GGUF, tensors
named by that package's own table; both files must give Decant the same bits.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import (
    Gemma2Config, Gemma2ForCausalLM, Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration,
    Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Olmo2Config,
    Olmo2ForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
    SiglipVisionConfig, SmolLM3Config, SmolLM3ForCausalLM,
)

try:
    import gguf
except ImportError:
    gguf = None

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

# The largest difference of two logits, as a share of the largest logit: some 20 times what float32 costs here.
BOUND = 1e-4
VOCAB, PROMPT = 512, 70
SIZES = dict(vocab_size=VOCAB, hidden_size=96, intermediate_size=224, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
LINEAR = dict(rope_type="linear", rope_theta=1e4, factor=4.0)
GEMMA = SIZES | dict(head_dim=32, query_pre_attn_scalar=64, sliding_window=16)
GEMMA3 = GEMMA | dict(num_hidden_layers=7, rope_parameters=dict(
    full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
    sliding_attention=dict(rope_type="default", rope_theta=1e4)))
VISION = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)


def long_rope(original):
    """LongRoPE for six turning pairs of a head of 16, of which three quarters turn."""
    return dict(original_max_position_embeddings=original, rope_parameters=dict(
        rope_type="longrope", rope_theta=1e4, partial_rotary_factor=0.75,
        short_factor=[1.0 + 0.1 * i for i in range(6)], long_factor=[1.0 + i for i in range(6)],
        original_max_position_embeddings=original))


MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, rms_norm_eps=1e-5)),
    "llama, tied": (LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama, llama3 rope": (LlamaForCausalLM, LlamaConfig(**SIZES, rope_parameters=LLAMA3)),
    "llama, linear rope": (LlamaForCausalLM, LlamaConfig(**SIZES, rope_parameters=LINEAR)),
    "llama, wide heads": (LlamaForCausalLM, LlamaConfig(**SIZES, head_dim=32)),
    "mistral": (MistralForCausalLM, MistralConfig(**SIZES, sliding_window=16)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SIZES)),
    "qwen2, windows": (Qwen2ForCausalLM, Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=16, max_window_layers=1)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=32)),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(**GEMMA, attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig(**GEMMA3)),
    "gemma3, with eyes": (Gemma3ForConditionalGeneration, Gemma3Config(
        text_config=GEMMA3, vision_config=SiglipVisionConfig(**VISION), mm_tokens_per_image=4)),
    "phi3": (Phi3ForCausalLM, Phi3Config(**SIZES)),
    "phi3, window": (Phi3ForCausalLM, Phi3Config(**SIZES, sliding_window=16)),
    "phi3, long rope": (Phi3ForCausalLM, Phi3Config(**SIZES, **long_rope(32))),
    "phi3, short rope": (Phi3ForCausalLM, Phi3Config(**SIZES, **long_rope(512))),
    "olmo2": (Olmo2ForCausalLM, Olmo2Config(**SIZES)),
    "smollm3": (SmolLM3ForCausalLM, SmolLM3Config(**(SIZES | dict(num_hidden_layers=5)))),
}


def randomise(model):
    """Weights under which every part of the graph counts: norms far from 1, heads that attend."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.normal_(0, 1.5 / math.sqrt(weight.shape[1]))
            elif weight.dim() == 1:
                is_plain_norm = "norm" in name and "Gemma" not in type(model).__name__
                weight.normal_(1.0 if is_plain_norm else 0.2, 0.3)


def write_tokenizer(folder):
    vocab = {f"t{i}": i for i in range(VOCAB)}
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "t0"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))


def decant_logits(decant, model, ids):
    with tempfile.NamedTemporaryFile(suffix=".npy") as out:
        command = [decant, "logits", "-m", model, "--ids", ",".join(map(str, ids)), "-o", out.name]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"{model}: {run.stderr}")
        return np.load(out.name)


def in_old_spelling(folder):
    """Rewrites `config.json` as transformers 4 wrote it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config.get("text_config", config)
    rope = text.pop("rope_parameters", None) or {}
    if "full_attention" in rope:
        text["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        text.pop("layer_types")
        text["sliding_window_pattern"] = 6
        rope = rope["full_attention"]
    if "rope_theta" in rope:
        text["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        text["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    kind = rope.pop("rope_type", "default")
    text["rope_scaling"] = None if kind == "default" else {"type": kind} | rope
    path.write_text(json.dumps(config))


def write_gguf(path, folder, c):
    """The saved tensors as llama.cpp's converter stores them, under the names of the gguf package's table."""
    arch = {"mistral": "llama", "gemma3_text": "gemma3"}.get(c.model_type, c.model_type)
    heads, kv_heads = c.num_attention_heads, c.num_key_value_heads
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // heads
    rope = c.rope_parameters.get("full_attention", c.rope_parameters)
    w = gguf.GGUFWriter(path, arch)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 1.0)))
    if getattr(c, "sliding_window", None):
        w.add_sliding_window(c.sliding_window)
    if c.model_type == "qwen2" and c.use_sliding_window:
        w.add_sliding_window_pattern([kind == "sliding_attention" for kind in c.layer_types])
    if getattr(c, "attn_logit_softcapping", None):
        w.add_attn_logit_softcapping(c.attn_logit_softcapping)
    if getattr(c, "final_logit_softcapping", None):
        w.add_final_logit_softcapping(c.final_logit_softcapping)
    if hasattr(c, "query_pre_attn_scalar"):
        w.add_attention_scale(c.query_pre_attn_scalar ** -0.5)
    if rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "longrope":
        original = rope["original_max_position_embeddings"]
        stretched = c.max_position_embeddings / original
        w.add_rope_scaling_orig_ctx_len(original)
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(stretched) / math.log(original)))
        w.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], np.float32))
        w.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], np.float32))
    w.add_tokenizer_model("llama")
    w.add_token_list([f"t{i}" for i in range(VOCAB)])
    w.add_token_scores([0.0] * VOCAB)
    w.add_add_bos_token(False)

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], c.num_hidden_layers)
    for name, tensor in load_file(folder / "model.safetensors").items():
        if arch in ("llama", "smollm3") and ("q_proj" in name or "k_proj" in name):
            # Halves of a head become pairs.
            of = heads if "q_proj" in name else kv_heads
            tensor = tensor.view(of, 2, head_dim // 2, -1).transpose(1, 2).reshape(tensor.shape)
        if arch.startswith("gemma") and "norm" in name:
            tensor = tensor + 1
        w.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), tensor.numpy())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    decant = sys.argv[1]
    torch.manual_seed(7)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}; largest difference over largest logit")
    if gguf is None:
        print("SKIPPED: no `gguf` package, so nothing is compared with GGUF files")
    ids = np.random.default_rng(1).integers(1, VOCAB, PROMPT).tolist()
    failed = []

    def same(what, folder_logits, path):
        if not np.array_equal(folder_logits.view(np.uint32), decant_logits(decant, path, ids).view(np.uint32)):
            failed.append(what)
            print(f"  {what}: other bits than from the folder")

    for number, (name, (kind, config)) in enumerate(MODELS.items()):
        model = kind(config)
        randomise(model)
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                model.to(dtype).save_pretrained(folder)
                write_tokenizer(folder)
                again = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
                with torch.no_grad():
                    expected = again(torch.tensor([ids])).logits[0].numpy()
                got = decant_logits(decant, folder, ids)
                largest = np.abs(expected).max()
                difference = np.abs(got - expected).max() / largest
                print(f"{name:20} {str(dtype)[6:]:9} {difference:.1e} of {largest:.1f}", flush=True)
                if not difference <= BOUND:
                    failed.append(f"{name} {dtype}")
                if dtype != torch.float32:
                    continue
                text = again.config.get_text_config()
                # The tensor of Llama 3's factors is computed, by steps of its own, when a file is converted.
                if gguf is not None and kind is not Gemma3ForConditionalGeneration and name != "llama, llama3 rope":
                    write_gguf(folder / "model.gguf", folder, text)
                    same(f"{name} as GGUF", got, folder / "model.gguf")
                if number == 0:
                    again.save_pretrained(folder / "shards", max_shard_size="200KB")
                    write_tokenizer(folder / "shards")
                    assert len(list((folder / "shards").glob("*.safetensors"))) > 1
                    same(f"{name} in shards", got, folder / "shards")
                in_old_spelling(folder)
                same(f"{name} in transformers 4's spelling", got, folder)
            model.to(torch.float32)
    if failed:
        sys.exit(f"beyond {BOUND}, or other bits: {', '.join(failed)}")
    print(f"all within {BOUND}")


main()
