/** The README's picture; taken only where `PICTURES=write` asks for it. */

import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import { Served, browser as launch, open } from './served';

const picture = fileURLToPath(new URL('../../docs/pictures/playground.png', import.meta.url));

test.runIf(process.env['PICTURES'] === 'write')('the README’s picture', async () => {
  const [browser, served] = await Promise.all([launch(), Served.start()]);
  try {
    const { page } = await open(browser, served, { viewport: { width: 1280, height: 860 }, colorScheme: 'light' });
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.getByText(/^Done: /).waitFor();
    // A fork, and a token that could have been many others.
    await page.getByRole('listbox').getByRole('option').nth(4).click();
    await page
      .getByRole('button', { name: /^Fork with/ })
      .nth(1)
      .click();
    await page.getByText(/^Done: /).waitFor();
    await page.getByRole('listbox').getByRole('option').nth(18).click();
    await page
      .getByRole('button', { name: /^Fork with/ })
      .nth(2)
      .waitFor();
    await page.locator('.stale').waitFor({ state: 'detached' });
    await page.mouse.move(0, 0);
    await page.screenshot({ path: picture });
  } finally {
    await browser.close();
    await served.stop();
  }
});
