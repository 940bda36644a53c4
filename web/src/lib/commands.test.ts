import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { curl, generate, quote } from './commands';

const request = { prompt: "it's", sampler: 'temp=by_entropy(0.5..4->0.4..1.4)', seed: 7, max_tokens: 9, n: 2 };

/** What a shell makes of a command's words. */
function words(command: string): string[] {
  const printed = execFileSync('sh', ['-c', `set -- ${command}\nfor word; do printf '%s\\0' "$word"; done`], {
    encoding: 'utf8',
  });
  return printed.split('\0').slice(0, -1);
}

test('a shell takes any text as one word', () => {
  for (const text of ["it's", '$HOME `id` "x" \\', 'a\nb', '', "''", '-n']) expect(words(quote(text))).toEqual([text]);
});

test('curl sends the very request', () => {
  const sent = words(curl('http://localhost:1', request, true));
  expect(sent.slice(0, 4)).toEqual([
    'curl',
    'http://localhost:1/v1/completions',
    '-H',
    'Content-Type: application/json',
  ]);
  expect(JSON.parse(sent.at(-1)!)).toEqual(request);
});

test('generate names what differs from its defaults', () => {
  const model = { source: 'my model.gguf', quantise: 'q8_0', kv: 'f16' };
  expect(words(generate("it's", false, request, model))).toEqual([
    'decant',
    'generate',
    '-m',
    'my model.gguf',
    '--quantize',
    'q8_0',
    '--kv',
    'f16',
    '--raw',
    '--sampler',
    request.sampler,
    '--seed',
    '7',
    '--max-tokens',
    '9',
    '-n',
    '2',
    '--',
    "it's",
  ]);
  expect(words(generate('-x', null, { ...request, n: 1 }, { source: 'embedded' }))).toEqual([
    'decant',
    'generate',
    '--sampler',
    request.sampler,
    '--seed',
    '7',
    '--max-tokens',
    '9',
    '--',
    '-x',
  ]);
});
