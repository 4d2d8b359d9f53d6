//! The console: who is let in and for how long, what its pages tell, and that
//! they tell nothing personal.

use chancery_domain::account::{AccountCommand, Role};
use chancery_domain::client::ClientCommand;
use chancery_domain::ids::{AggregateKind, SubjectId};
use reqwest::Method;

use crate::support::{
    Browser, PASSWORD, Page, Place, Scene, StoreKind, TestServer, confidential, until,
};

both_stores! {
    every_page_asks_for_a_login_and_leads_back,
    a_login_leads_to_no_page_but_ours,
    unknown_names_wrong_passwords_and_locked_accounts_are_told_apart_by_nobody,
    guessing_is_slowed_down,
    an_account_without_a_role_is_not_let_in,
    a_form_from_elsewhere_does_nothing,
    the_cookie_stays_here,
    a_session_of_the_login_page_is_none_here_and_the_other_way_round,
    a_session_ends_by_itself,
    whoever_loses_the_right_is_out_at_once,
    a_logout_ends_the_session_for_good,
    logins_and_logouts_are_in_the_log_by_pseudonym,
    every_page_is_sent_with_a_strict_policy,
    grants_are_found_by_person_client_and_state,
    a_search_has_pages,
    what_can_not_be_looked_for_is_said,
    what_is_not_there_is_told_in_plain_words,
    a_grant_is_told_as_it_was_after_each_event,
    a_grant_tells_what_the_person_saw,
    a_reused_refresh_token_is_an_incident_with_its_cascade,
    a_long_family_is_told_in_runs,
    a_cascade_leads_to_its_cause,
    every_event_tells_whether_it_is_sealed,
    an_event_that_was_changed_does_not_verify,
    a_client_tells_what_each_change_changed,
    what_a_client_calls_itself_is_never_taken_for_markup,
    no_page_tells_who_people_are,
    incidents_are_found_with_what_was_revoked_for_them,
    grants_are_found_by_day_and_by_what_ended_them,
    who_a_person_is_is_shown_for_a_reason_that_is_recorded,
    evidence_is_exported_by_a_form_of_the_session,
    it_is_not_there_when_it_is_off,
    it_is_there_below_an_issuers_path,
}

/// A server with an auditor beside client and person.
struct House {
    scene: Scene,
    auditor: SubjectId,
}

async fn begin(store: StoreKind) -> House {
    with(store, "").await
}

async fn with(store: StoreKind, settings: &str) -> House {
    let scene = Scene::with(store, settings, confidential()).await;
    let auditor = scene.server.account("otto").await;
    give_roles(&scene.server, auditor, &[Role::Auditor]).await;
    House { scene, auditor }
}

async fn give_roles(server: &TestServer, subject: SubjectId, roles: &[Role]) {
    let roles = roles.iter().copied().collect();
    server.command_account(subject, AccountCommand::ReplaceRoles { roles }).await;
}

impl House {
    fn url(&self, path: &str) -> String {
        format!("{}/console{path}", self.scene.server.issuer)
    }

    /// A browser in which somebody has logged in to the console.
    async fn console(&self, username: &str) -> Browser {
        let mut browser = Browser::new(&self.scene.server);
        let page = browser.open(&self.url("")).await.shows("login-form");
        let page = browser.log_in(&page, username).await.shows("operator-name");
        assert_eq!(page.text_of("operator-name").as_deref(), Some(username));
        browser
    }

    async fn open(&self, browser: &mut Browser, path: &str) -> Page {
        browser.open(&self.url(path)).await.page()
    }

    /// The only grant there is.
    async fn grant(&self) -> String {
        let grants = self.scene.server.grants().await;
        assert_eq!(grants.len(), 1, "{grants:?}");
        grants.into_keys().next().unwrap()
    }

    /// Waits until a grant's page shows all five events of a flow as sealed.
    async fn five_are_sealed(&self, browser: &Browser, path: &str) {
        until("all five events are sealed", || async {
            let page = self.open(&mut browser.clone(), path).await;
            page.html.matches(">sealed in checkpoint ").count() == 5
        })
        .await;
    }

    /// Waits until the lists show it.
    async fn listed(&self, browser: &Browser, path: &str, what: &str) {
        until(what, || async {
            let found = self.open(&mut browser.clone(), path).await;
            found.html.contains(what)
        })
        .await;
    }
}

async fn every_page_asks_for_a_login_and_leads_back(store: StoreKind) {
    let place = begin(store).await;
    for (path, id) in [
        ("", "figures"),
        ("/grants?client=rp&state=active", "find-form"),
        ("/clients", "client-list"),
        ("/clients/rp", "client-id"),
        ("/keys", "key-list"),
        ("/checkpoints", "checkpoint-list"),
        ("/incidents", "find-form"),
        ("/dashboard?period=24h&client=rp", "tile-answered"),
    ] {
        let mut browser = Browser::new(&place.scene.server);
        let login = browser.open(&place.url(path)).await.shows("login-form");
        let page = browser.log_in(&login, "otto").await.shows(id);
        assert_eq!(page.url.as_str(), place.url(path));
        // Who is in already is not asked again.
        browser.open(&place.url("/login")).await.shows("figures");
    }
}

async fn a_login_leads_to_no_page_but_ours(store: StoreKind) {
    let place = begin(store).await;
    for to in
        ["https://evil.example", "@evil.example", ".evil.example/", "/../../login", "%5C%5Cevil"]
    {
        let mut browser = Browser::new(&place.scene.server);
        let login = browser.open(&place.url(&format!("/login?to={to}"))).await;
        let login = login.shows("login-form");
        assert_eq!(login.hidden("login-form", "to"), "");
        // Nor by a form that was tampered with.
        let csrf = login.hidden("login-form", "csrf");
        let fields = [("to", to), ("csrf", &*csrf), ("username", "otto"), ("password", PASSWORD)];
        let page = browser.post(&place.url("/login"), &fields).await.shows("figures");
        assert_eq!(page.url.as_str(), place.url(""));
    }
}

async fn unknown_names_wrong_passwords_and_locked_accounts_are_told_apart_by_nobody(
    store: StoreKind,
) {
    let place = begin(store).await;
    let locked = place.scene.server.account("lou").await;
    give_roles(&place.scene.server, locked, &[Role::Admin]).await;
    let lock = AccountCommand::Lock { reason: "left".to_owned() };
    place.scene.server.command_account(locked, lock).await;
    let mut messages = Vec::new();
    for (username, password) in [("nobody", PASSWORD), ("otto", "wrong"), ("lou", PASSWORD)] {
        let mut browser = Browser::new(&place.scene.server);
        let page = browser.open(&place.url("")).await.shows("login-form");
        let page = browser.try_password(&page, username, password).await.shows("login-error");
        assert_eq!(page.status, 400);
        assert!(!browser.cookies.contains_key("chancery-console"));
        messages.push(page.text_of("login-error"));
    }
    assert!(messages.windows(2).all(|pair| pair[0] == pair[1]), "{messages:?}");
}

async fn guessing_is_slowed_down(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = Browser::new(&place.scene.server);
    let mut page = browser.open(&place.url("")).await.shows("login-form");
    for _ in 0..20 {
        page = browser.try_password(&page, "otto", "wrong").await.shows("login-error");
        if page.status == 429 {
            assert!(page.header("retry-after").is_some());
            // The right one has to wait too.
            let right = browser.log_in(&page, "otto").await.shows("login-error");
            assert_eq!(right.status, 429);
            return;
        }
    }
    panic!("twenty guesses");
}

async fn an_account_without_a_role_is_not_let_in(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = Browser::new(&place.scene.server);
    let page = browser.open(&place.url("")).await.shows("login-form");
    let page = browser.log_in(&page, "ada").await.shows("login-error");
    assert_eq!(page.status, 403);
    assert!(!browser.cookies.contains_key("chancery-console"));
    // Both roles open it.
    give_roles(&place.scene.server, place.scene.ada, &[Role::Admin]).await;
    let mut browser = place.console("ada").await;
    let page = place.open(&mut browser, "").await;
    assert_eq!(page.text_of("operator-role").as_deref(), Some("admin"));
}

async fn a_form_from_elsewhere_does_nothing(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = Browser::new(&place.scene.server);
    let page = browser.open(&place.url("")).await.shows("login-form");
    let csrf = page.hidden("login-form", "csrf");
    let good = [("csrf", &*csrf), ("username", "otto"), ("password", PASSWORD)];
    let url = place.url("/login");
    let page = browser.post_from("https://evil.example", &url, &good).await;
    assert_eq!(page.shows("login-error").status, 400);
    let bad = [("csrf", "x"), ("username", "otto"), ("password", PASSWORD)];
    assert_eq!(browser.post(&url, &bad).await.shows("login-error").status, 400);

    let mut browser = place.console("otto").await;
    let url = place.url("/logout");
    let page = browser.post(&url, &[("csrf", "x")]).await.shows("problem");
    assert_eq!(page.status, 400);
    // Another session's token is no good either.
    let mut other = place.console("otto").await;
    let theirs = place.open(&mut other, "").await.hidden("logout-form", "csrf");
    browser.post(&url, &[("csrf", &*theirs)]).await.shows("problem");
    place.open(&mut browser, "").await.text_of("operator-name").unwrap();
}

async fn the_cookie_stays_here(store: StoreKind) {
    let place = begin(store).await;
    let browser = place.console("otto").await;
    let answer = browser.request(Method::GET, &place.url("")).send().await.unwrap();
    let cookies = answer.headers().get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    assert!(cookie.starts_with("chancery-console="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/console"), "{cookie}");
}

async fn a_session_of_the_login_page_is_none_here_and_the_other_way_round(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = Browser::new(&place.scene.server);
    let account = format!("{}/account", place.scene.server.issuer);
    let page = browser.open(&account).await.shows("login-form");
    browser.log_in(&page, "otto").await.shows("account-page");
    browser.open(&place.url("")).await.shows("login-form");
    // Nor with the one's cookie in the other's place.
    let cookie = browser.cookies["chancery-session"].clone();
    browser.cookies.insert("chancery-console".to_owned(), cookie);
    browser.open(&place.url("")).await.shows("login-form");

    let mut browser = place.console("otto").await;
    browser.open(&account).await.shows("login-form");
    let cookie = browser.cookies["chancery-console"].clone();
    browser.cookies.insert("chancery-session".to_owned(), cookie);
    browser.open(&account).await.shows("login-form");
}

async fn a_session_ends_by_itself(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = place.console("otto").await;
    place.scene.server.advance(1799);
    assert!(place.open(&mut browser, "").await.has("figures"));
    place.scene.server.advance(1800);
    assert!(place.open(&mut browser, "").await.has("login-form"), "not used for half an hour");

    let mut browser = place.console("otto").await;
    for _ in 0..19 {
        place.scene.server.advance(1500);
        assert!(place.open(&mut browser, "").await.has("figures"));
    }
    place.scene.server.advance(300);
    assert!(place.open(&mut browser, "").await.has("login-form"), "eight hours have passed");
}

async fn whoever_loses_the_right_is_out_at_once(store: StoreKind) {
    let place = begin(store).await;
    let hash = chancery_domain::digest::Sha256Digest::ZERO;
    let now = chancery_domain::time::UnixTime::from_seconds;
    let later = crate::support::BEGINNING.seconds() + 1;
    let commands = [
        AccountCommand::ReplaceRoles { roles: [].into() },
        AccountCommand::DismissSessions { but: None, now: now(later) },
        AccountCommand::SetPassword { hash, now: now(later) },
    ];
    for (username, command) in ["una", "duo", "tria"].into_iter().zip(commands) {
        let subject = place.scene.server.account(username).await;
        give_roles(&place.scene.server, subject, &[Role::Auditor]).await;
        let mut browser = place.console(username).await;
        place.scene.server.command_account(subject, command).await;
        assert!(place.open(&mut browser, "/grants").await.has("login-form"), "{username}");
    }
    let mut browser = place.console("otto").await;
    let lock = AccountCommand::Lock { reason: "left".to_owned() };
    place.scene.server.command_account(place.auditor, lock).await;
    assert!(place.open(&mut browser, "/grants").await.has("login-form"), "locked");
    place.scene.server.command_account(place.auditor, AccountCommand::Unlock).await;
    until("the cascade ends the session", || async {
        let log = place.scene.server.log().await;
        log.iter().any(|stored| stored.event.payload.contains(r#""cause":"account_locked""#))
    })
    .await;
    assert!(place.open(&mut browser, "/grants").await.has("login-form"), "locked meanwhile");
}

async fn a_logout_ends_the_session_for_good(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = place.console("otto").await;
    let stolen = browser.clone();
    let page = place.open(&mut browser, "").await;
    browser.submit(&page, "logout-form", &[]).await.shows("login-form");
    assert!(!browser.cookies.contains_key("chancery-console"));
    // A copy of the cookie is worth nothing any more.
    assert!(place.open(&mut stolen.clone(), "").await.has("login-form"));
}

async fn logins_and_logouts_are_in_the_log_by_pseudonym(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = place.console("otto").await;
    let page = place.open(&mut browser, "").await;
    browser.submit(&page, "logout-form", &[]).await.shows("login-form");
    let log = place.scene.server.log().await;
    let sessions: Vec<_> =
        log.iter().filter(|stored| stored.event.stream.kind == AggregateKind::Session).collect();
    let types: Vec<_> = sessions.iter().map(|stored| &*stored.event.event_type).collect();
    assert_eq!(types, ["SessionStarted", "SessionEnded"]);
    for stored in sessions {
        let actor = format!(r#""actor":"operator","actor_ref":"account {}""#, place.auditor);
        assert!(stored.event.metadata.contains(&actor), "{}", stored.event.metadata);
        assert!(!stored.event.payload.contains("otto"));
    }
}

async fn every_page_is_sent_with_a_strict_policy(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    for path in [
        "",
        "/grants",
        &format!("/grants/{grant}"),
        "/clients",
        "/clients/rp",
        "/keys",
        "/checkpoints",
        "/incidents",
        &format!("/people/{}", place.auditor),
        &format!("/history/account/{}", place.auditor),
        "/nowhere",
        "/login?to=/x",
    ] {
        let page = place.open(&mut browser, path).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src"), "{policy}");
        assert!(policy.ends_with("form-action 'self'; frame-ancestors 'none'; base-uri 'none'"));
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
        for word in ["<script", " style=", " onclick"] {
            assert!(!page.html.contains(word), "{path}: {word}");
        }
    }
}

async fn grants_are_found_by_person_client_and_state(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    place.listed(&browser, "/grants", &grant).await;
    let ada = place.scene.ada;
    for (query, found) in [
        (format!("subject={ada}"), true),
        (format!("subject={}", place.auditor), false),
        ("client=rp".to_owned(), true),
        ("client=other".to_owned(), false),
        ("state=active".to_owned(), true),
        ("state=revoked".to_owned(), false),
        (format!("client=rp&subject={ada}&state=active"), true),
    ] {
        let page = place.open(&mut browser, &format!("/grants?{query}")).await;
        assert_eq!(page.html.contains(&grant), found, "{query}");
        assert_eq!(page.has("nothing-found"), !found, "{query}");
    }
    let page = place.open(&mut browser, &format!("/grants?grant={grant}")).await;
    assert_eq!(page.text_of("grant-id"), Some(grant));
}

async fn a_search_has_pages(store: StoreKind) {
    let place = begin(store).await;
    let service = place.scene.server.register("svc", crate::support::service()).await;
    for _ in 0..52 {
        service.client_credentials(&[]).await.ok();
    }
    let mut browser = place.console("otto").await;
    let all = place.scene.server.grants().await;
    place.listed(&browser, "/grants", all.keys().next_back().unwrap()).await;
    let first = place.open(&mut browser, "/grants?client=svc").await;
    assert_eq!(first.html.matches("<article").count(), 50);
    let (_, rest) = first.html.split_once("id=\"next-page\" href=\"").unwrap();
    let href = rest.split('"').next().unwrap().replace("&#38;", "&");
    let second = browser.open(first.url.join(&href).unwrap().as_str()).await.page();
    assert_eq!(second.html.matches("<article").count(), 2);
    assert!(second.has("first-page") && !second.has("next-page"));
}

async fn what_can_not_be_looked_for_is_said(store: StoreKind) {
    let place = begin(store).await;
    let mut browser = place.console("otto").await;
    for query in ["subject=ada", "subject=%00", "client=a%20b", "client=%3Cb%3E%00"] {
        let page = place.open(&mut browser, &format!("/grants?{query}")).await;
        assert_eq!(page.status, 400, "{query}");
        assert!(page.html.contains("role=\"alert\""), "{query}");
        assert!(!page.html.contains("<b>"));
    }
    for query in ["state=%00", "after=%00", "after=zzz", "client=%27%3B--"] {
        assert_eq!(place.open(&mut browser, &format!("/grants?{query}")).await.status, 200);
    }
}

async fn what_is_not_there_is_told_in_plain_words(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    for path in [
        "/grants/00000000000000000000000000000000",
        "/grants/nonsense",
        "/grants?grant=nonsense",
        "/clients/unknown",
        "/clients/a%20b",
        "/history/account/00000000000000000000000000000000",
        "/history/account/%00",
        "/history/weather/1",
        "/nowhere",
        "/grants/1/2/3",
        &format!("/grants/{grant}?at=0"),
        &format!("/grants/{grant}?at=999"),
        &format!("/grants/{grant}?at=x"),
    ] {
        let page = place.open(&mut browser, path).await;
        assert_eq!(page.status, 404, "{path}: {page:?}");
        assert!(page.has("problem") && page.has("operator-name"), "{path}");
    }
}

async fn a_grant_is_told_as_it_was_after_each_event(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.lasting_tokens().await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let states = ["pushed", "authenticated", "consented", "code issued", "active"];
    for (at, state) in (1..).zip(states) {
        let page = place.open(&mut browser, &format!("/grants/{grant}?at={at}")).await;
        assert_eq!(page.text_of("grant-state").as_deref(), Some(state), "{at}");
        assert!(page.html.contains(&format!("After event {at}")));
        assert_eq!(page.has("presented"), at >= 3, "{at}");
        assert!(page.html.contains("aria-current=\"true\""), "it is marked in the picture");
        assert_eq!(page.has("event-next"), at < 5);
    }
    let page = place.open(&mut browser, &format!("/grants/{grant}")).await;
    assert_eq!(page.text_of("grant-state").as_deref(), Some("active"));
    // The list has each event, with both clocks, and the picture leads to each state.
    for stored in place.scene.server.log().await {
        if stored.event.stream.kind == AggregateKind::Grant {
            let sequence = stored.event.sequence;
            assert!(page.has(&format!("event-{sequence}")));
            assert!(page.html.contains(&format!("<dt>position</dt><dd>{}</dd>", stored.position)));
            assert!(page.html.contains(&stored.event.digest.to_string()));
            assert!(page.html.contains(&format!("<a class=\"hit\" href=\"?at={sequence}#state\"")));
        }
    }
    assert!(page.html.contains("2027-01-15 08:00:00"), "by the clock of the node");
}

async fn a_grant_tells_what_the_person_saw(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.lasting_tokens().await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let page = place.open(&mut browser, &format!("/grants/{grant}")).await;
    let (_, presented) = page.html.split_once("id=\"presented\"").unwrap();
    let presented = presented.split("</details>").next().unwrap();
    assert!(presented.contains("Read your e-mail address"), "{presented}");
    assert!(presented.contains("<code>en</code>"), "{presented}");
}

async fn a_reused_refresh_token_is_an_incident_with_its_cascade(store: StoreKind) {
    let mut place = begin(store).await;
    let first = place.scene.lasting_tokens().await;
    place.scene.server.advance(100);
    place.scene.rp.refresh(first.refresh()).await.ok();
    place.scene.server.advance(100);
    place.scene.rp.refresh(first.refresh()).await.invalid_grant();
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let page = place.open(&mut browser, &format!("/grants/{grant}")).await;
    assert_eq!(page.text_of("grant-state").as_deref(), Some("revoked"));
    assert!(page.html.contains("class=\"alert incident\""));
    assert!(page.html.contains("a replaced refresh token was presented"));
    for ended in ["access token 1, JWT by key", "access token 2, JWT by key", "refresh token 2"] {
        assert!(page.html.contains(ended), "{ended}");
    }
    assert!(page.html.contains("without asking may have believed them until"));
    for drawn in [">R1 again<", ">ends 3 tokens<", "class=\"branch\"", "class=\"cascade\""] {
        assert!(page.html.contains(drawn), "{drawn}");
    }
}

async fn a_long_family_is_told_in_runs(store: StoreKind) {
    let mut place = begin(store).await;
    let mut tokens = place.scene.lasting_tokens().await;
    for _ in 0..12 {
        place.scene.server.advance(60);
        let refreshed = place.scene.rp.refresh(tokens.refresh()).await.ok();
        tokens = crate::support::Tokens::of(&refreshed);
    }
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let page = place.open(&mut browser, &format!("/grants/{grant}")).await;
    assert!(page.html.contains(">10 more refreshes<"));
    assert!(page.has("run-7") && page.has("event-10"), "folded, and all there");
    let all = place.open(&mut browser, &format!("/grants/{grant}?all=1")).await;
    assert!(!all.has("run-7") && all.has("event-10"));
    let within = place.open(&mut browser, &format!("/grants/{grant}?at=10")).await;
    assert!(within.html.contains("number 6, good until"), "{}", within.html);
}

async fn a_cascade_leads_to_its_cause(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let reason = "stolen laptop".to_owned();
    place.scene.server.command_client("rp", ClientCommand::Disable { reason }).await;
    until("the grant is revoked", || async {
        place.scene.server.only_grant().await.last().unwrap() == "GrantRevoked"
    })
    .await;
    let mut browser = place.console("otto").await;
    let page = place.open(&mut browser, &format!("/grants/{grant}")).await;
    assert!(page.html.contains("href=\"/console/clients/rp#event-2\""));
    assert!(page.html.contains(">by the client<"), "in the picture");
    let page = place.open(&mut browser, "/clients/rp").await;
    assert_eq!(page.text_of("client-state").as_deref(), Some("disabled"));
    assert!(page.has("event-2") && page.html.contains("stolen laptop"));
}

async fn every_event_tells_whether_it_is_sealed(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let path = format!("/grants/{grant}");
    place.five_are_sealed(&browser, &path).await;
    let page = place.open(&mut browser, "/checkpoints").await;
    let size: u64 =
        page.text_of("checkpoint-size").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(size >= 5, "{size}");
    let (_, checks) = page.html.split_once("id=\"checks\"").unwrap();
    let checks = checks.split("</ul>").next().unwrap();
    assert_eq!(checks.matches(">yes<").count(), 2, "{checks}");
    assert!(!page.html.contains(">no<") && !page.html.contains(">not continued<"));
}

async fn an_event_that_was_changed_does_not_verify(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let path = format!("/grants/{grant}");
    place.five_are_sealed(&browser, &path).await;
    // Whoever may write to the database moves the moment of a consent.
    let earlier = match store {
        StoreKind::Sqlite => "recorded_at - 3600000",
        StoreKind::Postgres => "recorded_at - interval '1 hour'",
    };
    let statement =
        format!("UPDATE events SET recorded_at = {earlier} WHERE event_type = 'ConsentGiven'");
    place.scene.server.tamper(&statement).await;
    let page = place.open(&mut browser, &path).await;
    assert_eq!(page.html.matches(">does not verify<").count(), 1, "{}", page.html);
    assert_eq!(page.html.matches(">sealed in checkpoint ").count(), 4);
}

async fn a_client_tells_what_each_change_changed(store: StoreKind) {
    let place = begin(store).await;
    let mut metadata = confidential();
    metadata.client_name = Some("The Renamed".to_owned());
    metadata.client_uri = Some("https://rp.example".to_owned());
    metadata.scope = chancery_domain::protocol::scope::Scope::parse("openid read").unwrap();
    let replace = ClientCommand::ReplaceMetadata(Box::new(metadata));
    place.scene.server.command_client("rp", replace).await;
    let mut browser = place.console("otto").await;
    let page = place.open(&mut browser, "/clients/rp").await;
    for told in [
        "<del>The App</del>",
        "<ins>The Renamed</ins>",
        "<ins>https://rp.example</ins>",
        "<del>write</del>",
        "<del>offline_access</del>",
    ] {
        assert!(page.html.contains(told), "{told}: {}", page.html);
    }
    assert!(!page.html.contains("<del>openid</del>") && !page.html.contains("<ins>read</ins>"));
}

async fn what_a_client_calls_itself_is_never_taken_for_markup(store: StoreKind) {
    let place = begin(store).await;
    let name = "<script>alert(1)</script>\"'&";
    let mut metadata = confidential();
    metadata.client_name = Some(name.to_owned());
    let id = "a/b?c=\"><img>&d#e%2F";
    let rp = place.scene.server.register(id, crate::support::service()).await;
    rp.client_credentials(&[]).await.ok();
    let replace = ClientCommand::ReplaceMetadata(Box::new(metadata));
    place.scene.server.command_client(id, replace).await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    place.listed(&browser, "/grants", &grant).await;
    let escaped: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    for path in [
        "/clients".to_owned(),
        format!("/clients/{escaped}"),
        format!("/grants?client={escaped}"),
        format!("/grants/{grant}"),
    ] {
        let page = place.open(&mut browser, &path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.html.contains("<script") && !page.html.contains("<img"), "{path}");
        assert!(page.html.contains("a/b?c="), "{path}: {}", page.html);
    }
}

async fn no_page_tells_who_people_are(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.lasting_tokens().await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    place.listed(&browser, "/grants", &grant).await;
    let ada = place.scene.ada;
    for path in [
        String::new(),
        format!("/grants?subject={ada}"),
        format!("/grants/{grant}"),
        format!("/history/account/{ada}"),
    ] {
        let page = place.open(&mut browser, &path).await;
        assert_eq!(page.status, 200);
        for personal in ["Lovelace", "ada@example.com", ">ada<", "+44 1"] {
            assert!(!page.html.contains(personal), "{path}: {personal}");
        }
    }
}

async fn incidents_are_found_with_what_was_revoked_for_them(store: StoreKind) {
    let mut place = begin(store).await;
    let code = place.scene.code(&[]).await;
    place.scene.rp.redeem(&code).await.ok();
    place.scene.rp.redeem(&code).await.invalid_grant();
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    place.listed(&browser, "/incidents", &grant).await;
    let today = "from=2027-01-15&to=2027-01-15";
    for (query, found) in [
        ("", true),
        ("kind=code_replayed", true),
        ("kind=refresh_token_reused", false),
        ("client=rp", true),
        ("client=other", false),
        (today, true),
        ("to=2027-01-14", false),
        ("from=2027-01-16", false),
    ] {
        let page = place.open(&mut browser, &format!("/incidents?{query}")).await;
        assert_eq!(page.html.contains(&grant), found, "{query}: {}", page.html);
        assert_eq!(page.has("nothing-found"), !found, "{query}");
    }
    let page = place.open(&mut browser, "/incidents").await;
    assert!(page.html.contains("the grant, with one access token"), "{}", page.html);
    assert!(page.html.contains("true at position"));
    assert!(place.open(&mut browser, "").await.has("incident-list"), "on the first page too");
    for query in ["from=yesterday", "client=a%20b", "to=%00"] {
        assert_eq!(place.open(&mut browser, &format!("/incidents?{query}")).await.status, 400);
    }
    assert_eq!(place.open(&mut browser, "/incidents?after=%00&kind=%00").await.status, 200);
}

async fn grants_are_found_by_day_and_by_what_ended_them(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.tokens(&[]).await;
    let grant = place.grant().await;
    let reason = "stolen laptop".to_owned();
    place.scene.server.command_client("rp", ClientCommand::Disable { reason }).await;
    let mut browser = place.console("otto").await;
    place.listed(&browser, "/grants?ended_by=client/rp/2", &grant).await;
    for (query, found) in [
        ("from=2027-01-15&to=2027-01-15", true),
        ("to=2027-01-14", false),
        ("from=2027-01-16", false),
        ("client=rp&from=2027-01-15", true),
        ("ended_by=client/rp/1", false),
    ] {
        let page = place.open(&mut browser, &format!("/grants?{query}")).await;
        assert_eq!(page.html.contains(&grant), found, "{query}");
    }
    for query in ["from=yesterday", "ended_by=weather/x/1"] {
        assert_eq!(place.open(&mut browser, &format!("/grants?{query}")).await.status, 400);
    }
    let page = place.open(&mut browser, "/clients/rp").await;
    assert!(page.html.contains("/console/grants?ended_by=client%2Frp%2F2"), "{}", page.html);
}

async fn who_a_person_is_is_shown_for_a_reason_that_is_recorded(store: StoreKind) {
    let place = begin(store).await;
    let ada = place.scene.ada;
    let mut browser = place.console("otto").await;
    let path = format!("/people/{ada}");
    let page = place.open(&mut browser, &path).await;
    assert!(page.has("person-form") && !page.html.contains("Lovelace"));
    let read = |log: &[chancery::stores::StoredEvent]| {
        log.iter().filter(|stored| stored.event.event_type == "PersonalDataRead").count()
    };
    for reason in ["", " ", "a\nb"] {
        let again = browser.submit(&page, "person-form", &[("reason", reason)]).await;
        let again = again.shows("person-error");
        assert_eq!(again.status, 400);
        assert!(!again.html.contains("Lovelace"));
    }
    let url = place.url(&path);
    let forged = [("csrf", "x"), ("reason", "curious")];
    browser.post(&url, &forged).await.shows("problem");
    assert_eq!(read(&place.scene.server.log().await), 0);

    let shown = browser.submit(&page, "person-form", &[("reason", "complaint 7")]).await;
    let shown = shown.shows("person-shown");
    for told in ["Ada Lovelace", "ada@example.com", "complaint 7"] {
        assert!(shown.html.contains(told), "{told}");
    }
    let log = place.scene.server.log().await;
    assert_eq!(read(&log), 1);
    let event = log.iter().find(|stored| stored.event.event_type == "PersonalDataRead").unwrap();
    assert!(event.event.payload.contains("complaint 7"));
    assert!(event.event.metadata.contains(&format!("account {}", place.auditor)));
    assert!(!event.event.payload.contains("Lovelace"));
    // It is not shown again without a reason, and its history says who looked.
    assert!(!place.open(&mut browser, &path).await.html.contains("Lovelace"));
    let history = place.open(&mut browser, &format!("/history/account/{ada}")).await;
    assert!(history.html.contains("complaint 7"));
    let nobody = "/people/00000000000000000000000000000000";
    assert_eq!(place.open(&mut browser, nobody).await.status, 404);
}

async fn evidence_is_exported_by_a_form_of_the_session(store: StoreKind) {
    let mut place = begin(store).await;
    place.scene.lasting_tokens().await;
    let grant = place.grant().await;
    let mut browser = place.console("otto").await;
    let ada = place.scene.ada;
    for path in [format!("/grants/{grant}"), format!("/people/{ada}")] {
        let forged = browser.post(&place.url(&format!("{path}/export")), &[("csrf", "x")]).await;
        forged.shows("problem");
        let page = place.open(&mut browser, &path).await;
        let answer = browser.submit(&page, "export-form", &[]).await;
        let zip = answer.page();
        assert_eq!(zip.status, 200);
        assert!(zip.html.starts_with("PK"), "no zip");
    }
}

async fn it_is_not_there_when_it_is_off(store: StoreKind) {
    let server = TestServer::with_settings(store, "[features]\nconsole = false").await;
    let browser = Browser::new(&server);
    for path in ["", "/login", "/grants", "/%67rants"] {
        let url = format!("{}/console{path}", server.issuer);
        let answer = browser.request(Method::GET, &url).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.text().await.unwrap().is_empty());
    }
}

async fn it_is_there_below_an_issuers_path(store: StoreKind) {
    let server = TestServer::below(store, "/tenant", "").await;
    let otto = server.account("otto").await;
    give_roles(&server, otto, &[Role::Auditor]).await;
    let mut browser = Browser::new(&server);
    let url = format!("{}/console/keys", server.issuer);
    let login = browser.open(&url).await.shows("login-form");
    assert_eq!(login.hidden("login-form", "to"), "/keys");
    let csrf = login.hidden("login-form", "csrf");
    let fields = [("to", "/keys"), ("csrf", &*csrf), ("username", "otto"), ("password", PASSWORD)];
    let (origin, action) = (server.issuer.trim_end_matches("/tenant"), login.form("login-form").0);
    assert_eq!(action, "/tenant/console/login");
    let page = browser.post_from(origin, &format!("{origin}{action}"), &fields).await;
    let page = page.shows("key-list");
    assert!(page.html.contains("href=\"/tenant/console/grants\""));
    let answer = browser.request(Method::GET, &url).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("Path=/tenant/console"), "{cookie}");
    assert!(matches!(browser.open(&url).await, Place::Page(page) if page.has("key-list")));
}
