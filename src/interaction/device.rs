//! Which accounts have logged in with a browser: kept by the browser itself,
//! sealed. It opens nothing; it only keeps strangers' guesses from slowing its
//! owner down.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::time::Lifetime;
use serde::{Deserialize, Serialize};

use super::context::Visit;
use super::cookies::Kind;
use crate::sealing::SealingFailed;

const CONTEXT: &str = "device";
const LIFETIME: Lifetime = Lifetime::from_seconds(180 * 86_400);
/// How many accounts one browser is known for.
const MOST: usize = 8;

/// A browser, and the accounts that have logged in with it, the last one first.
#[derive(Serialize, Deserialize)]
pub struct Device {
    id: [u8; 16],
    /// Digests of names, in base64url.
    accounts: Vec<String>,
}

impl Device {
    /// The browser as it tells; a new one, if it tells nothing that is ours.
    #[must_use]
    pub fn of(visit: &Visit) -> Self {
        visit
            .cookie(Kind::Device)
            .and_then(|text| visit.keys.get().cookies.open(CONTEXT, &text, visit.now()).ok())
            .unwrap_or_else(|| Self { id: visit.entropy.bytes(), accounts: vec![] })
    }

    /// Its id, if the account has logged in with it.
    #[must_use]
    pub fn known_for(&self, account: &[u8; 32]) -> Option<[u8; 16]> {
        let account = URL_SAFE_NO_PAD.encode(account);
        self.accounts.contains(&account).then_some(self.id)
    }

    /// The account has logged in.
    #[must_use]
    pub fn with(mut self, account: &[u8; 32]) -> Self {
        let account = URL_SAFE_NO_PAD.encode(account);
        self.accounts.retain(|own| *own != account);
        self.accounts.insert(0, account);
        self.accounts.truncate(MOST);
        self
    }

    /// The value of its cookie.
    pub fn seal(&self, visit: &Visit) -> Result<String, SealingFailed> {
        let until = visit.now() + LIFETIME;
        visit.keys.get().cookies.seal(CONTEXT, until, self, &*visit.entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_for_its_last_accounts() {
        let mut device = Device { id: [7; 16], accounts: vec![] };
        assert_eq!(device.known_for(&[0; 32]), None);
        for account in 0..9 {
            device = device.with(&[account; 32]);
        }
        assert_eq!(device.known_for(&[0; 32]), None);
        assert_eq!(device.known_for(&[8; 32]), Some([7; 16]));
        let device = device.with(&[1; 32]).with(&[9; 32]);
        assert_eq!(device.known_for(&[1; 32]), Some([7; 16]), "used again, kept longer");
    }
}
