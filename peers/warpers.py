"""Times transformers' warpers, softmax and torch.multinomial on the rows of `cargo xtask bench-peers`.

warpers.py FOLDER VOCAB: from a tensor [1, vocab] to a token, one thread; one JSON line a measurement, medians in
microseconds. The first line tells the versions.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
import transformers
from transformers.generation import logits_process as warpers

SAMPLERS = {
    "temp=1,top_h=0.4": warpers.TopHLogitsWarper(top_h=0.4),
    "temp=1,top_p=0.9": warpers.TopPLogitsWarper(top_p=0.9),
    "min_p=0.1": warpers.MinPLogitsWarper(min_p=0.1),
    "top_k=50": warpers.TopKLogitsWarper(top_k=50),
    "eta=0.0003": warpers.EtaLogitsWarper(epsilon=0.0003),
    "epsilon=0.0003": warpers.EpsilonLogitsWarper(epsilon=0.0003),
    "typical=0.9": warpers.TypicalLogitsWarper(mass=0.9),
    "temp=1": lambda _, scores: scores,
}


def median(work):
    """Of at least fifteen runs, and of as many as half a second holds."""
    work()
    begin, times = time.perf_counter(), []
    while len(times) < 15 or time.perf_counter() - begin < 0.5:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def main(folder, vocab):
    torch.set_num_threads(1)
    print(json.dumps({"versions": f"transformers {transformers.__version__}, torch {torch.__version__}"}))
    ids = torch.zeros((1, 1), dtype=torch.long)
    for regime in ["peaked", "medium", "flat"]:
        path = Path(folder) / f"{regime}.f32"
        scores = torch.from_file(str(path), size=int(vocab), dtype=torch.float32).clone().unsqueeze(0)
        samplers = {name: lambda warp=warp: torch.multinomial(warp(ids, scores).softmax(-1), 1)
                    for name, warp in SAMPLERS.items()}
        samplers["temp=0"] = lambda: scores.argmax(-1)
        for sampler, sample in samplers.items():
            print(json.dumps({"peer": "transformers", "sampler": sampler, "regime": regime, "us": median(sample)}))


if __name__ == "__main__":
    with torch.no_grad():
        main(*sys.argv[1:])
