// A web server that lets in whom Chancery knows: Apache with mod_auth_openidc,
// on a port of its own, with a configuration of its own.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { freePort, isThere } from './chancery.mjs';

const PROGRAM = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGTERM')));

export class Apache {
  // `tls`: files of certificate, key and authority. The port is known before the
  // client is registered, the client before the server starts.
  static async prepare(tls) {
    const apache = new Apache();
    apache.tls = tls;
    apache.port = await freePort();
    apache.origin = `https://localhost:${apache.port}`;
    apache.redirectUri = `${apache.origin}/private/openid`;
    apache.backchannelLogoutUri = `${apache.redirectUri}?logout=backchannel`;
    apache.watchUri = `${apache.origin}/private/watch.html`;
    apache.loggedOutUri = `${apache.origin}/logged-out.html`;
    return apache;
  }

  async start({ issuer, clientId, clientSecret }) {
    this.folder = await mkdtemp(join(tmpdir(), 'chancery-apache-'));
    // Its workers are another user, if we are root.
    await chmod(this.folder, 0o755);
    await mkdir(join(this.folder, 'pages', 'private'), { recursive: true });
    const page = (name, body) =>
      writeFile(join(this.folder, 'pages', name), `<!doctype html><title>Apache</title>${body}\n`);
    await page('index.html', '<p id="public">Everybody may read this.');
    await page('logged-out.html', '<p id="logged-out">Logged out.');
    await page(
      'private/index.html',
      `<dl><dt>user<dd id="user"><!--#echo var="REMOTE_USER" -->
       <dt>e-mail<dd id="email"><!--#echo var="OIDC_CLAIM_email" --></dl>`,
    );
    await page('private/staff.html', '<p id="staff">Only staff may read this.');
    // OpenID Connect Session Management §3: a frame of the server's, one of ours.
    const { pathname } = new URL(this.redirectUri);
    await page(
      'private/watch.html',
      `<p id="watched">Whoever logs out elsewhere leaves this page.
       <iframe id="openidc-op" src="${pathname}?session=iframe_op"></iframe>
       <iframe id="openidc-rp" src="${pathname}?session=iframe_rp&amp;poll=1"></iframe>`,
    );
    const configuration = join(this.folder, 'apache.conf');
    await writeFile(configuration, this.#configuration({ issuer, clientId, clientSecret }));

    const args = ['-d', this.folder, '-f', configuration, '-D', 'FOREGROUND'];
    this.child = spawn(PROGRAM, args, { stdio: 'inherit' });
    running.add(this.child);
    this.ended = once(this.child, 'exit').then(([code, signal]) => {
      running.delete(this.child);
      this.child = undefined;
      return code ?? signal;
    });
    const deadline = Date.now() + 20_000;
    const ca = await readFile(this.tls.authority);
    while (!(await isThere(`${this.origin}/`, ca))) {
      if (!this.child) throw new Error(`Apache ended (${await this.ended}):\n${await this.log()}`);
      if (Date.now() > deadline) throw new Error(`Apache is not ready:\n${await this.log()}`);
      await delay(50);
    }
    return this;
  }

  #configuration({ issuer, clientId, clientSecret }) {
    const modules = [
      'mpm_event',
      'authn_core',
      'authz_core',
      'authz_user',
      'auth_openidc',
      'dir',
      'env',
      'include',
      'mime',
      'ssl',
    ];
    const user = process.getuid() === 0 ? 'User www-data\nGroup www-data' : '';
    return `
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
ServerName localhost
Listen 127.0.0.1:${this.port}
${user}
PidFile ${this.folder}/pid
DefaultRuntimeDir ${this.folder}
ErrorLog ${this.folder}/log
LogLevel warn auth_openidc:debug
StartServers 1
TypesConfig /dev/null
AddType text/html .html
DocumentRoot ${this.folder}/pages
DirectoryIndex index.html

SSLEngine on
SSLCertificateFile ${this.tls.certificate}
SSLCertificateKeyFile ${this.tls.key}

OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCCABundlePath ${this.tls.authority}
OIDCClientID ${clientId}
OIDCClientSecret ${clientSecret}
OIDCRedirectURI ${this.redirectUri}
OIDCCryptoPassphrase ${randomBytes(32).toString('hex')}
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCSessionType server-cache
OIDCInfoHook access_token id_token userinfo session

<Directory ${this.folder}/pages>
  Options +Includes
  AddOutputFilter INCLUDES .html
  Require all granted
</Directory>
<Location /private>
  AuthType openid-connect
  Require valid-user
</Location>
<Location /private/staff.html>
  AuthType openid-connect
  Require claim groups:staff
</Location>
`;
  }

  async log() {
    const path = join(this.folder, 'log');
    return existsSync(path) ? readFile(path, 'utf8') : '';
  }

  async close() {
    if (this.child) {
      this.child.kill('SIGTERM');
      await this.ended;
    }
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

// A certificate for localhost and 127.0.0.1, by an authority made for it.
export function makeCertificate(folder) {
  const file = (name) => join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl(
    ...['req', '-x509', ...key, '-subj', '/CN=Authority of the tests'],
    ...['-keyout', 'authority.key', '-out', 'authority.pem'],
  );
  openssl(
    ...['req', '-x509', ...key, '-subj', '/CN=localhost'],
    ...['-CA', 'authority.pem', '-CAkey', 'authority.key'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-addext', 'basicConstraints=critical,CA:FALSE'],
    ...['-keyout', 'server.key', '-out', 'server.pem'],
  );
  return {
    authority: file('authority.pem'),
    certificate: file('server.pem'),
    key: file('server.key'),
  };
}
