//! Passwords and client secrets that people chose: argon2id (RFC 9106), kept as
//! PHC strings.
//!
//! Hashing costs some 20 ms and 19 MiB, so it runs on blocking threads, only as
//! many at a time as there are cores, with a short queue before them; beyond it
//! a request is refused at once rather than everybody served late.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{Output, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use aws_lc_rs::hmac;
use lru::LruCache;
use tokio::sync::Semaphore;

use crate::entropy::Entropy;
use crate::sealing::mac;

/// 19 MiB, two passes, one lane: the OWASP password storage cheat sheet's first
/// choice for argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many may wait for each that is being hashed.
const QUEUED_PER_THREAD: usize = 16;
/// How many chosen client secrets are remembered as right.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Longer passwords are refused before they cost anything.
pub const MAX_LENGTH: usize = 1024;

/// Something that a person typed to prove who they are.
#[derive(Clone)]
pub struct Password(Arc<str>);

impl Password {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a password was neither hashed nor compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Try again a little later.
    #[error("too many passwords are being checked")]
    Overloaded,
    #[error("a password may have at most {MAX_LENGTH} bytes")]
    TooLong,
    /// What is stored is no PHC string of an algorithm that we know.
    #[error("the stored password hash can't be read: {0}")]
    UnreadableHash(String),
    #[error("hashing failed: {0}")]
    Hashing(String),
}

/// The least length of a password that a person chooses (NIST SP 800-63B
/// §5.1.1.2).
pub const MIN_LENGTH: usize = 8;

/// Why a password that a person chose is not taken. Length counts most; what
/// is refused besides is what a guesser tries first. There is no list of common
/// passwords: guessing is slowed down, and stolen hashes are argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    TooShort,
    TooLong,
    /// It is one of the person's own names, or little more.
    HasName,
    /// A few characters, again and again.
    TooSimple,
}

/// May somebody with these names choose this password?
pub fn check_new(password: &Password, names: &[&str]) -> Result<(), Weakness> {
    const LITTLE: usize = 4;
    let text = password.0.to_lowercase();
    if text.chars().count() < MIN_LENGTH {
        return Err(Weakness::TooShort);
    }
    if password.0.len() > MAX_LENGTH {
        return Err(Weakness::TooLong);
    }
    let has_name = names.iter().map(|name| name.trim().to_lowercase()).any(|name| {
        let rest = text.chars().count().saturating_sub(name.chars().count());
        name.chars().count() >= LITTLE && text.contains(&name) && rest < LITTLE
    });
    if has_name {
        return Err(Weakness::HasName);
    }
    let distinct: std::collections::BTreeSet<char> = text.chars().collect();
    if distinct.len() < LITTLE { Err(Weakness::TooSimple) } else { Ok(()) }
}

/// Hashes and verifies passwords, off the event loop and bounded.
pub struct Passwords {
    entropy: Arc<dyn Entropy>,
    /// One permit for each that is being hashed or waits for it.
    admission: Arc<Semaphore>,
    /// One permit for each that is being hashed.
    threads: Arc<Semaphore>,
    /// How many permits there are of each.
    most: (usize, usize),
    refused: AtomicU64,
    /// Of a password that nobody knows.
    nobodys: Arc<str>,
    remembered: Mutex<LruCache<[u8; 32], ()>>,
    memory_key: hmac::Key,
}

/// How much passwords keep the machine busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many are being hashed.
    pub running: usize,
    /// How many wait for that.
    pub waiting: usize,
    /// How many were refused since the start because too many waited.
    pub refused: u64,
}

impl Passwords {
    /// Hashes at most `threads` passwords at a time.
    pub fn new(threads: NonZeroUsize, entropy: Arc<dyn Entropy>) -> Result<Self, PasswordError> {
        let nobodys = nobodys(&entropy.bytes(), &entropy.salt())?.into();
        let memory_key = hmac::Key::new(hmac::HMAC_SHA256, &entropy.bytes::<32>());
        let admitted = threads.get().saturating_mul(1 + QUEUED_PER_THREAD);
        Ok(Self {
            entropy,
            admission: Arc::new(Semaphore::new(admitted)),
            threads: Arc::new(Semaphore::new(threads.get())),
            most: (admitted, threads.get()),
            refused: AtomicU64::new(0),
            nobodys,
            remembered: Mutex::new(LruCache::new(REMEMBERED)),
            memory_key,
        })
    }

    /// Hashes a password, to be kept as a PHC string.
    pub async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        check_length(password)?;
        let (password, salt) = (password.clone(), self.entropy.salt());
        self.on_a_thread(move || hash(password.0.as_bytes(), &salt)).await
    }

    /// Is this the password that was hashed?
    pub async fn verify(&self, password: &Password, phc: &str) -> Result<bool, PasswordError> {
        check_length(password)?;
        let (password, phc) = (password.clone(), phc.to_owned());
        self.on_a_thread(move || verify(password.0.as_bytes(), &phc)).await
    }

    /// Takes as long as [`Passwords::verify`] and is never right: for an
    /// account that does not exist, so that time does not tell.
    pub async fn verify_nobodys(&self, password: &Password) -> Result<bool, PasswordError> {
        self.verify(password, &self.nobodys).await.map(|_| false)
    }

    /// Is this the client secret that was hashed? Fast when it was right
    /// before: a client sends its secret with every request.
    ///
    /// What is remembered is a MAC of secret and hash, by a key that this
    /// process made; another hash, as after a rotation, is another entry.
    pub async fn verify_client_secret(
        &self,
        secret: &Password,
        phc: &str,
    ) -> Result<bool, PasswordError> {
        check_length(secret)?;
        let length = (secret.0.len() as u64).to_be_bytes();
        let entry = mac(&self.memory_key, &[&length, secret.0.as_bytes(), phc.as_bytes()]);
        if self.is_remembered(&entry) {
            return Ok(true);
        }
        let right = self.verify(secret, phc).await?;
        if right {
            self.remembered().put(entry, ());
        }
        Ok(right)
    }

    /// How much there is to do.
    #[must_use]
    pub fn load(&self) -> Load {
        let (admitted, threads) = self.most;
        let running = threads.saturating_sub(self.threads.available_permits());
        let inside = admitted.saturating_sub(self.admission.available_permits());
        let refused = self.refused.load(Ordering::Relaxed);
        Load { running, waiting: inside.saturating_sub(running), refused }
    }

    fn is_remembered(&self, entry: &[u8; 32]) -> bool {
        self.remembered().get(entry).is_some()
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, LruCache<[u8; 32], ()>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The permits go with the work, not with the caller: who goes away does
    /// not make room before the thread is done.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let admitted = Arc::clone(&self.admission).try_acquire_owned().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            PasswordError::Overloaded
        })?;
        let running = Arc::clone(&self.threads)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Overloaded)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((running, admitted));
            result
        });
        task.await.map_err(|error| PasswordError::Hashing(error.to_string()))?
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("threads", &self.threads.available_permits())
            .finish_non_exhaustive()
    }
}

/// Was this hash made with other parameters than those of today? Then hash the
/// password again the next time that it is right.
#[must_use]
pub fn needs_rehash(phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return true };
    let Ok(params) = Params::try_from(&hash) else { return true };
    hash.algorithm != Algorithm::Argon2id.ident()
        || hash.version != Some(Version::V0x13.into())
        || (params.m_cost(), params.t_cost(), params.p_cost()) != (MEMORY_KIB, PASSES, LANES)
}

fn check_length(password: &Password) -> Result<(), PasswordError> {
    if password.0.len() > MAX_LENGTH { Err(PasswordError::TooLong) } else { Ok(()) }
}

fn hash(password: &[u8], salt: &[u8; 16]) -> Result<String, PasswordError> {
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params()?);
    Ok(hasher.hash_password(password, &salt).map_err(failed)?.to_string())
}

/// What nobody's password hashes to: it looks like any other hash, and is as much work to compare
/// with. Making a real one would take its 19 MiB of every server at its start.
fn nobodys(output: &[u8; 32], salt: &[u8; 16]) -> Result<String, PasswordError> {
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: (&params()?).try_into().map_err(failed)?,
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(output).map_err(failed)?),
    };
    Ok(hash.to_string())
}

fn params() -> Result<Params, PasswordError> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)
}

fn failed(error: impl fmt::Display) -> PasswordError {
    PasswordError::Hashing(error.to_string())
}

/// By the parameters that stand in the hash.
fn verify(password: &[u8], phc: &str) -> Result<bool, PasswordError> {
    let unreadable =
        |error: argon2::password_hash::Error| PasswordError::UnreadableHash(error.to_string());
    let hash = PasswordHash::new(phc).map_err(unreadable)?;
    match Argon2::default().verify_password(password, &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(unreadable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn passwords() -> Passwords {
        Passwords::new(NonZeroUsize::new(1).unwrap(), Arc::new(SeededEntropy::new(1))).unwrap()
    }

    #[tokio::test]
    async fn the_right_password_is_right_and_another_is_not() {
        let passwords = passwords();
        let phc = passwords.hash(&Password::new("correct horse")).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_eq!(passwords.verify(&Password::new("correct horse"), &phc).await, Ok(true));
        assert_eq!(passwords.verify(&Password::new("Correct horse"), &phc).await, Ok(false));
        assert_eq!(passwords.verify(&Password::new(""), &phc).await, Ok(false));

        let again = passwords.hash(&Password::new("correct horse")).await.unwrap();
        assert_ne!(again, phc, "hashes are salted");
    }

    #[tokio::test]
    async fn nobody_s_password_is_never_right_yet_is_hashed() {
        let passwords = passwords();
        assert_eq!(passwords.verify_nobodys(&Password::new("demo")).await, Ok(false));
        assert!(!needs_rehash(&passwords.nobodys), "it costs what a real one costs");
        let real = passwords.hash(&Password::new("demo")).await.unwrap();
        let shape = |phc: &str| phc.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(shape(&passwords.nobodys), shape(&real));
    }

    #[tokio::test]
    async fn beyond_the_queue_requests_are_refused_at_once() {
        let passwords = passwords();
        let held = Arc::clone(&passwords.threads).acquire_owned().await.unwrap();
        let phc = Arc::clone(&passwords.nobodys);
        let password = Password::new("x");
        let mut waiting: Vec<_> =
            (0..=QUEUED_PER_THREAD).map(|_| Box::pin(passwords.verify(&password, &phc))).collect();
        for future in &mut waiting {
            assert!(futures_util::poll!(future).is_pending());
        }
        assert_eq!(passwords.hash(&password).await, Err(PasswordError::Overloaded));
        let load = Load { running: 1, waiting: QUEUED_PER_THREAD, refused: 1 };
        assert_eq!(passwords.load(), load);

        drop(waiting);
        drop(held);
        assert_eq!(passwords.verify(&password, &phc).await, Ok(false), "there is room again");
    }

    #[tokio::test]
    async fn a_client_secret_once_right_is_remembered_for_that_hash_only() {
        let passwords = passwords();
        let secret = Password::new("demo-secret");
        let phc = passwords.hash(&secret).await.unwrap();
        assert_eq!(passwords.verify_client_secret(&secret, &phc).await, Ok(true));

        // With no room to hash, only what is remembered is answered.
        passwords.admission.close();
        assert_eq!(passwords.verify_client_secret(&secret, &phc).await, Ok(true));
        let other = Password::new("demo-secres");
        assert_eq!(
            passwords.verify_client_secret(&other, &phc).await,
            Err(PasswordError::Overloaded)
        );
        assert_eq!(
            passwords.verify_client_secret(&secret, &passwords.nobodys).await,
            Err(PasswordError::Overloaded)
        );
    }

    #[tokio::test]
    async fn a_wrong_client_secret_is_not_remembered() {
        let passwords = passwords();
        let phc = passwords.hash(&Password::new("demo-secret")).await.unwrap();
        let wrong = Password::new("guess");
        assert_eq!(passwords.verify_client_secret(&wrong, &phc).await, Ok(false));
        assert_eq!(passwords.remembered().len(), 0);
        assert_eq!(passwords.verify_client_secret(&wrong, &phc).await, Ok(false));
    }

    #[tokio::test]
    async fn an_endless_password_costs_nothing() {
        let passwords = passwords();
        let longest = Password::from("x".repeat(MAX_LENGTH));
        let phc = passwords.hash(&longest).await.unwrap();
        assert_eq!(passwords.verify(&longest, &phc).await, Ok(true));
        passwords.admission.close();
        let endless = Password::from("x".repeat(MAX_LENGTH + 1));
        for result in [
            passwords.hash(&endless).await.map(|_| true),
            passwords.verify(&endless, &phc).await,
            passwords.verify_nobodys(&endless).await,
            passwords.verify_client_secret(&endless, &phc).await,
        ] {
            assert_eq!(result, Err(PasswordError::TooLong));
        }
    }

    #[tokio::test]
    async fn an_unreadable_hash_is_an_error_and_not_a_wrong_password() {
        let passwords = passwords();
        for phc in
            ["", "demo", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$"]
        {
            let result = passwords.verify(&Password::new("demo"), phc).await;
            assert!(matches!(result, Err(PasswordError::UnreadableHash(_))), "{phc}: {result:?}");
        }
    }

    #[test]
    fn hashes_by_other_parameters_are_to_be_renewed() {
        let today = hash(b"x", &[1; 16]).unwrap();
        assert!(!needs_rehash(&today));
        for other in [
            today.replace("m=19456", "m=9216"),
            today.replace("t=2", "t=1"),
            today.replace("p=1", "p=2"),
            today.replace("argon2id", "argon2i"),
            today.replace("v=19", "v=16"),
            "nonsense".to_owned(),
        ] {
            assert!(needs_rehash(&other), "{other}");
        }
    }

    #[test]
    fn what_a_guesser_tries_first_is_not_taken() {
        let check = |text| check_new(&Password::new(text), &["adalove", "Ada@Example.com"]);
        assert_eq!(check("seven77"), Err(Weakness::TooShort));
        assert_eq!(check("ünïcödé"), Err(Weakness::TooShort), "characters count, not bytes");
        assert_eq!(check("AdaLove1!"), Err(Weakness::HasName));
        assert_eq!(check("ada@example.com"), Err(Weakness::HasName));
        assert_eq!(check("adalove and more"), Ok(()));
        assert_eq!(check("abababab"), Err(Weakness::TooSimple));
        assert_eq!(check("correct horse"), Ok(()));
        let endless = Password::from("abcd".repeat(MAX_LENGTH));
        assert_eq!(check_new(&endless, &[]), Err(Weakness::TooLong));
    }

    #[test]
    fn debug_shows_no_password() {
        assert_eq!(format!("{:?}", Password::new("demo")), "Password(…)");
    }
}
