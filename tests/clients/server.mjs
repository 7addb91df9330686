// A built server as a child of a test: it can be killed, and comes back on the same port with the same files.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PROGRAMS = process.env.CLIENTS_PROGRAMS ?? fileURLToPath(new URL('../../target/debug', import.meta.url));

// Long enough for a busy machine: whoever waits so long has failed.
const PATIENCE = 30_000;

export class Server {
  // Runs a program of the workspace, in a directory of its own, until the test ends.
  static async start(t, program, ...args) {
    const directory = await mkdtemp(join(tmpdir(), `${program}-`));
    return new Server(program, directory).until(t, ...args);
  }

  // Another process with the same files.
  async beside(t, ...args) {
    return new Server(this.program, this.directory).until(t, ...args);
  }

  constructor(program, directory) {
    Object.assign(this, { program, directory, port: 0, child: null });
  }

  async until(t, ...args) {
    t.after(() => this.end());
    await this.up(...args);
    return this;
  }

  async up(...args) {
    const listen = ['--listen', `127.0.0.1:${this.port}`];
    const stdio = ['ignore', 'pipe', 'inherit'];
    this.child = spawn(join(PROGRAMS, this.program), [...args, ...listen], { cwd: this.directory, stdio });
    this.gone = once(this.child, 'exit');
    const lines = createInterface({ input: this.child.stdout });
    const died = this.gone.then(([code, signal]) => {
      throw new Error(`${this.program} ended before it listened: ${code ?? signal}`);
    });
    died.catch(() => {});
    this.address = await Promise.race([listening(lines), died]);
    this.port = Number(new URL(this.address).port);
  }

  // SIGKILL; returns when it is dead.
  async kill() {
    this.child.kill('SIGKILL');
    await this.gone;
  }

  // Neither dead nor alive: it does nothing until it is thawed, and its connections stay open.
  freeze() {
    this.child.kill('SIGSTOP');
  }

  thaw() {
    this.child.kill('SIGCONT');
  }

  async restart(...args) {
    await this.kill();
    await this.up(...args);
  }

  async end() {
    if (this.child) await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }

  // What its test route counts.
  async count(what = 'charges') {
    return (await (await fetch(`${this.address}/_test/count`)).json())[what];
  }

  // Returns when it has counted so many.
  async counted(number, what = 'charges') {
    const end = Date.now() + PATIENCE;
    while ((await this.count(what)) < number) {
      if (Date.now() > end) throw new Error(`${this.program} did not count to ${number}`);
      await pause(5);
    }
  }
}

async function listening(lines) {
  for await (const line of lines) {
    const address = /^listening on (http:\S+)$/.exec(line)?.[1];
    if (address) {
      lines.on('line', () => {});
      return address;
    }
  }
  throw new Error('the server says no address');
}
