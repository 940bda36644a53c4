/** The built files, which are part of the server. */

import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const built = new URL('../../crates/decant-server/playground/', import.meta.url);

test('the playground is under 250 kB, gzipped', () => {
  const files = readdirSync(built, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const sizes = files.map((file) => gzipSync(readFileSync(`${file.parentPath}/${file.name}`)).length);
  expect(files.map(({ name }) => name).sort()).toEqual(['icon.svg', 'index.html', 'playground.css', 'playground.js']);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250_000);
});
