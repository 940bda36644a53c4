/** Distributions side by side: which tokens are rows, and what each distribution says of a row. */

import { share } from './numbers';
import type { Distribution } from './server';
import type { Alternative, Token } from './text';

/** How many tokens of each distribution are asked for. */
export const TOLD = 60;

/**
 * The model's most probable tokens, the text's own in any case, and then those that a stage raised from further down. Of these
 * the model's own probability was not told.
 */
export function rows(stages: Distribution[], { step, text, hex }: Token): Alternative[] {
  const [own = [], ...others] = stages.map(({ top }) => top);
  const risen = others.flat().map((row) => ({ ...row, logprob: NaN }));
  const all = new Map<number, Alternative>();
  for (const row of [...own, { text, hex, token: step.token, logprob: step.logprob }, ...risen]) {
    if (!all.has(row.token)) all.set(row.token, row);
  }
  return [...all.values()];
}

/** A token's share in a distribution. Of one that was not told it is known that it has no more than the last that was. */
export function told({ top }: Distribution, token: number): { prob: number; words: string } {
  const found = top.find((other) => other.token === token);
  if (found) return { prob: found.prob, words: share(found.prob) };
  if (top.length < TOLD) return { prob: 0, words: 'dropped' };
  return { prob: 0, words: `≤ ${share(top.at(-1)!.prob)}`.replace('≤ <', '<') };
}
