"""Every stage by its formula, in float64, on a sorted list; nothing of Decant's."""

import math

import numpy as np

NEAR = 1e-6


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


NON_PREFIX_RULES = {"typical": typical, "xtc": xtc}


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
