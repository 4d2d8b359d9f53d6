//! Drawings of histories that are told by hand.

use chancery_domain::event::EventFormat as _;
use serde_json::{Value, json};

use super::super::chart::{Caption, Chart};
use super::*;

/// When the history begins.
const START: i64 = 1_800_000_000;

/// A history as it grows, a second for each event unless time is let pass.
#[derive(Default)]
struct History {
    events: Vec<(i64, GrantEvent, String, Option<&'static str>)>,
    seconds: i64,
}

impl History {
    fn then(mut self, name: &str, payload: &Value) -> Self {
        let event = GrantEvent::from_json(name, "1", &payload.to_string()).unwrap();
        self.seconds += 1;
        let at = (START + self.seconds) * 1000;
        self.events.push((at, event, format!("{name} happened"), None));
        self
    }

    fn after(mut self, seconds: i64) -> Self {
        self.seconds += seconds;
        self
    }

    fn because_of(mut self, cause: &'static str) -> Self {
        self.events.last_mut().unwrap().3 = Some(cause);
        self
    }

    fn tokens(&self, number: u32, refresh: Option<u32>) -> Value {
        let now = START + self.seconds + 1;
        let mut tokens = json!({ "access": { "number": number, "form": "opaque", "scope": "read",
            "issued_at": now, "expires_at": now + 300 } });
        if let Some(generation) = refresh {
            let end = now + 14_400;
            tokens["refresh"] = json!({ "generation": generation, "expires_at": end });
        }
        tokens
    }

    fn until_redeemed() -> Self {
        let digest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let request = json!({ "client_id": "rp", "redirect_uri": "https://rp.example/cb",
            "response_type": "code", "scope": "read" });
        let history = Self::default()
            .then("RequestReceived", &json!({ "request": request, "at": START }))
            .then(
                "SubjectAuthenticated",
                &json!({ "subject": "0190c0ffee0070008000000000000001", "auth_time": START,
                    "acr": "1", "amr": ["pwd"] }),
            )
            .then("ConsentGiven", &json!({ "scope": "read" }))
            .then("CodeIssued", &json!({ "code": digest, "at": START, "expires_at": START + 60 }));
        let tokens = history.tokens(1, Some(1));
        history.then("CodeRedeemed", &json!({ "tokens": tokens }))
    }

    /// The refresh token is used once more, and brings this number.
    fn rotated(self, number: u32) -> Self {
        let tokens = self.tokens(number, Some(number));
        self.then("RefreshTokenRotated", &json!({ "tokens": tokens, "grace_until": START }))
    }

    fn reused(self, generation: u32) -> Self {
        self.then("RefreshTokenReused", &json!({ "client_id": "rp", "generation": generation }))
    }

    fn revoked(self, cause: &str) -> Self {
        self.then("GrantRevoked", &json!({ "cause": cause, "at": START }))
    }

    fn draw(&self, change: impl FnOnce(&mut View)) -> Drawing {
        let mut view = View { selected: None, all: false, now_ms: (START + self.seconds) * 1000 };
        change(&mut view);
        let entries: Vec<_> = (1..)
            .zip(&self.events)
            .map(|(sequence, (at_ms, event, summary, cause))| Entry {
                sequence,
                at_ms: *at_ms,
                event,
                summary,
                cause: *cause,
            })
            .collect();
        Drawing::of(&entries, view)
    }
}

fn life<'a>(drawing: &'a Drawing, name: &str) -> &'a Life {
    drawing.lives.iter().find(|life| life.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn ending(drawing: &Drawing, name: &str) -> (usize, usize, Ending) {
    let life = life(drawing, name);
    (life.from, life.to, life.ending)
}

#[test]
fn a_client_for_itself_has_two_lanes_and_its_token() {
    let history = History::default();
    let authorization = json!({ "client_id": "svc", "scope": "read" });
    let tokens = history.tokens(1, None);
    let payload = json!({ "grant_type": "client_credentials", "authorization": authorization,
        "tokens": tokens });
    let drawing = history.then("TokensIssued", &payload).draw(|_| ());
    assert_eq!(drawing.lanes, [Lane::Client, Lane::Server, Lane::Access]);
    assert_eq!(ending(&drawing, "A1"), (0, 1, Ending::Open));
}

#[test]
fn a_rotation_replaces_the_refresh_token_and_leaves_the_access_token() {
    let drawing = History::until_redeemed().rotated(2).draw(|_| ());
    assert_eq!(drawing.lanes.len(), 5);
    assert_eq!(ending(&drawing, "R1"), (4, 5, Ending::Replaced));
    assert_eq!(ending(&drawing, "R2"), (5, 6, Ending::Open));
    assert_eq!(ending(&drawing, "A1"), (4, 6, Ending::Open));
    assert_ne!(life(&drawing, "A1").slot, life(&drawing, "A2").slot, "beside each other");
    let arrow = drawing.steps[5].arrow.clone().unwrap();
    assert_eq!((arrow.from, arrow.to, &*arrow.label), (Lane::Client, Lane::Server, "R1"));
}

#[test]
fn an_access_token_ends_before_the_first_event_after_its_time() {
    let history = History::until_redeemed().after(1000).rotated(2);
    let drawing = history.draw(|_| ());
    assert_eq!(ending(&drawing, "A1"), (4, 5, Ending::Expired));
    assert_eq!(drawing.steps[5].after, "+16 min 41 s");
    assert_eq!(life(&drawing, "A2").slot, life(&drawing, "A1").slot, "its place is free");
    let later = history.draw(|view| view.now_ms += 100_000_000);
    assert_eq!(ending(&later, "A2").2, Ending::Expired);
    assert_eq!(ending(&later, "R2").2, Ending::Expired);
}

#[test]
fn a_reused_refresh_token_hangs_on_its_generation_and_ends_everything() {
    let history = History::until_redeemed().rotated(2).rotated(3).reused(1);
    let drawing = history.revoked("refresh_token_reused").draw(|_| ());
    let branch = Branch { from: 4, to: 7, name: "R1".to_owned() };
    assert_eq!(drawing.branches, [branch]);
    assert_eq!(drawing.steps[7].arrow.clone().unwrap().tone, Tone::Bad);
    assert!(drawing.steps[8].ends_all);
    for name in ["A1", "A2", "A3", "R3"] {
        assert_eq!(ending(&drawing, name).1, 8, "{name}");
        assert_eq!(ending(&drawing, name).2, Ending::Revoked, "{name}");
    }
    assert_eq!(drawing.steps[8].arrow.clone().unwrap().label, "ends 4 tokens");
}

#[test]
fn a_cascade_names_what_it_answers() {
    let history = History::until_redeemed().revoked("client_disabled");
    let drawing = history.because_of("client/rp/4").draw(|_| ());
    assert_eq!(drawing.steps[5].cause.as_deref(), Some("client/rp/4"));
}

#[test]
fn one_access_token_may_end_by_itself() {
    let history = History::until_redeemed().rotated(2);
    let revoked = json!({ "number": 1, "expires_at": START + 300 });
    let drawing = history.then("AccessTokenRevoked", &revoked).draw(|_| ());
    assert_eq!(ending(&drawing, "A1"), (4, 6, Ending::Revoked));
    assert_eq!(ending(&drawing, "A2"), (5, 7, Ending::Open));
}

fn two_hundred() -> History {
    (2..=200).fold(History::until_redeemed(), History::rotated)
}

#[test]
fn a_long_family_is_drawn_as_a_run_and_says_how_long_it_is() {
    let drawing = two_hundred().reused(90).revoked("refresh_token_reused").draw(|_| ());
    assert_eq!(drawing.steps.len(), 5 + 1 + 1 + 1 + 2, "{:#?}", drawing.steps);
    let What::Run { first, last, label } = &drawing.steps[6].what else { panic!() };
    assert_eq!((*first, *last, &**label), (7, 203, "197 more refreshes"));
    assert_eq!(drawing.folded, 197);
    assert_eq!(drawing.branches, [Branch { from: 6, to: 8, name: "R90".to_owned() }]);
    assert_eq!(ending(&drawing, "R200"), (7, 9, Ending::Revoked));
    // What the run brought and was good still is counted.
    assert_eq!(drawing.steps[9].arrow.clone().unwrap().label, "ends 201 tokens");
    let shared: Vec<_> = drawing.lives.iter().filter(|life| life.name.is_empty()).collect();
    assert_eq!(shared.len(), 2, "one for the access tokens of the run, one for the refresh tokens");
    assert!(shared.iter().any(|life| life.lane == Lane::Access && life.ending == Ending::Revoked));
}

#[test]
fn an_event_that_is_looked_at_is_drawn_and_so_is_everything_on_demand() {
    let history = two_hundred();
    let all = history.draw(|view| view.all = true);
    assert_eq!((all.steps.len(), all.folded), (204, 0));
    let drawing = history.draw(|view| view.selected = Some(100));
    let sequences: Vec<_> = drawing
        .steps
        .iter()
        .filter_map(|step| match step.what {
            What::Event { sequence, .. } => Some(sequence),
            What::Run { .. } => None,
        })
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 99, 100, 101, 204]);
    assert_eq!(drawing.steps.len(), 12, "a run before it and one after it");
}

#[test]
fn a_short_run_is_not_worth_hiding() {
    let drawing = (2..=6).fold(History::until_redeemed(), History::rotated).draw(|_| ());
    assert_eq!((drawing.steps.len(), drawing.folded), (10, 0));
}

/// Whatever happened, and in whatever order: every line stays on the paper.
#[test]
fn nothing_is_drawn_beside_the_paper() {
    let histories = [
        History::until_redeemed(),
        History::until_redeemed().reused(7),
        History::default().revoked("session_ended").because_of("session/x/2"),
        (2..=9).fold(History::until_redeemed(), History::rotated).reused(2),
        two_hundred().reused(200).revoked("refresh_token_reused"),
    ];
    for history in &histories {
        let drawing = history.draw(|_| ());
        for life in &drawing.lives {
            assert!(life.from <= life.to && life.to <= drawing.steps.len(), "{life:?}");
            assert!(life.slot < SLOTS);
        }
        let svg = Chart::of(&drawing, Caption { title: "t", selected: None }).svg();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("x=\"-") && !svg.contains("y=\"-"), "{svg}");
        assert!(!svg.contains("style="), "the policy of the pages allows no such styles");
    }
}

#[test]
fn words_in_the_picture_are_escaped() {
    let mut history = History::until_redeemed();
    history.events[0].2 = "<script>\"&'".to_owned();
    let drawing = history.draw(|_| ());
    let svg = Chart::of(&drawing, Caption { title: "<b>", selected: Some(1) }).svg();
    assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
}

#[test]
fn the_picture_of_a_reuse_is_this() {
    let history = History::until_redeemed().rotated(2).after(600).rotated(3).reused(1);
    let drawing = history.revoked("refresh_token_reused").draw(|view| view.selected = Some(8));
    let caption = Caption { title: "History of a grant", selected: Some(8) };
    insta::assert_snapshot!(Chart::of(&drawing, caption).svg());
}

/// The types of the events that are drawn come from the domain: this stops the build when one
/// is added, by the match in `arrow`.
#[test]
fn every_kind_of_refusal_is_drawn_in_colour() {
    let tones = |history: History| {
        let drawing = history.draw(|_| ());
        drawing.steps.last().unwrap().arrow.clone().unwrap().tone
    };
    let noted = json!({ "reason": "wrong_client", "client_id": "rp" });
    assert_eq!(tones(History::until_redeemed().then("RefusalNoted", &noted)), Tone::Warn);
    let replayed = json!({ "client_id": "rp" });
    assert_eq!(tones(History::until_redeemed().then("CodeReplayed", &replayed)), Tone::Bad);
    assert_eq!(tones(History::until_redeemed().rotated(2)), Tone::Plain);
}
