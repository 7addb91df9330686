// The shop page in Chromium: buy, kill the server in the middle, see the order come through, and the same bytes again.
// needs: checkout, chromium
//
// With PICTURES=docs/pictures the pictures of the README are taken anew.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { page as open } from './browser.mjs';
import { Server } from './server.mjs';

const PATIENCE = { timeout: 30_000 };

const start = (t) => Server.start(t, 'checkout', 'serve', '--crash-button');

// The page, and what the browser complains of: nothing must be.
async function shown(t, server, options) {
  const page = await open(t, options);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.address)) complaints.push(`a request to ${request.url()}`);
  });
  await page.goto(server.address);
  return { page, complaints };
}

async function picture(page, name) {
  if (process.env.PICTURES) await page.screenshot({ path: join(process.env.PICTURES, name), fullPage: true });
}

const reached = (page, point) => page.waitForSelector(`li.done[data-point=${point}]`, PATIENCE);
const text = (page, selector) => page.locator(selector).innerText();
const says = (page, selector, what) => page.locator(selector, { hasText: what }).waitFor(PATIENCE);

// The columns of the table of answers, row by row.
const answers = (page) =>
  page.locator('#answers tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));

describe('the page', { concurrency: 2 }, () => {
  test('an order comes through though the server is killed after the charge, and is replayed to the byte', async (t) => {
    const server = await start(t);
    const { page, complaints } = await shown(t, server, { viewport: { width: 1100, height: 900 } });
    await page.click('#buy');
    await reached(page, 'stock_reserved');
    await says(page, '#book-charges', '1, asked for once');
    await page.click('#crash');
    await says(page, '#answers', 'none');
    await picture(page, 'killed.png');
    await reached(page, 'finished');
    await says(page, '#book-order', 'placed, paid by ch_');
    assert.equal(await text(page, '#book-charges'), '1, asked for 2 times', 'one charge, whatever happened');
    await page.click('#again');
    await says(page, '#same', 'The same bytes as the first answer. Nothing ran.');
    await page.waitForSelector('#again:not([disabled])', PATIENCE);
    const all = await answers(page);
    const [first, again] = all.slice(-2);
    assert.deepEqual([all[0][1], first[1], first[2], again[1], again[2]], ['none', '201', 'no', '201', 'yes']);
    assert.deepEqual(first.slice(3), again.slice(3), 'as many bytes, and the same hash');
    assert.equal(await text(page, '#book-charges'), '1, asked for 2 times', 'a replay asks nobody');
    await picture(page, 'replayed.png');
    assert.deepEqual(complaints, []);
  });

  test('a declined card is refused, and what was reserved is given back', async (t) => {
    const server = await start(t);
    const { page, complaints } = await shown(t, server);
    await page.selectOption('select[name=card]', '4000000000000002');
    await page.click('#buy');
    await says(page, '#standing', 'Refused: The payment was declined');
    await says(page, '#book-order', 'none');
    assert.equal(await text(page, '#book-charges'), '0, asked for once');
    assert.deepEqual((await answers(page)).map((row) => row[1]), ['402']);
    assert.deepEqual(complaints, []);
  });

  test('the whole of it goes by keyboard, in the dark, on a phone', async (t) => {
    const server = await start(t);
    const phone = { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true };
    const { page, complaints } = await shown(t, server, phone);
    const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.name);
    const order = [];
    for (const key of ['Tab', 'Tab', 'Tab', 'Tab']) {
      await page.keyboard.press(key);
      order.push(await focus());
    }
    assert.deepEqual(order, ['sku', 'qty', 'card', 'buy']);
    await page.keyboard.press('Enter');
    await reached(page, 'finished');
    await page.locator('#again').focus();
    await page.keyboard.press('Enter');
    await says(page, '#same', 'The same bytes');
    const { wide, dark } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      dark: getComputedStyle(document.body).backgroundColor,
    }));
    assert.equal(wide, 0, 'nothing has to be scrolled sideways');
    assert.equal(dark, 'rgb(18, 20, 23)');
    await picture(page, 'phone.png');
    assert.deepEqual(complaints, []);
  });

  test('a script that is not the page’s own does not run', async (t) => {
    const server = await start(t);
    const { page } = await shown(t, server);
    const refused = await page.evaluate(
      () =>
        new Promise((told) => {
          document.addEventListener('securitypolicyviolation', (event) => told(event.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
        }),
    );
    assert.equal(refused, 'script-src-elem');
    assert.equal(await page.evaluate(() => window.ran), undefined);
  });
});
