// What most tests of relying parties begin with: a server, its clients and an
// account, and the relying parties that are these clients.

import assert from 'node:assert/strict';

import * as client from 'openid-client';

import { Person } from './browser.mjs';
import { Chancery } from './chancery.mjs';
import { Application, RelyingParty, Secrets } from './relying_party.mjs';

export const USERNAME = 'alice-of-the-tests';
export const PASSWORD = 'correct horse battery staple';
export const EMAIL = 'alice.ashdown@example.org';
export const NAME = 'Alice Ashdown';
export const SCOPE = 'openid profile email offline_access';
export const SCOPES = ['openid', 'profile', 'email', 'offline_access', 'records:read'];

// A server on this store, its clients and account, and the relying parties.
export class Scene {
  secrets = new Secrets();
  violations = [];

  static async set(browser, store, options) {
    const scene = new Scene();
    scene.browser = browser;
    scene.chancery = await Chancery.start(store, options);
    scene.application = await Application.start();
    const { chancery, application, secrets } = scene;
    const redirectUris = [application.redirectUri];
    const grantTypes = ['authorization_code', 'refresh_token'];
    const responseTypes = ['code'];

    secrets.add('password', PASSWORD);
    await chancery.addAccount(USERNAME, PASSWORD, {
      name: NAME,
      email: EMAIL,
      email_verified: 'true',
    });
    const kinds = {
      web: { authMethod: 'client_secret_basic', accessTokenFormat: 'jwt' },
      opaque: { authMethod: 'client_secret_post', accessTokenFormat: 'opaque' },
      spa: { authMethod: 'none', accessTokenFormat: 'jwt' },
      stranger: { authMethod: 'client_secret_basic', accessTokenFormat: 'jwt' },
    };
    for (const [id, kind] of Object.entries(kinds)) {
      const own = kind.authMethod === 'none' ? [] : ['client_credentials'];
      const { client_secret: secret } = await chancery.addClient(id, {
        ...kind,
        redirectUris,
        responseTypes,
        grantTypes: [...grantTypes, ...own],
        scopes: SCOPES,
      });
      if (kind.authMethod === 'none') assert.equal(secret, undefined);
      else secrets.add('client_secret', secret);
      const auth = {
        client_secret_basic: () => client.ClientSecretBasic(secret),
        client_secret_post: () => client.ClientSecretPost(secret),
        none: () => client.None(),
      }[kind.authMethod]();
      const { issuer } = chancery;
      scene[id] = await RelyingParty.discover(issuer, id, auth, application, secrets);
      scene[id].basic = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    }
    return scene;
  }

  async person(options) {
    const person = await Person.sitDown(this.browser, options);
    person.violations = this.violations;
    return person;
  }

  // A code flow by a person who has not logged in: the answer, not yet redeemed.
  async authorized(party, person, request = {}) {
    const attempt = await party.begin({ scope: SCOPE, ...request });
    await person.follows(this.application.linkTo(attempt.url));
    await person.logsIn(USERNAME, PASSWORD);
    // Consent is remembered: it is asked for unless the person is already back.
    const consent = person.page.locator('#consent-allow');
    const back = person.returnsTo(this.application.redirectUri);
    const asked = await Promise.race([
      consent.waitFor().then(() => true),
      back.then(() => false),
    ]);
    if (asked) await person.allows();
    return { attempt, answer: await back };
  }

  // The tokens of a whole code flow by a person of its own.
  async tokens(party, request) {
    const person = await this.person();
    try {
      const { attempt, answer } = await this.authorized(party, person, request);
      return await party.finish(attempt, answer);
    } finally {
      await person.leaves();
    }
  }

  async strike() {
    this.application?.close();
    await this.chancery?.close();
  }
}
