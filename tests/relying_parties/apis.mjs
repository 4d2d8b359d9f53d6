// The APIs of a real server, as their OpenAPI documents describe them: schemathesis
// sends what fits the document and what does not. No answer may be a server's error,
// and none may be other than the document says. `tests/run api`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { Chancery } from './chancery.mjs';

// So many requests to each endpoint, besides those that try each rule of the
// document once. The same in each run.
const EXAMPLES = '20';

// Whether the server takes all that fits the document is not asked: rules that
// concern two members at once don't stand there.
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'missing_required_header',
  'unsupported_method',
  'allow_header_conformance',
  'use_after_free',
  'ensure_resource_availability',
  'ignored_auth',
];

// The audit API comes last: there is something to ask about then.
const DOCUMENTS = ['/admin/openapi.json', '/audit/openapi.json'];

const SCOPE = 'admin audit:read pii:read';

const chancery = await Chancery.start('sqlite');
let status = 0;
try {
  const token = await operator();
  await chancery.addAccount('somebody', 'a password that nobody guesses', { name: 'Somebody' });
  for (const document of DOCUMENTS) status = (await schemathesis(document, token)) || status;
  const [node] = chancery.nodes;
  if (status !== 0) console.error(node.output.split('\n').slice(-60).join('\n'));
} finally {
  await chancery.close();
}
process.exitCode = status;

// An access token for everything that the APIs do.
async function operator() {
  const { client_id: id, client_secret: secret } = await chancery.addClient('operator', {
    grantTypes: ['client_credentials'],
    scopes: SCOPE.split(' '),
    metadata: { access_token_lifetime: 3600 },
  });
  const response = await fetch(`${chancery.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: SCOPE }),
  });
  const answer = await response.json();
  if (!answer.access_token) throw new Error(JSON.stringify(answer));
  return answer.access_token;
}

async function schemathesis(document, token) {
  const args = [
    ...['run', `${chancery.issuer}${document}`],
    ...['--header', `Authorization: Bearer ${token}`],
    ...['--checks', CHECKS.join(','), '--max-examples', EXAMPLES, '--generation-deterministic'],
    ...['--continue-on-failure', '--request-timeout', '10', '--workers', '1'],
    ...['--warnings', 'off', '--no-color', ...process.argv.slice(2)],
  ];
  const program = process.env.SCHEMATHESIS_BIN;
  if (!program) throw new Error('SCHEMATHESIS_BIN is not set; run tests/run');
  // It would write what it found to the folder that it is in.
  const cwd = chancery.folder;
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  return code ?? 1;
}
