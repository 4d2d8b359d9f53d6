// What npm openid-client can do besides the flows of `run.mjs`: other ways to
// authenticate, to ask and to be answered, registration, logout.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { exportJWK, generateKeyPair } from 'jose';
import * as client from 'openid-client';

import { launch } from './browser.mjs';
import { EMAIL, SCOPE, SCOPES, Scene } from './scene.mjs';
import { RelyingParty } from './relying_party.mjs';

const claim = (name, test) => it(name, { timeout: 60_000 }, test);

// A key pair of a client's own, and its public half as others see it.
async function makeKey(alg, use = 'sig') {
  const kid = `${use}-${alg}`;
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), alg, use, kid } };
}

describe('openid-client, in other ways', { concurrency: 1 }, () => {
  let browser, scene, chancery;
  before(async () => {
    browser = await launch();
    const settings = '[features]\nregistration = true\n';
    scene = await Scene.set(browser, 'sqlite', { settings });
    ({ chancery } = scene);
  });
  after(async () => {
    await scene?.strike();
    await browser?.close();
  });

  // A client with this metadata, and the relying party that is it.
  async function party(id, metadata, auth, options = {}) {
    const { application, secrets } = scene;
    const { client_secret: secret } = await chancery.addClient(id, {
      redirectUris: [application.redirectUri],
      grantTypes: options.grantTypes ?? ['authorization_code', 'refresh_token'],
      responseTypes: options.responseTypes ?? ['code'],
      scopes: SCOPES,
      metadata,
    });
    secrets.add('client_secret', secret);
    const method = auth ?? client.ClientSecretBasic;
    return RelyingParty.discover(chancery.issuer, id, method(secret), application, secrets, {
      metadata,
      ...options,
    });
  }

  // A whole flow of somebody who logs in; what came of it.
  async function flow(party, request) {
    const person = await scene.person();
    try {
      const { attempt, answer } = await scene.authorized(party, person, request);
      const tokens = await party.finish(attempt, answer);
      return { tokens, answer, claims: tokens.claims() };
    } finally {
      await person.leaves();
    }
  }

  for (const alg of ['ES256', 'PS256', 'EdDSA']) {
    claim(`a client authenticates by assertions that it signs (${alg})`, async () => {
      const { key, kid, jwk } = await makeKey(alg);
      const metadata = {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: alg,
        jwks: { keys: [jwk] },
      };
      const keyed = await party(`keyed-${alg}`, metadata, () => client.PrivateKeyJwt({ key, kid }));
      const { tokens, claims } = await flow(keyed);
      assert.equal((await keyed.userinfo(tokens.access_token, claims.sub)).email, EMAIL);
      const next = await keyed.refresh(tokens.refresh_token);
      assert.equal((await keyed.introspect(next.access_token)).active, true);
      await keyed.revoke(next.refresh_token);
      assert.equal((await keyed.introspect(next.access_token)).active, false);

      const { key: other } = await makeKey(alg);
      const { application, secrets } = scene;
      const auth = client.PrivateKeyJwt({ key: other, kid });
      const id = `keyed-${alg}`;
      const forger = await RelyingParty.discover(chancery.issuer, id, auth, application, secrets);
      await assert.rejects(forger.begin({ scope: SCOPE }), { error: 'invalid_client' });
    });
  }

  claim('a client authenticates by assertions under its secret', async () => {
    const metadata = { token_endpoint_auth_method: 'client_secret_jwt' };
    const hashed = await party('hashed', metadata, client.ClientSecretJwt);
    const { tokens } = await flow(hashed);
    assert.equal((await hashed.introspect(tokens.access_token)).active, true);
  });

  claim('userinfo and introspection come signed, and nested in a JWE', async () => {
    const { key, kid, jwk } = await makeKey('ECDH-ES', 'enc');
    const signed = {
      userinfo_signed_response_alg: 'ES256',
      introspection_signed_response_alg: 'ES256',
    };
    const nested = {
      ...signed,
      userinfo_encrypted_response_alg: 'ECDH-ES',
      userinfo_encrypted_response_enc: 'A256GCM',
      jwks: { keys: [jwk] },
    };
    const decrypts = (config) => client.enableDecryptingResponses(config, ['A256GCM'], { key, kid });
    for (const [id, metadata, uses] of [
      ['signed', signed, []],
      ['nested', nested, [decrypts]],
    ]) {
      const formal = await party(id, metadata, undefined, { uses });
      const { tokens, claims } = await flow(formal);
      // A JWT that is for somebody else, or not signed, would be refused.
      assert.equal((await formal.userinfo(tokens.access_token, claims.sub)).email, EMAIL);
      const found = await formal.introspect(tokens.access_token);
      assert.deepEqual([found.active, found.sub], [true, claims.sub]);
    }
  });

  claim('clients of other sites know a person by other names (pairwise)', async () => {
    const pairwise = await party('pairwise', { subject_type: 'pairwise' });
    const { tokens, claims } = await flow(pairwise);
    const { claims: known } = await flow(scene.web);
    assert.notEqual(claims.sub, known.sub);
    assert.equal((await pairwise.userinfo(tokens.access_token, claims.sub)).email, EMAIL);
  });

  claim('a client registers itself by a token, and its people log in', async () => {
    const { stdout } = await chancery.command(['registration-token', 'create', '--uses', '1', '--json']);
    const { token } = JSON.parse(stdout);
    const { application, secrets } = scene;
    secrets.add('initial_access_token', token);
    const register = () =>
      client.dynamicClientRegistration(
        new URL(chancery.issuer),
        {
          client_name: 'Comes by itself',
          redirect_uris: [application.redirectUri],
          scope: 'openid email',
          token_endpoint_auth_method: 'client_secret_post',
        },
        undefined,
        { initialAccessToken: token, execute: [client.allowInsecureRequests] },
      );
    const config = await register();
    const own = new RelyingParty();
    Object.assign(own, { application, secrets, config, clientId: config.clientMetadata().client_id });
    secrets.add('client_secret', config.clientMetadata().client_secret);
    const { tokens, claims } = await flow(own, { scope: 'openid email' });
    assert.equal(claims.aud, own.clientId);
    assert.equal((await own.userinfo(tokens.access_token, claims.sub)).email, EMAIL);
    await assert.rejects(register(), { status: 401 });
  });

  claim('a client logs a person out, and they come back to it', async () => {
    const { origin } = scene.application;
    const metadata = { post_logout_redirect_uris: [`${origin}/callback`] };
    const leaving = await party('leaving', metadata);
    const person = await scene.person();
    const { attempt, answer } = await scene.authorized(leaving, person);
    const tokens = await leaving.finish(attempt, answer);
    const url = client.buildEndSessionUrl(leaving.config, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: `${origin}/callback`,
      state: 'bye',
    });
    await person.follows(scene.application.linkTo(url));
    const back = await person.returnsTo(`${origin}/callback`);
    assert.equal(back.searchParams.get('state'), 'bye');
    const silent = await leaving.begin({ scope: SCOPE, prompt: 'none' });
    await person.follows(scene.application.linkTo(silent.url));
    const refusal = await person.returnsTo(scene.application.redirectUri);
    assert.equal(refusal.searchParams.get('error'), 'login_required');
    await person.leaves();
  });

  claim('no page did anything against its own policy', () => {
    assert.deepEqual(scene.violations, []);
  });
});
