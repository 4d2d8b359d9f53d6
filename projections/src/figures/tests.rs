//! What events count for, whatever the fold remembers.

use super::*;
use crate::testing::{AUTHENTICATION, DIGEST};
use crate::{RawEvent, Value};

/// 2026-05-01T23:59:58Z
const EVENING: i64 = 1_777_679_998_000;
const DAY: i64 = 1_777_593_600;
const GRANT: &str = "0190c0ffee00700080000000000000aa";

/// Events in the order of the log.
#[derive(Default)]
struct Log(Vec<Recorded>);

impl Log {
    /// `aggregate` is `kind/id`.
    fn see(&mut self, aggregate: &str, at_ms: i64, event_type: &str, payload: &str) -> &mut Self {
        self.see_by(aggregate, at_ms, "rp", (event_type, payload))
    }

    fn see_by(
        &mut self,
        aggregate: &str,
        at_ms: i64,
        client: &str,
        (event_type, payload): (&str, &str),
    ) -> &mut Self {
        let (kind, id) = aggregate.split_once('/').unwrap();
        let (day, ms) = (at_ms.div_euclid(86_400_000), at_ms.rem_euclid(86_400_000));
        // 2026-05-01 is day 20574.
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        let time = format!("2026-05-{:02}T{h:02}:{m:02}:{s:02}.{:03}Z", day - 20_573, ms % 1000);
        let metadata = format!(r#"{{"occurred_at":"{time}","client_id":"{client}"}}"#);
        let sequence = self.0.iter().filter(|event| *event.id == *id).count() as u64 + 1;
        let event = Recorded::decode(RawEvent {
            position: self.0.len() as u64 + 1,
            recorded_at_ms: 1,
            kind: kind.parse().unwrap(),
            id: &id.into(),
            sequence,
            event_type,
            event_version: "1",
            payload,
            metadata: &metadata.as_str().into(),
        });
        let event = event.unwrap();
        assert_eq!(event.happened_at_ms(), at_ms, "the helper writes {time}");
        self.0.push(event);
        self
    }

    fn grant(&mut self, at_ms: i64, event_type: &str, payload: &str) -> &mut Self {
        self.see(&format!("grant/{GRANT}"), at_ms, event_type, payload)
    }

    /// A grant by code, each step a second after the one before.
    fn until_code(&mut self, from_ms: i64) -> &mut Self {
        let request = r#"{"client_id":"rp","redirect_uri":"https://rp.example/cb",
            "response_type":"code","scope":"openid"}"#;
        let pushed =
            format!(r#"{{"request":{request},"request_uri":"{DIGEST}","at":10,"expires_at":70}}"#);
        let issued = format!(r#"{{"code":"{DIGEST}","at":20,"expires_at":80}}"#);
        self.grant(from_ms, "RequestPushed", &pushed)
            .grant(from_ms + 1000, "SubjectAuthenticated", AUTHENTICATION)
            .grant(from_ms + 2000, "ConsentGiven", r#"{"scope":"openid"}"#)
            .grant(from_ms + 3000, "CodeIssued", &issued)
    }

    /// And tokens, of which the access token ends at that second.
    fn until_token(&mut self, from_ms: i64, until: i64) -> &mut Self {
        let redeemed = format!(r#"{{"tokens":{}}}"#, tokens(1, until));
        self.until_code(from_ms).grant(from_ms + 4000, "CodeRedeemed", &redeemed)
    }

    /// Counted by a fold that remembers what it can.
    fn count(&self) -> Rows {
        self.count_by(|_| false)
    }

    /// By one that forgets everything before these events.
    fn count_by(&self, forgets: impl Fn(&Recorded) -> bool) -> Rows {
        let mut rows = Rows::default();
        let mut fold = Fold::default();
        let mut counted = Counted::default();
        for event in &self.0 {
            if forgets(event) {
                fold = Fold::default();
                rows.add(&std::mem::take(&mut counted));
            }
            if fold.wants(event) {
                let before = self
                    .0
                    .iter()
                    .filter(|before| before.id == event.id && before.sequence < event.sequence);
                fold.recall(before);
            }
            fold.count(event, &mut counted);
        }
        rows.add(&counted);
        rows
    }
}

/// What stands in the table.
#[derive(Debug, Default, PartialEq)]
struct Rows(BTreeMap<String, Sum>);

impl Rows {
    fn add(&mut self, counted: &Counted) {
        for (place, sum) in counted.rows() {
            self.0.entry(place.key()).or_default().take(&sum);
        }
    }

    fn of(&self, whose: &str, start: i64, name: &str) -> Option<&Sum> {
        self.0.get(&format!("day {whose} {start:012} {name}"))
    }

    /// A number of the client's on the day that most tests are about.
    fn number(&self, name: &str) -> i64 {
        self.of("client:rp", DAY, name).map_or(0, |sum| sum.number)
    }

    fn times(&self, name: &str) -> String {
        self.of("client:rp", DAY, name).map(|sum| sum.times.to_string()).unwrap_or_default()
    }

    fn names(&self) -> Vec<&str> {
        let own = self.0.keys().filter_map(|key| key.strip_prefix("day client:rp "));
        own.filter_map(|rest| rest.split_once(' ')).map(|(_, name)| name).collect()
    }
}

fn tokens(number: u32, until: i64) -> String {
    format!(
        r#"{{"access":{{"number":{number},"form":{{"jwt":"k"}},"scope":"openid","issued_at":30,
            "expires_at":{until}}},"refresh":{{"generation":{number},"expires_at":99999999999}}}}"#
    )
}

#[test]
fn every_number_is_counted_for_its_client_and_for_all_by_hour_and_by_day() {
    let mut log = Log::default();
    let rows = log.until_token(EVENING, 0).count();
    let hour = Grain::Hour.place(Grain::Hour.start_of(EVENING / 1000));
    for whose in ["client:rp", "all"] {
        let name = "step.pushed.token";
        assert_eq!(rows.of(whose, DAY, name).unwrap().number, 1);
        assert_eq!(rows.0[&format!("hour {whose} {hour} {name}")].number, 1);
    }
    assert_eq!(rows.0.len() % 4, 0);
}

#[test]
fn a_grant_counts_when_it_was_opened_and_a_token_when_it_was_issued() {
    let mut log = Log::default();
    let rows = log.until_token(EVENING, 0).count();
    for step in ["request", "login", "consent", "code", "token"] {
        assert_eq!(rows.number(&format!("step.pushed.{step}")), 1, "{step}");
    }
    assert_eq!(rows.number("grants.authorization_code"), 1);
    // Past midnight.
    assert_eq!(rows.number("answered.code"), 0);
    assert_eq!(rows.of("client:rp", DAY + 86_400, "answered.code").unwrap().number, 1);
}

#[test]
fn a_step_takes_the_time_since_the_one_before() {
    let mut log = Log::default();
    let rows = log.until_token(EVENING, 0).count();
    assert_eq!(rows.times("step.pushed.request"), "");
    for step in ["login", "consent", "code", "token"] {
        assert_eq!(rows.times(&format!("step.pushed.{step}")), "1008:1", "rounded up");
        assert_eq!(
            rows.of("all", DAY, &format!("step.pushed.{step}")).unwrap().longest,
            Some(1000)
        );
    }
    // Two nodes with different clocks; and only the first login counts.
    let mut log = Log::default();
    let request = r#"{"request":{"client_id":"rp","redirect_uri":"https://rp.example/cb",
        "response_type":"code","scope":"openid"},"at":10}"#;
    log.grant(EVENING, "RequestReceived", request)
        .grant(EVENING - 5, "SubjectAuthenticated", AUTHENTICATION)
        .grant(EVENING + 50, "SubjectAuthenticated", AUTHENTICATION);
    let rows = log.count();
    assert_eq!(rows.times("step.plain.login"), "0:1");
    assert_eq!((rows.number("received"), rows.number("step.plain.request")), (1, 1));
}

#[test]
fn what_a_fold_has_forgotten_it_asks_for_and_counts_the_same() {
    let revoked = r#"{"cause":"session_ended","at":1777680100}"#;
    let mut log = Log::default();
    log.until_token(EVENING, 1_777_680_400)
        .grant(
            EVENING + 9000,
            "RefreshTokenRotated",
            &format!(r#"{{"tokens":{},"grace_until":40}}"#, tokens(2, 1_777_680_900)),
        )
        .grant(EVENING + 9500, "AccessTokenRevoked", r#"{"number":1,"expires_at":1777680400}"#)
        .grant(EVENING + 9800, "RefreshTokenReused", r#"{"client_id":"rp","generation":1}"#)
        .grant(EVENING + 9900, "GrantRevoked", revoked);
    let remembered = log.count();
    assert_eq!(log.count_by(|_| true), remembered);
    for number in 1..=log.0.len() as u64 {
        assert_eq!(log.count_by(|event| event.position == number), remembered, "{number}");
    }
    assert_eq!(remembered.number("ended.session_ended.authorization_code"), 1);
    assert_eq!(remembered.number("ended_refreshes.session_ended.authorization_code"), 1);
}

#[test]
fn a_declined_request_counts_where_it_stood() {
    let mut log = Log::default();
    log.until_code(EVENING);
    log.0.truncate(2);
    let rows = log.grant(EVENING + 5, "RequestDeclined", r#"{"reason":"consent_denied"}"#).count();
    assert_eq!((rows.number("declined.pushed.login"), rows.number("request_declined")), (1, 1));
    assert_eq!(rows.number("declined.pushed.request"), 0);
}

#[test]
fn a_direct_grant_is_two_numbers_and_nothing_to_remember() {
    let mut log = Log::default();
    let issued = format!(
        r#"{{"grant_type":"client_credentials","authorization":{{"client_id":"rp","scope":"a"}},
            "tokens":{}}}"#,
        tokens(1, 1_777_680_600)
    );
    log.grant(EVENING, "TokensIssued", &issued);
    let mut fold = Fold::default();
    assert!(!fold.wants(&log.0[0]));
    fold.count(&log.0[0], &mut Counted::default());
    assert!(fold.lives.is_empty());
    assert_eq!(log.count().names(), ["answered.direct", "grants.client_credentials"]);
    // Revoked later, by its client: it lived for a second, and its token had 60 seconds left.
    let revoked = r#"{"cause":"revoked_by_client","at":1777680540}"#;
    let rows = log.grant(EVENING + 1000, "GrantRevoked", revoked).count();
    assert_eq!(rows.times("ended.revoked_by_client.client_credentials"), "1008:1");
    assert_eq!(rows.times("alive.revoked_by_client.jwt"), "60:1");
    assert_eq!(rows.number("alive_grants.revoked_by_client.jwt"), 1);
}

/// OpenID Connect Core §3.3: tokens by the browser, then by the code beside them.
#[test]
fn a_hybrid_grant_is_one_of_the_code_once_that_is_redeemed() {
    let mut log = Log::default();
    log.until_code(EVENING);
    let by_browser = r#"{"response_type":"code token","at":20,"tokens":{"access":{"number":7,
        "form":"opaque","scope":"openid","issued_at":20,"expires_at":320}}}"#;
    log.grant(EVENING, "FrontChannelTokensIssued", by_browser);
    assert_eq!(log.count().number("grants.implicit"), 1);
    let redeemed = format!(r#"{{"tokens":{}}}"#, tokens(8, 0));
    let rows = log.grant(EVENING, "CodeRedeemed", &redeemed).count();
    assert_eq!((rows.number("grants.implicit"), rows.number("grants.authorization_code")), (0, 1));
}

#[test]
fn a_revoked_grant_leaves_what_had_not_ended_and_ends_once() {
    let revoked = r#"{"cause":"refresh_token_reused","at":1777680010}"#;
    let rotated = |number: u32, until: i64| {
        format!(r#"{{"tokens":{},"grace_until":40}}"#, tokens(number, until))
    };
    let mut log = Log::default();
    log.until_token(EVENING, 1_777_680_400)
        .grant(EVENING + 5000, "RefreshTokenRotated", &rotated(2, 1_777_680_010))
        .grant(EVENING + 5000, "RefreshTokenRotated", &rotated(3, 1_777_680_011))
        .grant(EVENING + 5000, "RefreshTokenRotated", &rotated(4, 1_777_680_030))
        .grant(EVENING + 5500, "AccessTokenRevoked", r#"{"number":1,"expires_at":1777680400}"#)
        .grant(EVENING + 6000, "RefreshTokenReused", r#"{"client_id":"rp","generation":1}"#)
        .grant(EVENING + 6000, "GrantRevoked", revoked)
        .grant(EVENING + 7000, "GrantRevoked", revoked);
    let rows = log.count();
    assert_eq!(rows.times("ended.refresh_token_reused.authorization_code"), "6016:1");
    assert_eq!(rows.number("ended_refreshes.refresh_token_reused.authorization_code"), 3);
    // What happened then counts on its own day.
    let then = |name: &str| rows.of("client:rp", DAY + 86_400, name).cloned().unwrap_or_default();
    let alive = then("alive.refresh_token_reused.jwt");
    assert_eq!((alive.times.to_string().as_str(), alive.longest), ("1:1 20:1", Some(20)));
    assert_eq!(then("alive_grants.refresh_token_reused.jwt").number, 1);
    assert_eq!((then("reused").number, then("remembered").number), (1, 1));
    assert_eq!(then("reused_alive").number, 3, "as of the second of the reuse");
    assert_eq!(then("answered.refresh").number, 3);
}

#[test]
fn a_refusal_is_counted_for_who_was_refused() {
    let mut log = Log::default();
    let noted = ("RefusalNoted", r#"{"client_id":"other","reason":"wrong_client"}"#);
    let grant = format!("grant/{GRANT}");
    let rows = log.until_code(EVENING).see_by(&grant, EVENING, "other", noted).count();
    assert_eq!(rows.of("client:other", DAY, "remembered").unwrap().number, 1);
    assert_eq!(rows.number("remembered"), 0);
}

#[test]
fn windows_are_counted_when_they_began_by_client_and_reason() {
    let mut log = Log::default();
    let window = r#"{"from":1777679998,"length":60,"counts":[
        {"what":"login_failed","reason":"wrong_password","client_id":"rp","count":3},
        {"what":"token_request_refused","reason":"invalid_client","count":2}]}"#;
    for _ in 0..2 {
        // Written by another day.
        log.see("tally/n-1", EVENING + 60_000, "WindowCounted", window);
    }
    let rows = log.count();
    assert_eq!(rows.number("counted.login_failed.wrong_password"), 6);
    let nobody = rows.of("none", DAY, "counted.token_request_refused.invalid_client").unwrap();
    assert_eq!(nobody.number, 4);
    let all = |name: &str| rows.of("all", DAY, name).unwrap().number;
    assert_eq!(all("counted.login_failed.wrong_password"), 6);
    assert_eq!(all("counted.token_request_refused.invalid_client"), 4);
}

/// An hour takes the place of one three days older; what comes late for that one is left to its
/// day. In whatever order they come, the same stands there.
#[test]
fn hours_go_round_in_a_ring() {
    let hour = |number: i64| Grain::Hour.start_of(1_777_680_000 + number * 3600);
    assert_eq!(Grain::Hour.place(hour(0)), Grain::Hour.place(hour(HOURS_KEPT)));
    assert_ne!(Grain::Hour.place(hour(0)), Grain::Hour.place(hour(HOURS_KEPT - 1)));
    let sum = |number: i64| Sum { start: hour(number), number: 1, ..Sum::default() };
    let (old, new) = (sum(0), sum(HOURS_KEPT));
    for order in [[&old, &new, &new], [&new, &old, &new], [&new, &new, &old]] {
        let mut row = Sum::default();
        let taken = order.map(|sum| row.take(sum));
        assert_eq!((row.start, row.number), (new.start, 2));
        assert_eq!(taken[2], order[2] == &new);
    }
}

#[test]
fn more_grants_than_can_be_remembered_are_counted_all_the_same() {
    let mut log = Log::default();
    let request = r#"{"request":{"client_id":"rp","redirect_uri":"https://rp.example/cb",
        "response_type":"code","scope":"openid"},"at":10}"#;
    let mut fold = Fold::default();
    for number in 0..=KEPT {
        log.0.clear();
        log.see(&format!("grant/{number:032x}"), EVENING, "RequestReceived", request);
        fold.count(&log.0[0], &mut Counted::default());
    }
    assert_eq!(fold.lives.len(), KEPT);
    let login = |number: usize| {
        let (mut log, id) = (Log::default(), format!("grant/{number:032x}"));
        log.see(&id, EVENING, "RequestReceived", request).see(
            &id,
            EVENING,
            "SubjectAuthenticated",
            AUTHENTICATION,
        );
        log.0.pop().unwrap()
    };
    assert!(fold.wants(&login(0)), "the oldest is forgotten");
    assert!(!fold.wants(&login(1)));
}

#[test]
fn a_row_is_read_as_it_was_written() {
    let place = Place {
        grain: Grain::Day,
        whose: Whose::Client("rp".parse().unwrap()),
        start: DAY,
        name: Name::Received,
    };
    let mut counted = Counted::default();
    counted.time(EVENING, Whose::All, Name::Received, 70);
    let sums = counted.rows().filter(|(place, _)| place.grain == Grain::Day);
    for sum in sums.map(|(_, sum)| sum).chain([Sum { start: DAY, ..Sum::default() }]) {
        let Change::Add(addition) = place.clone().addition(sum.clone()) else {
            panic!("it is added")
        };
        assert_eq!(addition.key, format!("day client:rp {DAY:012} received"));
        let mut set = addition.onto(None).unwrap().unwrap();
        assert_eq!(Sum::read(&set), Ok(sum.clone()));
        let twice = Sum::read(&addition.onto(Some(&set)).unwrap().unwrap()).unwrap();
        assert_eq!((twice.number, twice.times.count()), (2 * sum.number, 2 * sum.times.count()));
        set.insert("start", (DAY + 1).into());
        assert_eq!(addition.onto(Some(&set)), Ok(None), "it is of another time");
        set.insert("start", DAY.into());
        for (column, wrong) in [("start", Value::Null), ("times", "x".into())] {
            let right = set.insert(column, wrong).unwrap();
            assert_eq!(Sum::read(&set), Err(Unreadable), "{column}");
            set.insert(column, right);
        }
    }
}
