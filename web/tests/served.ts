/** The real server and a real browser, for tests. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = ['release', 'debug'].map((profile) => `${root}target/${profile}/decant`);

/** The binary: `DECANT` says which, else what was built last by the profile that is faster. */
export const decant = process.env['DECANT'] ?? built.find((path) => existsSync(path)) ?? 'decant';

/** A server that runs. */
export class Served {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
  ) {}

  static async start(...args: string[]): Promise<Served> {
    const child = spawn(decant, ['serve', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    child.stderr.on('data', (text) => (log += text));
    const url = await new Promise<string>((resolve, reject) => {
      let said = '';
      child.stdout.on('data', (text) => {
        said += text;
        const found = /listening on (\S+)/.exec(said)?.[1];
        if (found) resolve(found);
      });
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`${decant} ended with ${code}: ${log}`)));
    });
    return new Served(child, url);
  }

  /** Asks the server to end: the first time it completes what runs, the second time it stops that. */
  terminate(): void {
    this.process.kill('SIGTERM');
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.process.on('exit', resolve));
    this.terminate();
    await ended;
  }
}

/** Debian's browser, or the one that `CHROMIUM` names. */
export function browser(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  // A sandbox needs a user that is not root.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

/** A page of a fresh browser profile, and everything that it must not do: errors, and requests to anybody else. */
export async function open(
  browser: Browser,
  served: Served,
  options: BrowserContextOptions = {},
  path = '/',
): Promise<{ page: Page; faults: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults: string[] = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'blob:' && origin !== served.url) faults.push(`asked ${request.url()}`);
  });
  await page.goto(served.url + path);
  return { page, faults };
}
