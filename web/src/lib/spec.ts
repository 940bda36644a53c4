/** A sampler's text and its stages: two views of one thing. The server is the judge of values; this knows their places. */

import { type Catalogue, type StageInfo, VALUE } from './catalogue';

/** A stage of a sampler, its parameters as text. */
export interface Stage {
  name: string;
  values: Record<string, string>;
}

/** Why a text is not a sampler. */
export class SpecError extends Error {}

/** The text of stages; what is at its default is not told. */
export function print(stages: Stage[], catalogue: Catalogue): string {
  return stages.map((stage) => printStage(stage, catalogue)).join(',');
}

function printStage({ name, values }: Stage, catalogue: Catalogue): string {
  const told = (catalogue.find(name)?.parameters ?? []).filter((parameter) => {
    const value = values[parameter.name];
    return value !== undefined && value !== parameter.default;
  });
  const main = told.some((parameter) => parameter.name === VALUE) ? `=${values[VALUE]}` : '';
  const others = told.filter((parameter) => parameter.name !== VALUE);
  return name + main + others.map((parameter) => `:${parameter.name}=${values[parameter.name]}`).join('');
}

/**
 * The stages of a text.
 * @throws SpecError that says what stands where something else is expected.
 */
export function parse(text: string, catalogue: Catalogue): Stage[] {
  return text.trim() === '' ? [] : split(text, ',').map((part) => parseStage(part, catalogue));
}

function parseStage(text: string, catalogue: Catalogue): Stage {
  const [head = '', ...rest] = split(text, ':');
  const [given, value] = pair(head);
  const info = catalogue.find(given);
  if (!info) throw new SpecError(given ? `there is no stage “${given}”` : `a stage reads name=value, not “${text}”`);
  const values: Record<string, string> = {};
  const set = (name: string, value: string) => {
    if (name in values) throw new SpecError(`${info.name}: ${name} is given twice`);
    values[name] = value;
  };
  if (value !== null) set(VALUE, value);
  for (const part of rest) {
    const [name, value] = pair(part);
    if (value === null) throw new SpecError(`${info.name}: a further parameter reads name=value, not “${part}”`);
    set(parameter(info, name), value);
  }
  const missing = info.parameters.find((parameter) => parameter.default === null && !(parameter.name in values));
  if (missing) throw new SpecError(`${info.name}: ${missing.summary} (${missing.name}) is missing`);
  return { name: info.name, values };
}

function parameter(info: StageInfo, name: string): string {
  const found = info.parameters.find((parameter) => parameter.name === name || parameter.aliases.includes(name));
  if (!found) throw new SpecError(`${info.name} has no parameter “${name}”`);
  return found.name;
}

/** The two sides of the first equals sign. */
function pair(text: string): [string, string | null] {
  const at = text.indexOf('=');
  return at < 0 ? [text.trim(), null] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** Splits at a separator wherever it stands outside parentheses and quotes. */
function split(text: string, separator: string): string[] {
  const parts = [''];
  let [depth, quoted, escaped] = [0, false, false];
  for (const c of text) {
    if (c === '"' && !escaped) quoted = !quoted;
    else if (!quoted && c === '(') depth += 1;
    else if (!quoted && c === ')') depth = Math.max(0, depth - 1);
    escaped = quoted && c === '\\' && !escaped;
    if (c === separator && depth === 0 && !quoted) parts.push('');
    else parts[parts.length - 1] += c;
  }
  return parts;
}

/** A stage to begin with: what must be given has a usual value. */
export function fresh(info: StageInfo): Stage {
  const needed = info.parameters.filter((parameter) => parameter.default === null);
  return { name: info.name, values: Object.fromEntries(needed.map((parameter) => [parameter.name, parameter.start])) };
}

/** A schedule that takes a number over its usual range as the model's entropy rises, in nats. */
export function following([from, to]: [number, number]): string {
  return `by_entropy(0.5..4->${from}..${to})`;
}
