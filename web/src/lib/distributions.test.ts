import { expect, test } from 'vitest';
import { TOLD, rows, told } from './distributions';
import type { Distribution } from './server';
import type { Token } from './text';

/** A distribution whose most probable tokens are these, each half as probable as the one before. */
function distribution(...tokens: number[]): Distribution {
  const top = tokens.map((token, i) => ({
    token,
    text: String(token),
    logprob: -(i + 1) * Math.LN2,
    prob: 0.5 ** (i + 1),
  }));
  return { stage: null, entropy: 1, kept: tokens.length, kept_mass: 1, temperature: 1, top };
}

const numbers = { entropy: 2, varentropy: 0, temperature: 1, kept: 5, kept_mass: 1, kept_entropy: 0 };
const drawn: Token = { text: 'x', chosen: false, step: { ...numbers, token: 9, logprob: -7, sampled_logprob: -1 } };

test('rows are the model’s, the drawn token, and what a stage raised', () => {
  const found = rows([distribution(1, 2), distribution(2, 5), distribution(5, 1, 6)], drawn);
  expect(found.map(({ token }) => token)).toEqual([1, 2, 9, 5, 6]);
  expect(found.map(({ logprob }) => logprob)).toEqual([-Math.LN2, -2 * Math.LN2, -7, NaN, NaN]);
});

test('a token that was not told was dropped, or has no more than the last that was', () => {
  expect(told(distribution(1, 2), 2)).toEqual({ prob: 0.25, words: '25.0 %' });
  expect(told(distribution(1, 2), 3)).toEqual({ prob: 0, words: 'dropped' });
  const full = distribution(...Array.from({ length: TOLD }, (_, i) => i + 10));
  expect(told(full, 3)).toEqual({ prob: 0, words: '<0.01 %' });
  full.top.forEach((row) => (row.prob = 1 / TOLD));
  expect(told(full, 3)).toEqual({ prob: 0, words: '≤ 1.67 %' });
});
