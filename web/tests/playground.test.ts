/** The playground as it is used: the real server on the embedded model, the built page, a real browser. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Served, browser as launch, decant, open } from './served';

let browser: Browser;
let served: Served;

beforeAll(async () => {
  [browser, served] = await Promise.all([launch(), Served.start()]);
});
afterAll(async () => {
  await browser?.close();
  await served?.stop();
});

/** The settings as an address has them. */
function address(fields: Record<string, string | number>, ...samplers: string[]): string {
  const all = new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  samplers.forEach((sampler) => all.append('sampler', sampler));
  return `/#${all}`;
}

/** Waits until nothing is generated any more. */
async function done(page: Page): Promise<void> {
  await page.getByText(/^Done: \d+ tokens/).waitFor();
}

async function generate(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Generate' }).click();
  await done(page);
}

/** The text that a listbox shows, without the signs that only the page puts there. */
async function said(page: Page, which = 0): Promise<string> {
  const tokens = await page.getByRole('listbox').nth(which).getByRole('option').allTextContents();
  return tokens.join('');
}

function token(page: Page, at: number, which = 0) {
  return page.getByRole('listbox').nth(which).getByRole('option').nth(at);
}

const glass = (page: Page) => page.getByRole('complementary', { name: 'The distribution at a token' });

/** Runs a shell's command with the binary on its path. */
function shell(command: string): string {
  const env = { ...process.env, PATH: `${dirname(decant)}:${process.env['PATH']}` };
  return execFileSync('sh', ['-c', command], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('types, streams, and shows every token’s entropy', async () => {
  const { page, faults } = await open(browser, served);
  await page.getByRole('textbox', { name: 'Prompt' }).fill('The old dragon');
  await page.getByLabel('Tokens', { exact: true }).fill('40');
  await generate(page);
  const tokens = page.getByRole('listbox').getByRole('option');
  expect(await tokens.count()).toBe(40);
  const labels = await tokens.evaluateAll((all) => all.map((token) => token.getAttribute('aria-label')));
  const entropies = labels.map((label) => Number(/entropy (\d+\.\d+)/.exec(label ?? '')?.[1]));
  // Colour and underline say what the label says.
  const looks = await tokens.evaluateAll((all) =>
    all.map((token) => [getComputedStyle(token).backgroundColor, token.className]),
  );
  const least = entropies.indexOf(Math.min(...entropies));
  const most = entropies.indexOf(Math.max(...entropies));
  expect(looks[least]![0]).not.toBe(looks[most]![0]);
  expect([looks[least]![1], looks[most]![1]]).toEqual([expect.stringContaining('w0'), expect.stringMatching(/w[34]/)]);
  // The commands that are shown give this very text.
  await page.getByText('The same texts from a shell').click();
  const [command, curl] = await page.locator('pre').allTextContents();
  expect(shell(`${command} 2>/dev/null`).trimEnd()).toBe(('The old dragon' + (await said(page))).trimEnd());
  expect(JSON.parse(shell(`${curl} -s`)).choices[0].text).toBe(await said(page));
  // A click on a strip is a look at the token there.
  await page.locator('.u-over').first().click();
  await glass(page)
    .getByText(/^token (20|21) of 40$/)
    .waitFor();
  // The strips' alternative.
  await page.getByText('The same as a table').click();
  const rows = page.getByRole('region', { name: 'Steps' }).getByRole('row');
  await rows.nth(40).waitFor();
  expect(await rows.count()).toBe(41);
  expect(faults).toEqual([]);
});

test('shows a token before and after every stage, and forks there', async () => {
  const path = address({ prompt: 'One day', seed: 5, max_tokens: 40 }, 'temp=0.9,top_p=0.95');
  const { page, faults } = await open(browser, served, {}, path);
  await generate(page);
  const before = await said(page);
  await token(page, 12).hover();
  const rows = glass(page).getByRole('row');
  await rows.first().waitFor();
  expect(await rows.first().getByRole('columnheader').allTextContents()).toEqual([
    'say instead',
    expect.stringMatching(/^model.*H \d/),
    expect.stringMatching(/^temp=0.9/),
    expect.stringMatching(/^top_p=0.95.*\d left$/),
  ]);
  expect(await glass(page).getByText('drawn', { exact: true }).count()).toBe(1);
  // A click holds it.
  await token(page, 12).click();
  await token(page, 30).hover();
  await page.waitForTimeout(300);
  expect(await glass(page).innerText()).toContain('token 13 of 40');
  // The token that stood there: the same text again.
  await glass(page)
    .getByRole('button', { name: /^Again/ })
    .click();
  await done(page);
  expect(await said(page)).toBe(before);
  // Another one: common up to there, and an own text from there on.
  const other = glass(page)
    .getByRole('button', { name: /^Fork with/ })
    .first();
  await other.waitFor();
  await other.click();
  await done(page);
  const after = await said(page);
  expect(await token(page, 12).getAttribute('aria-label')).toContain('chosen');
  const common = (await page.getByRole('listbox').getByRole('option').allTextContents()).slice(0, 12).join('');
  expect([after.startsWith(common), before.startsWith(common), after === before]).toEqual([true, true, false]);
  // And back.
  const branches = page.getByRole('list', { name: 'Branches' }).getByRole('button');
  expect(await branches.count()).toBe(3);
  await branches.first().click();
  expect(await said(page)).toBe(before);
  expect(faults).toEqual([]);
});

test('saves traces that the command line replays, those of forks too', async () => {
  const path = address(
    { prompt: 'One day', seed: 5, max_tokens: 30, n: 2 },
    'temp=0.9,top_p=0.95',
    'top_h=0.4,frequency_penalty=0.5',
  );
  const { page, faults } = await open(browser, served, {}, path);
  await generate(page);
  await token(page, 3).click();
  await glass(page)
    .getByRole('button', { name: /^Fork with/ })
    .first()
    .click();
  await done(page);
  const folder = mkdtempSync(join(tmpdir(), 'decant-playground-'));
  try {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the trace' }).click(),
    ]);
    const file = join(folder, download.suggestedFilename());
    await download.saveAs(file);
    const checked = shell(`decant trace check ${file}`).trim().split('\n');
    expect(checked).toEqual(
      Array(4).fill(expect.stringMatching(/steps come out again bit for bit, finish: (length|eos)$/)),
    );
    expect(shell(`decant trace html ${file} -o ${folder}/trace.html && cat ${folder}/trace.html`)).toContain(
      '<section>',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(faults).toEqual([]);
});

test('controls and text are two views of one sampler', async () => {
  const { page, faults } = await open(browser, served, {}, address({}, 'temp=0.8'));
  const spec = page.getByLabel('as text');
  await page.getByLabel('A stage to add').selectOption('top_k');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  expect(await spec.inputValue()).toBe('temp=0.8,top_k=40');
  await page.getByRole('button', { name: 'Move top_k up' }).click();
  await page.getByRole('slider', { name: /^how many tokens stay/ }).fill('7');
  await page.getByLabel('the temperature T', { exact: true }).fill('1.25');
  expect(await spec.inputValue()).toBe('top_k=7,temp=1.25');
  await page.getByRole('button', { name: 'by entropy' }).last().click();
  expect(await spec.inputValue()).toBe('top_k=7,temp=by_entropy(0.5..4->0..2)');
  await spec.fill('temperature=0.5 , top_h=0.3:rule=hf');
  expect(await page.getByRole('heading', { level: 3 }).allTextContents()).toEqual(['temp', 'top_h']);
  expect(await page.getByLabel(/^whose rule/).inputValue()).toBe('hf');
  await page.getByRole('button', { name: 'Remove temp' }).click();
  expect(await spec.inputValue()).toBe('top_h=0.3:rule=hf');
  await spec.fill('tpo_h=0.3');
  await page.getByText('there is no stage “tpo_h”').waitFor();
  expect(await page.getByRole('button', { name: 'Generate' }).isDisabled()).toBe(true);
  expect(await page.getByRole('heading', { level: 3 }).allTextContents()).toEqual(['top_h']);
  expect(faults).toEqual([]);
});

test('what the server refuses stands at the field', async () => {
  const { page } = await open(browser, served, {}, address({}, 'temp=900'));
  await page.getByRole('button', { name: 'Generate' }).click();
  await page.locator('#spec-fault').waitFor();
  expect(await page.locator('#spec-fault').innerText()).toMatch(/temp must be a number in 0..=100/);
  expect(await page.getByLabel('as text').getAttribute('aria-invalid')).toBe('true');
  await page.getByLabel('as text').fill('temp=0.9');
  await page.getByRole('textbox', { name: 'Prompt' }).fill('story '.repeat(600));
  await page.getByRole('button', { name: 'Generate' }).click();
  await page
    .getByRole('alert')
    .getByText(/context|room|512/)
    .waitFor();
});

test('compares samplers that draw with the same coins', async () => {
  const path = address(
    { prompt: 'One day', seed: 1, max_tokens: 30, n: 3 },
    'temp=0.8',
    'temp=0.8,top_h=0.4',
    'temp=0.8',
  );
  const { page, faults } = await open(browser, served, {}, path);
  await generate(page);
  expect(await page.getByRole('listbox').count()).toBe(9);
  const texts = await Promise.all(Array.from({ length: 9 }, (_, i) => said(page, i)));
  expect(texts.slice(6)).toEqual(texts.slice(0, 3));
  expect(texts[3]).not.toBe(texts[0]);
  // Distinct-1 as it is defined, from the tokens that are shown.
  const ids = await page.getByRole('article', { name: 'Sampler B' }).getByRole('option').allTextContents();
  const row = page.getByRole('row', { name: /^distinct-1/ });
  expect(Number(await row.getByRole('cell').nth(1).innerText())).toBeCloseTo(new Set(ids).size / ids.length, 2);
  expect(await row.getByRole('cell').nth(0).innerText()).toBe(await row.getByRole('cell').nth(2).innerText());
  expect(
    Number(
      (
        await page
          .getByRole('row', { name: /^ln p per token/ })
          .getByRole('cell')
          .first()
          .innerText()
      ).replace('−', '-'),
    ),
  ).toBeLessThan(0);
  // Where they part is marked in all of them.
  const at = Number(
    /(\d+) tokens? in common/.exec(await page.getByRole('article', { name: 'Sampler A' }).innerText())?.[1],
  );
  for (const text of [0, 3, 6])
    expect(await token(page, at, text).getAttribute('aria-label')).toContain('texts part here');
  expect(faults).toEqual([]);
});

test('an address is a text', async () => {
  const first = await open(
    browser,
    served,
    {},
    address({ prompt: 'A cat', seed: 99, max_tokens: 20 }, 'temp=1.1,min_p=0.05'),
  );
  await generate(first.page);
  await first.page.waitForTimeout(500);
  const { pathname, hash } = new URL(first.page.url());
  const second = await open(browser, served, {}, pathname + hash);
  await generate(second.page);
  expect(await said(second.page)).toBe(await said(first.page));
});

test('everything can be done by keys', async () => {
  const { page, faults } = await open(
    browser,
    served,
    {},
    address({ prompt: '', seed: 3, max_tokens: 60 }, 'temp=0.8'),
  );
  const focused = () =>
    page.evaluate(() => {
      const { activeElement: element } = document;
      return element?.getAttribute('aria-label') || element?.id || element?.textContent.trim() || '';
    });
  const tabTo = async (what: RegExp) => {
    for (let i = 0; i < 80; i += 1) {
      await page.keyboard.press('Tab');
      if (what.test(await focused())) return;
    }
    throw new Error(`no way to ${what}`);
  };
  await page.getByRole('button', { name: 'Generate' }).and(page.locator(':enabled')).waitFor();
  await tabTo(/^prompt$/);
  await page.keyboard.type('Once upon a time');
  await page.keyboard.press('Control+Enter');
  await done(page);
  await tabTo(/, entropy /);
  const start = await focused();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  expect(await glass(page).innerText()).toContain('token 3 of 60');
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
  expect(ring).toBe('solid');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Home');
  expect(await focused()).toBe(start);
  for (let i = 0; i < 4; i += 1) await page.keyboard.press('ArrowRight');
  await glass(page)
    .getByRole('button', { name: /^Fork with/ })
    .first()
    .waitFor();
  await tabTo(/^Fork with/);
  await page.keyboard.press('Enter');
  await done(page);
  expect(await token(page, 4).getAttribute('aria-label')).toContain('chosen');
  await page.keyboard.press('Escape');
  expect(await glass(page).count()).toBe(0);
  expect(faults).toEqual([]);
});

test('shows a token while texts stream, stops, and keeps what was said', async () => {
  const { page } = await open(
    browser,
    served,
    {},
    address({ prompt: 'Once', max_tokens: 450, n: 2 }, 'temp=1', 'temp=0.9'),
  );
  // Others keep the server busy, so that there is time.
  const others = new AbortController();
  const busy = fetch(`${served.url}/v1/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ prompt: 'Once', max_tokens: 480, n: 24, ignore_eos: true }),
    signal: others.signal,
  }).catch(() => undefined);
  try {
    await page.getByRole('button', { name: 'Generate' }).click();
    await token(page, 3).click();
    await glass(page).getByRole('row').nth(3).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await done(page);
  } finally {
    others.abort();
    await busy;
  }
  expect(await page.getByText('Stopped.').count()).toBeGreaterThan(0);
});

test('a server with a key has its page open, and asks for the key', async () => {
  const locked = await Served.start('--api-key', 's3cret');
  try {
    const { page } = await open(browser, locked, {}, address({ max_tokens: 5 }));
    const key = page.getByLabel('This server wants its key');
    await key.fill('wrong');
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('That is not the key.').waitFor();
    await key.fill('s3cret');
    await page.getByRole('button', { name: 'Use it' }).click();
    await generate(page);
    expect(await page.getByRole('listbox').getByRole('option').count()).toBe(5);
    expect(await page.content()).not.toContain('s3cret');
    await page.reload();
    await generate(page);
  } finally {
    await locked.stop();
  }
});

test('says how the server is', async () => {
  const ending = await Served.start();
  try {
    const { page } = await open(browser, ending);
    const status = page.getByRole('banner').getByRole('status');
    await status.getByText('ready').waitFor();
    // A client that takes nothing of a long answer keeps the server from ending.
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify({ prompt: 'a', max_tokens: 500, n: 64, ignore_eos: true, stream: true, trace: true });
    const slow = await fetch(`${ending.url}/v1/completions`, { method: 'POST', headers, body });
    ending.terminate();
    await status.getByText('the server is shutting down').waitFor();
    expect(await page.getByRole('button', { name: 'Generate' }).isDisabled()).toBe(true);
    await slow.body?.cancel();
    await ending.stop();
    await status.getByText('the server cannot be reached').waitFor();
  } finally {
    await ending.stop();
  }
});

test('a model with a chat template takes the prompt as a message', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'decant-playground-'));
  const file = join(folder, 'chat.gguf');
  writeFileSync(
    file,
    withTemplate(readFileSync(new URL('../../crates/decant-models/assets/decant-stories.gguf', import.meta.url))),
  );
  const chatty = await Served.start('-m', file);
  try {
    const { page, faults } = await open(
      browser,
      chatty,
      {},
      address({ prompt: 'Tell of a cat.', seed: 4, max_tokens: 25 }, 'temp=0.8'),
    );
    await page.getByRole('radio', { name: 'a message' }).check();
    await generate(page);
    const framed = await said(page);
    const [command] = await page.locator('pre').allTextContents();
    expect(command).toContain('--chat');
    expect(shell(`${command} 2>/dev/null`).trim()).toBe(framed.trim());
    await token(page, 2).click();
    await glass(page)
      .getByRole('button', { name: /^Again/ })
      .click();
    await done(page);
    expect(await said(page)).toBe(framed);
    await page.getByRole('radio', { name: 'a text' }).check();
    await generate(page);
    expect(await said(page)).not.toBe(framed);
    expect(faults).toEqual([]);
  } finally {
    await chatty.stop();
    rmSync(folder, { recursive: true });
  }
});

/** A GGUF file with a chat template put before its other facts: as long as a multiple of 32, so that tensors stay aligned. */
function withTemplate(gguf: Buffer): Buffer {
  const text = (text: string) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const [key, kind] = [text('tokenizer.chat_template'), Buffer.from([8, 0, 0, 0])];
  const template = '{% for m in messages %}{{ m.role }} said: {{ m.content }}\n{% endfor %}';
  const short = key.length + kind.length + text(template).length;
  const fact = Buffer.concat([key, kind, text(template.padEnd(template.length + 32 - (short % 32)))]);
  const head = Buffer.from(gguf.subarray(0, 24));
  head.writeBigUInt64LE(gguf.readBigUInt64LE(16) + 1n, 16);
  return Buffer.concat([head, fact, gguf.subarray(24)]);
}

describe.each([
  ['wide, light', { colorScheme: 'light' as const }],
  ['wide, dark', { colorScheme: 'dark' as const }],
  ['a phone, light', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }],
  [
    'a phone, dark',
    { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: 'dark' as const },
  ],
])('%s', (_, options) => {
  test('is accessible and fits', async () => {
    const path = address({ prompt: 'One day', seed: 7, max_tokens: 50, n: 2 }, 'temp=1.3,dry=0.8', 'temp=1,top_h=0.4');
    const { page, faults } = await open(browser, served, { reducedMotion: 'reduce', ...options }, path);
    await check(page);
    await generate(page);
    const first = token(page, 8);
    await (options && 'hasTouch' in options ? first.tap() : first.click());
    await glass(page)
      .getByRole('button', { name: /^Fork with/ })
      .first()
      .click();
    await done(page);
    await page.getByText('The same as a table').click();
    await page.getByText('The same texts from a shell').click();
    await page.getByText('More', { exact: true }).first().click();
    await glass(page).getByRole('row').nth(1).waitFor();
    await check(page);
    expect(faults).toEqual([]);
  });
});

/** No violation of axe-core's rules, and nothing wider than the window. */
async function check(page: Page): Promise<void> {
  const { source } = await import('axe-core');
  await page.evaluate(source);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run();
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n')}`,
    );
  });
  expect(violations).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
}
