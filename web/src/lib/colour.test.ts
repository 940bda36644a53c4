import { describe, expect, test } from 'vitest';
import { LEVELS, type Rgb, colour, contrast, heat, ink, linear, luminance, scales, weight } from './colour';

/** What eyes without one kind of cone see, in linear light: Machado, Oliveira and Fernandes 2009, severity 1. */
const EYES: Record<string, number[][]> = {
  all: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** CIE lightness, 0 to 100, as an eye sees it. */
function lightness(rgb: Rgb, eye: number[][]): number {
  const light = rgb.map(linear);
  const [r, g, b] = eye.map((row) => row.reduce((sum, weight, i) => sum + weight * light[i]!, 0)) as Rgb;
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

describe.each(Object.entries(scales))('the scale %s', (_, scale) => {
  const levels = Array.from({ length: LEVELS }, (_, level) => colour(scale, level));

  test.each(Object.entries(EYES))('rises evenly for %s', (_, eye) => {
    const seen = levels.map((rgb) => lightness(rgb, eye));
    const steps = seen.slice(1).map((now, i) => now - seen[i]!);
    const way = Math.sign(steps[0]!);
    expect(steps.every((step) => way * step > 0.7)).toBe(true);
    expect(Math.abs(seen.at(-1)! - seen[0]!)).toBeGreaterThan(65);
  });

  test('every level carries readable text', () => {
    for (const level of levels) expect(contrast(level, ink(level))).toBeGreaterThanOrEqual(4.5);
  });
});

test('contrast is that of WCAG', () => {
  expect(contrast([0, 0, 0], [255, 255, 255])).toBeCloseTo(21, 6);
  expect(contrast([119, 119, 119], [255, 255, 255])).toBeCloseTo(4.478, 2);
  expect(luminance([255, 255, 255])).toBeCloseTo(1, 9);
});

test('the underline says it without colour', () => {
  expect([0, 0.49, 0.5, 1.4, 1.6, 2.6, 3.6, 9].map(weight)).toEqual([0, 0, 1, 1, 2, 3, 4, 4]);
  expect([-1, NaN, 0, 99].map((entropy) => heat(entropy).weight)).toEqual([0, 0, 0, 4]);
});
