import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Answer, read } from './catalogue';
import { SpecError, fresh, parse, print } from './spec';

/** A catalogue of a few invented stages over the shapes that the schema has: no stage is known by name in this page. */
const answer: Answer = {
  stages: [
    stage('heat', 10, ['warmth'], [{ name: 'value', aliases: ['t'], summary: 'how hot', kind: 'a number' }]),
    stage(
      'cut',
      5,
      [],
      [
        { name: 'value', aliases: [], summary: 'how much', kind: 'a number' },
        { name: 'rule', aliases: [], summary: 'whose', kind: 'one of a, b', default: 'a' },
        { name: 'words', aliases: ['stops'], summary: 'which', kind: 'texts', default: '("x")' },
      ],
    ),
    stage('flag', 20, [], [{ name: 'value', aliases: [], summary: 'whether', kind: 'true or false', default: 'true' }]),
  ],
  schema: {
    $defs: {
      heat: fields({
        value: { anyOf: [{ type: 'number', minimum: 0, maximum: 100 }, {}], examples: [0.8], 'x-usual': [0, 2] },
      }),
      cut: fields({
        value: { anyOf: [{ type: 'integer', minimum: 1 }, {}] },
        rule: { enum: ['a', 'b'] },
        words: { anyOf: [{ type: 'array' }, { type: 'string', examples: ['("x")'] }] },
      }),
      flag: fields({ value: { type: 'boolean' } }),
    },
  },
} as unknown as Answer;

function stage(name: string, rank: number, aliases: string[], fields: object[]): object {
  return { name, aliases, rank, summary: '', role: '', source: '', fields };
}

function fields(properties: object): object {
  return { anyOf: [{}, { type: 'object', properties }] };
}

const catalogue = read(answer);

test('controls come from the schema', () => {
  const controls = catalogue.stages.flatMap((stage) => stage.parameters.map((parameter) => parameter.control));
  expect(catalogue.stages.map((stage) => stage.name)).toEqual(['cut', 'heat', 'flag']);
  expect(controls).toEqual([
    { type: 'number', integer: true, min: 1, max: Infinity, usual: null },
    { type: 'choice', values: ['a', 'b'] },
    { type: 'text' },
    { type: 'number', integer: false, min: 0, max: 100, usual: [0, 2] },
    { type: 'switch' },
  ]);
  expect(fresh(catalogue.find('warmth')!)).toEqual({ name: 'heat', values: { value: '0.8' } });
});

test('a text that is printed reads back', () => {
  for (const [text, canonical] of [
    ['', ''],
    ['heat=1.2,cut=3:rule=b', 'heat=1.2,cut=3:rule=b'],
    [' warmth = 1.2 , cut=3:rule=a', 'heat=1.2,cut=3'],
    [
      'heat=by(0.5..4->0.3..1.8:shape=x),cut=1:stops=("a,:)",2)',
      'heat=by(0.5..4->0.3..1.8:shape=x),cut=1:words=("a,:)",2)',
    ],
    ['cut=1:words=("\\"",":")', 'cut=1:words=("\\"",":")'],
    ['flag', 'flag'],
    ['flag=false,flag', 'flag=false,flag'],
  ] as const) {
    expect(print(parse(text, catalogue), catalogue)).toBe(canonical);
    expect(print(parse(canonical, catalogue), catalogue)).toBe(canonical);
  }
});

test('what is wrong is said', () => {
  for (const [text, says] of [
    ['haet=1', 'no stage “haet”'],
    ['heat=1,', 'name=value'],
    ['heat', 'how hot'],
    ['cut=1:rule', 'name=value'],
    ['cut=1:rool=a', 'no parameter “rool”'],
    ['cut=1:rule=a:rule=b', 'twice'],
    ['heat=1:t=2', 'twice'],
  ] as const) {
    expect(() => parse(text, catalogue), text).toThrow(SpecError);
    expect(() => parse(text, catalogue), text).toThrow(says);
  }
});

test('the schema that the server tells gives every number that must be given a slider', () => {
  const schema = JSON.parse(readFileSync(new URL('../../../docs/schema/sampler.schema.json', import.meta.url), 'utf8'));
  const names = Object.keys(schema.$defs).filter((name) => 'x-rank' in schema.$defs[name]);
  const stages = names.map((name) => {
    const properties: object = schema.$defs[name].anyOf.at(-1).properties;
    return {
      name,
      rank: schema.$defs[name]['x-rank'],
      aliases: [],
      fields: Object.keys(properties).map((name) => ({ name })),
    };
  });
  const all = read({ stages, schema } as unknown as Answer);
  expect(all.stages.length).toBeGreaterThan(20);
  for (const stage of all.stages) {
    const { control, start } = stage.parameters.find((parameter) => parameter.name === 'value')!;
    expect(control.type !== 'number' || (control.usual && start !== ''), stage.name).toBeTruthy();
  }
});
