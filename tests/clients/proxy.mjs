// A proxy before a server, which breaks connections when it is told to.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Proxy {
  // What is done to the next request, once it has come whole:
  //   refused     nothing of it is forwarded
  //   unanswered  it is forwarded, and both ends are cut at once
  //   lost        its answer has come, and nothing of that is forwarded
  //   broken      half of the answer's body is forwarded
  static async before(t, server, ...faults) {
    const proxy = new Proxy(server, faults);
    const listener = createServer((client) => proxy.serve(client)).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    proxy.port = listener.address().port;
    t.after(() => {
      listener.close();
      proxy.cut();
    });
    return proxy;
  }

  constructor(server, faults) {
    Object.assign(this, { server, faults, requests: [], open: new Set() });
  }

  // Cuts all connections that are open.
  cut() {
    for (const client of this.open) client.resetAndDestroy();
  }

  // A header of every request so far.
  sent(header) {
    const line = new RegExp(`^${header}: (.*)\r$`, 'im');
    return this.requests.map((request) => line.exec(request)?.[1]);
  }

  serve(client) {
    const upstream = connect(this.server.port, '127.0.0.1');
    let fault = null;
    this.open.add(client);
    const request = whole((bytes) => {
      fault = this.faults.shift();
      this.requests.push(bytes.toString('latin1'));
      if (fault === 'refused') return client.resetAndDestroy();
      upstream.write(bytes, () => fault === 'unanswered' && client.resetAndDestroy());
    });
    const answer = whole((bytes) => {
      if (fault === 'lost') return client.resetAndDestroy();
      if (fault === 'broken') return client.end(bytes.subarray(0, bytes.length - bodyLength(bytes) / 2));
      client.write(bytes);
    });
    client.on('data', request).on('error', () => {}).on('close', () => {
      this.open.delete(client);
      upstream.destroy();
    });
    upstream.on('data', answer).on('error', () => {}).on('close', () => client.destroy());
  }
}

// Collects bytes until a message with its body is there; one follows the other.
function whole(then) {
  let bytes = Buffer.alloc(0);
  return (more) => {
    bytes = Buffer.concat([bytes, more]);
    const head = bytes.indexOf('\r\n\r\n');
    if (head < 0 || bytes.length < head + 4 + bodyLength(bytes)) return;
    const message = bytes;
    bytes = Buffer.alloc(0);
    then(message);
  };
}

function bodyLength(bytes) {
  const head = bytes.subarray(0, bytes.indexOf('\r\n\r\n')).toString('latin1');
  return Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
}
