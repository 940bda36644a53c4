/** Numbers as people read them. */

/** A probability of ln p. */
export function percent(logprob: number): string {
  return share(Math.exp(logprob));
}

/** A share of 1. */
export function share(p: number): string {
  const percent = 100 * p;
  if (Number.isNaN(percent)) return '–';
  if (percent === 0) return '0 %';
  if (percent >= 99.95) return percent > 99.9999 ? '100 %' : '>99.9 %';
  if (percent < 0.01) return '<0.01 %';
  return `${percent.toFixed(percent >= 10 ? 1 : 2)} %`;
}

/** A number with so many digits after the point; a dash where there is none. */
export function fixed(number: number | null | undefined, digits = 2): string {
  if (number == null || !Number.isFinite(number)) return '–';
  return number
    .toFixed(digits)
    .replace(/^-(?=[0.]*$)/, '')
    .replace('-', '−');
}

/** A whole number, in groups of three. */
export function count(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** Samplers are called A, B and C. */
export function letter(index: number): string {
  return String.fromCharCode(65 + index);
}
