//! Self-addressing handles: one compact base64url string that names its owner
//! and carries a secret of 256 bits. The id in it finds the aggregate at once;
//! the aggregate keeps a digest of the secret, or what it was derived from.
//!
//! Random handles ([`Handle`]: authorization codes, `request_uri`s, session
//! cookies) are an id and a secret: 48 bytes, 64 characters. Derived handles
//! ([`DerivedHandle`]: refresh tokens, opaque access tokens) are the grant's
//! id, a number and a MAC: 52 bytes, 70 characters. As the MAC follows from the
//! key, the grant, the number and a salt in the event, the same successor can
//! be given again although nothing but facts is stored.
//!
//! A handle has exactly one text: another length, padding, white space or
//! stray bits at the end are refused.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::{GrantId, KeyId, RegistrationTokenId, SessionId, SubjectId};
use chancery_domain::secret::{
    AccessToken, AuthorizationCode, InitialAccessToken, PasswordResetToken, RefreshToken,
    RequestUri, Secret, SecretKind, SessionCookie,
};
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::sealing::mac;

/// What a `request_uri` begins with (RFC 9126 §2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// Bytes of a [`Handle`]: id and secret.
const RANDOM: usize = 16 + 32;
/// Bytes of a [`DerivedHandle`]: id, number and MAC.
const DERIVED: usize = 16 + 4 + 32;
/// Bytes of a [`TokenRef`]: id and number.
const TOKEN_REF: usize = 16 + 4;

/// The id of an aggregate that handles belong to.
pub trait HandleOwner: Copy {
    fn from_uuid(uuid: Uuid) -> Self;
    fn as_bytes(&self) -> &[u8; 16];
}

/// A kind of secret that travels in a random handle, and whose it is.
pub trait HandleKind: SecretKind {
    type Owner: HandleOwner;
}

/// A kind of secret that travels in a derived handle.
pub trait DerivedKind: SecretKind {}

macro_rules! owners {
    ($($owner:ident: $($kind:ident)+;)*) => {$(
        impl HandleOwner for $owner {
            fn from_uuid(uuid: Uuid) -> Self {
                $owner::from_uuid(uuid)
            }

            fn as_bytes(&self) -> &[u8; 16] {
                $owner::as_bytes(self)
            }
        }

        $(impl HandleKind for $kind {
            type Owner = $owner;
        })+
    )*};
}

owners! {
    GrantId: AuthorizationCode RequestUri;
    SessionId: SessionCookie;
    RegistrationTokenId: InitialAccessToken;
    SubjectId: PasswordResetToken;
}

impl DerivedKind for RefreshToken {}
impl DerivedKind for AccessToken {}

/// A random handle.
pub struct Handle<K: HandleKind> {
    pub owner: K::Owner,
    pub secret: Secret<K>,
}

impl<K: HandleKind> Handle<K> {
    /// A new handle of this owner.
    #[must_use]
    pub fn mint(owner: K::Owner, entropy: &dyn Entropy) -> Self {
        Self { owner, secret: entropy.secret() }
    }

    /// The handle as its holder gets it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the text for the secret's owner")]
    pub fn encode(&self) -> String {
        let mut bytes = [0; RANDOM];
        join(&mut bytes, &[self.owner.as_bytes(), self.secret.expose()]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a handle; nothing if the text is not one. Whether it is genuine
    /// only its owner's state can tell.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; RANDOM] = decode_exactly(text)?;
        let (owner, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            owner: K::Owner::from_uuid(Uuid::from_bytes(*owner)),
            secret: Secret::from_bytes(secret.try_into().ok()?),
        })
    }
}

impl Handle<RequestUri> {
    /// The handle as a `request_uri` (RFC 9126 §2.2).
    #[must_use]
    pub fn to_request_uri(&self) -> String {
        format!("{REQUEST_URI}{}", self.encode())
    }

    /// Reads a `request_uri` that this server may have given out.
    #[must_use]
    pub fn from_request_uri(text: &str) -> Option<Self> {
        Self::decode(text.strip_prefix(REQUEST_URI)?)
    }
}

/// Has this `request_uri` the form of those that this server gives out?
#[must_use]
pub fn is_request_uri(text: &str) -> bool {
    text.starts_with(REQUEST_URI)
}

impl<K: HandleKind> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self { owner: self.owner, secret: self.secret.clone() }
    }
}

impl<K: HandleKind<Owner: fmt::Debug>> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle<{}>({:?}, …)", K::TAG, self.owner)
    }
}

/// A handle of a grant that follows from a [`HandleKey`].
pub struct DerivedHandle<K: DerivedKind> {
    pub grant: GrantId,
    /// The generation of a refresh token; the number of an access token.
    pub number: u32,
    pub secret: Secret<K>,
}

/// A refresh token; its number is its generation.
pub type RefreshHandle = DerivedHandle<RefreshToken>;
/// An opaque access token.
pub type AccessHandle = DerivedHandle<AccessToken>;

impl<K: DerivedKind> DerivedHandle<K> {
    /// The handle as its holder gets it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the text for the secret's owner")]
    pub fn encode(&self) -> String {
        let mut bytes = [0; DERIVED];
        let number = self.number.to_be_bytes();
        join(&mut bytes, &[self.grant.as_bytes(), &number, self.secret.expose()]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a handle; nothing if the text is not one. [`HandleKey::genuine`]
    /// tells whether it is one of ours, and of this kind: the text does not.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; DERIVED] = decode_exactly(text)?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (number, secret) = rest.split_first_chunk::<4>()?;
        Some(Self {
            grant: GrantId::from_uuid(Uuid::from_bytes(*grant)),
            number: u32::from_be_bytes(*number),
            secret: Secret::from_bytes(secret.try_into().ok()?),
        })
    }
}

impl<K: DerivedKind> Clone for DerivedHandle<K> {
    fn clone(&self) -> Self {
        Self { grant: self.grant, number: self.number, secret: self.secret.clone() }
    }
}

impl<K: DerivedKind> fmt::Debug for DerivedHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DerivedHandle<{}>({:?}, {}, …)", K::TAG, self.grant, self.number)
    }
}

/// The key that handles are derived by. It never is in the database unwrapped;
/// events name it by its id.
#[derive(Clone)]
pub struct HandleKey {
    id: KeyId,
    key: hmac::Key,
}

impl HandleKey {
    pub(crate) fn new(id: KeyId, key: &[u8; 32]) -> Self {
        Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// Names the key, for events.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The handle of this kind, grant and number under a salt: always the same.
    #[must_use]
    pub fn derive<K: DerivedKind>(
        &self,
        grant: GrantId,
        number: u32,
        salt: &[u8; 16],
    ) -> DerivedHandle<K> {
        let secret = Secret::from_bytes(self.mac::<K>(grant, number, salt));
        DerivedHandle { grant, number, secret }
    }

    /// Was this handle derived by this key under this salt, as one of its kind?
    /// Compared by digests, in constant time.
    #[must_use]
    pub fn genuine<K: DerivedKind>(&self, presented: &DerivedHandle<K>, salt: &[u8; 16]) -> bool {
        let expected = self.derive::<K>(presented.grant, presented.number, salt);
        expected.secret.digest() == presented.secret.digest()
    }

    /// Over fields of fixed length after a tag that ends with a zero byte.
    fn mac<K: DerivedKind>(&self, grant: GrantId, number: u32, salt: &[u8; 16]) -> [u8; 32] {
        mac(
            &self.key,
            &[
                b"chancery handle v1 ",
                K::TAG.as_bytes(),
                b"\0",
                grant.as_bytes(),
                &number.to_be_bytes(),
                salt,
            ],
        )
    }
}

impl fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandleKey({})", self.id)
    }
}

/// Which access token of which grant: the `jti` of a JWT (RFC 7519 §4.1.7), 27
/// characters. It finds the grant, and is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenRef {
    pub grant: GrantId,
    pub number: u32,
}

impl TokenRef {
    /// The `jti`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = [0; TOKEN_REF];
        join(&mut bytes, &[self.grant.as_bytes(), &self.number.to_be_bytes()]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a `jti` of ours.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_REF] = decode_exactly(text)?;
        let (grant, number) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            grant: GrantId::from_uuid(Uuid::from_bytes(*grant)),
            number: u32::from_be_bytes(number.try_into().ok()?),
        })
    }
}

impl<K: DerivedKind> From<&DerivedHandle<K>> for TokenRef {
    fn from(handle: &DerivedHandle<K>) -> Self {
        Self { grant: handle.grant, number: handle.number }
    }
}

/// Puts the parts one after the other; together they are as long as `out`.
fn join(out: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    for (place, byte) in out.iter_mut().zip(bytes) {
        *place = *byte;
    }
}

/// Decodes a text into exactly so many bytes. The engine refuses padding and
/// bits that are left over, so that no two texts mean the same bytes.
fn decode_exactly<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(decoded) if decoded == N => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::sealing::ServerKey;

    fn grant(byte: u8) -> GrantId {
        GrantId::from_uuid(Uuid::from_bytes([byte; 16]))
    }

    fn key(byte: u8) -> HandleKey {
        ServerKey::from_bytes([byte; 32]).handle_key()
    }

    const SALT: [u8; 16] = [3; 16];

    proptest! {
        #[test]
        fn random_handles_round_trip(owner: [u8; 16], secret: [u8; 32]) {
            let code = Handle::<AuthorizationCode> {
                owner: HandleOwner::from_uuid(Uuid::from_bytes(owner)),
                secret: Secret::from_bytes(secret),
            };
            let text = code.encode();
            prop_assert_eq!(text.len(), 64);
            let read = Handle::<AuthorizationCode>::decode(&text).unwrap();
            prop_assert_eq!(read.owner, code.owner);
            prop_assert_eq!(read.secret.digest(), code.secret.digest());
            prop_assert_eq!(read.encode(), text);
        }

        #[test]
        fn derived_handles_round_trip(owner: [u8; 16], number: u32, salt: [u8; 16]) {
            let grant = GrantId::from_uuid(Uuid::from_bytes(owner));
            let refresh: RefreshHandle = key(1).derive(grant, number, &salt);
            let text = refresh.encode();
            prop_assert_eq!(text.len(), 70);
            let read = RefreshHandle::decode(&text).unwrap();
            prop_assert_eq!((read.grant, read.number), (grant, number));
            prop_assert!(key(1).genuine(&read, &salt));
            prop_assert_eq!(read.encode(), text);
        }

        #[test]
        fn token_refs_round_trip(owner: [u8; 16], number: u32) {
            let token = TokenRef { grant: GrantId::from_uuid(Uuid::from_bytes(owner)), number };
            let text = token.encode();
            prop_assert_eq!(text.len(), 27);
            prop_assert_eq!(TokenRef::decode(&text), Some(token));
        }

        /// What is read, is written the same way: no two texts mean one handle.
        #[test]
        fn nothing_but_the_one_text_is_read(text in "[A-Za-z0-9_=+/ -]{0,80}") {
            if let Some(handle) = Handle::<SessionCookie>::decode(&text) {
                prop_assert_eq!(handle.encode(), text.clone());
            }
            if let Some(handle) = RefreshHandle::decode(&text) {
                prop_assert_eq!(handle.encode(), text.clone());
            }
            if let Some(token) = TokenRef::decode(&text) {
                prop_assert_eq!(token.encode(), text);
            }
        }

        #[test]
        fn no_text_makes_decoding_panic(text in any::<String>()) {
            let _ = Handle::<AuthorizationCode>::decode(&text);
            let _ = Handle::from_request_uri(&text);
            let _ = RefreshHandle::decode(&text);
            let _ = TokenRef::decode(&text);
        }
    }

    #[test]
    fn texts_of_a_wrong_length_or_alphabet_are_refused() {
        let code = Handle::<AuthorizationCode>::mint(grant(0xff), &SeededEntropy::new(1)).encode();
        let refresh = key(1).derive::<RefreshToken>(grant(0xff), 1, &SALT).encode();
        let token = TokenRef { grant: grant(0xff), number: 1 }.encode();
        for text in [&code, &refresh, &token] {
            for wrong in [
                String::new(),
                text[1..].to_owned(),
                format!("{text}A"),
                format!("{text}="),
                format!("{}=", &text[..text.len() - 1]),
                format!("{} ", &text[..text.len() - 1]),
                text.replace('_', "/"),
            ] {
                assert!(Handle::<AuthorizationCode>::decode(&wrong).is_none(), "{wrong}");
                assert!(RefreshHandle::decode(&wrong).is_none(), "{wrong}");
                assert!(TokenRef::decode(&wrong).is_none(), "{wrong}");
            }
        }
        assert!(Handle::<AuthorizationCode>::decode(&refresh).is_none());
        assert!(RefreshHandle::decode(&code).is_none());
    }

    /// 70 characters hold four bits more than 52 bytes, and 27 two more than
    /// 20: they must be zero.
    #[test]
    fn bits_left_over_are_refused() {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let readable = |text: &str, read: fn(&str) -> bool| {
            let start = &text[..text.len() - 1];
            ALPHABET.iter().filter(|last| read(&format!("{start}{}", **last as char))).count()
        };
        let refresh = key(1).derive::<RefreshToken>(grant(1), 1, &SALT).encode();
        let token = TokenRef { grant: grant(1), number: 1 }.encode();
        assert_eq!(readable(&refresh, |text| RefreshHandle::decode(text).is_some()), 4);
        assert_eq!(readable(&token, |text| TokenRef::decode(text).is_some()), 16);
    }

    #[test]
    fn a_derived_handle_is_of_its_kind_grant_number_salt_and_key_only() {
        let handle: RefreshHandle = key(1).derive(grant(1), 1, &SALT);
        assert!(key(1).genuine(&handle, &SALT));
        assert!(!key(2).genuine(&handle, &SALT));
        assert!(!key(1).genuine(&handle, &[4; 16]));
        assert!(!key(1).genuine(&RefreshHandle { grant: grant(2), ..handle.clone() }, &SALT));
        assert!(!key(1).genuine(&RefreshHandle { number: 2, ..handle.clone() }, &SALT));

        let as_access = AccessHandle::decode(&handle.encode()).unwrap();
        assert!(!key(1).genuine(&as_access, &SALT), "a refresh token is no access token");
        let access: AccessHandle = key(1).derive(grant(1), 1, &SALT);
        let as_refresh = RefreshHandle::decode(&access.encode()).unwrap();
        assert!(!key(1).genuine(&as_refresh, &SALT), "an access token is no refresh token");
    }

    #[test]
    fn every_changed_character_makes_a_handle_false() {
        let handle: RefreshHandle = key(1).derive(grant(1), 1, &SALT);
        let text = handle.encode();
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let genuine = RefreshHandle::decode(&changed)
                .is_some_and(|handle| key(1).genuine(&handle, &SALT));
            assert!(!genuine, "{index}");
        }
    }

    /// Tokens outlive the version that made them, so the derivation may not
    /// change. The value was computed apart from this code, by HMAC alone.
    #[test]
    fn the_derivation_is_fixed() {
        let handle: RefreshHandle = key(1).derive(grant(1), 1, &SALT);
        assert_eq!(
            handle.encode(),
            "AQEBAQEBAQEBAQEBAQEBAQAAAAEz2yKhamRiDAWyd5-54xkZ2KJwbhlNEoDbmI0E_KQfag"
        );
        assert_eq!(key(1).id().as_str(), "d1115972b1df22c0");
    }

    /// RFC 9126 §2.2
    #[test]
    fn a_request_uri_is_the_urn_and_the_handle() {
        let handle = Handle::<RequestUri>::mint(grant(1), &SeededEntropy::new(1));
        let uri = handle.to_request_uri();
        assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:AQEBAQEBAQEBAQEBAQEBA"));
        let read = Handle::from_request_uri(&uri).unwrap();
        assert_eq!(read.owner, grant(1));
        assert_eq!(read.secret.digest(), handle.secret.digest());
        for wrong in [handle.encode(), uri.to_uppercase(), format!("{uri}#"), REQUEST_URI.into()] {
            assert!(Handle::from_request_uri(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_ids_and_no_secret() {
        let code = Handle::<AuthorizationCode>::mint(grant(1), &SeededEntropy::new(1));
        assert_eq!(format!("{code:?}"), format!("Handle<code>({:?}, …)", grant(1)));
        let refresh: RefreshHandle = key(1).derive(grant(1), 7, &SALT);
        assert_eq!(format!("{refresh:?}"), format!("DerivedHandle<refresh>({:?}, 7, …)", grant(1)));
        assert_eq!(format!("{:?}", key(1)), format!("HandleKey({})", key(1).id()));
    }
}
