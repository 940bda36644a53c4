import { expect, test } from 'vitest';
import { START, fromFragment, toFragment } from './settings';

test('settings come back from an address', () => {
  const settings = {
    prompt: 'a & b = "ü"\n#',
    chat: true,
    samplers: ['temp=1,top_h=0.4', '', 'x=by(0..1->2..3)'],
    seed: Number.MAX_SAFE_INTEGER,
    maxTokens: 1,
    texts: 8,
  };
  expect(fromFragment('#' + toFragment(settings))).toEqual(settings);
  expect(fromFragment('')).toEqual(START);
});

test('an address made up by hand cannot ask for nonsense', () => {
  const read = fromFragment('#seed=-1&max_tokens=0&n=99&sampler=a&sampler=b&sampler=c&sampler=d&x=%E0%A4%A');
  expect(read).toEqual({ ...START, samplers: ['a', 'b', 'c'] });
  expect(fromFragment('#seed=1e3').seed).toBe(START.seed);
});
