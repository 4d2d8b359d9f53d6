//! The figures of analysts: over HTTP for programs, and as graphs in the console.

use std::sync::Arc;
use std::time::Duration;

use chancery::services::Services;
use chancery::tally;
use chancery_domain::account::{AccountCommand, Role};
use chancery_domain::client::ClientMetadata;
use chancery_domain::protocol::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::support::{
    Answer, BEGINNING, Browser, Page, RelyingParty, Scene, StoreKind, Tokens, confidential,
    good_request, good_request_but, service, until,
};

both_stores! {
    nobody_reads_figures_without_a_token_for_it,
    a_token_for_some_events_opens_no_sums_of_all,
    a_grant_is_counted_step_by_step_with_its_times,
    a_declined_request_is_lost_where_it_was_declined,
    what_is_refused_is_counted_beside_what_is_answered,
    requests_without_a_grant_are_counted_with_their_reason,
    a_reused_refresh_token_and_what_it_leaves_are_counted,
    figures_are_those_of_the_period_that_is_asked_for,
    figures_stay_after_a_restart_and_a_rebuild,
    what_is_wrong_with_a_question_is_told,
    figures_are_not_read_more_often_than_allowed,
    the_dashboard_shows_the_figures_and_where_they_are_true,
    a_dashboard_of_nothing_says_so,
    what_was_typed_is_never_taken_for_markup,
    a_page_that_loads_itself_does_not_keep_the_session,
}

struct House {
    scene: Scene,
    analyst: RelyingParty,
    token: Mutex<String>,
}

impl House {
    async fn new(store: StoreKind) -> Self {
        Self::with(store, "").await
    }

    async fn with(store: StoreKind, settings: &str) -> Self {
        let scene = Scene::with(store, settings, confidential()).await;
        let metadata = ClientMetadata { scope: Scope::parse("events:read").unwrap(), ..service() };
        let analyst = scene.server.register("analyst", metadata).await;
        let token = Mutex::new(token_of(&analyst).await);
        Self { scene, analyst, token }
    }

    async fn ask(&self, query: &str) -> Answer {
        let mut token = self.token.lock().await;
        loop {
            let request = self.analyst.request(Method::GET, &format!("/events/figures{query}"));
            let answer = Answer::of(request.bearer_auth(&*token).send().await.unwrap()).await;
            if answer.status != 401 {
                return answer;
            }
            *token = token_of(&self.analyst).await;
        }
    }

    /// The figures, once they hold all that has happened by now.
    async fn figures(&self, query: &str) -> Value {
        let end = self.scene.server.log().await.last().unwrap().position;
        for _ in 0..300 {
            let answer = self.ask(query).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let found = answer.json();
            if found["as_of"]["position"].as_u64().unwrap() >= end {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        panic!("the figures stay behind {end}");
    }

    /// A browser in which an auditor has logged in to the console.
    async fn console(&self) -> Browser {
        let auditor = self.scene.server.account("otto").await;
        let roles = AccountCommand::ReplaceRoles { roles: [Role::Auditor].into() };
        self.scene.server.command_account(auditor, roles).await;
        let mut browser = Browser::new(&self.scene.server);
        let page = browser.open(&self.url("")).await.shows("login-form");
        browser.log_in(&page, "otto").await.shows("figures");
        browser
    }

    fn url(&self, query: &str) -> String {
        format!("{}/console/dashboard{query}", self.scene.server.issuer)
    }

    async fn dashboard(&self, browser: &mut Browser, query: &str) -> Page {
        browser.open(&self.url(query)).await.page()
    }

    /// What the server does once a minute.
    async fn close_window(&self) {
        let close = |services: Arc<Services>| async move {
            tally::close_window(&services, BEGINNING).await;
        };
        self.scene.server.act(close).await;
    }
}

async fn token_of(analyst: &RelyingParty) -> String {
    let answer = analyst.client_credentials(&[]).await.ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// The numbers of the funnel, of both kinds of request.
fn steps(figures: &Value) -> Vec<i64> {
    let steps = figures["funnel"].as_array().unwrap().iter();
    let both = steps.filter(|step| step.get("request").is_none());
    both.map(|step| step["grants"].as_i64().unwrap()).collect()
}

/// RFC 6750 §3
async fn nobody_reads_figures_without_a_token_for_it(store: StoreKind) {
    let house = House::new(store).await;
    assert_eq!(house.analyst.get("/events/figures").await.status, 401);
    let other = ClientMetadata { scope: Scope::parse("api").unwrap(), ..service() };
    let other = house.scene.server.register("other", other).await;
    let token = other.client_credentials(&[]).await.ok();
    let request = other.request(Method::GET, "/events/figures");
    let request = request.bearer_auth(token["access_token"].as_str().unwrap());
    assert_eq!(Answer::of(request.send().await.unwrap()).await.status, 403);
}

/// RFC 9396
async fn a_token_for_some_events_opens_no_sums_of_all(store: StoreKind) {
    let house = House::new(store).await;
    let details = r#"[{"type":"chancery_events","clients":["rp"]}]"#;
    let limited = house.analyst.client_credentials(&[("authorization_details", details)]).await;
    let token = limited.ok()["access_token"].as_str().unwrap().to_owned();
    for (path, status) in [("/events/figures?client_id=rp", 403), ("/events", 200)] {
        let request = house.analyst.request(Method::GET, path).bearer_auth(&token);
        assert_eq!(Answer::of(request.send().await.unwrap()).await.status, status, "{path}");
    }
}

async fn a_grant_is_counted_step_by_step_with_its_times(store: StoreKind) {
    let mut house = House::new(store).await;
    let url = house.scene.rp.pushed_url(&good_request()).await;
    assert_eq!(steps(&house.figures("?client_id=rp").await), [1]);
    house.scene.server.advance(5);
    let code = house.scene.browser.go_through(&url, "ada").await.code().to_owned();
    assert_eq!(steps(&house.figures("?client_id=rp").await), [1, 1, 1, 1]);
    house.scene.server.advance(2);
    house.scene.rp.redeem(&code).await.ok();
    let figures = house.figures("?client_id=rp").await;
    assert_eq!(steps(&figures), [1, 1, 1, 1, 1]);
    let funnel = figures["funnel"].as_array().unwrap();
    assert_eq!(funnel.len(), 10, "the same of pushed requests: {figures}");
    assert_eq!(
        funnel[5],
        json!({
            "request": "pushed", "step": 1, "name": "request", "grants": 1, "lost": 0, "declined": 0
        })
    );
    // Rounded up by a thirty-second at most.
    assert_eq!(funnel[1]["p50_ms"], 5120);
    assert_eq!(
        funnel[4],
        json!({
            "step": 5, "name": "token", "grants": 1, "p50_ms": 2016, "p95_ms": 2016, "p99_ms": 2016
        })
    );
    assert_eq!(
        figures["grant_lifetime"],
        json!([
            { "grant_type": "authorization_code", "grants": 1 }
        ])
    );
    assert_eq!(figures["requests"]["answered_code"], 1);
    // Of all clients the analyst's own token is one besides.
    let all = house.figures("").await;
    assert_eq!(all["requests"]["answered"], 2, "{all}");
    let clients: Vec<_> =
        all["clients"].as_array().unwrap().iter().map(|c| &c["client_id"]).collect();
    assert_eq!(clients, ["analyst", "rp"]);
}

async fn a_declined_request_is_lost_where_it_was_declined(store: StoreKind) {
    let mut house = House::new(store).await;
    let url = house.scene.rp.pushed_url(&good_request()).await;
    let page = house.scene.browser.open(&url).await.shows("login-form");
    let page = house.scene.browser.log_in(&page, "ada").await.shows("consent-form");
    house.scene.browser.answer(&page, "deny").await.returned();
    let figures = house.figures("?client_id=rp").await;
    let login = &figures["funnel"][1];
    assert_eq!((&login["lost"], &login["declined"]), (&json!(1), &json!(1)), "{figures}");
    assert_eq!(figures["requests"]["declined"], 1);
}

async fn what_is_refused_is_counted_beside_what_is_answered(store: StoreKind) {
    let mut house = House::new(store).await;
    let code = house.scene.code(&[]).await;
    house.scene.rp.redeem(&code).await.ok();
    house.scene.rp.redeem(&code).await.invalid_grant();
    house.close_window().await;
    let figures = house.figures("?client_id=rp").await;
    let requests = &figures["requests"];
    assert_eq!(requests["answered"], 1);
    assert_eq!((&requests["refused"], &requests["remembered"]), (&json!(1), &json!(1)));
    assert_eq!(requests["error_rate"], 0.5);
    let lifetime = &figures["grant_lifetime"][0];
    assert_eq!(lifetime["ended_by"], "code_replayed", "{figures}");
    assert_eq!(lifetime["max_s"], 0.0);
    assert_eq!(figures["residual_life"][0]["tokens"], 1, "{figures}");
}

async fn requests_without_a_grant_are_counted_with_their_reason(store: StoreKind) {
    let house = House::new(store).await;
    let mut browser = Browser::new(&house.scene.server);
    browser.open(&house.scene.rp.authorize_url(&good_request())).await.shows("login-form");
    let elsewhere = good_request_but(&[("redirect_uri", "https://else.example/")]);
    browser.open(&house.scene.rp.authorize_url(&elsewhere)).await.page();
    house.close_window().await;
    let figures = house.figures("?client_id=rp").await;
    let requests = &figures["requests"];
    assert_eq!((&requests["begun"], &requests["request_refused"]), (&json!(1), &json!(1)));
    assert_eq!(requests["recorded"], 0);
    let counted = figures["counters"].as_array().unwrap();
    let refused = counted.iter().find(|own| own["what"] == "authorization_request_refused");
    assert_eq!(refused.unwrap()["count"], 1, "{figures}");
}

async fn a_reused_refresh_token_and_what_it_leaves_are_counted(store: StoreKind) {
    let mut house = House::new(store).await;
    let first = house.scene.lasting_tokens().await;
    let second = Tokens::of(&house.scene.rp.refresh(first.refresh()).await.ok());
    house.scene.rp.refresh(second.refresh()).await.ok();
    house.scene.server.advance(60);
    house.scene.rp.refresh(first.refresh()).await.invalid_grant();
    let figures = house.figures("?client_id=rp").await;
    let reuse = json!({ "incidents": 1, "revoked": 1, "access_tokens": 3 });
    assert_eq!(figures["refresh_reuse"], reuse);
    let ended = &figures["grant_lifetime"][0];
    assert_eq!(
        (&ended["ended_by"], &ended["refreshes"]),
        (&json!("refresh_token_reused"), &json!(2))
    );
    assert_eq!(ended["max_s"], 60.0);
    let left = &figures["residual_life"][0];
    assert_eq!((&left["tokens"], &left["grants"]), (&json!(3), &json!(1)), "{figures}");
    let moment = &figures["over_time"][0];
    assert_eq!((&moment["reused"], &moment["answered"]), (&json!(1), &json!(3)));
}

async fn figures_are_those_of_the_period_that_is_asked_for(store: StoreKind) {
    let house = House::new(store).await;
    // It is 2027-01-15, eight o'clock.
    house.scene.rp.pushed_url(&good_request()).await;
    house.scene.server.advance(2 * 86_400);
    house.scene.rp.pushed_url(&good_request()).await;
    house.scene.rp.pushed_url(&good_request()).await;
    for (query, expected) in [
        ("?period=24h", vec![2]),
        ("?period=7d", vec![3]),
        ("?period=30d", vec![3]),
        ("?period=all", vec![3]),
        ("?from=2027-01-15&to=2027-01-15", vec![1]),
        ("?from=2027-01-16&to=2027-01-16", vec![]),
        ("?from=2027-01-16", vec![2]),
        ("?to=2027-01-16", vec![1]),
        ("?client_id=analyst", vec![]),
        ("?client_id=nobody", vec![]),
    ] {
        assert_eq!(steps(&house.figures(query).await), expected, "{query}");
    }
    let hours = house.figures("?period=24h&client_id=rp").await;
    assert_eq!(hours["from"], "2027-01-16T09:00:00.000Z");
    assert_eq!(
        hours["over_time"],
        json!([{
            "from": "2027-01-17T08:00:00.000Z", "requests": 2, "completed": 0, "answered": 0,
            "refused": 0, "reused": 0
        }])
    );
    // Three days later its place in the ring is another hour's; its day stays.
    house.scene.server.advance(3 * 86_400);
    house.scene.rp.pushed_url(&good_request()).await;
    assert_eq!(steps(&house.figures("?period=24h").await), [1]);
    assert_eq!(steps(&house.figures("?period=7d").await), [4]);
}

async fn figures_stay_after_a_restart_and_a_rebuild(store: StoreKind) {
    let mut house = House::new(store).await;
    let url = house.scene.rp.pushed_url(&good_request()).await;
    let mut browser = house.scene.browser.clone();
    let code = browser.go_through(&url, "ada").await.code().to_owned();
    house.scene.server = house.scene.server.restart().await;
    // Who did not see the grant begin counts it on.
    house.scene.rp = house.scene.rp.at(&house.scene.server);
    house.analyst = house.analyst.at(&house.scene.server);
    house.scene.rp.redeem(&code).await.ok();
    let before = house.figures("?period=all").await;
    assert_eq!(steps(&before), [1, 1, 1, 1, 1]);
    let reset = |services: Arc<Services>| async move {
        let tables = chancery_projections::figures::TABLES;
        services.store.reset_projection("figures", tables).await.unwrap();
    };
    house.scene.server.act(reset).await;
    until("the same figures", || async {
        let mut after = house.ask("?period=all").await.json();
        after["as_of"] = before["as_of"].clone();
        after == before
    })
    .await;
}

/// RFC 9457
async fn what_is_wrong_with_a_question_is_told(store: StoreKind) {
    let house = House::new(store).await;
    for query in ["?period=1y", "?from=yesterday", "?to=2027-02-30", "?client_id=a%20b"] {
        let answer = house.ask(query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
}

async fn figures_are_not_read_more_often_than_allowed(store: StoreKind) {
    let house = House::with(store, "[events]\nrequests_per_minute = 2").await;
    let statuses = [house.ask("").await.status, house.ask("").await.status];
    assert_eq!(statuses, [200, 200]);
    let answer = house.ask("").await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
}

async fn the_dashboard_shows_the_figures_and_where_they_are_true(store: StoreKind) {
    let mut house = House::new(store).await;
    house.scene.tokens(&[]).await;
    let mut browser = house.console().await;
    let figures = house.figures("").await;
    let page = house.dashboard(&mut browser, "").await;
    assert_eq!(page.text_of("tile-answered").as_deref(), Some("2"));
    assert_eq!(page.text_of("tile-funnel").as_deref(), Some("100 %"));
    let position = figures["as_of"]["position"].as_u64().unwrap();
    let told = page.text_of("as-of").unwrap();
    assert!(told.starts_with(&format!("true at position {position} of the log")), "{told}");
    for (id, number) in [("funnel", "1 · 100 %"), ("clients", "0 % of 1"), ("step-times", "0 ms")]
    {
        let (_, card) = page.html.split_once(&format!(r#"id="{id}""#)).unwrap();
        let (card, _) = card.split_once("</section>").unwrap();
        // In the picture, and in the table beside it.
        assert!(card.contains(r#"role="img""#) && card.contains("<desc"), "{card}");
        assert!(card.contains(number) && card.contains("<table>"), "{card}");
    }
    // Of one client nothing is told of others.
    let page = house.dashboard(&mut browser, "?client=analyst&period=24h").await;
    assert_eq!(page.text_of("tile-answered").as_deref(), Some("1"));
    assert!(!page.has("clients") && page.has("funnel"));
    assert_eq!(page.hidden("find-form", "period"), "24h");
    let page = house.dashboard(&mut browser, "?from=2027-01-14&to=2027-01-14").await;
    assert_eq!(page.text_of("tile-answered").as_deref(), Some("0"));
    for query in ["?client=a%20b", "?from=soon"] {
        let page = house.dashboard(&mut browser, query).await;
        assert_eq!(page.status, 400, "{query}");
        assert!(page.html.contains(r#"role="alert""#) && !page.has("figures"), "{query}");
    }
}

async fn a_dashboard_of_nothing_says_so(store: StoreKind) {
    let house = House::new(store).await;
    let mut browser = house.console().await;
    house.figures("").await;
    let page = house.dashboard(&mut browser, "?client=nobody").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text_of("tile-error-rate").as_deref(), Some("–"));
    assert!(!page.html.contains("<table>"), "{}", page.html);
    assert_eq!(page.html.matches(r#"class="empty""#).count(), 9);
}

async fn what_was_typed_is_never_taken_for_markup(store: StoreKind) {
    let house = House::new(store).await;
    let mut browser = house.console().await;
    for query in ["?client=%22%3E%3Cscript%3E", "?from=%22%3E%3Cscript%3E&live=on"] {
        let page = house.dashboard(&mut browser, query).await;
        assert!(!page.html.contains("<script"), "{query}");
    }
}

/// WCAG 2.2 §2.2.2: nothing moves unless it was asked for, and it can be stopped.
async fn a_page_that_loads_itself_does_not_keep_the_session(store: StoreKind) {
    let house = House::new(store).await;
    let mut browser = house.console().await;
    let page = house.dashboard(&mut browser, "?period=30d").await;
    assert_eq!(page.header("refresh"), None);
    assert!(page.html.contains("/console/dashboard?period=30d&#38;live=on"), "{}", page.html);
    let page = house.dashboard(&mut browser, "?period=30d&live=on").await;
    assert_eq!(page.header("refresh"), Some("10"));
    assert!(page.has("live-off"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for _ in 0..17 {
        house.scene.server.advance(100);
        assert!(house.dashboard(&mut browser, "?live=on").await.has("figures"));
    }
    house.scene.server.advance(100);
    let page = house.dashboard(&mut browser, "?live=on").await;
    assert!(page.has("login-form"), "half an hour in which nobody did anything");
    assert_eq!(page.header("refresh"), None);
}
