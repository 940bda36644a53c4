/**
 * The colour of an entropy: paper at 0 nats, the darker the less certain (in the dark: the lighter). Lightness alone tells the
 * order, so it is read without telling hues apart; an underline that grows says the same without any colour.
 */

export type Rgb = [number, number, number];

/** Entropies from here on look alike, in nats. The command line's scale has the same end. */
export const SCALE = 5;

/** Steps of the scale. */
export const LEVELS = 26;

/** Points of the scales at equal distances, from certain to uncertain: rosé to burgundy on paper, and back up at night. */
const LIGHT = ['#fdfbf8', '#fcefe3', '#f9dcc5', '#f3bf9f', '#e59683', '#c7636f', '#94365f', '#551c4b'];
const DARK = ['#151214', '#261922', '#3e1f35', '#5f2848', '#8a3555', '#b8525c', '#de8967', '#f8cf9f'];

/** Text on a scale is one of these, whichever stands out more. */
const INKS: Rgb[] = [
  [4, 2, 3],
  [255, 255, 255],
];

/** A token's look, as CSS that follows the page's colour scheme. */
export interface Heat {
  back: string;
  ink: string;
  /** How thick the underline is, 0 to 4. */
  weight: number;
}

const HEATS: Heat[] = Array.from({ length: LEVELS }, (_, level) => {
  const [light, dark] = [colour(LIGHT, level), colour(DARK, level)];
  const both = (a: Rgb, b: Rgb) => `light-dark(rgb(${a}), rgb(${b}))`;
  return { back: both(light, dark), ink: both(ink(light), ink(dark)), weight: weight((SCALE * level) / (LEVELS - 1)) };
});

/** How an entropy looks. */
export function heat(entropy: number): Heat {
  const level = Math.round((Math.min(Math.max(entropy, 0), SCALE) / SCALE) * (LEVELS - 1));
  return HEATS[Number.isFinite(level) ? level : 0]!;
}

/** How thick an underline is: none below half a nat, then a step for every nat. */
export function weight(entropy: number): number {
  return entropy < 0.5 ? 0 : Math.min(4, Math.ceil(entropy - 0.5) || 1);
}

/** A level of a scale. */
export function colour(scale: string[], level: number): Rgb {
  const place = (level / (LEVELS - 1)) * (scale.length - 1);
  const [from, to] = [parse(scale[Math.floor(place)]!), parse(scale[Math.ceil(place)]!)];
  return from.map((a, i) => Math.round(a + (to[i]! - a) * (place % 1))) as Rgb;
}

export const scales = { LIGHT, DARK };

/** The ink that stands out more. */
export function ink(back: Rgb): Rgb {
  return INKS.reduce((best, ink) => (contrast(ink, back) > contrast(best, back) ? ink : best));
}

/** WCAG 2's contrast ratio, 1 to 21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** WCAG 2's relative luminance, 0 to 1. */
export function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map(linear) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** An sRGB channel of 0 to 255 as light, 0 to 1. */
export function linear(channel: number): number {
  const c = channel / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}

function parse(hex: string): Rgb {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)) as Rgb;
}
