-- How far do grants get from the request to the token, and how long does each step take?
--
-- Grants: those whose request (RequestPushed or RequestReceived) is among the events and whose
-- response type has the word `code` in it. Of what was never recorded `before_login` tells.
-- Steps, each reached by a grant that has an event of the type:
--   1 request   RequestPushed or RequestReceived
--   2 login     SubjectAuthenticated
--   3 consent   ConsentGiven (asked for now, or given before)
--   4 code      CodeIssued
--   5 token     CodeRedeemed
-- If a grant has several events of a step, the one with the lowest sequence counts. Events of one
-- command have the same time, so that steps may take no time: a plain request is recorded with the
-- login, and with a session that is there so are consent and code.
-- Time of a step: from occurred_at of the step before to its own, in milliseconds; 0 where the
-- clocks of two nodes make it less. Percentile p of n times: the one at place ceil(p * n) when they
-- are in order, none of them interpolated.
-- What has not happened by the last event has not happened: grants still on their way are lost.
--
-- Columns:
--   client_id     whose grants; NULL: of all clients
--   request       `pushed` or `plain`; NULL: both
--   step          1 to 5
--   name          of the step
--   grants        how many reached the step
--   of_request    the same as a part of those that reached step 1
--   of_previous   the same as a part of those that reached the step before; NULL at step 1
--   lost          how many reached this step and not the next; NULL at step 5
--   declined      how many of the lost were ended by RequestDeclined, and the client told
--   p50_ms, p95_ms, p99_ms    percentiles of the time; NULL at step 1
WITH marks AS (
    SELECT
        aggregate_id AS grant_id,
        CASE event_type
            WHEN 'RequestPushed' THEN 1
            WHEN 'RequestReceived' THEN 1
            WHEN 'SubjectAuthenticated' THEN 2
            WHEN 'ConsentGiven' THEN 3
            WHEN 'CodeIssued' THEN 4
            WHEN 'CodeRedeemed' THEN 5
        END AS step,
        arg_min(epoch_ms(occurred_at), sequence) AS moment
    FROM events
    WHERE aggregate_type = 'grant'
    GROUP BY ALL
    HAVING step IS NOT NULL
),
requests AS (
    SELECT
        aggregate_id AS grant_id,
        payload->>'$.request.client_id' AS client_id,
        CASE event_type WHEN 'RequestPushed' THEN 'pushed' ELSE 'plain' END AS request
    FROM events
    WHERE aggregate_type = 'grant'
        AND event_type IN ('RequestPushed', 'RequestReceived')
        AND list_contains(string_split(payload->>'$.request.response_type', ' '), 'code')
    QUALIFY row_number() OVER (PARTITION BY aggregate_id ORDER BY sequence) = 1
),
declined AS (
    SELECT DISTINCT aggregate_id AS grant_id
    FROM events
    WHERE aggregate_type = 'grant' AND event_type = 'RequestDeclined'
),
steps AS (
    SELECT
        requests.client_id,
        requests.request,
        marks.step,
        CASE WHEN before.grant_id IS NOT NULL THEN greatest(marks.moment - before.moment, 0) END AS ms,
        after.grant_id IS NULL AS is_last,
        declined.grant_id IS NOT NULL AS is_declined
    FROM requests
    JOIN marks USING (grant_id)
    LEFT JOIN marks AS before
        ON before.grant_id = marks.grant_id AND before.step = marks.step - 1
    LEFT JOIN marks AS after
        ON after.grant_id = marks.grant_id AND after.step = marks.step + 1
    LEFT JOIN declined ON declined.grant_id = marks.grant_id
),
counted AS (
    SELECT
        client_id,
        request,
        step,
        count(*) AS grants,
        count(*) FILTER (is_last) AS lost,
        count(*) FILTER (is_last AND is_declined) AS declined,
        quantile_disc(ms, 0.5) AS p50_ms,
        quantile_disc(ms, 0.95) AS p95_ms,
        quantile_disc(ms, 0.99) AS p99_ms,
        grouping(client_id) AS all_clients,
        grouping(request) AS both_requests
    FROM steps
    GROUP BY GROUPING SETS ((step), (request, step), (client_id, step), (client_id, request, step))
)
SELECT
    client_id,
    request,
    step,
    ['request', 'login', 'consent', 'code', 'token'][step] AS name,
    grants,
    grants / first_value(grants) OVER own AS of_request,
    grants / lag(grants) OVER own AS of_previous,
    CASE WHEN step < 5 THEN lost END AS lost,
    CASE WHEN step < 5 THEN declined END AS declined,
    p50_ms,
    p95_ms,
    p99_ms
FROM counted
WINDOW own AS (PARTITION BY all_clients, both_requests, client_id, request ORDER BY step)
ORDER BY all_clients DESC, both_requests DESC, client_id, request, step;
