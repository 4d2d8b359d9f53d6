// Quickstart and its demo, as a person tries them: `/demo` in a browser, every
// button of it, and the events as they happen. `tests/run rp`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { launch, Person } from './browser.mjs';
import { freePort } from './chancery.mjs';

const BINARY = process.env.CHANCERY_BIN;
const OPAQUE = /^[A-Za-z0-9_-]+$/;

const claim = (name, test) => it(name, { timeout: 60_000 }, test);

// A server that was made on the spot.
class Quickstart {
  static async start() {
    const quickstart = new Quickstart();
    quickstart.folder = await mkdtemp(join(tmpdir(), 'chancery-demo-'));
    const listen = `localhost:${await freePort()}`;
    quickstart.base = `http://${listen}`;
    const args = ['quickstart', '--listen', listen, '--data', join(quickstart.folder, 'data')];
    quickstart.child = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    quickstart.ended = once(quickstart.child, 'exit').then(([code, signal]) => code ?? signal);
    let greeting = '';
    for await (const text of quickstart.child.stdout.setEncoding('utf8')) {
      greeting += text;
      if (greeting.includes('Ctrl-C')) return quickstart;
    }
    throw new Error(`quickstart ended (${await quickstart.ended}): ${greeting}`);
  }

  async close() {
    this.child.kill('SIGTERM');
    const how = await this.ended;
    await rm(this.folder, { recursive: true, force: true });
    return how;
  }
}

// A person at the demo's page.
class Visitor {
  static async come(browser, base, options) {
    const visitor = new Visitor();
    visitor.person = await Person.sitDown(browser, options);
    visitor.page = visitor.person.page;
    visitor.base = base;
    await visitor.page.goto(`${base}/demo`);
    return visitor;
  }

  start() {
    return this.page.locator('#demo-start').click();
  }

  async logsIn() {
    await this.person.logsIn('demo', 'demo');
  }

  returns() {
    return this.page.waitForURL(`${this.base}/demo`);
  }

  // Presses a button; the demo's state after it.
  async presses(name) {
    const answered = this.page.waitForResponse(`${this.base}/demo/${name}`);
    await this.page.locator(`#demo-${name}`).click();
    const answer = await answered;
    assert.equal(answer.status(), 200);
    const state = await answer.json();
    return { ...state, last: state.exchanges.at(-1) };
  }

  // Waits until so many events are shown; their types.
  async sees(count) {
    const items = this.page.locator('#demo-events li');
    await items.nth(count - 1).waitFor();
    return items.evaluateAll((all) => all.map((item) => item.dataset.type));
  }

  async leaves() {
    assert.deepEqual(this.person.violations, []);
    await this.person.leaves();
  }
}

describe('the demo of a quickstart', { concurrency: 1 }, () => {
  let browser, quickstart;
  before(async () => {
    browser = await launch();
    quickstart = await Quickstart.start();
  });
  after(async () => {
    await browser?.close();
    await quickstart?.close();
  });
  const come = (options) => Visitor.come(browser, quickstart.base, options);

  claim('the first page leads there, and names what there is to try', async () => {
    const visitor = await come();
    await visitor.page.goto(`${quickstart.base}/`);
    assert.match(await visitor.page.locator('#index-page').innerText(), /demo-secret/);
    await visitor.page.locator('#index-demo').click();
    await visitor.returns();
    await visitor.leaves();
  });

  claim('who denies returns with access_denied, and sees what was recorded', async () => {
    const visitor = await come();
    await visitor.start();
    await visitor.logsIn();
    await visitor.person.denies();
    await visitor.returns();
    await visitor.person.sees('#demo-login-error');
    assert.match(await visitor.page.locator('#demo-login-error').innerText(), /access_denied/);
    await visitor.leaves();
  });

  claim('a person logs in and consents, and every button does what it says', async () => {
    const visitor = await come();
    const { page } = visitor;
    assert.equal(await page.locator('#demo-refresh').count(), 0, 'there is nothing to refresh yet');
    await visitor.start();
    await visitor.logsIn();
    await visitor.person.allows();
    await visitor.returns();

    // The past of the grant, before the page was there.
    const story = [
      'RequestPushed',
      'SubjectAuthenticated',
      'ConsentGiven',
      'CodeIssued',
      'CodeRedeemed',
    ];
    assert.deepEqual(await visitor.sees(story.length), story);
    assert.equal(await page.locator('#demo-events-status').innerText(), 'live');
    const tokens = page.locator('#demo-tokens');
    await tokens.getByText('Demo', { exact: false }).first().waitFor();
    assert.match(await page.locator('#demo-id-token').innerText(), /nonce/);
    assert.match(await page.locator('#demo-access-token').innerText(), /at\+jwt/);
    const command = await page.locator('#demo-history code').innerText();
    assert.match(command, /^chancery grant show [0-9a-f]{32} --data /);

    const state = await page.evaluate(() => fetch('/demo/state').then((answer) => answer.json()));
    assert.deepEqual(state.exchanges.map(({ call }) => call), ['push', 'authorize', 'redeem']);
    assert.match(state.tokens.refresh_token, OPAQUE);
    const sent = new Map(state.exchanges[0].parameters);
    assert.equal(sent.get('code_challenge_method'), 'S256');
    assert.ok(!JSON.stringify(state).includes('demo-secret'));

    const refreshed = await visitor.presses('refresh');
    assert.equal(refreshed.last.status, 200);
    assert.notEqual(refreshed.tokens.access_token, state.tokens.access_token);
    assert.notEqual(refreshed.tokens.refresh_token, state.tokens.refresh_token);
    assert.equal(refreshed.grant_id, state.grant_id);
    story.push('RefreshTokenRotated');
    assert.deepEqual(await visitor.sees(story.length), story);
    await page.locator('#demo-access-token .badge', { hasText: 'new' }).waitFor();

    const userinfo = await visitor.presses('userinfo');
    assert.equal(userinfo.last.status, 200);
    assert.equal(userinfo.last.answer.email, 'demo@example.com');
    assert.equal(userinfo.last.answer.name, 'Demo Person');

    const introspected = await visitor.presses('introspect');
    assert.equal(introspected.last.answer.active, true);
    assert.equal(introspected.last.answer.client_id, 'demo');

    const own = await visitor.presses('client-credentials');
    assert.equal(own.last.answer.scope, 'demo:read');
    assert.equal(own.tokens.access_token, refreshed.tokens.access_token, 'the grant stays');
    story.push('TokensIssued');
    assert.deepEqual(await visitor.sees(story.length), story);

    const revoked = await visitor.presses('revoke');
    assert.equal(revoked.last.status, 200);
    assert.equal(revoked.revoked, true);
    story.push('GrantRevoked');
    assert.deepEqual(await visitor.sees(story.length), story);
    assert.match(await page.locator('#demo-grant').innerText(), /revoked/);

    assert.deepEqual((await visitor.presses('introspect')).last.answer, { active: false });
    assert.equal((await visitor.presses('userinfo')).last.status, 401);
    assert.equal((await visitor.presses('refresh')).last.answer.error, 'invalid_grant');

    // A page that comes later shows the same events, each once.
    await page.reload();
    assert.deepEqual(await visitor.sees(story.length), story);
    await visitor.leaves();
  });

  claim('events appear on a page that does nothing, as another acts', async () => {
    const visitor = await come();
    const watching = await visitor.person.context.newPage();
    await watching.goto(`${quickstart.base}/demo`);
    await watching.locator('#demo-events-status.on').waitFor();
    assert.equal(await watching.locator('#demo-events li').count(), 0, 'none of other browsers');
    await visitor.presses('client-credentials');
    await watching.locator('#demo-events li[data-type=TokensIssued]').waitFor();
    await visitor.leaves();
  });

  claim('without script a login can be started all the same', async () => {
    const visitor = await come({ javaScriptEnabled: false });
    await visitor.start();
    await visitor.logsIn();
    await visitor.returns();
    await visitor.person.sees('#demo-tokens');
    await visitor.leaves();
  });

  claim('the demo fits a phone', async () => {
    const options = { viewport: { width: 360, height: 740 }, colorScheme: 'dark', isMobile: true };
    const visitor = await come(options);
    const fits = async (what) => {
      const width = await visitor.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${what} is ${width} wide`);
    };
    await fits('the first page');
    await visitor.start();
    await visitor.logsIn();
    await visitor.returns();
    await visitor.sees(5);
    await fits('the page of a grant');
    await visitor.leaves();
  });

  claim('told to stop it ends, although a page still follows the events', async () => {
    const visitor = await come();
    await visitor.page.locator('#demo-events-status.on').waitFor();
    const began = Date.now();
    assert.equal(await quickstart.close(), 0);
    assert.ok(Date.now() - began < 10_000, `after ${Date.now() - began} ms`);
    await visitor.person.leaves();
  });
});
