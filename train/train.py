"""Train the model on the token files that prepare.py wrote.

    python train.py --data OUT --run RUN [--dtype bfloat16] [--compile]

The schedule (warm-up, flat, decay: learning rate and data mix alike) follows the time spent
training, so the run ends when config.toml's budget says, whatever the machine's speed.
RUN receives last.pt (everything, for resuming: start the same command again after a kill),
best.pt and ema.pt (weights) and log.csv.
"""
import argparse
import copy
import math
import os
import time
import tomllib
from pathlib import Path

import numpy as np
import torch

from model import Llama, RowDropout

HERE = Path(__file__).parent


class Source:
    """Texts of one token file, dealt in a shuffled order without repeats until all are used."""

    def __init__(self, folder, name, rng):
        self.ids = np.load(folder / f"{name}.npy")
        self.starts = np.load(folder / f"{name}.starts.npy")
        self.ends = np.append(self.starts[1:], len(self.ids))
        self.rng, self.deck = rng, []
        # A long text comes up as often as its length asks: once per row that it could fill.
        self.cards = np.repeat(np.arange(len(self.starts)), np.maximum(1, (self.ends - self.starts) // 512))

    def text(self):
        if not len(self.deck):
            self.deck = self.rng.permutation(self.cards).tolist()
        i = self.deck.pop()
        return self.ids[self.starts[i]:self.ends[i]]

    def row(self, length, mid_start):
        """`length` tokens: a text (or the rest of one, from anywhere in it), then further texts."""
        first = self.text()
        if len(first) > 2 * length or self.rng.random() < mid_start:
            # A long text nearly always begins mid-way; its opening gets its fair share of the rows.
            first = first[max(0, self.rng.integers(-length // 2, len(first))):]
        row = [first]
        while sum(map(len, row)) < length:
            row.append(self.text())
        return np.concatenate(row)[:length]


class Mix:
    def __init__(self, folder, config, rng):
        self.rng, self.mid_start = rng, config["data"]["mid_start"]
        self.shares = config["mix"]
        self.sources = {n: Source(folder, n, rng) for n in self.shares["stable"]}

    def batch(self, rows, length, phase):
        shares = self.shares[phase]
        picks = self.rng.choice(list(shares), size=rows, p=np.array(list(shares.values())) / sum(shares.values()))
        return torch.from_numpy(np.stack([self.sources[n].row(length + 1, self.mid_start) for n in picks]).astype(np.int64))


def lr_at(progress, t):
    """Learning rate as a share of the peak: warm-up, flat, then 1 - sqrt decay."""
    if progress < t["warmup"]:
        return max(0.02, progress / t["warmup"])
    x = (progress - (1 - t["decay"])) / t["decay"]
    return 1.0 if x <= 0 else t["lr_end"] + (1 - t["lr_end"]) * (1 - math.sqrt(min(1.0, x)))


@torch.no_grad()
def held_out(model, folder, name, length):
    """Mean loss in nats per token, and in bits per byte, over texts cut into rows of at most `length`
    tokens; no row sees what came before it."""
    ids, starts = (torch.from_numpy(np.load(folder / f).astype(np.int64)) for f in (f"{name}.npy", f"{name}.starts.npy"))
    texts = ids.tensor_split(starts[1:])
    rows = sorted((r for text in texts for r in text.split(length) if len(r) > 1), key=len)
    nats = count = 0.0
    model.eval()
    for i in range(0, len(rows), 16):
        x = torch.nn.utils.rnn.pad_sequence(rows[i:i + 16], batch_first=True, padding_value=-100)
        n = (x[:, 1:] >= 0).sum().item()
        nats += model.loss(x[:, :-1].clamp_min(0), x[:, 1:]).item() * n    # cross_entropy skips -100
        count += n
    model.train()
    return nats / count, nats / count / math.log(2) * len(ids) / int((folder / f"{name}.bytes").read_text())


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--run", type=Path, required=True)
    args.add_argument("--config", type=Path, default=HERE / "config.toml")
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32",
                      help="bfloat16 pays off on processors with AMX or on recent AVX-512")
    args.add_argument("--compile", action="store_true", help="torch.compile (needs a C++ compiler)")
    args = args.parse_args()
    config = tomllib.loads(args.config.read_text())
    c, t = config["model"], config["train"]
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(t["seed"])
    model = Llama(c)
    ema = copy.deepcopy(model).requires_grad_(False)
    # Weight decay is for matrices; the norms' gains keep their size.
    matrices = [p for p in model.parameters() if p.dim() == 2]
    gains = [p for p in model.parameters() if p.dim() < 2]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": t["weight_decay"]},
                             {"params": gains, "weight_decay": 0.0}],
                            lr=t["lr"], betas=tuple(t["betas"]), fused=True)
    state = {"step": 0, "tokens": 0, "seconds": 0.0, "best": float("inf")}
    if (args.run / "last.pt").exists():
        saved = torch.load(args.run / "last.pt", weights_only=False)
        model.load_state_dict(saved["model"])
        ema.load_state_dict(saved["ema"])
        opt.load_state_dict(saved["opt"])
        opt.param_groups[0]["weight_decay"] = t["weight_decay"]     # the config's word counts
        state = saved["state"]
        print(f"resumed at step {state['step']}, {state['seconds'] / 60:.1f} min", flush=True)
    # A resumed run deals its data from a fresh shuffle.
    mix = Mix(args.data, config, np.random.default_rng([t["seed"], state["step"]]))

    loss_of = torch.compile(model.loss, dynamic=False) if args.compile else model.loss
    budget = t["budget_minutes"] * 60
    params, averaged = list(model.parameters()), list(ema.parameters())
    log = open(args.run / "log.csv", "a", buffering=1)
    if log.tell() == 0:
        log.write("step,tokens,minutes,lr,train_nats,tiny_nats,tiny_bpb,fairy_nats,fairy_bpb,tokens_per_s\n")

    def save(name, contents):
        torch.save(contents, args.run / (name + ".tmp"))
        os.replace(args.run / (name + ".tmp"), args.run / name)

    def save_all():
        save("last.pt", {"model": model.state_dict(), "ema": ema.state_dict(),
                         "opt": opt.state_dict(), "state": state})
        save("ema.pt", ema.state_dict())

    running, mark, last_save = [], (state["tokens"], state["seconds"]), time.monotonic()
    while state["seconds"] < budget:
        begin = time.monotonic()
        progress = state["seconds"] / budget
        lr = t["lr"] * lr_at(progress, t)
        for group in opt.param_groups:
            group["lr"] = lr
        phase = "stable" if progress < 1 - t["decay"] else "decay"
        for module in model.modules():
            if isinstance(module, RowDropout):
                module.p = t["dropout"][phase]
        rows = mix.batch(t["batch_tokens"] // t["row"][phase], t["row"][phase], phase)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bfloat16"):
            loss = loss_of(rows[:, :-1], rows[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, t["grad_clip"])
        opt.step()
        opt.zero_grad(set_to_none=True)
        state["step"] += 1
        # Early weights should leave the average quickly, so it starts short and grows.
        torch._foreach_lerp_(averaged, params, 1 - min(t["ema"], state["step"] / (state["step"] + 20)))
        state["tokens"] += t["batch_tokens"]
        running.append(loss.item())
        state["seconds"] += min(time.monotonic() - begin, 60)   # compilation is not charged to the schedule
        if state["step"] % 50 == 0:
            print(f"  {state['step']} {np.mean(running[-50:]):.3f} {t['batch_tokens'] / (time.monotonic() - begin):.0f} tokens/s", flush=True)

        if state["step"] % t["eval_every"] == 0 or state["seconds"] >= budget:
            begin = time.monotonic()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bfloat16"):
                tiny, fairy = (held_out(ema, args.data, n, t["row"][phase]) for n in ("held_tiny", "held_fairy"))
            speed = (state["tokens"] - mark[0]) / (state["seconds"] - mark[1])
            line = (f"{state['step']},{state['tokens']},{state['seconds'] / 60:.2f},{lr:.2e},{np.mean(running):.4f},"
                    f"{tiny[0]:.4f},{tiny[1]:.4f},{fairy[0]:.4f},{fairy[1]:.4f},{speed:.0f}")
            log.write(line + "\n")
            print(line, flush=True)
            running, mark = [], (state["tokens"], state["seconds"])
            if tiny[0] < state["best"]:
                state["best"] = tiny[0]
                save("best.pt", ema.state_dict())
            state["seconds"] += time.monotonic() - begin
            mark = (state["tokens"], state["seconds"])
        if time.monotonic() - last_save > t["save_minutes"] * 60:
            save_all()
            last_save = time.monotonic()
    save_all()


if __name__ == "__main__":
    main()
