// Relying parties that others wrote, and a browser, against a real server: on
// SQLite, on PostgreSQL, and on two nodes of one PostgreSQL; quickstart's demo; and
// Apache's mod_auth_openidc.
// `tests/run rp`.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { createLocalJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';

import { launch } from './browser.mjs';
import { rows, run } from './chancery.mjs';
import './demo.test.mjs';
import './mod_auth_openidc.test.mjs';
import './openid_client.test.mjs';
import { EMAIL, NAME, PASSWORD, SCOPE, Scene, USERNAME } from './scene.mjs';

const screenshots = await mkdtemp(join(tmpdir(), 'chancery-pages-'));
console.log(`screenshots: ${screenshots}`);

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

// A test is a claim about the server.
const claim = (name, test) => it(name, { timeout: 90_000 }, test);

// A request to the token endpoint as it is, on some node.
function redeem(base, party, attempt, answer) {
  return fetch(new URL(new URL(party.metadata.token_endpoint).pathname, base), {
    method: 'POST',
    headers: { authorization: party.basic },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code: answer.searchParams.get('code'),
      redirect_uri: party.application.redirectUri,
      code_verifier: attempt.pkceCodeVerifier,
    }),
  });
}

const refused = (error, status = 400) => ({ error, status });

for (const store of ['sqlite', 'postgres']) {
  describe(`one node on ${store}`, { concurrency: 1 }, () => {
    let scene, web, chancery;
    before(async () => {
      scene = await Scene.set(browser, store);
      ({ web, chancery } = scene);
    });
    after(() => scene?.strike());

    claim('both metadata documents agree, and name what the flows need', async () => {
      const { issuer } = chancery;
      const documents = await Promise.all(
        ['openid-configuration', 'oauth-authorization-server'].map((name) =>
          fetch(`${issuer}/.well-known/${name}`).then((response) => response.json()),
        ),
      );
      for (const document of documents) {
        assert.equal(document.issuer, issuer);
        assert.equal(document.authorization_response_iss_parameter_supported, true);
        assert.deepEqual(document.code_challenge_methods_supported, ['S256']);
        for (const endpoint of [
          'authorization_endpoint',
          'token_endpoint',
          'pushed_authorization_request_endpoint',
          'introspection_endpoint',
          'revocation_endpoint',
          'jwks_uri',
        ]) {
          assert.ok(document[endpoint]?.startsWith(`${issuer}/`), endpoint);
          assert.equal(document[endpoint], documents[0][endpoint], endpoint);
        }
        for (const grant of ['authorization_code', 'refresh_token', 'client_credentials']) {
          assert.ok(document.grant_types_supported.includes(grant), grant);
        }
      }
      assert.ok(documents[0].userinfo_endpoint.startsWith(`${issuer}/`));
    });

    claim('a pushed request, a login and a consent end in tokens that verify', async () => {
      const before = Math.floor(Date.now() / 1000);
      const tokens = await scene.tokens(web);
      assert.equal(tokens.token_type, 'bearer');
      assert.ok(tokens.expires_in > 0);
      assert.ok(tokens.refresh_token);
      assert.deepEqual(new Set(tokens.scope.split(' ')), new Set(SCOPE.split(' ')));

      const claims = tokens.claims();
      assert.equal(claims.iss, chancery.issuer);
      assert.equal(claims.aud, 'web');
      assert.ok(claims.auth_time >= before && claims.auth_time <= Date.now() / 1000 + 1);
      assert.ok(claims.amr.includes('pwd'));
      assert.equal(typeof claims.acr, 'string');
      assert.equal(claims.email, undefined, 'claims of a scope come from userinfo');

      const keys = await fetch(web.metadata.jwks_uri).then((response) => response.json());
      for (const key of keys.keys) {
        assert.ok(key.kid);
        for (const secret of ['d', 'p', 'q', 'k']) assert.ok(!(secret in key), secret);
      }
      // RFC 9068 §2
      const { payload } = await jwtVerify(tokens.access_token, createLocalJWKSet(keys), {
        issuer: chancery.issuer,
        typ: 'at+jwt',
        subject: claims.sub,
        requiredClaims: ['aud', 'exp', 'iat', 'jti', 'client_id'],
      });
      assert.equal(payload.client_id, 'web');
      assert.deepEqual(new Set(payload.scope.split(' ')), new Set(SCOPE.split(' ')));
    });

    claim('userinfo tells the claims of the scopes that were granted', async () => {
      const tokens = await scene.tokens(web);
      const { sub } = tokens.claims();
      const claims = await web.userinfo(tokens.access_token, sub);
      assert.equal(claims.sub, sub);
      assert.equal(claims.name, NAME);
      assert.equal(claims.email, EMAIL);
      assert.equal(claims.email_verified, true);

      const less = await scene.tokens(web, { scope: 'openid' });
      assert.equal(less.claims().sub, sub);
      const few = await web.userinfo(less.access_token, sub);
      assert.equal(few.email, undefined);
      assert.equal(few.name, undefined);
      assert.equal(less.refresh_token, undefined, 'without offline_access');
    });

    claim('a refresh rotates the token, keeps the person, and may narrow the scope', async () => {
      const first = await scene.tokens(web);
      const second = await web.refresh(first.refresh_token);
      assert.notEqual(second.refresh_token, first.refresh_token);
      assert.notEqual(second.access_token, first.access_token);
      for (const name of ['sub', 'aud', 'auth_time', 'iss']) {
        assert.deepEqual(second.claims()[name], first.claims()[name], name);
      }
      const narrow = await web.refresh(second.refresh_token, { scope: 'openid email' });
      assert.deepEqual(new Set(narrow.scope.split(' ')), new Set(['openid', 'email']));
      await assert.rejects(
        web.refresh(narrow.refresh_token, { scope: 'openid records:read' }),
        refused('invalid_scope'),
      );
    });

    claim('a reused refresh token revokes the family once its successor was used', async () => {
      const first = await scene.tokens(web);
      const second = await web.refresh(first.refresh_token);
      // The answer was lost: within the grace period the same successor comes again.
      const again = await web.refresh(first.refresh_token);
      assert.equal(again.refresh_token, second.refresh_token);
      const third = await web.refresh(second.refresh_token);
      await assert.rejects(web.refresh(first.refresh_token), refused('invalid_grant'));
      await assert.rejects(web.refresh(third.refresh_token), refused('invalid_grant'));
      assert.equal((await web.introspect(third.access_token)).active, false);
    });

    claim('introspection tells the client about its tokens, and no stranger', async () => {
      const tokens = await scene.tokens(web);
      const found = await web.introspect(tokens.access_token);
      assert.equal(found.active, true);
      assert.equal(found.client_id, 'web');
      assert.equal(found.sub, tokens.claims().sub);
      assert.deepEqual(new Set(found.scope.split(' ')), new Set(SCOPE.split(' ')));
      assert.ok(found.exp > Date.now() / 1000);
      assert.equal((await web.introspect(tokens.refresh_token)).active, true);

      const nothing = { active: false };
      assert.deepEqual(await web.introspect('not-a-token'), nothing);
      assert.deepEqual(await web.introspect(`${tokens.refresh_token.slice(0, -1)}~`), nothing);
      assert.deepEqual(await scene.stranger.introspect(tokens.access_token), nothing);
      assert.deepEqual(await scene.stranger.introspect(tokens.refresh_token), nothing);
    });

    claim('revoking the refresh token ends every token of the grant', async () => {
      const tokens = await scene.tokens(web);
      // RFC 7009 §2.1: another client's token is refused or not known; it stays good.
      await scene.stranger.revoke(tokens.refresh_token).catch(() => {});
      assert.equal((await web.introspect(tokens.access_token)).active, true);

      await web.revoke(tokens.refresh_token);
      await web.revoke('not-a-token');
      assert.deepEqual(await web.introspect(tokens.access_token), { active: false });
      assert.deepEqual(await web.introspect(tokens.refresh_token), { active: false });
      await assert.rejects(web.refresh(tokens.refresh_token), refused('invalid_grant'));
    });

    claim('an opaque access token is introspected, and ends alone when revoked', async () => {
      const { opaque } = scene;
      const tokens = await scene.tokens(opaque);
      const { sub } = tokens.claims();
      assert.ok(!tokens.access_token.includes('.'), 'not a JWT');
      assert.equal((await opaque.introspect(tokens.access_token)).sub, sub);
      assert.equal((await opaque.userinfo(tokens.access_token, sub)).email, EMAIL);

      await opaque.revoke(tokens.access_token);
      assert.deepEqual(await opaque.introspect(tokens.access_token), { active: false });
      const userinfo = await fetch(opaque.metadata.userinfo_endpoint, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      });
      assert.equal(userinfo.status, 401);
      assert.match(userinfo.headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/);
      const next = await opaque.refresh(tokens.refresh_token);
      assert.equal((await opaque.introspect(next.access_token)).active, true);
    });

    claim('client credentials give an access token and nothing else', async () => {
      const tokens = await web.clientCredentials({ scope: 'records:read' });
      assert.equal(tokens.scope, 'records:read');
      assert.equal(tokens.refresh_token, undefined);
      assert.equal(tokens.id_token, undefined);
      const found = await web.introspect(tokens.access_token);
      assert.equal(found.active, true);
      assert.equal(found.scope, 'records:read');
    });

    claim('a wrong client secret is answered with 401 and the scheme', async () => {
      const response = await fetch(web.metadata.token_endpoint, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from('web:wrong').toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate'), /^Basic /);
      assert.equal((await response.json()).error, 'invalid_client');
    });

    claim('a public client gets its tokens by PKCE alone, pushed or not', async () => {
      for (const pushed of [true, false]) {
        const tokens = await scene.tokens(scene.spa, { pushed });
        assert.equal(tokens.claims().aud, 'spa');
        const next = await scene.spa.refresh(tokens.refresh_token);
        assert.notEqual(next.refresh_token, tokens.refresh_token);
      }
    });

    claim('a wrong code verifier gets no token', async () => {
      const person = await scene.person();
      const { attempt, answer } = await scene.authorized(scene.spa, person);
      const wrong = { ...attempt, pkceCodeVerifier: client.randomPKCECodeVerifier() };
      await assert.rejects(scene.spa.finish(wrong, answer), refused('invalid_grant'));
      await person.leaves();
    });

    claim('a replayed code is refused, and its tokens stop working', async () => {
      const person = await scene.person();
      const { attempt, answer } = await scene.authorized(web, person);
      const tokens = await web.finish(attempt, answer);
      const replay = await redeem(chancery.issuer, web, attempt, answer);
      assert.equal(replay.status, 400);
      assert.equal((await replay.json()).error, 'invalid_grant');
      assert.deepEqual(await web.introspect(tokens.access_token), { active: false });
      await assert.rejects(web.refresh(tokens.refresh_token), refused('invalid_grant'));
      await person.leaves();
    });

    claim('the second login of a session needs no password, and no second consent', async () => {
      const person = await scene.person();
      const first = await scene.authorized(web, person);
      const before = (await web.finish(first.attempt, first.answer)).claims();

      const second = await web.begin({ scope: SCOPE });
      await person.follows(scene.application.linkTo(second.url));
      const answer = await person.returnsTo(scene.application.redirectUri);
      const claims = (await web.finish(second, answer)).claims();
      assert.equal(claims.sub, before.sub);
      assert.equal(claims.auth_time, before.auth_time);

      // A form posted across sites does not carry a SameSite=Lax cookie.
      const posted = await web.begin({ scope: SCOPE });
      await person.follows(scene.application.postTo(posted.url));
      const postedAnswer = await person.returnsTo(scene.application.redirectUri);
      assert.equal((await web.finish(posted, postedAnswer)).claims().sub, before.sub);

      const silent = await web.begin({ scope: SCOPE, prompt: 'none' });
      await person.follows(scene.application.linkTo(silent.url));
      const silentAnswer = await person.returnsTo(scene.application.redirectUri);
      assert.equal((await web.finish(silent, silentAnswer)).claims().sub, before.sub);
      await person.leaves();
    });

    claim('prompt=login asks for the password again, and tells the later time', async () => {
      const person = await scene.person();
      const first = await scene.authorized(web, person);
      const before = (await web.finish(first.attempt, first.answer)).claims();
      await delay(1_100);
      const second = await scene.authorized(web, person, { prompt: 'login' });
      const claims = (await web.finish(second.attempt, second.answer)).claims();
      assert.ok(claims.auth_time > before.auth_time);
      await person.leaves();
    });

    claim('prompt=none without a session is answered with login_required', async () => {
      const person = await scene.person();
      const attempt = await web.begin({ scope: SCOPE, prompt: 'none' });
      await person.follows(scene.application.linkTo(attempt.url));
      const answer = await person.returnsTo(scene.application.redirectUri);
      await assert.rejects(web.finish(attempt, answer), (error) => {
        assert.ok(error instanceof client.AuthorizationResponseError);
        assert.equal(error.error, 'login_required');
        return true;
      });
      await person.leaves();
    });

    claim('a person who denies sends back access_denied with iss and state', async () => {
      const person = await scene.person();
      const party = scene.stranger; // nobody has consented to it yet
      const attempt = await party.begin({ scope: SCOPE });
      await person.follows(scene.application.linkTo(attempt.url));
      await person.logsIn(USERNAME, PASSWORD);
      await person.denies();
      const answer = await person.returnsTo(scene.application.redirectUri);
      assert.equal(answer.searchParams.get('iss'), chancery.issuer);
      assert.equal(answer.searchParams.get('state'), attempt.expectedState);
      assert.equal(answer.searchParams.get('code'), null);
      await assert.rejects(party.finish(attempt, answer), (error) => {
        assert.ok(error instanceof client.AuthorizationResponseError);
        assert.equal(error.error, 'access_denied');
        return true;
      });
      await person.leaves();
    });

    claim('everything works without script, on a wrong password too', async () => {
      const person = await scene.person({ javaScriptEnabled: false });
      const attempt = await web.begin({ scope: `${SCOPE} records:read`, prompt: 'consent' });
      await person.follows(scene.application.linkTo(attempt.url));
      await person.logsIn(USERNAME, 'not the password');
      await person.sees('#login-error');
      assert.equal(await person.page.locator('#password').inputValue(), '');
      await person.logsIn(USERNAME, PASSWORD);
      await person.sees('#consent-deny');
      await person.allows();
      const answer = await person.returnsTo(scene.application.redirectUri);
      const tokens = await web.finish(attempt, answer);
      assert.ok(tokens.scope.split(' ').includes('records:read'));
      await person.leaves();
    });

    claim('an unknown client or redirect URI gets a page, never a redirect', async () => {
      const attempt = await web.begin({ scope: SCOPE, pushed: false });
      const spoilt = [
        ['client_id', 'nobody'],
        ['redirect_uri', `${scene.application.origin}/elsewhere`],
        ['redirect_uri', `${scene.application.redirectUri}?more=1`],
      ];
      const person = await scene.person();
      for (const [name, value] of spoilt) {
        const url = new URL(attempt.url);
        url.searchParams.set(name, value);
        const response = await person.page.goto(url.href);
        assert.equal(response.status(), 400, name);
        assert.equal(new URL(person.page.url()).origin, chancery.issuer);
        await person.sees('#error-page');
        assert.match(response.headers()['content-security-policy'], /frame-ancestors 'none'/);
      }
      await person.leaves();
    });

    claim('the pages fit a phone, name their fields, and keep strict headers', async () => {
      const looks = {
        desk: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
        phone: { viewport: { width: 360, height: 740 }, colorScheme: 'dark', isMobile: true },
      };
      for (const [look, options] of Object.entries(looks)) {
        const person = await scene.person(options);
        const { page } = person;
        const inspect = async (name) => {
          await page.screenshot({ path: join(screenshots, `${store}-${name}-${look}.png`) });
          const found = await page.evaluate(() => ({
            language: document.documentElement.lang,
            title: document.title,
            tooWide: document.documentElement.scrollWidth > window.innerWidth,
            background: getComputedStyle(document.documentElement).backgroundColor,
            nameless: [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
              .filter((field) => !field.labels?.length)
              .map((field) => field.id),
          }));
          assert.ok(found.language && found.title, name);
          assert.equal(found.tooWide, false, `${name} scrolls sideways on the ${look}`);
          assert.deepEqual(found.nameless, [], `${name} has fields without a label`);
        };
        const checkHeaders = (headers) => {
          assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
          assert.match(headers['cache-control'], /no-store/);
          assert.equal(headers['x-content-type-options'], 'nosniff');
          assert.ok(headers['referrer-policy']);
        };

        const attempt = await web.begin({ scope: SCOPE, prompt: 'consent' });
        checkHeaders((await page.goto(attempt.url.href)).headers());
        await person.sees('#login-submit');
        await inspect('login');
        await person.logsIn(USERNAME, PASSWORD);
        await person.sees('#consent-allow');
        await inspect('consent');
        // Reloading is harmless, and shows the headers of this page too.
        checkHeaders((await page.reload()).headers());
        await person.allows();
        await web.finish(attempt, await person.returnsTo(scene.application.redirectUri));

        const wrong = new URL(attempt.url);
        wrong.searchParams.set('client_id', 'nobody');
        checkHeaders((await page.goto(wrong.href)).headers());
        await inspect('error');
        await person.leaves();
      }
    });

    claim('no page did anything against its own policy', () => {
      assert.deepEqual(scene.violations, []);
    });

    claim('the history of a grant can be listed and shown', async () => {
      const { stdout } = await chancery.command(['grant', 'list', '--client', 'web', '--json']);
      const grants = rows(stdout);
      assert.ok(grants.length >= 10, `only ${grants.length} grants`);
      const shown = await chancery.command(['grant', 'show', grants[0].grant_id, '--json']);
      assert.ok(shown.stdout.includes(grants[0].grant_id));
    });

    claim('the feed tells every event once, in order', async () => {
      const events = await chancery.events();
      const positions = events.map((event) => event.position);
      assert.ok(positions.length > 100, `only ${positions.length} events`);
      assert.ok(positions.every((position, i) => i === 0 || position > positions[i - 1]));
    });

    claim('no secret and no personal data stand in the log, the store or the messages', async () => {
      assert.ok(scene.secrets.size > 50, `only ${scene.secrets.size} secrets seen`);
      const { stdout: events } = await chancery.command(['events']);
      const [node] = chancery.nodes;
      assert.ok(node.output.length > 0, 'the server said nothing at all');
      const places = { events, messages: node.output };
      if (store === 'sqlite') {
        const data = join(chancery.folder, 'data');
        const files = (await readdir(data, { withFileTypes: true })).filter((f) => f.isFile());
        for (const { name } of files) places[name] = await readFile(join(data, name));
        assert.ok(files.some(({ name }) => name.endsWith('.db')));
      } else {
        const { stdout } = await run('pg_dump', [chancery.storeUrl]);
        assert.ok(stdout.includes('AuthorizationCode') || stdout.includes('authorization_code'));
        places.dump = stdout;
      }
      for (const [place, content] of Object.entries(places)) {
        assert.deepEqual(scene.secrets.foundIn(content), [], `secrets in ${place}`);
        for (const personal of [EMAIL, NAME]) {
          assert.ok(!content.includes(personal), `${personal} in ${place}`);
        }
      }
      assert.ok(!events.includes(USERNAME), 'the account name in events');
    });

    claim('the log replays without a difference, served or stopped', async () => {
      await chancery.command(['replay']);
      const [node] = chancery.nodes;
      assert.equal(await node.stop('SIGTERM'), 0, node.output);
      await chancery.command(['replay']);
      await node.start();
    });

    claim('what was granted before a kill -9 is good after it', async () => {
      const [node] = chancery.nodes;
      const tokens = await scene.tokens(web);
      const next = await web.refresh(tokens.refresh_token);
      await node.stop('SIGKILL');
      await node.start();
      assert.equal((await web.introspect(next.access_token)).active, true);
      const last = await web.refresh(next.refresh_token);
      await assert.rejects(web.refresh(tokens.refresh_token), refused('invalid_grant'));
      await assert.rejects(web.refresh(last.refresh_token), refused('invalid_grant'));
      await chancery.command(['replay']);
    });
  });
}

describe('two nodes on one PostgreSQL', { concurrency: 1 }, () => {
  let scene, web, chancery, balancer;
  before(async () => {
    // Both start at once, on an empty database: migrations must not collide.
    scene = await Scene.set(browser, 'postgres', { nodes: 2 });
    ({ web, chancery } = scene);
    ({ balancer } = chancery);
  });
  after(() => scene?.strike());

  claim('every request of a flow may go to the other node than the one before', async () => {
    balancer.alternate();
    const before = balancer.requests;
    const tokens = await scene.tokens(web);
    const { sub } = tokens.claims();
    assert.equal((await web.userinfo(tokens.access_token, sub)).email, EMAIL);
    const next = await web.refresh(tokens.refresh_token);
    assert.equal((await web.introspect(next.access_token)).active, true);
    assert.equal((await web.introspect(next.access_token)).active, true);
    await web.revoke(next.refresh_token);
    for (const node of [0, 1]) {
      balancer.only(node);
      await assert.rejects(web.refresh(next.refresh_token), refused('invalid_grant'));
    }
    assert.ok(balancer.requests - before >= 10);
  });

  for (const [first, second] of [
    [0, 1],
    [1, 0],
  ]) {
    claim(`what begins on node ${first} goes on on node ${second}`, async () => {
      const person = await scene.person();
      balancer.only(first);
      const attempt = await web.begin({ scope: SCOPE, prompt: 'consent' });
      balancer.only(second);
      await person.follows(scene.application.linkTo(attempt.url));
      await person.sees('#login-submit');
      balancer.only(first);
      await person.logsIn(USERNAME, PASSWORD);
      await person.sees('#consent-allow');
      balancer.only(second);
      await person.allows();
      const answer = await person.returnsTo(scene.application.redirectUri);
      balancer.only(first);
      const tokens = await web.finish(attempt, answer);
      balancer.only(second);
      const next = await web.refresh(tokens.refresh_token);
      balancer.only(first);
      const last = await web.refresh(next.refresh_token);
      balancer.only(second);
      await web.revoke(last.refresh_token);
      // Answers without events are as fresh as promised: one second.
      balancer.only(first);
      await assert.rejects(web.refresh(last.refresh_token), refused('invalid_grant'));
      await delay(1_000);
      assert.deepEqual(await web.introspect(last.access_token), { active: false });

      // The session was begun on one node; the other knows it.
      for (const node of [first, second]) {
        balancer.only(node);
        const again = await web.begin({ scope: SCOPE });
        await person.follows(scene.application.linkTo(again.url));
        const back = await person.returnsTo(scene.application.redirectUri);
        assert.equal((await web.finish(again, back)).claims().sub, tokens.claims().sub);
      }
      await person.leaves();
    });
  }

  claim('a code redeemed on both nodes at once succeeds exactly once', async () => {
    for (let round = 0; round < 5; round += 1) {
      balancer.alternate();
      const person = await scene.person();
      const { attempt, answer } = await scene.authorized(web, person);
      const responses = await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          redeem(chancery.nodes[i % 2].base, web, attempt, answer),
        ),
      );
      const answers = await Promise.all(responses.map((response) => response.json()));
      const good = answers.filter((body) => body.access_token);
      assert.equal(good.length, 1, JSON.stringify(answers.map((body) => body.error ?? 'ok')));
      assert.equal(answers.filter((body) => body.error === 'invalid_grant').length, 15);
      // The others were replays: the grant is revoked, on both nodes.
      for (const node of [0, 1]) {
        balancer.only(node);
        await assert.rejects(web.refresh(good[0].refresh_token), refused('invalid_grant'));
      }
      await person.leaves();
    }
  });

  claim('a token refreshed on both nodes at once has one successor, and it works', async () => {
    balancer.alternate();
    const tokens = await scene.tokens(web);
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => web.refresh(tokens.refresh_token)),
    );
    const successors = new Set(answers.map((answer) => answer.refresh_token));
    assert.equal(successors.size, 1);
    const next = await web.refresh([...successors][0]);
    assert.ok(next.refresh_token);
  });

  claim('what the command line changes, both nodes know within a second', async () => {
    const ask = async (index) => {
      balancer.only(index);
      const response = await fetch(scene.stranger.metadata.token_endpoint, {
        method: 'POST',
        headers: { authorization: scene.stranger.basic },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'records:read' }),
      });
      return response.status;
    };
    assert.deepEqual([await ask(0), await ask(1)], [200, 200]);
    await chancery.command(['client', 'disable', 'stranger']);
    await delay(1_000);
    assert.deepEqual([await ask(0), await ask(1)], [401, 401]);
  });

  claim('when one node is killed, the other goes on with its grants', async () => {
    balancer.only(0);
    const tokens = await scene.tokens(web);
    await chancery.nodes[0].stop('SIGKILL');
    balancer.only(1);
    const next = await web.refresh(tokens.refresh_token);
    assert.equal((await web.introspect(next.access_token)).active, true);
    await chancery.nodes[0].start();
    balancer.only(0);
    assert.equal((await web.introspect(next.access_token)).active, true);
    assert.ok((await web.refresh(next.refresh_token)).refresh_token);
  });

  claim('the log of both nodes replays without a difference', async () => {
    await chancery.command(['replay']);
    const positions = (await chancery.events()).map((event) => event.position);
    assert.ok(positions.length > 50);
    assert.equal(new Set(positions).size, positions.length);
  });
});
