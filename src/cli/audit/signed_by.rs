//! `chancery audit signed-by`: the grants whose tokens a key signed.

use std::io;

use chancery_domain::ids::{ClientId, KeyId};
use clap::Args as ClapArgs;

use super::{Asking, PartArgs, note, shown, told};
use crate::audit::signed_by::{SignedBy, SignedGrant, SignedToken, signed_by};
use crate::audit::{Records, Stated};
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  chancery audit signed-by 9f86d081884c7d65
  chancery audit signed-by 9f86d081884c7d65 --client web --json

`chancery key list` names the keys.";

/// Which grants have tokens that this key signed?
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The key
    #[arg(value_name = "KID")]
    pub key: KeyId,
    /// Only of this client
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    #[command(flatten)]
    pub part: PartArgs,
    #[command(flatten)]
    pub asking: Asking,
}

pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let part = args.part.part();
    let ask =
        async |records: &Records| signed_by(records, &args.key, args.client.as_ref(), part).await;
    args.asking.answer(&["audit"], ask, tell).await
}

fn tell(answer: &Stated<SignedBy>) -> io::Result<()> {
    let headings = ["grant_id", "state", "client_id", "subject", "issued", "what", "until"];
    let row = |(grant, token): (&SignedGrant, &SignedToken)| {
        let jti = token.jti.as_ref().map(|jti| format!(" {jti}")).unwrap_or_default();
        [
            grant.grant_id.to_string(),
            grant.state.clone(),
            shown(grant.client_id.as_ref()),
            shown(grant.subject.as_ref()),
            told(&token.issued),
            format!("{}{jti}", token.kind),
            token.expires_at.to_string(),
        ]
    };
    let grants = answer.answer.grants.iter();
    let tokens = grants.flat_map(|grant| grant.tokens.iter().map(move |token| (grant, token)));
    output::table(headings, tokens.map(row))?;
    note(&answer.as_of, answer.answer.next.as_ref());
    Ok(())
}
