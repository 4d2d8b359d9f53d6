//! `chancery account erase` and `erased`.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use chancery_domain::account::{Account, Erasure};
use chancery_domain::ids::SubjectId;
use serde::Serialize;

use super::{Erase, print};
use crate::admin::{AccountView, Operation, Outcome, account_view};
use crate::aggregates::{Folded, Kept as _};
use crate::cli::StoreArgs;
use crate::cli::access::{Access, unexpected};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{self, Format};
use crate::cli::progress::spinner;
use crate::erasure::{self, Company};
use crate::lookups::Part;

/// How often is looked whether the server is done.
const LOOK: Duration = Duration::from_millis(200);
/// How long the server may take until it is said that it goes on by itself.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(args: Erase) -> Result<(), CliError> {
    let Erase { name, reason, yes, store, format } = args;
    let view = Access::with(&store, async |access| {
        let subject = access.subject(&name).await?;
        if !yes {
            confirm(subject)?;
        }
        let account = subject.to_string();
        let done = access.perform(Operation::EraseAccount { account, reason }).await?;
        let Outcome::Account(begun) = done else { return Err(unexpected(done)) };
        if begun.state == "erased" {
            return Ok(*begun);
        }
        let waiting = spinner("destroying what is left, and writing the files anew");
        let done = finish(access, subject).await;
        waiting.finish_and_clear();
        done
    });
    print(&view.await?, format)
}

fn confirm(subject: SubjectId) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        let text = "erasing is for good: say --yes where nobody can be asked";
        return Err(CliError::usage(text));
    }
    let failed = |error: io::Error| CliError::failed(error);
    let mut terminal = io::stderr();
    let question = format!("Destroy everything personal of account {subject}, for good? (yes/no) ");
    terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(CliError::new(ExitCode::Refused, "nothing was done"))
}

/// Does the rest, or waits for the server that has the store to do it.
async fn finish(access: &Access, subject: SubjectId) -> Result<AccountView, CliError> {
    let services = access.services().await?;
    if access.folder_in_use().is_some() {
        return wait(access, subject).await;
    }
    let company = if access.is_shared() { Company::Nodes } else { Company::None };
    let lookups = access.lookups(&["grants", "sessions", "consents"]).await?;
    erasure::finish(&services, &lookups, &[subject], company).await.map_err(|error| {
        CliError::store_unavailable(error)
            .hint("what is sealed is destroyed already; do it again for the rest")
    })?;
    Ok(account_view(&services, &subject.to_string()).await?)
}

async fn wait(access: &Access, subject: SubjectId) -> Result<AccountView, CliError> {
    let stream = Account::stream(&subject.to_string());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let folded = Folded::<Account>::load(&**access.store(), &stream).await;
        let folded = folded.map_err(CliError::store_unavailable)?;
        let account = folded.state.registered();
        let account = account.ok_or_else(|| CliError::not_found("account", subject.to_string()))?;
        if matches!(account.erasure, Some(Erasure::Done(..))) {
            return Ok(AccountView::pseudonym(account));
        }
        if tokio::time::Instant::now() > deadline {
            output::note(
                "the server goes on with it: `chancery account show` says when it is done",
            );
            return Ok(AccountView::pseudonym(account));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody who was erased, or is being erased.
#[derive(Serialize)]
struct Erased {
    subject: SubjectId,
    state: String,
}

pub(super) async fn list(store: &StoreArgs, format: Format) -> Result<(), CliError> {
    let found = Access::with(store, async |access| {
        let lookups = access.lookups(&["accounts"]).await?;
        let mut all = Vec::new();
        let mut part = Part::first(500);
        loop {
            let page = lookups.accounts(part.clone()).await?;
            let erased = page.rows.into_iter().filter(|row| row.state.starts_with("eras"));
            all.extend(erased.map(|row| Erased { subject: row.subject, state: row.state }));
            part.after = page.next;
            if part.after.is_none() {
                return Ok(all);
            }
        }
    });
    let found = found.await?;
    if format.json {
        return Ok(output::json(&found)?);
    }
    let row = |erased: Erased| [erased.subject.to_string(), erased.state];
    Ok(output::table(["subject", "state"], found.into_iter().map(row))?)
}
