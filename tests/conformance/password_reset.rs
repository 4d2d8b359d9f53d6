//! A new password by a one-time link, and an e-mail address confirmed by one:
//! with a small mail server on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::{Browser, Page, Scene, StoreKind, confidential, good_request_but, until};

both_stores! {
    a_forgotten_password_is_set_anew_by_a_link,
    a_link_is_good_once,
    a_link_does_not_last_for_ever,
    a_newer_link_takes_the_place_of_an_older_one,
    a_reset_ends_all_sessions,
    the_answer_is_the_same_for_a_name_that_nobody_has,
    asking_for_links_is_slowed_down,
    a_stranger_s_link_changes_nothing,
    no_link_without_a_mail_server,
    an_e_mail_address_is_confirmed_by_a_link,
}

const NEW: &str = "a wholly other phrase";

/// Takes mail by SMTP (RFC 5321), as far as this needs it.
struct MailServer {
    port: u16,
    letters: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let letters = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&letters);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::talk(BufReader::new(stream), Arc::clone(&taken)));
            }
        });
        Self { port, letters }
    }

    async fn talk(mut stream: BufReader<tokio::net::TcpStream>, taken: Arc<Mutex<Vec<String>>>) {
        stream.write_all(b"220 here\r\n").await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
            let answer = match line.get(..4).unwrap_or_default() {
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    let mut letter = String::new();
                    while !letter.ends_with("\r\n.\r\n") {
                        assert!(stream.read_line(&mut letter).await.unwrap() > 0);
                    }
                    taken.lock().unwrap().push(letter);
                    "250 taken\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 well\r\n",
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            line.clear();
        }
    }

    fn settings(&self) -> String {
        format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
             from = \"Login <login@example.com>\"\n",
            self.port
        )
    }

    async fn scene(&self, store: StoreKind) -> Scene {
        Scene::with(store, &self.settings(), confidential()).await
    }

    /// The letter with this number, when it has come.
    async fn letter(&self, number: usize) -> String {
        until("a letter", || async { self.letters.lock().unwrap().len() > number }).await;
        let letter = self.letters.lock().unwrap()[number].clone();
        // Quoted-printable (RFC 2045 §6.7), where a line was too long.
        letter.replace("=\r\n", "").replace("=3D", "=")
    }

    /// The link in it.
    async fn link(&self, number: usize) -> String {
        let letter = self.letter(number).await;
        let link = letter.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        link.to_owned()
    }
}

fn url(scene: &Scene, path: &str) -> String {
    format!("{}{path}", scene.server.issuer)
}

async fn ask(scene: &Scene, username: &str) -> Page {
    let mut browser = Browser::new(&scene.server);
    let page = browser.open(&url(scene, "/password/forgot")).await.shows("forgot-form");
    browser.submit(&page, "forgot-form", &[("username", username)]).await.page()
}

async fn choose(scene: &Scene, link: &str, password: &str) -> Page {
    let mut browser = Browser::new(&scene.server);
    let page = browser.open(link).await.page();
    if !page.has("reset-form") {
        return page;
    }
    let fields = [("new_password", password), ("new_password_again", password)];
    browser.submit(&page, "reset-form", &fields).await.page()
}

async fn opens(scene: &Scene, password: &str) -> bool {
    let mut browser = Browser::new(&scene.server);
    let page = browser.open(&url(scene, "/login")).await.shows("login-form");
    browser.try_password(&page, "ada", password).await.page().has("account-page")
}

async fn a_forgotten_password_is_set_anew_by_a_link(store: StoreKind) {
    let mail = MailServer::start().await;
    let mut scene = mail.scene(store).await;
    let request = scene.rp.authorize_url(&good_request_but(&[]));
    let login = scene.browser.open(&request).await.shows("login-form");
    assert!(login.has("login-forgot"));
    assert!(ask(&scene, "ada").await.has("forgot-sent"));
    let letter = mail.letter(0).await;
    assert!(letter.contains("To: ada@example.com"), "{letter}");
    let link = mail.link(0).await;
    assert!(link.starts_with(&url(&scene, "/password/reset?token=")), "{link}");
    let weak = choose(&scene, &link, "short").await;
    assert!(weak.has("reset-error"), "{weak:?}");
    assert!(choose(&scene, &link, NEW).await.has("reset-done"));
    assert!(opens(&scene, NEW).await);
    let token = link.split_once("token=").unwrap().1;
    for stored in scene.server.log().await {
        assert!(!stored.event.payload.contains(token), "the log holds digests only");
        assert!(!stored.event.payload.contains("ada@"), "{}", stored.event.payload);
    }
}

async fn a_link_is_good_once(store: StoreKind) {
    let mail = MailServer::start().await;
    let scene = mail.scene(store).await;
    ask(&scene, "ada").await;
    let link = mail.link(0).await;
    assert!(choose(&scene, &link, NEW).await.has("reset-done"));
    let again = choose(&scene, &link, "yet another phrase").await;
    assert!(again.has("reset-not-good") && again.status == 400, "{again:?}");
    assert!(opens(&scene, NEW).await);
}

async fn a_link_does_not_last_for_ever(store: StoreKind) {
    let mail = MailServer::start().await;
    let scene = mail.scene(store).await;
    ask(&scene, "ada").await;
    let link = mail.link(0).await;
    scene.server.advance(1800);
    assert!(choose(&scene, &link, NEW).await.has("reset-not-good"));
    assert!(!opens(&scene, NEW).await);
}

async fn a_newer_link_takes_the_place_of_an_older_one(store: StoreKind) {
    let mail = MailServer::start().await;
    let scene = mail.scene(store).await;
    ask(&scene, "ada").await;
    let old = mail.link(0).await;
    ask(&scene, "ada").await;
    let new = mail.link(1).await;
    assert!(choose(&scene, &old, NEW).await.has("reset-not-good"));
    assert!(choose(&scene, &new, NEW).await.has("reset-done"));
}

async fn a_reset_ends_all_sessions(store: StoreKind) {
    let mail = MailServer::start().await;
    let mut scene = mail.scene(store).await;
    let tokens = scene.tokens(&[("scope", "openid read")]).await;
    scene.browser.open(&url(&scene, "/account")).await.shows("account-page");
    scene.server.advance(5);
    ask(&scene, "ada").await;
    assert!(choose(&scene, &mail.link(0).await, NEW).await.has("reset-done"));
    scene.browser.open(&url(&scene, "/account")).await.shows("login-form");
    until("the cascade", || async { scene.rp.userinfo(&tokens.access).await.status == 401 }).await;
}

async fn the_answer_is_the_same_for_a_name_that_nobody_has(store: StoreKind) {
    let mail = MailServer::start().await;
    let scene = mail.scene(store).await;
    let nobody = ask(&scene, "nobody").await;
    let somebody = ask(&scene, "ada").await;
    assert_eq!(nobody.status, somebody.status);
    assert_eq!(nobody.html, somebody.html);
    mail.letter(0).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mail.letters.lock().unwrap().len(), 1, "only one of them has an address");
}

async fn asking_for_links_is_slowed_down(store: StoreKind) {
    let mail = MailServer::start().await;
    let scene = mail.scene(store).await;
    for name in ["nobody", "ada"] {
        for _ in 0..3 {
            assert_eq!(ask(&scene, name).await.status, 200);
        }
        let page = ask(&scene, name).await;
        assert!(page.status == 429 && page.header("retry-after").is_some(), "{page:?}");
    }
}

/// A guess with a right id changes nothing, and writes nothing.
async fn a_stranger_s_link_changes_nothing(store: StoreKind) {
    let mail = MailServer::start().await;
    let scene = mail.scene(store).await;
    ask(&scene, "ada").await;
    let link = mail.link(0).await;
    let before = scene.server.log().await.len();
    let forged = format!("{}{}", &link[..link.len() - 4], "AAAA");
    assert!(choose(&scene, &forged, NEW).await.has("reset-not-good"));
    assert_eq!(scene.server.log().await.len(), before);
    assert!(choose(&scene, &link, NEW).await.has("reset-done"), "the link itself is good yet");
}

async fn no_link_without_a_mail_server(store: StoreKind) {
    let scene = Scene::new(store).await;
    let mut browser = Browser::new(&scene.server);
    let login = browser.open(&url(&scene, "/login")).await.shows("login-form");
    assert!(!login.has("login-forgot"));
    assert_eq!(ask(&scene, "ada").await.status, 503);
}

async fn an_e_mail_address_is_confirmed_by_a_link(store: StoreKind) {
    let mail = MailServer::start().await;
    let mut scene = mail.scene(store).await;
    let mut browser = Browser::new(&scene.server);
    let page = browser.open(&url(&scene, "/login?to=profile")).await.shows("login-form");
    let page = browser.log_in(&page, "ada").await.shows("email-confirmed");
    let page = browser.submit(&page, "profile-form", &[("email", "new@example.com")]).await.page();
    assert!(!page.has("email-confirmed"), "{page:?}");
    browser.submit(&page, "confirm-email-form", &[]).await.shows("confirmation-sent");
    assert!(mail.letter(0).await.contains("To: new@example.com"));
    let link = mail.link(0).await;
    // Opening the link is not enough: something else may have opened it.
    let page = browser.open(&link).await.shows("confirm-form");
    let tokens = scene.tokens(&[("scope", "openid email")]).await;
    assert_eq!(scene.rp.userinfo(&tokens.access).await.ok()["email_verified"], false);
    browser.submit(&page, "confirm-form", &[]).await.shows("email-is-confirmed");
    assert_eq!(scene.rp.userinfo(&tokens.access).await.ok()["email_verified"], true);
    // It was for that address, and not for the next one.
    let page = browser.open(&url(&scene, "/account/profile")).await.shows("profile-form");
    browser.submit(&page, "profile-form", &[("email", "third@example.com")]).await.page();
    let page = browser.open(&link).await.shows("confirm-form");
    browser.submit(&page, "confirm-form", &[]).await.shows("confirm-not-good");
}
