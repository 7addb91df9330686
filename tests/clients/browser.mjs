// Debian's Chromium for a test, without anything that it would do by itself.

import { chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox', // it does not run as root with one
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

// A page, until the test ends.
export async function page(t, options) {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGS });
  t.after(() => browser.close());
  return browser.newPage(options);
}
