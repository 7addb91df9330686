// Medusa's own client for storefronts buys at our server, unchanged, through everything that can happen on the way.
// needs: medusa-cart

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import MedusaPackage from '@medusajs/medusa-js';

import { Proxy } from './proxy.mjs';
import { Server } from './server.mjs';

const Medusa = MedusaPackage.default ?? MedusaPackage;
const QUICK = ['--lease-ms', '1500'];

const start = (t, ...args) => Server.start(t, 'medusa-cart', ...QUICK, ...args);
const orders = (server) => server.count('orders');

// With `maxRetries` the client draws a key for each call, and sends it with each try.
const client = ({ port }, maxRetries = 3) => new Medusa({ baseUrl: `http://127.0.0.1:${port}`, maxRetries });

// A cart with everything but its completion.
async function filled(medusa, { variant = 'variant_shirt', quantity = 2, provider = 'manual' } = {}) {
  const { cart } = await medusa.carts.create();
  await medusa.carts.update(cart.id, { email: 'somebody@example.com' });
  await medusa.carts.lineItems.create(cart.id, { variant_id: variant, quantity });
  await medusa.carts.createPaymentSessions(cart.id);
  await medusa.carts.setPaymentSession(cart.id, { provider_id: provider });
  return cart.id;
}

// What the client throws: the status and the body of the answer.
async function refused(call) {
  const error = await call.then(
    () => assert.fail('it was not refused'),
    (error) => error,
  );
  assert.ok(error.response, String(error));
  return { status: error.response.status, body: error.response.data, headers: error.response.headers };
}

describe('medusa-js', { concurrency: 4 }, () => {
  for (const retries of [0, 3]) {
    test(`a purchase from the cart to the order, with ${retries} retries`, async (t) => {
      const server = await start(t);
      const medusa = client(server, retries);
      const { cart } = await medusa.carts.create();
      assert.match(cart.id, /^cart_/);
      assert.deepEqual([cart.object, cart.items, cart.completed_at], ['cart', [], null]);
      await medusa.carts.update(cart.id, { email: 'somebody@example.com' });
      await medusa.carts.lineItems.create(cart.id, { variant_id: 'variant_shirt', quantity: 1 });
      const added = await medusa.carts.lineItems.create(cart.id, { variant_id: 'variant_shirt', quantity: 1 });
      assert.deepEqual(added.cart.items.map((item) => item.quantity), [2], 'the same article is one line');
      const line = added.cart.items[0].id;
      const more = await medusa.carts.lineItems.update(cart.id, line, { quantity: 3 });
      assert.equal(more.cart.items[0].quantity, 3);
      const { cart: paying } = await medusa.carts.createPaymentSessions(cart.id);
      assert.ok(paying.payment_sessions.length >= 1);
      const { cart: chosen } = await medusa.carts.setPaymentSession(cart.id, { provider_id: 'manual' });
      assert.equal(chosen.payment_session.provider_id, 'manual');
      const done = await medusa.carts.complete(cart.id);
      assert.equal(done.type, 'order');
      assert.match(done.data.id, /^order_/);
      assert.equal(done.data.total, chosen.total);
      const { order } = await medusa.orders.retrieve(done.data.id);
      assert.equal(order.email, 'somebody@example.com');
      assert.equal((await medusa.orders.retrieveByCartId(cart.id)).order.id, done.data.id);
      const { cart: after } = await medusa.carts.retrieve(cart.id);
      assert.ok(after.completed_at);
      assert.equal(await orders(server), 1);
    });
  }

  for (const fault of ['refused', 'unanswered', 'lost', 'broken']) {
    test(`a completion that is ${fault} is retried by the client and is one order`, async (t) => {
      const server = await start(t);
      const cart = await filled(client(server));
      const proxy = await Proxy.before(t, server, fault);
      const done = await client(proxy).carts.complete(cart);
      const keys = proxy.sent('idempotency-key');
      assert.ok(keys.length >= 2, 'the client has tried again by itself');
      assert.equal(new Set(keys).size, 1, 'with its own key, which is kept');
      assert.equal(done.type, 'order');
      assert.equal(await orders(server), 1);
    });
  }

  test('a cart whose answer is lost is created once', async (t) => {
    const server = await start(t);
    const proxy = await Proxy.before(t, server, 'lost');
    const { cart, response } = await client(proxy).carts.create();
    assert.equal(proxy.requests.length, 2);
    assert.equal(response.headers['idempotent-replayed'], 'true');
    assert.equal(response.headers['idempotency-key'], proxy.sent('idempotency-key')[0]);
    assert.match(cart.id, /^cart_/);
  });

  test('a line item whose answer is lost is added once', async (t) => {
    const server = await start(t);
    const { cart } = await client(server).carts.create();
    const proxy = await Proxy.before(t, server, 'lost');
    const added = await client(proxy).carts.lineItems.create(cart.id, { variant_id: 'variant_shirt', quantity: 2 });
    assert.deepEqual(added.cart.items.map((item) => item.quantity), [2]);
  });

  test('a server that is killed while it waits for the payment, and comes back, makes one order', async (t) => {
    const server = await start(t, '--payment-delay-ms', '3000');
    const cart = await filled(client(server));
    // The client waits half a second, then one and a half, then three and a half.
    const completing = client(server, 5).carts.complete(cart);
    completing.catch(() => {});
    await pause(1000);
    assert.equal(await orders(server), 0, 'it is killed in the middle');
    await server.restart(...QUICK);
    const done = await completing;
    assert.equal(done.type, 'order');
    assert.equal(await orders(server), 1);
    assert.equal((await client(server).orders.retrieveByCartId(cart)).order.id, done.data.id);
  });

  test('who comes back with the key of before gets the order of before', async (t) => {
    const server = await start(t);
    const medusa = client(server);
    const cart = await filled(medusa);
    const key = { 'Idempotency-Key': 'mine' };
    const first = await medusa.carts.complete(cart, key);
    await server.restart(...QUICK);
    const again = await medusa.carts.complete(cart, key);
    assert.equal(again.response.headers['idempotent-replayed'], 'true');
    assert.deepEqual(again.data, first.data);
    assert.equal(await orders(server), 1);
  });

  test('a cart that is completed already answers with its order', async (t) => {
    const server = await start(t);
    const medusa = client(server);
    const cart = await filled(medusa);
    const [first, second] = [await medusa.carts.complete(cart), await medusa.carts.complete(cart)];
    assert.deepEqual([second.type, second.data.id], ['order', first.data.id]);
    assert.equal(await orders(server), 1);
  });

  test('many at once are one order for each cart', async (t) => {
    const server = await start(t);
    const medusa = client(server, 5);
    const cart = await filled(medusa);
    const all = await Promise.all(Array.from({ length: 10 }, () => medusa.carts.complete(cart)));
    assert.equal(new Set(all.map((done) => done.data.id)).size, 1);
    assert.equal(await orders(server), 1);
  });

  test('the last one is sold once, and who comes too late is told so in Medusa’s words', async (t) => {
    const server = await start(t);
    const medusa = client(server, 0);
    const carts = [];
    for (let i = 0; i < 2; i += 1) carts.push(await filled(medusa, { variant: 'variant_last_one', quantity: 1 }));
    assert.equal((await medusa.carts.complete(carts[0])).type, 'order');
    const late = await refused(medusa.carts.complete(carts[1]));
    assert.equal(late.status, 409);
    const [error] = late.body.errors;
    assert.deepEqual([error.code, error.type], ['insufficient_inventory', 'not_allowed']);
    const { cart } = await medusa.carts.retrieve(carts[1]);
    assert.deepEqual([cart.payment_authorized_at, cart.completed_at], [null, null], 'it is not paid for');
    assert.equal(await orders(server), 1);
  });

  for (const provider of ['requires_more', 'pending']) {
    test(`a payment that is ${provider} leaves the cart open`, async (t) => {
      const server = await start(t);
      const medusa = client(server);
      const cart = await filled(medusa, { provider });
      const left = await medusa.carts.complete(cart);
      assert.deepEqual([left.type, left.payment_status, left.data.id], ['cart', provider, cart]);
      await medusa.carts.setPaymentSession(cart, { provider_id: 'manual' });
      assert.equal((await medusa.carts.complete(cart)).type, 'order', 'another call has another key');
    });
  }

  test('what is missing is told in Medusa’s words, and the same cart goes through when it is there', async (t) => {
    const server = await start(t);
    const medusa = client(server, 0);
    const { cart } = await medusa.carts.create();
    await medusa.carts.lineItems.create(cart.id, { variant_id: 'variant_shirt', quantity: 1 });
    const unpaid = await refused(medusa.carts.complete(cart.id));
    assert.equal(unpaid.status, 400);
    assert.ok(['invalid_data', 'not_allowed'].includes(unpaid.body.type), JSON.stringify(unpaid.body));
    await medusa.carts.createPaymentSessions(cart.id);
    await medusa.carts.setPaymentSession(cart.id, { provider_id: 'manual' });
    assert.equal((await refused(medusa.carts.complete(cart.id))).status, 400, 'nobody has said who buys');
    await medusa.carts.update(cart.id, { email: 'somebody@example.com' });
    assert.equal((await medusa.carts.complete(cart.id)).type, 'order');
    const unknown = await refused(medusa.carts.retrieve('cart_of_nobody'));
    assert.deepEqual([unknown.status, unknown.body.type], [404, 'not_found']);
  });
});
