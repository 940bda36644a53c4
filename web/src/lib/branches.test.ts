import { expect, test } from 'vitest';
import { type Branch, fork, outline, root } from './branches';
import type { Token } from './text';

function branch(ids: number[]): Branch {
  const step = {
    logprob: -1,
    sampled_logprob: 0,
    entropy: 2,
    varentropy: 0,
    temperature: 1,
    kept: 5,
    kept_mass: 1,
    kept_entropy: 0,
  };
  const tokens: Token[] = ids.map((token) => ({ text: String(token), chosen: false, step: { ...step, token } }));
  return { ...root(), tokens };
}

test('a fork keeps what came before and says the alternative', () => {
  const first = branch([1, 2, 3]);
  const second = fork([first], first, 1, { token: 9, text: 'nine', logprob: -3 });
  expect(second.tokens.map((token) => token.step.token)).toEqual([1, 9]);
  expect(second.tokens[1]).toMatchObject({ text: 'nine', chosen: true, step: { logprob: -3, entropy: 2, kept: 5 } });
  expect([second.id, second.from, first.tokens.length]).toEqual([1, { branch: 0, at: 1 }, 3]);
});

test('a fork to the token that stood there is the same step', () => {
  const first = branch([1, 2, 3]);
  const again = fork([first], first, 2, { token: 3, text: '3', logprob: -1 });
  expect(again.tokens[2]).toBe(first.tokens[2]);
  expect(() => fork([first], first, 3, { token: 3, text: '3', logprob: -1 })).toThrow(RangeError);
});

test('branches stand under those they left', () => {
  const first = branch([1, 2, 3]);
  const all = [first];
  const grow = (from: Branch, at: number) => all.push(fork(all, from, at, { token: 7, text: '7', logprob: -1 }));
  grow(first, 0);
  grow(first, 2);
  grow(all[1]!, 0);
  expect(outline(all).map(({ branch, depth }) => [branch.id, depth])).toEqual([
    [0, 0],
    [1, 1],
    [3, 2],
    [2, 1],
  ]);
});
