//! `chancery audit lineage`: all that descends from a consent or a grant.

use std::fmt::Write as _;
use std::io;

use chancery_domain::ids::{ClientId, ConsentId, GrantId, SubjectId};
use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note};
use crate::audit::lineage::{ConsentLineage, Issue, Lineage, Revocation, of_consent, of_grant};
use crate::audit::{Moment, Records, Stated};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit lineage --subject 0198f3a2c4d57e0fa1b2c3d4e5f60718 --client web
  chancery audit lineage --consent 5f1c0a7be9d24c6b8a3e9d0c7b6a5f41
  chancery audit lineage --grant 0198f3a2c4d57e0fa1b2c3d4e5f60719";

/// Which grants, codes and tokens descend from a consent?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The consent
    #[arg(long, value_name = "ID", conflicts_with = "subject")]
    pub consent: Option<ConsentId>,
    /// The consent of this person …
    #[arg(long, value_name = "SUBJECT", requires = "client")]
    pub subject: Option<SubjectId>,
    /// … for this client
    #[arg(long, value_name = "ID", requires = "subject")]
    pub client: Option<ClientId>,
    /// Only of this grant
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["consent", "subject"],
        required_unless_present_any = ["consent", "subject"]
    )]
    pub grant: Option<GrantId>,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let consent = match (args.consent, args.subject, &args.client) {
        (Some(consent), ..) => Some(consent),
        (None, Some(subject), Some(client)) => Some(ConsentId::of(subject, client)),
        _ => None,
    };
    let part = args.part.part();
    match (args.grant, consent) {
        (Some(grant), _) => {
            let ask = async |records: &Records| of_grant(records, grant).await;
            args.asking.answer(&[], ask, tell_one).await
        }
        (None, Some(consent)) => {
            let ask = async |records: &Records| of_consent(records, consent, part).await;
            args.asking.answer(&["consents", "grants"], ask, tell_all).await
        }
        (None, None) => Err(CliError::usage("name a consent or a grant")),
    }
}

fn tell_one(answer: &Stated<Lineage>) -> io::Result<()> {
    output::raw(&tree(&answer.answer))?;
    note(&answer.as_of, None);
    Ok(())
}

fn tell_all(answer: &Stated<ConsentLineage>) -> io::Result<()> {
    let told = &answer.answer;
    let mut text =
        format!("consent {} of {} for {}\n", told.consent_id, told.subject, told.client_id);
    for event in &told.history {
        let _ = writeln!(text, "  {} {}", at(&event.at), event.summary);
    }
    for grant in &told.grants {
        text.push_str(&tree(grant));
    }
    output::raw(&text)?;
    note(&answer.as_of, told.next.as_ref());
    Ok(())
}

/// A grant and what came of it, each below what it came of.
fn tree(grant: &Lineage) -> String {
    let mut text = format!("grant {} ({}, {})\n", grant.grant_id, grant.grant_type, grant.state);
    let mut line = |depth: usize, words: String| {
        let _ = writeln!(text, "{}{words}", "  ".repeat(depth));
    };
    line(1, format!("{} began, for {}", at(&grant.began), grant.scope));
    if let Some(consent) = &grant.consent {
        let how = if consent.page_shown { "" } else { ", without a page" };
        line(1, format!("{} consent to {}{how}", at(&consent.given), consent.scope));
    }
    for issue in [&grant.by_browser, &grant.direct].into_iter().flatten() {
        tokens(1, issue, &mut line);
    }
    if let Some(code) = &grant.code {
        line(1, format!("{} code, until {}", at(&code.issued), code.expires_at));
        if let Some(replayed) = &code.replayed {
            line(2, format!("{} PRESENTED AGAIN", at(replayed)));
        }
        if let Some(issue) = &code.brought {
            tokens(2, issue, &mut line);
        }
    }
    for token in &grant.refresh_tokens {
        let until = &token.expires_at;
        let generation = token.generation;
        line(2, format!("{} refresh token {generation}, until {until}", at(&token.issued)));
        for (what, when) in [
            ("replaced", &token.replaced),
            ("PRESENTED AGAIN", &token.reused),
            ("revoked", &token.revoked),
        ] {
            if let Some(when) = when {
                line(3, format!("{} {what}", at(when)));
            }
        }
        for issue in &token.brought {
            tokens(3, issue, &mut line);
        }
    }
    for end in [&grant.declined, &grant.revoked].into_iter().flatten() {
        line(1, ended(end));
    }
    // Scopes and reasons come from outside.
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn tokens(depth: usize, issue: &Issue, line: &mut impl FnMut(usize, String)) {
    if let Some(token) = &issue.access_token {
        let form =
            token.kid.as_ref().map_or_else(|| "opaque".to_owned(), |kid| format!("JWT, key {kid}"));
        line(
            depth,
            format!(
                "{} access token {} ({form}), jti {}, until {}",
                at(&issue.issued),
                token.number,
                token.jti,
                token.expires_at
            ),
        );
        if let Some(revoked) = &token.revoked {
            line(depth + 1, format!("{} revoked", at(revoked)));
        }
    }
    if let Some(token) = &issue.id_token {
        let key = token.kid.as_ref().map(|kid| format!(" (key {kid})")).unwrap_or_default();
        line(depth, format!("{} ID token{key}, until {}", at(&issue.issued), token.expires_at));
    }
}

fn ended(end: &Revocation) -> String {
    let mut text = format!("{} ended: {}, by {}", at(&end.at), end.cause, end.actor);
    for (before, more) in [(": ", &end.reason), (" because of ", &end.because_of)] {
        if let Some(more) = more {
            text.push_str(before);
            text.push_str(more);
        }
    }
    text
}

fn at(moment: &Moment) -> String {
    format!("[{}] {} (recorded {})", moment.position, moment.happened_at, moment.recorded_at)
}
