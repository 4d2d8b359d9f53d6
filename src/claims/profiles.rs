//! What people said of themselves, opened: it is sealed in the store, and userinfo
//! is asked for it again and again.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_domain::account::{Profile, RegisteredAccount};
use chancery_domain::digest::Sha256Digest;
use chancery_domain::ids::SubjectId;
use lru::LruCache;

use crate::accounts::{self, AccountFailure};
use crate::services::Services;

/// How many people's are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The profiles of those who were told of last. Whether somebody may be told of at all, their
/// account says each time.
pub struct Profiles(Mutex<Opened>);

struct Opened {
    /// With the commitment that it was opened for: another is another profile.
    profiles: LruCache<SubjectId, (Sha256Digest, Arc<Profile>)>,
    /// What was opened before somebody was forgotten is not kept after it.
    epoch: u64,
}

impl Default for Profiles {
    fn default() -> Self {
        Self(Mutex::new(Opened { profiles: LruCache::new(KEPT), epoch: 0 }))
    }
}

impl Profiles {
    /// The profile of an account.
    pub async fn of(
        services: &Services,
        account: &RegisteredAccount,
    ) -> Result<Arc<Profile>, AccountFailure> {
        let (subject, commitment) = (account.subject, account.profile.0);
        let epoch = {
            let mut opened = services.profiles.lock();
            match opened.profiles.get(&subject) {
                Some((of, profile)) if *of == commitment => return Ok(Arc::clone(profile)),
                _ => opened.epoch,
            }
        };
        let profile = Arc::new(accounts::profile(&services.vault, account).await?);
        let mut opened = services.profiles.lock();
        if opened.epoch == epoch {
            opened.profiles.put(subject, (commitment, Arc::clone(&profile)));
        }
        Ok(profile)
    }

    /// Something happened to this account: it may be its erasure.
    pub fn forget(&self, subject: SubjectId) {
        let mut opened = self.lock();
        opened.epoch += 1;
        opened.profiles.pop(&subject);
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
