import { expect, test } from 'vitest';
import { distinct, measure, sharedPrefix } from './measures';
import type { Token } from './text';

function text(ids: number[], logprob = -1): Token[] {
  const step = {
    sampled_logprob: 0,
    entropy: 2,
    varentropy: 0,
    temperature: 1,
    kept: 1,
    kept_mass: 1,
    kept_entropy: 0,
  };
  return ids.map((token) => ({ text: String(token), chosen: false, step: { ...step, token, logprob } }));
}

test('distinct n-grams are counted over all texts, and none reaches from one into the next', () => {
  expect(distinct([[1, 2, 1, 2]], 1)).toBe(0.5);
  expect(distinct([[1, 2, 1, 2]], 2)).toBeCloseTo(2 / 3, 12);
  expect(
    distinct(
      [
        [1, 2],
        [1, 2],
      ],
      2,
    ),
  ).toBe(0.5);
  expect(distinct([[1], [2]], 2)).toBeNull();
  expect(
    distinct(
      [
        [1, 12],
        [11, 2],
      ],
      2,
    ),
  ).toBe(1);
});

test('means are over tokens, not over texts', () => {
  const measures = measure([text([1, 2, 3], -1), text([4], -5)]);
  expect(measures).toEqual({ texts: 2, tokens: 4, distinct1: 1, distinct2: 1, logLikelihood: -2, entropy: 2 });
  expect(measure([text([1], -2), text([2], NaN)]).logLikelihood).toBe(-2);
  expect(measure([]).logLikelihood).toBeNull();
});

test('where texts part', () => {
  expect(sharedPrefix([text([1, 2, 3]), text([1, 2, 4])])).toBe(2);
  expect(sharedPrefix([text([1, 2]), text([1, 2, 3])])).toBe(2);
  expect(sharedPrefix([text([1, 2, 3]), text([1, 2])])).toBe(2);
  expect(sharedPrefix([text([1]), text([1]), text([2])])).toBe(0);
  expect(sharedPrefix([])).toBe(0);
});
