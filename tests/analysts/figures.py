"""The figures of the ready queries, computed from the lines of `chancery events` by no SQL: as the
comment of each query defines them.

Each function takes the events and gives the rows of the query with its name.
"""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

STEPS = {
    'RequestPushed': 1,
    'RequestReceived': 1,
    'SubjectAuthenticated': 2,
    'ConsentGiven': 3,
    'CodeIssued': 4,
    'CodeRedeemed': 5,
}
STEP_NAMES = ['request', 'login', 'consent', 'code', 'token']
ISSUING = {
    'CodeRedeemed',
    'RefreshTokenRotated',
    'RefreshTokenUsed',
    'TokensIssued',
    'FrontChannelTokensIssued',
}


def ms(event):
    """occurred_at in milliseconds since 1970."""
    moment = datetime.fromisoformat(event['metadata']['occurred_at'])
    return (moment - EPOCH) // timedelta(milliseconds=1)


def percentile(values, part):
    """Nearest rank."""
    ordered = sorted(values)
    # In hundredths: 0.95 * 100 is not 95 for a computer.
    rank = -(-round(part * 100) * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def percentiles(values):
    return tuple(percentile(values, part) for part in (0.5, 0.95, 0.99))


def grants(events):
    """The events of each grant, in order."""
    own = defaultdict(list)
    for event in events:
        if event['aggregate_type'] == 'grant':
            own[event['aggregate_id']].append(event)
    for history in own.values():
        history.sort(key=lambda event: event['sequence'])
    return own


def first(history, *types):
    return next((event for event in history if event['event_type'] in types), None)


def client_of(history):
    opening = first(history, 'RequestPushed', 'RequestReceived', 'TokensIssued')
    if opening is None:
        return None
    payload = opening['payload']
    return payload.get('request', payload.get('authorization'))['client_id']


def access_tokens(history, before):
    """Those issued and not revoked by themselves, up to a sequence (exclusive)."""
    early = [event for event in history if event['sequence'] < before]
    single = {e['payload']['number'] for e in early if e['event_type'] == 'AccessTokenRevoked'}
    for event in early:
        if event['event_type'] in ISSUING:
            access = event['payload']['tokens'].get('access')
            if access and access['number'] not in single:
                yield access


def funnel(events):
    times, lost, declined = defaultdict(list), Counter(), Counter()
    for history in grants(events).values():
        opening = first(history, 'RequestPushed', 'RequestReceived')
        if opening is None:
            continue
        asked = opening['payload']['request']
        if 'code' not in asked['response_type'].split(' '):
            continue
        kind = 'pushed' if opening['event_type'] == 'RequestPushed' else 'plain'
        reached = {}
        for event in history:
            step = STEPS.get(event['event_type'])
            if step:
                reached.setdefault(step, ms(event))
        ended = first(history, 'RequestDeclined') is not None
        for whose in (None, asked['client_id']):
            for which in (None, kind):
                for step, at in reached.items():
                    key = (whose, which, step)
                    before = reached.get(step - 1)
                    times[key].append(None if before is None else max(at - before, 0))
                    if step + 1 not in reached:
                        lost[key] += 1
                        declined[key] += ended
    rows = []
    for (whose, which, step), taken in times.items():
        before = times.get((whose, which, step - 1))
        known = [time for time in taken if time is not None]
        rows.append(
            (
                whose,
                which,
                step,
                STEP_NAMES[step - 1],
                len(taken),
                len(taken) / len(times[whose, which, 1]),
                len(taken) / len(before) if before else None,
                lost[whose, which, step] if step < 5 else None,
                declined[whose, which, step] if step < 5 else None,
                *(percentiles(known) if known else (None, None, None)),
            )
        )
    return rows


def counts(events):
    for event in events:
        if event['event_type'] == 'WindowCounted':
            for count in event['payload']['counts']:
                yield event['payload'], count


def before_login(events):
    rows = defaultdict(Counter)
    for _, count in counts(events):
        if count['what'] in (
            'authorization_request_refused',
            'authorization_request_begun',
            'login_failed',
        ):
            rows[count.get('client_id')][count['what']] += count['count']
    for history in grants(events).values():
        opening = first(history, 'RequestReceived')
        if opening:
            rows[opening['payload']['request']['client_id']]['recorded'] += 1
    return [
        (
            client,
            row['authorization_request_refused'],
            row['authorization_request_begun'],
            row['login_failed'],
            row['recorded'],
            max(
                row['authorization_request_begun']
                - row['authorization_request_refused']
                - row['recorded'],
                0,
            ),
        )
        for client, row in rows.items()
    ]


def counters(events):
    rows = {}
    for window, count in counts(events):
        key = (count.get('client_id'), count['what'], count['reason'])
        number, windows, begin, end = rows.get(key, (0, 0, math.inf, -math.inf))
        rows[key] = (
            number + count['count'],
            windows + 1,
            min(begin, window['from']),
            max(end, window['from'] + window['length']),
        )
    moment = lambda seconds: (EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    return [
        (*key, number, windows, moment(begin), moment(end))
        for key, (number, windows, begin, end) in rows.items()
    ]


def error_rate(events):
    columns = {
        'CodeRedeemed': 'answered',
        'RefreshTokenRotated': 'answered',
        'RefreshTokenUsed': 'answered',
        'TokensIssued': 'answered',
        'CodeReplayed': 'remembered',
        'RefreshTokenReused': 'remembered',
        'RefusalNoted': 'remembered',
        'RequestDeclined': 'declined',
    }
    counted = {
        'token_request_refused': 'refused',
        'client_authentication_failed': 'unauthenticated',
        'push_refused': 'push_refused',
        'authorization_request_refused': 'request_refused',
    }
    rows = defaultdict(Counter)
    for event in events:
        column = columns.get(event['event_type'])
        if event['aggregate_type'] == 'grant' and column:
            rows[event['metadata'].get('client_id')][column] += 1
    for _, count in counts(events):
        column = counted.get(count['what'])
        if column:
            rows[count.get('client_id')][column] += count['count']
    result = []
    for client, row in rows.items():
        asked = row['answered'] + row['refused']
        result.append(
            (
                client,
                row['answered'],
                row['refused'],
                row['refused'] / asked if asked else None,
                row['unauthenticated'],
                row['remembered'],
                row['push_refused'],
                row['request_refused'],
                row['declined'],
            )
        )
    return result


def grant_lifetime(events):
    lives, refreshes = defaultdict(list), Counter()
    for history in grants(events).values():
        if history[0]['sequence'] != 1:
            continue
        direct = first(history, 'TokensIssued')
        if first(history, 'CodeRedeemed'):
            kind = 'authorization_code'
        elif direct:
            kind = direct['payload']['grant_type']
        elif first(history, 'FrontChannelTokensIssued'):
            kind = 'implicit'
        else:
            continue
        revoked = first(history, 'GrantRevoked')
        cause = revoked['payload']['cause'] if revoked else None
        life = max(ms(revoked or history[-1]) - ms(history[0]), 0) / 1000
        key = (client_of(history), kind, cause)
        lives[key].append(life)
        refreshes[key] += sum(
            event['event_type'] in ('RefreshTokenRotated', 'RefreshTokenUsed') for event in history
        )
    return [
        (*key, len(own), refreshes[key], *percentiles(own), max(own)) for key, own in lives.items()
    ]


def refresh_reuse(events):
    rows = []
    for grant_id, history in grants(events).items():
        for event in history:
            if event['event_type'] != 'RefreshTokenReused':
                continue
            known = first(history, 'SubjectAuthenticated', 'TokensIssued')['payload']
            generations = [
                other['payload']['tokens'].get('refresh', {}).get('generation', 0)
                for other in history
                if other['event_type'] in ISSUING and other['sequence'] < event['sequence']
            ]
            now = ms(event) // 1000
            alive = [
                access
                for access in access_tokens(history, event['sequence'])
                if access['expires_at'] > now
            ]
            revoked = first(history, 'GrantRevoked')
            rows.append(
                (
                    event['position'],
                    datetime.fromisoformat(event['metadata']['occurred_at']),
                    grant_id,
                    event['metadata']['client_id'],
                    known.get('subject'),
                    event['payload']['generation'],
                    max(generations),
                    len(alive),
                    bool(revoked and revoked['payload']['cause'] == 'refresh_token_reused'),
                )
            )
    return rows


def residual_life(events):
    lives, of_grants = defaultdict(list), defaultdict(set)
    for grant_id, history in grants(events).items():
        revoked = first(history, 'GrantRevoked')
        if not revoked:
            continue
        at = revoked['payload']['at']
        for access in access_tokens(history, revoked['sequence']):
            if access['expires_at'] > at:
                form = 'opaque' if access['form'] == 'opaque' else 'jwt'
                key = (client_of(history), revoked['payload']['cause'], form)
                lives[key].append(access['expires_at'] - at)
                of_grants[key].add(grant_id)
    return [
        (*key, len(of_grants[key]), len(own), *percentiles(own), max(own))
        for key, own in lives.items()
    ]


ALL = {
    query.__name__: query
    for query in (
        funnel,
        before_login,
        counters,
        error_rate,
        grant_lifetime,
        refresh_reuse,
        residual_life,
    )
}
