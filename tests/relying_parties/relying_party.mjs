// A relying party: openid-client, and the little web application around it.

import { once } from 'node:events';
import { createServer } from 'node:http';

import * as client from 'openid-client';

// Everything that must never be written down by the server.
export class Secrets {
  #seen = new Map();

  add(kind, value) {
    if (typeof value === 'string' && value.length >= 8) this.#seen.set(value, kind);
    return value;
  }

  get size() {
    return this.#seen.size;
  }

  // The kinds of those that stand in this text or buffer.
  foundIn(where) {
    const found = new Set();
    for (const [value, kind] of this.#seen) if (where.includes(value)) found.add(kind);
    return [...found];
  }
}

// Its pages are on localhost while the issuer is on 127.0.0.1: to a browser that
// is another site, as relying parties are.
export class Application {
  #pages = new Map();

  static async start() {
    const application = new Application();
    application.server = createServer((request, response) => {
      const path = new URL(request.url, 'http://localhost').pathname;
      const body = path === '/callback' ? 'Back.' : application.#pages.get(path);
      response.writeHead(body ? 200 : 404, { 'content-type': 'text/html' });
      response.end(`<!doctype html><title>Relying party</title>${body ?? 'Not here.'}`);
    }).listen(0, '127.0.0.1');
    await once(application.server, 'listening');
    application.origin = `http://localhost:${application.server.address().port}`;
    application.redirectUri = `${application.origin}/callback`;
    return application;
  }

  // A page of ours with a link to the URL.
  linkTo(url) {
    return this.#page(`<a id="go" href="${escape(url.href)}">Go</a>`);
  }

  // A page of ours with a form that posts the URL's parameters.
  postTo(url) {
    const fields = [...url.searchParams].map(
      ([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`,
    );
    return this.#page(`<form method="post" action="${escape(url.origin + url.pathname)}">
      ${fields.join('')}<button id="go">Go</button></form>`);
  }

  #page(body) {
    const path = `/page-${this.#pages.size}`;
    this.#pages.set(path, body);
    return this.origin + path;
  }

  close() {
    this.server?.close();
    this.server?.closeAllConnections();
  }
}

function escape(text) {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

export class RelyingParty {
  // `auth`: a method of openid-client, called. `uses`: what else of it is used.
  static async discover(issuer, clientId, auth, application, secrets, { metadata, uses = [] } = {}) {
    const party = new RelyingParty();
    party.application = application;
    party.secrets = secrets;
    party.clientId = clientId;
    party.config = await client.discovery(new URL(issuer), clientId, metadata, auth, {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks, ...uses],
      [client.customFetch]: (url, options) => party.#fetch(url, options),
    });
    return party;
  }

  get metadata() {
    return this.config.serverMetadata();
  }

  async #fetch(url, options) {
    const response = await fetch(url, options);
    if (response.headers.get('content-type')?.includes('json')) {
      const body = await response.clone().json();
      for (const kind of ['access_token', 'refresh_token', 'id_token']) {
        this.secrets.add(kind, body[kind]);
      }
      this.secrets.add('request_uri', body.request_uri?.split(':').at(-1));
    }
    return response;
  }

  // Begins a code flow with PKCE. `pushed: false` puts the request into the URL.
  async begin({ scope, pushed = true, ...parameters }) {
    const attempt = {
      pkceCodeVerifier: this.secrets.add('code_verifier', client.randomPKCECodeVerifier()),
      expectedState: this.secrets.add('state', client.randomState()),
      expectedNonce: this.secrets.add('nonce', client.randomNonce()),
    };
    const request = {
      redirect_uri: this.application.redirectUri,
      scope,
      code_challenge: await client.calculatePKCECodeChallenge(attempt.pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: attempt.expectedState,
      nonce: attempt.expectedNonce,
      ...parameters,
    };
    attempt.url = pushed
      ? await client.buildAuthorizationUrlWithPAR(this.config, request)
      : client.buildAuthorizationUrl(this.config, request);
    return attempt;
  }

  // Reads the authorization response, checks state and iss, redeems the code.
  finish({ pkceCodeVerifier, expectedState, expectedNonce }, answer) {
    this.secrets.add('code', answer.searchParams.get('code'));
    return client.authorizationCodeGrant(this.config, answer, {
      pkceCodeVerifier,
      expectedState,
      expectedNonce,
      idTokenExpected: true,
    });
  }

  refresh(token, parameters) {
    return client.refreshTokenGrant(this.config, token, parameters);
  }

  userinfo(token, subject) {
    return client.fetchUserInfo(this.config, token, subject);
  }

  introspect(token) {
    return client.tokenIntrospection(this.config, token);
  }

  revoke(token) {
    return client.tokenRevocation(this.config, token);
  }

  clientCredentials(parameters) {
    return client.clientCredentialsGrant(this.config, parameters);
  }
}
