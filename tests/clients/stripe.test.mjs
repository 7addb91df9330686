// Stripe's own client for Node charges our server, through everything that can happen on the way.
// needs: charges

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import Stripe from 'stripe';

import { Proxy } from './proxy.mjs';
import { Server } from './server.mjs';

const QUICK = ['--lease-ms', '1500'];
const ORDER = {
  amount: 2000,
  currency: 'usd',
  source: 'tok_visa',
  description: 'two CDs & postage',
  metadata: { order: 'o-1' },
};

const client = ({ port }, options = {}, secret = 'sk_test_1') =>
  new Stripe(secret, { host: '127.0.0.1', port, protocol: 'http', ...options });

const start = (t, ...args) => Server.start(t, 'charges', ...QUICK, ...args);

const isReplay = (charge) => charge.lastResponse.headers['idempotent-replayed'] === 'true';

describe('stripe for Node', { concurrency: 4 }, () => {
  test('a charge is made and found again', async (t) => {
    const server = await start(t);
    const stripe = client(server);
    const charge = await stripe.charges.create(ORDER);
    assert.match(charge.id, /^ch_/);
    assert.equal(charge.object, 'charge');
    assert.deepEqual([charge.amount, charge.currency, charge.status], [2000, 'usd', 'succeeded']);
    assert.deepEqual(charge.metadata, { order: 'o-1' });
    assert.equal(charge.description, ORDER.description);
    assert.match(charge.lastResponse.requestId, /^req_/);
    assert.match(charge.lastResponse.idempotencyKey, /^stripe-node-retry-/);
    assert.deepEqual(await stripe.charges.retrieve(charge.id), charge);
    assert.equal(await server.count(), 1);
  });

  test('two calls without a key of their own are two charges', async (t) => {
    const server = await start(t);
    const stripe = client(server);
    const [first, second] = [await stripe.charges.create(ORDER), await stripe.charges.create(ORDER)];
    assert.notEqual(first.id, second.id);
    assert.equal(await server.count(), 2);
  });

  for (const fault of ['refused', 'unanswered', 'lost']) {
    test(`a request that is ${fault} is retried by the client and charged once`, async (t) => {
      const server = await start(t);
      const proxy = await Proxy.before(t, server, fault);
      const charge = await client(proxy).charges.create(ORDER);
      const keys = proxy.sent('idempotency-key');
      assert.equal(keys.length, 2, 'the client has tried again by itself');
      assert.equal(keys[0], keys[1]);
      assert.match(charge.id, /^ch_/);
      if (fault === 'lost') assert.ok(isReplay(charge));
      assert.equal(await server.count(), 1);
    });
  }

  test('a connection that is cut while the charge takes longer than all retries is no error', async (t) => {
    const server = await start(t, '--delay-ms', '5000');
    const proxy = await Proxy.before(t, server);
    const calling = client(proxy).charges.create(ORDER);
    await server.counted(1);
    proxy.cut();
    assert.ok(isReplay(await calling));
    assert.equal(proxy.requests.length, 2);
    assert.equal(await server.count(), 1);
  });

  test('a server that is killed after it has charged and comes back charges once', async (t) => {
    const server = await start(t, '--delay-ms', '600000');
    const calling = client(server, { maxNetworkRetries: 6 }).charges.create(ORDER);
    await server.counted(1);
    await server.restart(...QUICK);
    const charge = await calling;
    assert.match(charge.id, /^ch_/);
    assert.equal(charge.amount, 2000);
    assert.equal(await server.count(), 1);
  });

  test('a server that is killed at any moment of a request charges once', async (t) => {
    const moments = [0, 1, 2, 4, 6, 9, 13, 20];
    await Promise.all(moments.map(async (moment) => {
      const server = await start(t);
      const proxy = await Proxy.before(t, server);
      const calling = client(proxy, { maxNetworkRetries: 6 }).charges.create(ORDER);
      while (proxy.requests.length === 0) await pause(1);
      await pause(moment);
      await server.restart(...QUICK);
      assert.match((await calling).id, /^ch_/);
      assert.equal(await server.count(), 1, `killed after ${moment} ms`);
    }));
  });

  test('a server that stands still is overtaken by another on the same file, and charges once', async (t) => {
    const server = await start(t, '--delay-ms', '1000');
    const other = await server.beside(t, ...QUICK);
    const proxy = await Proxy.before(t, server);
    const calling = client(proxy).charges.create(ORDER);
    await server.counted(1);
    server.freeze();
    proxy.server = other;
    proxy.cut();
    const charge = await calling;
    assert.equal(isReplay(charge), false, 'the other has called the handler again');
    server.thaw();
    const [key] = proxy.sent('idempotency-key');
    assert.deepEqual(await client(server).charges.create(ORDER, { idempotencyKey: key }), charge);
    assert.equal(await server.count(), 1);
  });

  test('who waits at a server that is overtaken gets the charge of the other', async (t) => {
    const server = await start(t, '--delay-ms', '1000');
    const other = await server.beside(t, ...QUICK);
    const create = (at) => client(at, { maxNetworkRetries: 0 }).charges.create(ORDER, { idempotencyKey: 'order-1' });
    const waiting = create(server);
    await server.counted(1);
    server.freeze();
    const charge = await create(other);
    server.thaw();
    assert.deepEqual(await waiting, charge);
    assert.ok(isReplay(await waiting));
    assert.equal(await server.count(), 1);
  });

  test("the caller's own key gives the same charge twice, also after a restart", async (t) => {
    const server = await start(t);
    const create = () => client(server).charges.create(ORDER, { idempotencyKey: 'order-1' });
    const first = await create();
    const second = await create();
    await server.restart(...QUICK);
    const third = await create();
    assert.deepEqual([second, third], [first, first]);
    assert.deepEqual([first, second, third].map(isReplay), [false, true, true]);
    assert.equal(second.lastResponse.headers['idempotency-key'], 'order-1');
    assert.equal(await server.count(), 1);
  });

  test('telemetry that changes from call to call makes no other request', async (t) => {
    const server = await start(t);
    const proxy = await Proxy.before(t, server);
    const stripe = client(proxy);
    for (const _ of [1, 2, 3]) await stripe.charges.create(ORDER, { idempotencyKey: 'order-1' });
    const [none, second, third] = proxy.sent('x-stripe-client-telemetry');
    assert.equal(none, undefined);
    assert.ok(second && third && second !== third);
    assert.equal(await server.count(), 1);
  });

  test('a key that is used for another amount is an error of the caller', async (t) => {
    const server = await start(t);
    const stripe = client(server);
    const key = { idempotencyKey: 'order-1' };
    const first = await stripe.charges.create(ORDER, key);
    await assert.rejects(stripe.charges.create({ ...ORDER, amount: 1 }, key), (error) => {
      assert.ok(error instanceof Stripe.errors.StripeIdempotencyError, String(error));
      assert.equal(error.statusCode, 400);
      return true;
    });
    assert.deepEqual(await stripe.charges.create(ORDER, key), first);
    assert.equal(await server.count(), 1);
  });

  test('after an answer that broke off, the same key gives the charge', async (t) => {
    const server = await start(t);
    const proxy = await Proxy.before(t, server, 'broken');
    const stripe = client(proxy);
    const create = () => stripe.charges.create(ORDER, { idempotencyKey: 'order-1' });
    await assert.rejects(create(), Stripe.errors.StripeConnectionError);
    assert.equal(proxy.requests.length, 1, 'the client does not retry it');
    const charge = await create();
    assert.ok(isReplay(charge));
    assert.deepEqual(charge.metadata, { order: 'o-1' });
    assert.equal(await server.count(), 1);
  });

  test('fifty calls at once with one key are one charge, and an error to nobody', async (t) => {
    const server = await start(t, '--delay-ms', '3000');
    // None of them has to try again.
    const stripe = client(server, { maxNetworkRetries: 0 });
    const create = () => stripe.charges.create(ORDER, { idempotencyKey: 'order-1' });
    const charges = await Promise.all(Array.from({ length: 50 }, create));
    for (const charge of charges) assert.deepEqual(charge, charges[0]);
    assert.equal(charges.filter((charge) => !isReplay(charge)).length, 1);
    assert.equal(await server.count(), 1);
  });

  test('fifty calls at once with keys of their own are fifty charges', async (t) => {
    const server = await start(t);
    const stripe = client(server);
    const charges = await Promise.all(Array.from({ length: 50 }, () => stripe.charges.create(ORDER)));
    assert.equal(new Set(charges.map((charge) => charge.id)).size, 50);
    assert.equal(await server.count(), 50);
  });

  test('the same key of another account is another charge, and sees nothing of the first', async (t) => {
    const server = await start(t);
    const key = { idempotencyKey: 'order-1' };
    const [one, other] = [client(server), client(server, {}, 'sk_test_2')];
    const first = await one.charges.create(ORDER, key);
    const second = await other.charges.create({ ...ORDER, amount: 1 }, key);
    assert.notEqual(second.id, first.id);
    assert.deepEqual([second.amount, isReplay(second)], [1, false]);
    await assert.rejects(other.charges.retrieve(first.id), { statusCode: 404 });
    assert.deepEqual(await one.charges.create(ORDER, key), first);
    assert.equal(await server.count(), 2);
  });

  test('a declined card stays declined under its key, and is charged nothing', async (t) => {
    const server = await start(t);
    const stripe = client(server);
    const declined = { ...ORDER, source: 'tok_chargeDeclined' };
    for (const replayed of [undefined, 'true']) {
      await assert.rejects(stripe.charges.create(declined, { idempotencyKey: 'order-1' }), (error) => {
        assert.ok(error instanceof Stripe.errors.StripeCardError, String(error));
        assert.deepEqual([error.statusCode, error.code], [402, 'card_declined']);
        assert.equal(error.headers['idempotent-replayed'], replayed);
        return true;
      });
    }
    assert.equal(await server.count(), 0);
  });
});
