// A Chancery to test: its configuration, its processes, its command line.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { get as getOverTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const BINARY = required('CHANCERY_BIN');

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run tests/run`);
  return value;
}

// The server reads its settings from variables of that name, and refuses those
// that it does not know: the tests' own are not for it.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('CHANCERY_')),
);

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// Does this URL answer with 200? `ca`: the authority of its certificate.
export async function isThere(url, ca) {
  if (!ca) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => {});
    return answer?.status === 200;
  }
  return new Promise((resolve) => {
    const asked = getOverTls(url, { ca, timeout: 2_000, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
  });
}

// Runs a program to its end.
export function run(program, args, { input, allowFailure = false } = {}) {
  return new Promise((resolve, reject) => {
    const options = { env, maxBuffer: 256 * 1024 * 1024, timeout: 60_000 };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error && !allowFailure) {
        reject(new Error(`${program} ${args.join(' ')}\n${error.message}\n${stdout}${stderr}`));
      } else {
        resolve({ code: error ? error.code : 0, stdout, stderr });
      }
    });
    child.stdin.on('error', () => {}); // it need not read its input
    child.stdin.end(input ?? '');
  });
}

// One process of the server.
export class Node {
  output = '';

  constructor(config, base, ca) {
    this.config = config;
    this.base = base;
    this.ca = ca;
  }

  async start() {
    const child = spawn(BINARY, ['serve', '--config', this.config], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    children.add(child);
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(String(error)));
      child.once('exit', (code, signal) => resolve(code ?? signal));
    }).then((how) => {
      children.delete(child);
      this.child = undefined;
      return how;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.output += text));
    }
    const deadline = Date.now() + 30_000;
    while (!(await this.isReady())) {
      if (!this.child) throw new Error(`serve ended (${await this.ended}):\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`serve is not ready:\n${this.output}`);
      await delay(50);
    }
    return this;
  }

  isReady() {
    return isThere(`${this.base}/health/ready`, this.ca);
  }

  // How it ended: an exit code, or a signal's name.
  async stop(signal = 'SIGTERM') {
    this.child?.kill(signal);
    return this.ended;
  }
}

// Stands in front of the nodes, as a load balancer would; the issuer is its URL.
class Balancer {
  requests = 0;

  constructor(port, ports) {
    this.port = port;
    this.ports = ports;
    this.server = createServer((incoming, outgoing) => this.#forward(incoming, outgoing));
    this.alternate();
  }

  alternate() {
    this.choose = () => this.requests % this.ports.length;
  }

  only(index) {
    this.choose = () => index;
  }

  async listen() {
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }

  #forward(incoming, outgoing) {
    const port = this.ports[this.choose()];
    this.requests += 1;
    const { method, url: path, headers } = incoming;
    const options = { host: '127.0.0.1', port, method, path, headers, agent: false };
    const onward = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', (error) => outgoing.writeHead(502).end(String(error)));
    incoming.pipe(onward);
  }
}

// A store of its own, and one node on it or several behind a balancer.
export class Chancery {
  nodes = [];

  // `store`: sqlite or postgres. `tls`: the files of its certificate, key and
  // authority, where it is to speak TLS. `settings`: more of them, as TOML.
  static async start(store, { nodes = 1, tls, settings = '' } = {}) {
    const chancery = new Chancery();
    try {
      await chancery.#start(store, { count: nodes, tls, settings });
    } catch (error) {
      await chancery.close();
      throw error;
    }
    return chancery;
  }

  async #start(store, { count, tls, settings }) {
    this.store = store;
    this.folder = await mkdtemp(join(tmpdir(), 'chancery-rp-'));
    this.storeUrl = store === 'sqlite' ? `sqlite://${this.folder}/data` : await newDatabase();
    const key = join(this.folder, 'master.key');
    await writeFile(key, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });

    const ports = await Promise.all(Array.from({ length: count }, freePort));
    const issuerPort = count === 1 ? ports[0] : await freePort();
    // Over TLS it is of the same site as an application on localhost: the browser of
    // these tests lets frames of other sites have no cookies.
    const host = tls ? 'https://localhost' : 'http://127.0.0.1';
    const ca = tls && (await readFile(tls.authority));
    this.issuer = `${host}:${issuerPort}`;
    for (const [index, port] of ports.entries()) {
      const config = join(this.folder, `node-${index}.toml`);
      const sections = [configuration(this.issuer, port, this.storeUrl, key), settings];
      if (tls) sections.push(overTls(tls));
      await writeFile(config, sections.join('\n'));
      this.nodes.push(new Node(config, `${host}:${port}`, ca));
    }
    if (count > 1) {
      this.balancer = new Balancer(issuerPort, ports);
      await this.balancer.listen();
    }
    await Promise.all(this.nodes.map((node) => node.start()));
  }

  // The command line on this store.
  command(args, options) {
    return run(BINARY, [...args, '--config', this.nodes[0].config], options);
  }

  async addClient(id, { redirectUris = [], grantTypes, responseTypes = [], scopes, ...rest }) {
    const args = ['client', 'add', '--json', '--id', id];
    redirectUris.forEach((uri) => args.push('--redirect-uri', uri));
    grantTypes.forEach((grant) => args.push('--grant-type', grant));
    responseTypes.forEach((type) => args.push('--response-type', type));
    scopes.forEach((scope) => args.push('--scope', scope));
    if (rest.authMethod) args.push('--auth-method', rest.authMethod);
    if (rest.accessTokenFormat) args.push('--access-token-format', rest.accessTokenFormat);
    for (const [name, value] of Object.entries(rest.metadata ?? {})) {
      args.push('--set', `${name}=${JSON.stringify(value)}`);
    }
    const client = JSON.parse((await this.command(args)).stdout);
    assert.equal(client.client_id, id);
    return client;
  }

  async addAccount(name, password, claims) {
    const args = ['account', 'add', name, '--password-stdin'];
    for (const [claim, value] of Object.entries(claims)) args.push('--claim', `${claim}=${value}`);
    await this.command(args, { input: `${password}\n` });
  }

  async events() {
    const { stdout } = await this.command(['events']);
    return stdout.trim().split('\n').map((line) => JSON.parse(line));
  }

  async close() {
    await Promise.all(this.nodes.map((node) => node.stop('SIGKILL')));
    this.balancer?.close();
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

async function newDatabase() {
  const name = `rp_${randomBytes(6).toString('hex')}`;
  const postgres = required('CHANCERY_TEST_POSTGRES');
  await run('psql', [postgres, '-qX', '-v', 'ON_ERROR_STOP=1', '-c', `CREATE DATABASE ${name}`]);
  const url = new URL(postgres);
  url.pathname = `/${name}`;
  return url.href;
}

function configuration(issuer, port, storeUrl, keyFile) {
  // A JSON string is a TOML string.
  const text = JSON.stringify;
  return `
[server]
issuer = ${text(issuer)}
listen = [${text(`127.0.0.1:${port}`)}]

[store]
url = ${text(storeUrl)}

[master_key]
file = ${text(keyFile)}

[log]
filter = "debug"

[scopes."records:read"]
description = "read your records"
`;
}

// A certificate, and clients on this machine whose certificate is the same
// authority's.
function overTls({ certificate, key, authority }) {
  const text = JSON.stringify;
  return `
[tls]
certificate_file = ${text(certificate)}
key_file = ${text(key)}

[outbound]
allow_loopback = true
extra_ca_files = [${text(authority)}]
`;
}

// The JSON rows that a command printed: one array, or one row a line.
export function rows(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith('[')) return JSON.parse(trimmed);
  return trimmed === '' ? [] : trimmed.split('\n').map((line) => JSON.parse(line));
}
