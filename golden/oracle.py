#!/usr/bin/env python3
"""Writes kept.json: which tokens every stage keeps of a set of rows, by the formulas and in float64, with nothing of Decant's.

    python3 golden/oracle.py            # needs numpy; where transformers is there too, its warpers are asked as well

Rows are short lists of logits (null is -inf), or recipes in integers, so that every language builds the same bits:

    {"len", "fill", "set"}                          fill everywhere, but at [id, logit] in set
    {"len", "stride", "seed", "scale", "noise"}     for i in 0..len, with x_0 = seed, x_{i+1} = (1664525 x_i + 1013904223) mod 2^32,
                                                    r = i + 1, b = floor(log2 r), f = floor(1024 (r - 2^b) / 2^b):
                                                    logit[(i stride + seed) mod len] = (noise (x_i >> 24) - scale (1024 b + f)) / 16384

Of each row its entropy stands there, and for each spec the ids kept, ascending, or if they are many their count, their sum and
the sum of their squares; and the entropy of what is kept, renormalised (nats). A case that hangs on a relative difference below
1e-6 is left out.
"""

import json
import math
import pathlib

import numpy as np

from rules import NON_PREFIX_RULES, PREFIX_RULES, SHAPES, NearTie, Survivors

LISTED = 64


# --- schedules, specs ----------------------------------------------------------------------------------------------------


def scheduled(text, raw):
    """A number, or one that follows the entropy of the model's own row."""
    if text in ("true", "false"):
        return text == "true"
    if not text.startswith("by_entropy("):
        return float(text)
    kind, *options = text[len("by_entropy(") : -1].split(":")
    options = {name: float(number) for name, number in (option.split("=") for option in options)}
    h, support = raw.entropy(), len(raw.ids)
    if kind == "table":
        points = sorted((float(x), y) for x, y in options.items())
        return float(np.interp(h, [x for x, _ in points], [y for _, y in points]))
    if kind == "dynatemp":
        share = h / math.log(support) if support > 1 else 0.0
        return options["low"] + (options["high"] - options["low"]) * share ** options["exponent"]
    if kind == "edt":
        return options["t0"] * options["base"] ** (options["theta"] / h) if h > 0 else 0.0
    (x0, x1), (y0, y1) = ([float(end) for end in side.split("..")] for side in kind.split("->"))
    return y0 + (y1 - y0) * min(max((h - x0) / (x1 - x0), 0.0), 1.0)


def split(text, separator):
    """Splits outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def stages(spec, raw):
    """Name and parameters of each stage of a text."""
    for stage in split(spec, ",") if spec else []:
        head, *rest = split(stage, ":")
        name, _, value = head.partition("=")
        params = {"value": value} if value else {}
        params.update(part.split("=", 1) for part in rest)
        yield name, {key: text if key == "rule" else scheduled(text, raw) for key, text in params.items()}


def run(spec, row):
    """What is left of a row."""
    raw, s = Survivors(row), Survivors(row)
    for name, params in stages(spec, raw):
        least = int(params.pop("min_tokens_to_keep", 0))
        if name in SHAPES:
            s.rank(SHAPES[name](s, **params))
        elif name in PREFIX_RULES:
            s.select(np.arange(min(max(PREFIX_RULES[name](s, **params), least, 1), len(s.ids))))
        else:
            s.select(NON_PREFIX_RULES[name](s, least=least, **params))
    return s


# --- rows ----------------------------------------------------------------------------------------------------------------


def build(row):
    """The logits of a row as it stands in the file."""
    if "logits" in row:
        return np.array([-np.inf if l is None else np.float32(l) for l in row["logits"]], dtype=np.float64)
    if "fill" in row:
        logits = np.full(row["len"], np.float32(row["fill"]), dtype=np.float64)
        for token, logit in row["set"]:
            logits[token] = np.float32(logit)
        return logits
    logits, x = np.empty(row["len"]), row["seed"]
    for i in range(row["len"]):
        b = (i + 1).bit_length() - 1
        f = 1024 * (i + 1 - 2**b) // 2**b
        logits[(i * row["stride"] + row["seed"]) % row["len"]] = (
            row["noise"] * (x >> 24) - row["scale"] * (1024 * b + f)
        ) / 16384
        x = (1664525 * x + 1013904223) % 2**32
    assert (logits == logits.astype(np.float32)).all(), "not exact in f32"
    return logits


def of_probabilities(*p):
    return [float(str(np.float32(math.log(x)))) if x > 0 else None for x in p]


def listed(name, logits):
    return {"name": name, "logits": logits}


def filled(name, length, fill, *others):
    return {"name": name, "len": length, "fill": fill, "set": others}


def recipe(name, length, scale, noise, stride=7919, seed=1):
    assert math.gcd(length, stride) == 1
    return {"name": name, "len": length, "stride": stride, "seed": seed, "scale": scale, "noise": noise}


def rows():
    generator = np.random.default_rng(20250902)
    random = [round(float(x), 3) for x in generator.normal(0, 2.5, 50)]
    masked = [None if i % 3 == 0 else logit for i, logit in enumerate(random)]
    tied = [float(x) for x in generator.integers(-3, 4, 40)]
    tail, peak = (float(str(np.float32(math.log(p)))) for p in (0.1 / 1000, 0.9))
    return [
        # Where the three rules of Top-H differ.
        listed("worked example", of_probabilities(0.40, 0.20, 0.15, 0.10, 0.06, 0.04, 0.03, 0.02)),
        listed("uniform 10", [0.0] * 10),
        filled("uniform 100", 100, -1.5),
        filled("uniform 128256", 128256, 2.25),
        filled("peak and 1000 equal tails", 1001, tail, [0, peak]),
        recipe("zipf 1.08", 32000, 12, 0),
        recipe("zipf 1.53", 32000, 17, 0),
        # transformers' own unit tests.
        listed("transformers top_h a", of_probabilities(0.97, 0.01, 0.01, 0.01)),
        listed("transformers top_h b", of_probabilities(0.4, 0.3, 0.2, 0.1)),
        listed("transformers top_h c", of_probabilities(0.25, 0.25, 0.25, 0.25)),
        listed("transformers top_h d", of_probabilities(0.75, 0.25, 0, 0)),
        listed("transformers top_p a", of_probabilities(0.3, 0.1, 0.1, 0.5)),
        listed("transformers top_p b", of_probabilities(0.15, 0.3, 0.3, 0.25)),
        listed("transformers min_p", of_probabilities(0.9, 0.0274, 0.047, 0.0274)),
        listed("transformers typical", of_probabilities(0.4, 0.2, 0.2, 0.2)),
        listed("transformers epsilon", of_probabilities(0.4, 0.299, 0.101, 0.2)),
        listed("transformers eta", of_probabilities(0.01, 0.04, 0.9, 0.05)),
        # Shapes.
        listed("one token", [0.5]),
        listed("one-hot", [None, None, -7.25, None]),
        listed("two tokens", [1.25, -0.5]),
        listed("far apart", [-80.0, 30.0, 12.5, -3e38]),
        listed("random", random),
        listed("masked", masked),
        listed("tied", tied),
        recipe("peaked 1000", 1000, 60, 40),
        recipe("medium 5000", 5000, 24, 90, seed=5),
        recipe("flat 1000", 1000, 2, 30, seed=9),
        recipe("medium 128256", 128256, 20, 128, seed=77),
    ]


SPECS = """
    temp=0  temp=0.7  temp=1.8
    temp=by_entropy(0.5..4->0.3..1.8)  temp=by_entropy(4..9->1.8..0.3),top_p=0.8
    temp=by_entropy(table:0.5=0.3:2=1.1:4=1.8),min_p=0.1
    temp=by_entropy(dynatemp:low=0.5:high=1.6:exponent=1.3),epsilon=0.01
    temp=by_entropy(edt:t0=1.2:base=0.8:theta=0.4),top_a=0.3
    dynatemp=0.4:high=1.7  dynatemp=1.5:high=0.2:exponent=0.6,top_p=0.8  edt=1.3:theta=0.7,min_p=0.1  edt=0.9:base=0.6
    smoothing=0.23  smoothing=0.11:curve=2.5,top_p=0.9  smoothing=0.3:curve=5,top_k=7
    mirostat=2:tau=0.7  mirostat=2:tau=2.9  mirostat=1:tau=1.3  mirostat=1:tau=3.1  temp=1.4,mirostat=2:tau=1.9
    adaptive_p=0.03  adaptive_p=0.41  top_p=0.97,adaptive_p=0.2:decay=0.5
    top_k=1  top_k=3  top_k=50  top_k=7:min_tokens_to_keep=9
    top_p=0.01  top_p=0.55  top_p=0.93  top_p=0.3:min_tokens_to_keep=2
    min_p=0.037  min_p=0.4  min_p=0.9:min_tokens_to_keep=3
    top_h=0.13  top_h=0.4  top_h=0.71  top_h=0.4:rule=ref  top_h=0.4:rule=hf  top_h=0.71:rule=hf:n=20  top_h=0.71:rule=ref:n=3
    typical=0.21  typical=0.55  typical=0.93  typical=0.21:min_tokens_to_keep=2
    epsilon=0.0004  epsilon=0.03  epsilon=0.33  epsilon=0.97:min_tokens_to_keep=2
    eta=0.0004  eta=0.0625  eta=0.33
    top_n_sigma=0.3  top_n_sigma=1.1  top_n_sigma=2.7  temp=2,top_n_sigma=1.1
    p_less  p_less:norm=true  p_less:min_tokens_to_keep=3
    min_k=0.1  min_k=3.1  min_k=77  temp=3,min_k=3.1
    top_b=0.03  top_b=0.21  top_b=0.47
    top_a=0.17  top_a=0.93
    tfs=0.23  tfs=0.77  tfs=0.953
    xtc=0  xtc=1:threshold=0.001  xtc=1:threshold=0.07  xtc=1:threshold=0.19:min_tokens_to_keep=3
    top_k=40,top_p=0.95,min_p=0.05,temp=0.8  temp=1.3,top_h=0.6,top_p=0.93  typical=0.93,p_less,temp=0.5
    xtc=1:threshold=0.03,top_b=0.3,tfs=0.97  min_p=0.013,temp=2.1,top_h=0.71:rule=hf,typical=0.7
    eta=0.001,epsilon=0.0007,top_a=0.11,top_n_sigma=2.3
""".split()


# --- transformers --------------------------------------------------------------------------------------------------------


def warper(spec):
    """transformers' warper for a spec of one stage, if there is one for it."""
    import transformers as hf

    found = list(stages(spec, None)) if "by_entropy" not in spec else []
    if len(found) != 1:
        return None
    (name, params), = found
    value = params.get("value")
    least = {key: int(number) for key, number in params.items() if key == "min_tokens_to_keep"}
    top_h_warper = getattr(hf.generation.logits_process, "TopHLogitsWarper", None)
    if name == "top_h":
        return top_h_warper(value) if top_h_warper and params.get("rule") == "hf" and "n" not in params else None
    of = {
        "top_k": lambda: hf.TopKLogitsWarper(int(value), **least),
        "top_p": lambda: hf.TopPLogitsWarper(value, **least),
        "min_p": lambda: hf.MinPLogitsWarper(value, **least),
        "typical": lambda: hf.TypicalLogitsWarper(value, **least),
        "epsilon": lambda: hf.EpsilonLogitsWarper(value, **least),
        "eta": lambda: hf.EtaLogitsWarper(value, **least),
    }
    return of[name]() if name in of else None


def agree_with_transformers(cases):
    """Holds this file's answers to transformers' warpers. They may keep equals of a token that is kept; of equals they may keep
    others, for their sorts are not stable."""
    import torch

    compared = 0
    for spec, row, kept in cases:
        warp = warper(spec)
        if warp is None:
            continue
        processed = warp(None, torch.from_numpy(row)[None])[0].numpy()
        theirs, ours = np.sort(row[processed > -np.inf]), np.sort(row[kept])
        same = len(theirs) == len(ours) and (theirs == ours).all()
        more_equals = set(theirs) == set(ours) and len(theirs) > len(ours)
        assert same or more_equals, f"`{spec}` keeps {len(ours)}, transformers {len(theirs)}, of {len(row)}"
        compared += 1
    return compared


# --- the file ------------------------------------------------------------------------------------------------------------


def told(s):
    ids = sorted(int(token) for token in s.ids)
    entropy = {"entropy": round(s.entropy(), 9)}
    if len(ids) <= LISTED:
        return {"ids": ids, **entropy}
    return {"count": len(ids), "sum": sum(ids), "squares": sum(token * token for token in ids), **entropy}


def main():
    cases, ties, out = [], 0, []
    for row in rows():
        logits = build(row)
        row["entropy"], row["kept"] = round(Survivors(logits).entropy(), 9), {}
        for spec in SPECS:
            try:
                s = run(spec, logits)
            except NearTie:
                ties += 1
                continue
            row["kept"][spec] = told(s)
            cases.append((spec, logits, s.ids))
        out.append(row)
    missing = [spec for spec in SPECS if sum(spec in row["kept"] for row in out) < 20]
    assert not missing, f"too many near-ties: {missing}"
    try:
        print(f"{agree_with_transformers(cases)} cases agree with transformers' warpers")
    except ImportError:
        print("transformers is not there to be asked")
    path = pathlib.Path(__file__).with_name("kept.json")
    lines = []
    for row in out:
        kept = ",\n".join(f"    {json.dumps(spec)}: {json.dumps(answer)}" for spec, answer in row.pop("kept").items())
        lines.append(f"  {json.dumps(row)[:-1]}, \"kept\": {{\n{kept}\n  }}}}")
    path.write_text('{"rows": [\n' + ",\n".join(lines) + "\n]}\n")
    print(f"wrote {len(cases)} cases; {ties} near-ties left out")


if __name__ == "__main__":
    main()
