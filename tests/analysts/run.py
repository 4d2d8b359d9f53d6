"""What analysts do with the log: export it, and read the files with DuckDB. `tests/run analysts`.

A store with a made-up history, a server on it that strangers ask, an export in several runs. Every
row read back is the event that the program prints, and every ready query gives the figures that
follow from the printed events, on Parquet and on NDJSON. What the server says at `/events/figures`,
which the dashboard shows, is what DuckDB says.
"""

import base64
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from http.cookiejar import CookieJar
from pathlib import Path

import duckdb

import dashboard
import figures

GRANTS = 2000
# How long a window of counts may take to be recorded: it is a minute long.
PATIENCE = 150


class Chancery:
    """The program, on a store in a folder."""

    def __init__(self, folder):
        self.program = os.environ['CHANCERY_BIN']
        self.store = folder / 'store'
        self.config = folder / 'chancery.toml'
        # The server refuses settings that it does not know.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith('CHANCERY_')}
        with socket.create_server(('127.0.0.1', 0)) as free:
            self.issuer = f'http://127.0.0.1:{free.getsockname()[1]}'
        self.config.write_text(
            f'server.issuer = "{self.issuer}"\n'
            f'server.listen = ["{self.issuer.removeprefix("http://")}"]\n'
            f'store.url = "sqlite://{self.store}"\n'
            f'master_key.file = "{self.store}/master.key"\n'
            'log.filter = "warn"\n'
        )

    def run(self, *arguments):
        done = subprocess.run(
            [self.program, *arguments], env=self.env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr)
        return done.stdout

    def on_store(self, *arguments):
        return self.run(*arguments, '--config', str(self.config))

    def events(self):
        return [json.loads(line) for line in self.on_store('events').splitlines()]

    def serve(self):
        server = subprocess.Popen([self.program, 'serve', '--config', self.config], env=self.env)
        deadline = time.monotonic() + 30
        while not self.answers('/health/ready'):
            assert server.poll() is None and time.monotonic() < deadline, 'it does not start'
            time.sleep(0.05)
        return server

    def answers(self, path):
        try:
            return urllib.request.urlopen(self.issuer + path, timeout=2).status == 200
        except OSError:
            return False

    def ask(self, path, form=None, secret=None, browser=None, client='till', token=None):
        """Gives status and text of an answer, whatever it is."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(self.issuer + path, data)
        request.add_header('origin', self.issuer)
        if secret:
            pair = base64.b64encode(f'{client}:{secret}'.encode()).decode()
            request.add_header('authorization', f'Basic {pair}')
        if token:
            request.add_header('authorization', f'Bearer {token}')
        opener = browser or urllib.request.build_opener()
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def strangers(chancery):
    """Asks what is refused or never heard of again; gives what is to be counted of it."""
    secret = SECRET
    token = lambda form, secret: chancery.ask('/token', form, secret)
    credentials = {'grant_type': 'client_credentials', 'scope': 'read'}
    for _ in range(4):
        assert token(credentials, secret)[0] == 200
    for _ in range(3):
        assert token(credentials, 'another secret')[0] == 401
    code = {'grant_type': 'authorization_code', 'code': 'nonsense', 'redirect_uri': CALLBACK}
    for _ in range(2):
        assert token(code, secret)[0] == 400
    good = {
        'client_id': 'till',
        'response_type': 'code',
        'redirect_uri': CALLBACK,
        'scope': 'openid',
        'code_challenge': 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
        'code_challenge_method': 'S256',
    }
    authorize = lambda but={}: '/authorize?' + urllib.parse.urlencode(good | but)
    assert chancery.ask(authorize({'redirect_uri': 'https://else.example/'}))[0] == 400
    for _ in range(5):
        assert chancery.ask(authorize())[0] == 200
    # One more comes as far as the login, and leaves at the consent.
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    _, page = chancery.ask(authorize(), browser=browser)
    for password in ('wrong', 'sample'):
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
        form = dict(hidden) | {
            'username': 'person-0000001',
            'password': password,
            'action': 'login',
        }
        status, page = chancery.ask('/login', form, browser=browser)
    assert status == 200 and 'name="password"' not in page, page
    return {
        ('till', 'token_request_refused'): 2,
        (None, 'token_request_refused'): 3,
        ('till', 'client_authentication_failed'): 3,
        ('till', 'authorization_request_begun'): 6,
        ('till', 'authorization_request_refused'): 1,
        ('till', 'login_failed'): 1,
    }


CALLBACK = 'https://till.example/callback'
SECRET = 'a secret that nobody guesses, of a client'


def wait_for(chancery, expected):
    """Waits until the windows are recorded in which this was counted."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = {}
        for _, count in figures.counts(chancery.events()):
            key = (count.get('client_id'), count['what'])
            found[key] = found.get(key, 0) + count['count']
        if found == expected:
            return
        assert time.monotonic() < deadline, (found, expected)
        time.sleep(1)


def ask_for_figures(chancery, days):
    """What the dashboard shows: of all there is, and of some days; of all clients, and of each. It is
    asked when it knows of all that was recorded."""
    credentials = {'grant_type': 'client_credentials', 'scope': 'events:read'}
    status, answer = chancery.ask('/token', credentials, SECRET, client='analyst')
    assert status == 200, answer
    token = json.loads(answer)['access_token']
    end = chancery.events()[-1]['position']
    deadline = time.monotonic() + 30

    def ask(query):
        while True:
            path = '/events/figures?' + urllib.parse.urlencode(query)
            status, answer = chancery.ask(path, token=token)
            assert status == 200, answer
            answer = json.loads(answer)
            if answer['as_of']['position'] >= end and 'unsettled' not in answer['as_of']:
                return answer
            assert time.monotonic() < deadline, answer['as_of']
            time.sleep(0.1)

    clients = [own['client_id'] for own in ask({'period': 'all'})['clients'] if 'client_id' in own]
    assert len(clients) == 14, clients
    about = lambda period: {
        client: ask(period | ({'client_id': client} if client else {}))
        for client in (None, *clients)
    }
    return about({'period': 'all'}), about({'from': days[0], 'to': days[1]}), end


# --- reading back -------------------------------------------------------------

COLUMNS = [
    'position', 'recorded_at', 'occurred_at', 'aggregate_type', 'aggregate_id', 'sequence',
    'event_type', 'event_version', 'client_id', 'subject', 'session_id', 'request_id', 'trace_id',
    'actor', 'actor_ref', 'on_behalf_of', 'command_id', 'correlation_id', 'causation_id', 'node',
    'payload', 'metadata', 'prev_digest', 'digest', 'day',
]  # fmt: skip
OF_METADATA = COLUMNS[8:20]


def as_row(event):
    metadata = event['metadata']
    own = {name: metadata.get(name) for name in OF_METADATA} | event
    own['recorded_at'] = datetime.fromisoformat(event['recorded_at'])
    own['occurred_at'] = datetime.fromisoformat(metadata['occurred_at'])
    own['day'] = own['recorded_at'].date()
    parent = metadata.get('traceparent')
    own['trace_id'] = parent.split('-')[1] if parent else None
    return {name: own[name] for name in COLUMNS}


def connect(chancery, folder):
    """DuckDB with the view of the files."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    printed = chancery.run('events', 'query', 'funnel', '--dir', str(folder))
    connection.execute(printed.split(';')[0])
    return connection


def every_event_is_read_back(chancery, folder, events):
    connection = connect(chancery, folder)
    found = connection.execute('SELECT * FROM events ORDER BY position')
    names = [column[0] for column in found.description]
    assert names == COLUMNS, names
    rows = found.fetchall()
    assert len(rows) == len(events), (len(rows), len(events))
    for values, event in zip(rows, events):
        row = dict(zip(names, values))
        # The same JSON, if perhaps not byte by byte.
        row['payload'], row['metadata'] = json.loads(row['payload']), json.loads(row['metadata'])
        expected = as_row(event)
        differing = {n: (row[n], expected[n]) for n in names if row[n] != expected[n]}
        assert not differing, (event['position'], differing)


def types_are_those_of_the_page(chancery, folder):
    connection = connect(chancery, folder)
    types = dict(row[:2] for row in connection.execute('DESCRIBE events').fetchall())
    for name in COLUMNS:
        expected = {
            'position': 'BIGINT',
            'sequence': 'BIGINT',
            'recorded_at': 'TIMESTAMP WITH TIME ZONE',
            'occurred_at': 'TIMESTAMP WITH TIME ZONE',
            'day': 'DATE',
        }.get(name, 'VARCHAR')
        assert types[name] == expected, (name, types[name])


def is_close(found, expected):
    if isinstance(found, float) or isinstance(expected, float):
        return None not in (found, expected) and math.isclose(found, expected, rel_tol=1e-12)
    return found == expected


def order(row):
    return [(value is None, str(value)) for value in row if not isinstance(value, float)]


def every_query_gives_its_figures(chancery, folder, events):
    """Gives the rows of each."""
    listed = json.loads(chancery.run('events', 'queries', '--json'))
    names = [query['name'] for query in listed]
    assert sorted(names) == sorted(figures.ALL), names
    results = {}
    for query in listed:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        # As it is printed, and nothing else.
        printed = chancery.run('events', 'query', query['name'], '--dir', str(folder))
        answer = connection.execute(printed)
        documented = re.search(r'-- Columns:\n((?:--.*\n)*)', query['sql']).group(1)
        documented = re.findall(r'^--   (\w+(?:, \w+)*)(?:  |$)', documented, re.MULTILINE)
        documented = [name for names in documented for name in names.split(', ')]
        assert [column[0] for column in answer.description] == documented, documented
        found = sorted(answer.fetchall(), key=order)
        expected = sorted(figures.ALL[query['name']](events), key=order)
        assert len(found) == len(expected), (query['name'], len(found), len(expected))
        for row, own in zip(found, expected):
            close = all(is_close(value, other) for value, other in zip(row, own, strict=True))
            assert close, f'{query["name"]} in {folder.name}\n  DuckDB: {row}\n  Python: {own}'
        results[query['name']] = found
        print(f'  {query["name"]}: {len(found)} rows')
    return results


def figures_are_those_of_the_story(results, expected):
    """What is known of the history before it is looked at."""
    totals = {row[2]: row for row in results['funnel'] if row[0] is None and row[1] is None}
    direct = sum(row[3] for row in results['grant_lifetime'] if row[1] == 'client_credentials')
    # Grants that are made up, a request that went as far as the login, four tokens, and the
    # analyst's.
    assert totals[1][4] + direct == GRANTS + 1 + 4 + 1, (totals, direct)
    # Whoever has a code redeems it, in 0.2 to 21.2 seconds (another client may try it before).
    assert totals[4][4] == totals[5][4] and totals[4][7] == 0, totals
    assert 200 <= totals[5][9] <= totals[5][10] <= totals[5][11] <= 21_200, totals
    # Three of a hundred people say no, and of as many pushed requests nobody comes.
    assert 0 < totals[2][8] < totals[2][4] / 10, totals
    assert 0 < totals[1][7] < totals[1][4] / 20, totals
    for name in ('refresh_reuse', 'residual_life'):
        assert results[name], f'{name} has nothing to count'
    assert all(row[8] for row in results['refresh_reuse']), 'a reuse without a revocation'
    counted = {}
    for row in results['counters']:
        counted[row[:2]] = counted.get(row[:2], 0) + row[3]
    assert counted == expected, counted
    (till,) = [row for row in results['before_login'] if row[0] == 'till']
    assert till == ('till', 1, 6, 1, 1, 4), till
    (till,) = [row for row in results['error_rate'] if row[0] == 'till']
    assert till == ('till', 4, 2, 2 / 6, 3, 0, 0, 1, 0), till


def days_in_the_middle(events):
    """From one day to another, about half of all."""
    days = sorted({event['metadata']['occurred_at'][:10] for event in events})
    return days[len(days) // 4], days[len(days) * 3 // 4]


def the_dashboard_says_the_same(chancery, folder, whole, some):
    answers, results = whole
    dashboard.says_the_same(answers, results, connect(chancery, folder))
    dashboard.knows_all_refreshes(answers, results)
    answers, days = some
    narrow = {}
    for query in json.loads(chancery.run('events', 'queries', '--json')):
        if query['name'] in dashboard.NARROWED:
            connection = connect(chancery, folder)
            narrow[query['name']] = dashboard.of_a_period(connection, query, days)
    # Reuses have their time in each row.
    is_within = lambda row: days[0] <= row[1].date().isoformat() <= days[1]
    narrow['refresh_reuse'] = [row for row in results['refresh_reuse'] if is_within(row)]
    for name in ('funnel', 'grant_lifetime', 'residual_life', 'error_rate', 'refresh_reuse'):
        assert 0 < len(narrow[name]) and narrow[name] != results[name], f'{name}: nothing is left out'
    dashboard.says_the_same(answers, narrow, connect(chancery, folder))
    print(f'dashboard: {len(answers) - 1} clients, all the time and from {days[0]} to {days[1]}')


def main():
    with tempfile.TemporaryDirectory(prefix='chancery-analysts-') as folder:
        folder = Path(folder)
        chancery = Chancery(folder)
        made = ['--grants', str(GRANTS), '--clients', '12', '--days', '40', '--seed', '1']
        print(chancery.run('sample', '--data', str(chancery.store), *made).strip())
        table, lines = folder / "analyst's files" / 'parquet', folder / 'ndjson'
        export = ['events', 'export', '--file-events', '1500', '--out']
        # Two runs, the second when there is more.
        print(chancery.on_store(*export, str(table)).strip())

        add = ['client', 'add', '--id', 'till', '--redirect-uri', CALLBACK, '--scope', 'openid read']
        grant_types = ['--grant-type', 'authorization_code', '--grant-type', 'client_credentials']
        chancery.on_store(*add, *grant_types, '--secret', SECRET)
        reads = ['--grant-type', 'client_credentials', '--scope', 'events:read']
        chancery.on_store('client', 'add', '--id', 'analyst', *reads, '--secret', SECRET)
        server = chancery.serve()
        try:
            expected = strangers(chancery)
            wait_for(chancery, expected)
            days = days_in_the_middle(chancery.events())
            whole, some, end = ask_for_figures(chancery, days)
            # Beside the server.
            print(chancery.on_store(*export, str(table)).strip())
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)
        print(chancery.on_store(*export, str(table)).strip())
        print(chancery.on_store(*export, str(lines), '--format', 'ndjson').strip())

        events = chancery.events()
        assert any(event['metadata'].get('session_id') for event in events)
        later = {event['event_type'] for event in events if event['position'] > end}
        # The sealer lists the heads of histories from time to time: no figure counts that.
        assert later <= {'HeadsListed'}, f'recorded after the figures: {later}'
        for files in (table, lines):
            print(f'{files.name}: {len(events)} events')
            every_event_is_read_back(chancery, files, events)
            types_are_those_of_the_page(chancery, files)
            results = every_query_gives_its_figures(chancery, files, events)
        figures_are_those_of_the_story(results, expected)
        the_dashboard_says_the_same(chancery, table, (whole, results), (some, days))
    print('all as it should be')


if __name__ == '__main__':
    sys.exit(main())
