/** What is said of the texts of a sampler, all together. */

import type { Token } from './text';

export interface Measures {
  texts: number;
  tokens: number;
  /** Distinct n-grams of tokens over all n-grams of all texts (Li et al. 2016, arXiv 1510.03055); null where there is none. */
  distinct1: number | null;
  distinct2: number | null;
  /** The mean of the model's own ln p at temperature 1 over all tokens where it is known, nats. */
  logLikelihood: number | null;
  /** The mean entropy of the model's rows, nats. */
  entropy: number | null;
}

export function measure(texts: Token[][]): Measures {
  const all = texts.flat();
  const ids = texts.map((tokens) => tokens.map((token) => token.step.token));
  return {
    texts: texts.length,
    tokens: all.length,
    distinct1: distinct(ids, 1),
    distinct2: distinct(ids, 2),
    logLikelihood: mean(all.map((token) => token.step.logprob).filter((logprob) => !Number.isNaN(logprob))),
    entropy: mean(all.map((token) => token.step.entropy)),
  };
}

/** How many of the n-grams of all texts are distinct, as a share. */
export function distinct(texts: number[][], n: number): number | null {
  const grams = texts.flatMap((ids) => ids.slice(n - 1).map((_, at) => ids.slice(at, at + n).join(' ')));
  return grams.length ? new Set(grams).size / grams.length : null;
}

export function mean(numbers: number[]): number | null {
  return numbers.length ? numbers.reduce((sum, number) => sum + number, 0) / numbers.length : null;
}

/** How many tokens all texts begin with alike. */
export function sharedPrefix(texts: Token[][]): number {
  const [first = [], ...others] = texts;
  const parts = first.findIndex(({ step }, i) => others.some((other) => other[i]?.step.token !== step.token));
  return parts < 0 ? first.length : parts;
}
