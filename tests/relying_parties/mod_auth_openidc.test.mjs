// Debian's libapache2-mod-auth-openidc, as an operator would set it up: over TLS,
// with metadata, PKCE, userinfo, logout by the relying party and by the server.

import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Apache, makeCertificate } from './apache.mjs';
import { launch, Person } from './browser.mjs';
import { Chancery } from './chancery.mjs';

const USERNAME = 'bob-of-the-tests';
const PASSWORD = 'a password that nobody guesses';
const EMAIL = 'bob.barley@example.org';

for (const store of ['sqlite', 'postgres']) {
  describe(`Apache's mod_auth_openidc, on ${store}`, { concurrency: 1 }, () => {
    let folder, browser, chancery, apache;
    before(async () => {
      browser = await launch();
      folder = await mkdtemp(join(tmpdir(), 'chancery-tls-'));
      await chmod(folder, 0o755);
      const tls = makeCertificate(folder);
      chancery = await Chancery.start(store, {
        tls,
        settings: '[features]\nsession_management = true\n',
      });
      apache = await Apache.prepare(tls);
      const { client_secret: clientSecret } = await chancery.addClient('apache', {
        redirectUris: [apache.redirectUri],
        grantTypes: ['authorization_code'],
        responseTypes: ['code'],
        scopes: ['openid', 'profile', 'email'],
        metadata: {
          client_name: 'The wiki',
          require_pkce: true,
          post_logout_redirect_uris: [apache.loggedOutUri, apache.watchUri],
          backchannel_logout_uri: apache.backchannelLogoutUri,
          backchannel_logout_session_required: true,
        },
      });
      await chancery.addAccount(USERNAME, PASSWORD, { name: 'Bob Barley', email: EMAIL });
      await apache.start({ issuer: chancery.issuer, clientId: 'apache', clientSecret });
    });
    after(async () => {
      await browser?.close();
      await apache?.close();
      await chancery?.close();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    // What fails is told with what Apache had to say about it.
    const claim = (name, test) =>
      it(name, { timeout: 60_000 }, async () => {
        try {
          await test();
        } catch (error) {
          console.error((await apache.log()).split('\n').slice(-40).join('\n'));
          throw error;
        }
      });

    // The certificate is known to the servers; the browser is not told of it.
    const sitDown = () => Person.sitDown(browser, { ignoreHTTPSErrors: true });

    // Comes to the private page, by way of Chancery's login.
    async function visit(person) {
      await person.page.goto(`${apache.origin}/private/`);
      await person.logsIn(USERNAME, PASSWORD);
      const consent = person.page.locator('#consent-allow');
      await consent.or(person.page.locator('#user')).waitFor();
      if (await consent.isVisible()) await person.allows();
      await person.sees('#user');
      return person.page.locator('#user').innerText();
    }

    const info = async (person) => {
      const answer = await person.page.request.get(`${apache.redirectUri}?info=json`);
      return answer.status() === 200 ? answer.json() : { status: answer.status() };
    };

    claim('the public page is public, and the private one leads to the login', async () => {
      const person = await sitDown();
      await person.page.goto(`${apache.origin}/`);
      await person.sees('#public');
      await person.page.goto(`${apache.origin}/private/`);
      await person.sees('#login-submit');
      const login = new URL(person.page.url());
      assert.equal(login.origin, chancery.issuer);
      await person.leaves();
    });

    claim('who logs in is let in, by name and with the claims of userinfo', async () => {
      const person = await sitDown();
      const user = await visit(person);
      const { id_token: claims, userinfo, access_token: token } = await info(person);
      assert.equal(claims.iss, chancery.issuer);
      assert.equal(claims.aud, 'apache');
      assert.ok(claims.sid, 'the ID token names the session');
      assert.equal(user, `${claims.sub}@${new URL(chancery.issuer).host}`);
      assert.equal(userinfo.sub, claims.sub);
      assert.equal(userinfo.name, 'Bob Barley');
      assert.equal(await person.page.locator('#email').innerText(), EMAIL);
      assert.ok(token);

      // Apache decides by claims, and Bob has no groups.
      const staff = await person.page.request.get(`${apache.origin}/private/staff.html`);
      assert.equal(staff.status(), 401);
      assert.deepEqual(person.violations, []);
      await person.leaves();
    });

    claim('who denies is not let in', async () => {
      const person = await sitDown();
      await chancery.addAccount(`denier-${store}`, PASSWORD, {});
      await person.page.goto(`${apache.origin}/private/`);
      await person.logsIn(`denier-${store}`, PASSWORD);
      await person.denies();
      await person.page.waitForURL(`${apache.origin}/**`);
      const answer = new URL(person.page.url()).searchParams;
      assert.equal(answer.get('error'), 'access_denied');
      // This version takes an error with `iss` (RFC 9207) for a login that somebody
      // else began, and refuses it with words that say so.
      assert.match(await person.page.locator('body').innerText(), /Error/);
      await person.page.goto(`${apache.origin}/private/`);
      await person.sees('#consent-allow');
      await person.leaves();
    });

    claim('logging out at the relying party ends the session here too', async () => {
      const person = await sitDown();
      await visit(person);
      const onward = encodeURIComponent(apache.loggedOutUri);
      await person.page.goto(`${apache.redirectUri}?logout=${onward}`);
      await person.sees('#logged-out');
      await person.page.goto(`${apache.origin}/private/`);
      await person.sees('#login-submit');
      await person.leaves();
    });

    claim('logging out here ends the session there, in no other browser', async () => {
      const person = await sitDown();
      const elsewhere = await sitDown();
      await visit(person);
      await visit(elsewhere);
      // By a tab of its own: the relying party's page is not asked.
      const tab = await person.context.newPage();
      await tab.goto(`${chancery.issuer}/logout`);
      await tab.locator('#logout-submit').click();
      await tab.locator('#logged-out-page').waitFor();
      await gone(person);
      await person.page.reload();
      await person.sees('#login-submit');
      assert.equal((await info(elsewhere)).userinfo.email, EMAIL);
      await person.leaves();
      await elsewhere.leaves();
    });

    claim('a page that watches the session by frames learns of a logout by itself', async () => {
      const person = await sitDown();
      await visit(person);
      const heard = [];
      person.page.on('console', (message) => {
        const told = /^receiveMessage: (\w+) from/.exec(message.text());
        if (told) heard.push(told[1]);
      });
      await person.page.goto(apache.watchUri);
      await person.sees('#watched');
      await until(() => heard.length >= 2, 'the frame says nothing');
      assert.deepEqual([...new Set(heard)], ['unchanged']);
      const tab = await person.context.newPage();
      await tab.goto(`${chancery.issuer}/logout`);
      await tab.locator('#logout-submit').click();
      await tab.locator('#logged-out-page').waitFor();
      await person.sees('#login-submit');
      assert.equal(heard.at(-1), 'changed');
      assert.deepEqual(person.violations, []);
      await person.leaves();
    });

    claim('locking the account ends the session there', async () => {
      const person = await sitDown();
      await visit(person);
      await chancery.command(['account', 'lock', USERNAME]);
      await gone(person);
      await person.leaves();
      await chancery.command(['account', 'unlock', USERNAME]);
    });

    // Waits until the session of Apache is gone, without asking Chancery for another.
    const gone = (person) =>
      until(async () => !(await info(person)).userinfo, 'the session is still there');

    async function until(holds, otherwise) {
      const deadline = Date.now() + 10_000;
      while (!(await holds())) {
        assert.ok(Date.now() < deadline, otherwise);
        await delay(100);
      }
    }

    claim('the log replays without a difference', async () => {
      await chancery.command(['replay']);
      const events = await chancery.events();
      const told = events.filter(({ event_type: type }) => /^BackchannelLogout/.test(type));
      assert.ok(told.length > 0, [...new Set(events.map((e) => e.event_type))].join(' '));
    });
  });
}
