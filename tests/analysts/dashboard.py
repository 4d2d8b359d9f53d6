"""The dashboard's figures (`/events/figures`) against what DuckDB says of the exported events: counts
are the same, and times are DuckDB's, rounded up by the documented rule.
"""

from collections import defaultdict

# As src/events/README.md has it.
ROUNDED_UP = """
CREATE TEMP MACRO rounded_up(t) AS
    ((t + (1::BIGINT << greatest(length(bin(t)) - 6, 0)) - 1)
        // (1::BIGINT << greatest(length(bin(t)) - 6, 0)))
        * (1::BIGINT << greatest(length(bin(t)) - 6, 0))
"""

# Which events a query has to be asked of, so that it tells of a period: grants count when they were
# opened, what happened to them when it did.
OPENED = """aggregate_type = 'grant' AND aggregate_id IN (
    SELECT aggregate_id FROM everything
    WHERE aggregate_type = 'grant' AND sequence = 1 AND {period}
)"""
REVOKED = """aggregate_type = 'grant' AND aggregate_id IN (
    SELECT aggregate_id FROM everything WHERE event_type = 'GrantRevoked' AND {period}
)"""
HAPPENED = """CASE aggregate_type
    WHEN 'tally' THEN make_timestamp((payload->>'$.from')::BIGINT * 1000000)::DATE
        BETWEEN DATE '{0}' AND DATE '{1}'
    ELSE {period}
END"""
NARROWED = {
    'funnel': OPENED,
    'grant_lifetime': OPENED,
    'residual_life': REVOKED,
    'error_rate': HAPPENED,
    'before_login': HAPPENED,
    'counters': HAPPENED,
}


def of_a_period(connection, query, days):
    """The rows of a query about the days from one to another; the view `events` is that of all."""
    connection.execute('CREATE OR REPLACE TEMP TABLE everything AS SELECT * FROM events')
    period = "occurred_at::DATE BETWEEN DATE '{}' AND DATE '{}'".format(*days)
    where = NARROWED[query['name']].format(*days, period=period)
    connection.execute(
        f'CREATE OR REPLACE TEMP VIEW events AS SELECT * FROM everything WHERE {where}'
    )
    return connection.execute(query['sql']).fetchall()


class Rounding:
    def __init__(self, connection):
        self.connection = connection
        connection.execute(ROUNDED_UP)

    def __call__(self, time):
        return self.connection.execute('SELECT rounded_up(?::BIGINT)', [time]).fetchone()[0]

    def ms(self, times):
        return None if times[0] is None else tuple(self(time) for time in times)

    def seconds(self, times):
        """Of times that DuckDB tells in seconds, and counts in milliseconds."""
        return tuple(self(round(time * 1000)) / 1000 for time in times)


def is_same(what, found, expected):
    differing = {
        key: (found.get(key), expected.get(key))
        for key in found.keys() | expected.keys()
        if found.get(key) != expected.get(key)
    }
    assert not differing, f'{what}\n  (dashboard, DuckDB): {differing}'


def funnel_is(figures, rows, client, rounding):
    found = {
        (step.get('request'), step['step']): (
            step['name'],
            step['grants'],
            step.get('lost'),
            step.get('declined'),
            tuple(step[name] for name in ('p50_ms', 'p95_ms', 'p99_ms')) if 'p50_ms' in step else None,
        )
        for step in figures['funnel']
    }
    expected = {
        (row[1], row[2]): (row[3], row[4], row[7], row[8], rounding.ms(row[9:12]))
        for row in rows
        if row[0] == client
    }
    is_same(f'funnel of {client}', found, expected)


def requests_are(figures, error_rate, before_login):
    names = (
        'answered', 'refused', 'error_rate', 'unauthenticated', 'remembered', 'push_refused',
        'request_refused', 'declined',
    )  # fmt: skip
    before = ('request_refused', 'begun', 'login_failed', 'recorded', 'abandoned_at_least')
    own = {client.get('client_id'): client for client in figures['clients']}
    rows = lambda names: {
        key: row
        for key, client in own.items()
        if any(row := tuple(client.get(name) for name in names))
    }
    is_same('error_rate', rows(names), {row[0]: row[1:] for row in error_rate})
    expected = {row[0]: row[1:] for row in before_login if any(row[1:])}
    is_same('before_login', rows(before), expected)
    # All together, of what adds up.
    for name in names[:2] + names[3:] + before[1:4]:
        total = sum(client[name] for client in figures['clients'])
        assert figures['requests'][name] == total, (name, figures['requests'], total)


def counters_are(figures, rows, clients):
    expected = defaultdict(int)
    for row in rows:
        if row[0] in clients:
            expected[row[1], row[2]] += row[3]
    found = {(own['what'], own['reason']): own['count'] for own in figures['counters']}
    is_same('counters', found, expected)


def lifetimes_are(figures, rows, client, rounding):
    times = ('p50_s', 'p95_s', 'p99_s')
    found = {
        (own['grant_type'], own.get('ended_by')): (
            own['grants'],
            own.get('refreshes'),
            tuple(own[name] for name in times) if times[0] in own else None,
            own.get('max_s'),
        )
        for own in figures['grant_lifetime']
    }
    # Nobody knows how long those will have lived that are not revoked.
    expected = {
        (row[1], row[2]): (row[3], row[4], rounding.seconds(row[5:8]), row[8])
        if row[2]
        else (row[3], None, None, None)
        for row in rows
        if row[0] == client
    }
    is_same(f'grant_lifetime of {client}', found, expected)


def residual_lives_are(figures, rows, client, rounding):
    found = {
        (own['cause'], own['form']): (
            own['grants'], own['tokens'], own['p50_s'], own['p95_s'], own['p99_s'], own['max_s'],
        )
        for own in figures['residual_life']
    }  # fmt: skip
    expected = {
        (row[1], row[2]): (row[3], row[4], *(rounding(time) for time in row[5:8]), row[8])
        for row in rows
        if row[0] == client
    }
    is_same(f'residual_life of {client}', found, expected)


def reuses_are(figures, rows):
    expected = {
        'incidents': len(rows),
        'revoked': sum(row[8] for row in rows),
        'access_tokens': sum(row[7] for row in rows),
    }
    is_same('refresh_reuse', figures['refresh_reuse'], expected)


def says_the_same(answers, results, connection):
    """`answers`: the figures by client, and of all by None; `results`: the rows of each query."""
    rounding = Rounding(connection)
    everybody = {row[0] for row in results['counters']} | {None} | answers.keys()
    for client, figures in answers.items():
        funnel_is(figures, results['funnel'], client, rounding)
        counters_are(figures, results['counters'], everybody if client is None else {client})
        own = [row for row in results['refresh_reuse'] if client in (None, row[3])]
        reuses_are(figures, own)
        if client is not None:
            lifetimes_are(figures, results['grant_lifetime'], client, rounding)
            residual_lives_are(figures, results['residual_life'], client, rounding)
    everything = answers[None]
    requests_are(everything, results['error_rate'], results['before_login'])
    # Of all clients together, what adds up.
    for name, counted, place in (('grant_lifetime', 'grants', 3), ('residual_life', 'tokens', 4)):
        of_all = sum(own[counted] for own in everything[name])
        assert of_all == sum(row[place] for row in results[name]), name


def knows_all_refreshes(answers, results):
    """Only in the whole of the log: each refresh is of some grant."""
    for client, figures in answers.items():
        rows = [row for row in results['grant_lifetime'] if client in (None, row[0])]
        assert figures['requests']['answered_refresh'] == sum(row[4] for row in rows), client
