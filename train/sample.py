"""Tell stories with an exported model.

    python sample.py model.gguf --prompt "Once upon a time" --temp 0.8 --top-h 0.4 --seed 1 --count 3

A plain reference: no cache, float32, everything recomputed for each token.
"""
import argparse

import torch

from load import load


def top_h(p, alpha):
    """Top-H: of the tokens in falling probability keep the longest prefix whose renormalised
    entropy is at most alpha times the whole distribution's (and at least one token)."""
    p, order = p.sort(descending=True)
    surprise = -(p * p.clamp_min(1e-30).log())
    mass, part = p.cumsum(0), surprise.cumsum(0)
    entropy = part / mass + mass.log()            # of each prefix, renormalised
    within = entropy <= alpha * surprise.sum()
    keep = max(1, int(within.long().cumprod(0).sum()))
    return order[:keep], p[:keep] / mass[keep - 1]


@torch.no_grad()
def story(model, tokenizer, prompt, temp, alpha, seed, length=400):
    """The prompt's continuation up to the end of the story; each seed stands for one story."""
    dice = torch.Generator().manual_seed(seed)
    ids = [0] + tokenizer.encode(prompt).ids
    limit = min(model.cos.shape[0], len(ids) + length)
    while len(ids) < limit:
        logits = model.hidden(torch.tensor([ids]))[0, -1] @ model.embed.weight.T
        if temp == 0:
            new = int(logits.argmax())
        else:
            tokens, q = top_h((logits.double() / temp).softmax(0), alpha)
            new = int(tokens[torch.multinomial(q, 1, generator=dice)])
        if new == 0:
            break
        ids.append(new)
    return tokenizer.decode(ids[1:])


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model")
    args.add_argument("--prompt", action="append")
    args.add_argument("--temp", type=float, default=0.8)
    args.add_argument("--top-h", type=float, default=0.4)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--count", type=int, default=1)
    args.add_argument("--length", type=int, default=400)
    args = args.parse_args()
    model, tokenizer = load(args.model)
    for prompt in args.prompt or ["Once upon a time"]:
        for seed in range(args.seed, args.seed + args.count):
            print(f"--- {prompt!r} temp={args.temp} top_h={args.top_h} seed={seed}")
            print(story(model, tokenizer, prompt, args.temp, args.top_h, seed, args.length), flush=True)


if __name__ == "__main__":
    main()
