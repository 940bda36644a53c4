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

NEAR = 1e-6
LISTED = 64


class NearTie(Exception):
    """A decision that rounding could turn."""


def decide(value, bound):
    """value >= bound, elementwise, where no element is too close to call."""
    value = np.asarray(value, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(value - bound) / np.maximum(np.maximum(np.abs(value), np.abs(bound)), 1e-300)
    if (apart < NEAR).any():
        raise NearTie
    return value >= bound


# --- a list of survivors: ids and logits, falling, of equals the lower id first ------------------------------------------


class Survivors:
    def __init__(self, row):
        ids = np.flatnonzero(row > -np.inf)
        self.given, self.ids = row, ids
        self.rank(row[ids])

    def rank(self, logits):
        """Gives the survivors other logits, -inf for none."""
        order = [i for i in np.lexsort((self.ids, -logits)) if logits[i] > -np.inf]
        self.ids, self.logits = self.ids[order], logits[order]

    def select(self, chosen):
        self.ids, self.logits = self.ids[chosen], self.logits[chosen]

    def log_p(self):
        x = self.logits - self.logits[0]
        return x - math.log1p(math.fsum(np.exp(x[1:])))

    def p(self):
        return np.exp(self.log_p())

    def entropy(self):
        log_p = self.log_p()
        return math.fsum(-np.exp(log_p) * log_p)

    def equals_of_top(self):
        return int((self.logits == self.logits[0]).sum())


def prefix_entropies(log_p):
    """H of each prefix, renormalised: ln mass + h / mass."""
    p = np.exp(log_p)
    mass, h = np.cumsum(p), np.cumsum(-p * log_p)
    return np.log(mass) + h / mass


def length(holds):
    """How long a prefix is along which something holds."""
    return len(holds) if holds.all() else int(np.argmin(holds))


def floor(s, bound):
    """The tokens with p >= bound, and in any case the top one and its equals."""
    equals = s.equals_of_top()
    return equals + length(decide(s.p()[equals:], bound))


# --- the rules: each gives the length of the prefix that it keeps -----------------------------------------------------------


def top_k(s, value):
    return int(value) if value >= 1 else len(s.ids)


def top_p(s, value):
    if value >= 1:
        return len(s.ids)
    reached = decide(np.cumsum(s.p()), value)
    return int(np.argmax(reached)) + 1 if reached.any() else len(s.ids)


def min_p(s, value):
    return floor(s, value * s.p()[0])


def top_h(s, value, rule="paper", n=100):
    if value >= 1:
        return len(s.ids)
    log_p = s.log_p()
    if rule == "paper":
        values, bound = prefix_entropies(log_p), value * s.entropy()
    else:
        log_p = log_p[: int(n)]
        if rule == "hf":
            log_p = log_p - math.log(math.fsum(np.exp(log_p)))
        values = np.cumsum(-np.exp(log_p) * log_p)
        bound = value * values[-1]
    return 1 + length(decide(-values[1:], -bound))


def epsilon(s, value):
    return floor(s, value)


def eta(s, value):
    return floor(s, min(value, math.sqrt(value) * math.exp(-s.entropy())))


def top_n_sigma(s, value):
    if value <= 0:
        return len(s.ids)
    equals = s.equals_of_top()
    return equals + length(decide(s.logits[equals:] - s.logits[0], -value * np.std(s.logits)))


def p_less(s, value=True, norm=False):
    v, agree = len(s.ids), math.fsum(s.p() ** 2)
    if value is False or s.equals_of_top() == v:
        return v
    return floor(s, (v * agree - 1) / (v - 1) if norm else agree)


def min_k(s, value):
    logits = s.given[s.ids]
    spread = logits[0] - logits[-1]
    if spread == 0:
        return len(s.ids)
    slopes = -np.diff(logits) / (spread * np.arange(1, len(logits)))
    best = int(np.argmax(slopes))
    decide(np.delete(slopes, best), slopes[best])
    decide(round(value / spread) or 1e9, value / spread)
    return max(best + 1, math.floor(value / spread))


def top_b(s, value):
    if len(s.ids) == 1:
        return 1
    return floor(s, s.p()[0] * (1 - value * (1 + s.entropy() / math.log(len(s.ids)))))


def top_a(s, value):
    return floor(s, value * s.p()[0] ** 2)


def tfs(s, value):
    bends = np.abs(np.diff(s.p(), 2))
    if value >= 1 or bends.sum() == 0:
        return len(s.ids)
    within = decide(-np.cumsum(bends) / bends.sum(), -value)
    return len(s.ids) if within.all() else max(1, length(within))


def mirostat(s, value, tau=5.0, eta=0.1):
    """At the first token of a text, where mu = 2 tau; eta has taught nothing yet."""
    log_p, mu = s.log_p(), 2 * tau
    if value == 2:
        return max(1, length(decide(log_p / math.log(2), -mu)))
    n, top = len(log_p), log_p[:100]
    if len(set(top)) == 1:
        raise NearTie  # no slope, no exponent
    t = np.log(np.arange(2, len(top) + 1) / np.arange(1, len(top)))
    exponent = math.fsum(t * -np.diff(top)) / math.fsum(t * t)
    k = ((exponent - 1) * 2**mu / (1 - n ** (1 - exponent))) ** (1 / exponent)
    if k < n:
        decide(round(k) or 1e9, k)
    return max(1, math.floor(min(k, n)))


PREFIX_RULES = [top_k, top_p, min_p, top_h, epsilon, eta, top_n_sigma, p_less, min_k, top_b, top_a, tfs, mirostat]
PREFIX_RULES = {rule.__name__: rule for rule in PREFIX_RULES}


def typical(s, value, least):
    """The places kept: not a prefix."""
    if value >= 1:
        return np.arange(len(s.ids))
    log_p, h = s.log_p(), s.entropy()
    distance = np.abs(-log_p - h)
    order = np.lexsort((s.ids, distance))
    reached = decide(np.cumsum(np.exp(log_p[order])), value)
    keep = int(np.argmax(reached)) + 1 if reached.any() else len(order)
    keep = min(max(keep, least), len(order))
    last = order[keep - 1]
    others = s.logits != s.logits[last]
    decide(distance[others] + h, distance[last] + h)
    return np.sort(order[:keep])


def xtc(s, value, least, threshold=0.1):
    """The places kept, for a coin that shows 0 (value 0 never acts)."""
    reached = length(decide(s.p(), threshold))
    dropped = max(reached - 1, 0) if value > 0 else 0
    return np.arange(dropped if len(s.ids) - dropped >= least else 0, len(s.ids))


# --- temperatures and shapes: each gives new logits, in the order of the old ------------------------------------------------


def temp(s, value):
    return s.logits / value if value > 0 else np.where(np.arange(len(s.ids)) == 0, 0.0, -np.inf)


def dynatemp(s, value, high, exponent=1.0):
    share = s.entropy() / math.log(len(s.ids)) if len(s.ids) > 1 else 0.0
    return temp(s, value + (high - value) * share**exponent)


def edt(s, value, base=0.8, theta=0.1):
    h = s.entropy()
    return temp(s, value * base ** (theta / h) if h > 0 else 0.0)


def smoothing(s, value, curve=1.0):
    d = s.logits - s.logits[0]
    return (curve - 1) / 2 * value * d**3 - (3 - curve) / 2 * value * d**2


def adaptive_p(s, value, decay=0.9):
    """At the first token of a text, where what was drawn is on target; decay has taught nothing yet."""
    d = np.abs(s.p() - value) / 0.3
    return 5 - 10 * d**2 / (1 + d)


SHAPES = {rule.__name__: rule for rule in [temp, dynatemp, edt, smoothing, adaptive_p]}


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
            s.select({"typical": typical, "xtc": xtc}[name](s, least=least, **params))
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
