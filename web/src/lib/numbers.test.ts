import { expect, test } from 'vitest';
import { count, fixed, letter, percent, share } from './numbers';

test('shares never round to what they are not', () => {
  expect([0, 1e-9, 1e-4, 0.0123, 0.25, 0.9994, 0.99999, 1].map(share)).toEqual([
    '0 %',
    '<0.01 %',
    '0.01 %',
    '1.23 %',
    '25.0 %',
    '99.9 %',
    '>99.9 %',
    '100 %',
  ]);
  expect([Math.log(0.5), NaN].map(percent)).toEqual(['50.0 %', '–']);
});

test('numbers that are none are a dash', () => {
  expect([1.005, -2, -0.04, null, undefined, NaN, Infinity].map((number) => fixed(number, 1))).toEqual([
    '1.0',
    '−2.0',
    '0.0',
    '–',
    '–',
    '–',
    '–',
  ]);
  expect([7, 1234, 1234567].map(count)).toEqual(['7', '1\u202f234', '1\u202f234\u202f567']);
  expect([0, 1, 2].map(letter)).toEqual(['A', 'B', 'C']);
});
