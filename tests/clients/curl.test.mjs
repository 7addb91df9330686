// curl: the contract of the header as it stands on the wire, and clients that hang up.
// needs: charges, curl

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { Server } from './server.mjs';

const FORM = ['-d', 'amount=2000', '-d', 'currency=usd', '-d', 'source=tok_visa', '-d', 'metadata[order]=o-1'];
// Of curl itself: the time is over.
const TIMED_OUT = 28;

const start = (t, ...args) => Server.start(t, 'charges', ...args);

const SECRET = ['-H', 'Authorization: Bearer sk_test_1'];
const key = (value) => [...SECRET, '-H', `Idempotency-Key: ${value}`];

// Status, headers, body and curl's own exit code. The body is what curl has written into a file.
async function post(server, name, ...options) {
  const [head, body] = [join(server.directory, `${name}.head`), join(server.directory, `${name}.body`)];
  const args = ['-sS', '-D', head, '-o', body];
  const ran = promisify(execFile)('curl', [...args, ...options, `${server.address}/v1/charges`]);
  const exit = await ran.then(() => 0, (error) => error.code);
  if (exit !== 0) return { exit };
  const headers = (await readFile(head, 'latin1')).toLowerCase();
  return { exit, status: Number(headers.split(' ')[1]), headers, body: await readFile(body) };
}

function refused(answer, status, type) {
  assert.equal(answer.status, status);
  assert.equal(JSON.parse(answer.body).error.type, type);
}

describe('curl', { concurrency: 4 }, () => {
  test('a quoted and a bare key are the same, and a replay is the same to the byte', async (t) => {
    const server = await start(t);
    const bare = await post(server, 'bare', ...FORM, ...key('order-1'));
    const quoted = await post(server, 'quoted', ...FORM, ...key('"order-1"'));
    assert.deepEqual([bare.status, quoted.status], [200, 200]);
    assert.equal(Buffer.compare(bare.body, quoted.body), 0);
    assert.doesNotMatch(bare.headers, /^idempotent-replayed/m);
    assert.match(quoted.headers, /^idempotent-replayed: true\r$/m);
    assert.match(quoted.headers, /^idempotency-key: "order-1"\r$/m, 'it is echoed as it was sent');
    assert.equal(await server.count(), 1);
  });

  test('without a key, with two or with a malformed one nothing is charged', async (t) => {
    const server = await start(t);
    refused(await post(server, 'none', ...FORM, ...SECRET), 400, 'invalid_request_error');
    refused(await post(server, 'two', ...FORM, ...key('a'), '-H', 'Idempotency-Key: b'), 400, 'invalid_request_error');
    refused(await post(server, 'same', ...FORM, ...key('a'), '-H', 'Idempotency-Key: a'), 400, 'invalid_request_error');
    refused(await post(server, 'open', ...FORM, ...key('"a')), 400, 'invalid_request_error');
    refused(await post(server, 'long', ...FORM, ...key('k'.repeat(256))), 400, 'invalid_request_error');
    assert.equal(await server.count(), 0);
  });

  test('without a secret key nothing is charged', async (t) => {
    const server = await start(t);
    refused(await post(server, 'a', ...FORM, '-H', 'Idempotency-Key: a'), 401, 'invalid_request_error');
    assert.equal(await server.count(), 0);
  });

  test('a key that is used for another amount is refused', async (t) => {
    const server = await start(t);
    await post(server, 'first', ...FORM, ...key('order-1'));
    const other = ['-d', 'amount=1', '-d', 'currency=usd', '-d', 'source=tok_visa'];
    refused(await post(server, 'other', ...other, ...key('order-1')), 400, 'idempotency_error');
    assert.equal(await server.count(), 1);
  });

  test('who hangs up changes nothing: the run goes on, and the repeat is a replay', async (t) => {
    const server = await start(t, '--delay-ms', '4000');
    const impatient = await post(server, 'impatient', ...FORM, ...key('order-1'), '--max-time', '2');
    assert.equal(impatient.exit, TIMED_OUT);
    const repeated = await post(server, 'repeated', ...FORM, ...key('order-1'));
    const again = await post(server, 'again', ...FORM, ...key('order-1'));
    for (const answer of [repeated, again]) {
      assert.equal(answer.status, 200);
      assert.match(answer.headers, /^idempotent-replayed: true\r$/m);
    }
    assert.equal(Buffer.compare(repeated.body, again.body), 0);
    assert.equal(await server.count(), 1);
  });

  test('who does not want to wait is told that the first is in progress', async (t) => {
    const server = await start(t, '--delay-ms', '3000');
    const first = post(server, 'first', ...FORM, ...key('order-1'));
    await server.counted(1);
    const hasty = await post(server, 'hasty', ...FORM, ...key('order-1'), '-H', 'Prefer: wait=0');
    refused(hasty, 409, 'idempotency_error');
    assert.match(hasty.headers, /^retry-after: [1-9]\d*\r$/m);
    assert.equal((await first).status, 200);
    assert.equal(await server.count(), 1);
  });
});
