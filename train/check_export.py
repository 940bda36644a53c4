"""Check an exported GGUF against the checkpoint it came from, and write reference values.

    python check_export.py --weights RUN/best.pt RUN/ema.pt --gguf model.gguf [--reference FILE]

Three computations must agree: the PyTorch model on the checkpoint's own weights after a Q8_0
round trip done here, the PyTorch model on what load.py reads back, and a separate NumPy
forward pass straight from the file's tensors, which rotates neighbouring features as
llama.cpp's `llama` architecture does (so a wrong permutation of Q or K would show).
"""
import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch

from export import read_weights
from load import load, raw_tensors, settings
from model import Llama

PROMPTS = ["Once upon a time", "The old dragon", "Lily wanted to"]
LIMIT = 1e-4


def q8_round_trip(w):
    """Blocks of 32 along a row: one half-precision scale, 127 steps either way."""
    blocks = w.reshape(-1, 32)
    scale = blocks.abs().amax(1, keepdim=True) / 127
    steps = blocks * torch.where(scale > 0, 1 / scale, 0 * scale)   # times the inverse: a quotient may round otherwise
    steps = steps.sign() * (steps.abs() + 0.5).floor()      # halves away from zero, as ggml rounds
    return (steps * scale.half().float()).reshape(w.shape)


def numpy_forward(t, c, ids):
    """Logits at every position, in float64."""
    t = {k: v.astype(np.float64) for k, v in t.items()}
    hd, n = c["dim"] // c["heads"], len(ids)
    angle = np.outer(np.arange(n), c["rope_base"] ** (-np.arange(0, hd, 2) / hd))

    def norm(x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["norm_eps"]) * w

    def heads(x, count):
        return x.reshape(n, count, hd).transpose(1, 0, 2)

    def turn(x):
        z = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angle)
        return np.stack((z.real, z.imag), -1).reshape(x.shape)

    x = t["token_embd.weight"][ids]
    for i in range(c["layers"]):
        w = {k.split(".")[2]: v for k, v in t.items() if k.startswith(f"blk.{i}.")}
        h = norm(x, w["attn_norm"])
        q, k = turn(heads(h @ w["attn_q"].T, c["heads"])), turn(heads(h @ w["attn_k"].T, c["kv_heads"]))
        v = heads(h @ w["attn_v"].T, c["kv_heads"])
        k, v = (np.repeat(y, c["heads"] // c["kv_heads"], axis=0) for y in (k, v))
        s = q @ k.transpose(0, 2, 1) / np.sqrt(hd) + np.triu(np.full((n, n), -np.inf), 1)
        p = np.exp(s - s.max(-1, keepdims=True))
        y = (p / p.sum(-1, keepdims=True)) @ v
        x = x + y.transpose(1, 0, 2).reshape(n, -1) @ w["attn_output"].T
        h = norm(x, w["ffn_norm"])
        g = h @ w["ffn_gate"].T
        x = x + (g / (1 + np.exp(-g)) * (h @ w["ffn_up"].T)) @ w["ffn_down"].T
    return norm(x, t["output_norm.weight"]) @ t["token_embd.weight"].T


@torch.no_grad()
def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--weights", type=Path, nargs="+", required=True)
    args.add_argument("--gguf", type=Path, required=True)
    args.add_argument("--reference", type=Path, help="JSON with prompt ids, last logits and 40 greedy tokens")
    args = args.parse_args()

    reader = gguf.GGUFReader(str(args.gguf))
    c, tensors = settings(reader), raw_tensors(reader)
    model, tokenizer = load(args.gguf)
    ours = Llama(c).eval()
    state = {k: torch.from_numpy(w) for k, w in read_weights(args.weights).items()}
    ours.load_state_dict({k: q8_round_trip(w) if w.dim() == 2 else w for k, w in state.items()})

    text = "Once upon a time, there was a little fox. \"Don't go,\" said his mother, but the fox ran 12 miles."
    ids = [0] + tokenizer.encode(text).ids
    assert tokenizer.decode(ids[1:]) == text
    a, b = (m(torch.tensor([ids]))[0].numpy() for m in (ours, model))
    d = numpy_forward(tensors, c, ids)
    for what, diff in [("checkpoint, Q8_0 round trip", a - b), ("NumPy, neighbour rotation", d - b)]:
        worst = np.abs(diff).max()
        print(f"{what}: largest difference of a logit {worst:.2e}")
        assert worst < LIMIT

    if args.reference:
        cases = []
        for prompt in PROMPTS:
            prompt_ids = [0] + tokenizer.encode(prompt).ids
            ids = list(prompt_ids)
            logits = model(torch.tensor([ids]))[0, -1]
            for _ in range(40):
                ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
            cases.append({"prompt": prompt, "ids": prompt_ids, "last_logits": logits.tolist(),
                          "greedy": ids[len(prompt_ids):], "text": tokenizer.decode(ids[1:], skip_special_tokens=False)})
            print(cases[-1]["text"])
        args.reference.write_text(json.dumps({"file": args.gguf.name, "cases": cases}))


if __name__ == "__main__":
    main()
