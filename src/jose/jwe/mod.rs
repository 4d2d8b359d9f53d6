//! JSON Web Encryption in its compact form (RFC 7516 §3.1): ID tokens and
//! answers encrypted to a client, request objects encrypted to us.
//!
//! Whoever can't decrypt a token learns nothing of why (RFC 7516 §11.5): a
//! content key that can't be had is replaced by a random one, and the content
//! then fails as changed content does. Compression is refused: what it tells
//! by the length, and what it can grow to, are not worth it.

mod content;
mod management;

use std::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::KeyId;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use serde::{Deserialize, Serialize};

use self::content::Sealed;
use self::management::{Curve, Parties};
use super::compact::present;
use super::jwk::{Jwk, KeyUse, PublicParameters, RSA_BITS};
use super::secret::SharedSecret;

/// Longer tokens are not looked at: twice what a signed one may have.
const LONGEST: usize = 128 * 1024;

/// Why there is no encrypted token, or nothing to be read in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// Too long, not five parts of base64url, or the header is not what RFC
    /// 7516 wants.
    #[error("not a compact JWE")]
    Malformed,
    /// Its `alg` or `enc` is not one that was asked for.
    #[error("encrypted with an algorithm that is not accepted")]
    WrongAlgorithm,
    /// It has `zip`, or `crit`: extensions that must be understood, and are not.
    #[error("has extensions that are not supported")]
    Extended,
    /// It is encrypted to none of the keys.
    #[error("encrypted to a key that is not known")]
    UnknownKey,
    /// It can't be decrypted, for whatever reason.
    #[error("can't be decrypted")]
    Undecryptable,
    /// The key is not for this algorithm, or the library failed.
    #[error("can't be encrypted to this key")]
    Unencryptable,
}

/// A key to encrypt to.
pub struct EncryptionKey {
    kid: Option<String>,
    key: Recipient,
}

enum Recipient {
    Agreement { curve: &'static Curve, point: Vec<u8> },
    Rsa(OaepPublicEncryptingKey),
    Secret(Vec<u8>),
}

impl EncryptionKey {
    /// Reads a public key, whatever it says that it is for.
    #[must_use]
    pub fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let key = match &jwk.key {
            PublicParameters::Rsa { n, e } => {
                // RFC 7518 §4.3
                jwk.key.modulus_bits().filter(|bits| RSA_BITS.contains(bits))?;
                let parts = RsaPublicKeyComponents {
                    n: URL_SAFE_NO_PAD.decode(n).ok()?,
                    e: URL_SAFE_NO_PAD.decode(e).ok()?,
                };
                let key: PublicEncryptingKey = parts.try_into().ok()?;
                Recipient::Rsa(OaepPublicEncryptingKey::new(key).ok()?)
            }
            other => {
                let (curve, point) = management::point(other)?;
                Recipient::Agreement { curve, point }
            }
        };
        Some(Self { kid: jwk.kid.clone(), key })
    }

    /// The key that a client's secret makes (OpenID Connect Core §10.2).
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self { kid: None, key: Recipient::Secret(secret.to_vec()) }
    }

    /// The same of a secret that is shared already.
    #[must_use]
    pub fn from_shared(secret: &SharedSecret) -> Self {
        Self::from_secret(secret.bytes())
    }

    /// Of somebody's keys the first that can be encrypted to with this
    /// algorithm: one that says that it is for encryption before one that does
    /// not say.
    #[must_use]
    pub fn choose(jwks: &[Jwk], alg: KeyManagementAlgorithm) -> Option<Self> {
        [Some(KeyUse::Encryption), None].into_iter().find_map(|key_use| {
            jwks.iter()
                .filter(|jwk| jwk.key_use == key_use)
                .filter(|jwk| jwk.alg.is_none_or(|other| other == alg.into()))
                .filter_map(Self::from_jwk)
                .find(|key| key.fits(alg))
        })
    }

    fn fits(&self, alg: KeyManagementAlgorithm) -> bool {
        match self.key {
            Recipient::Agreement { .. } => is_agreement(alg),
            Recipient::Rsa(_) => oaep(alg).is_some(),
            Recipient::Secret(_) => alg.is_symmetric(),
        }
    }

    /// The content's key, and what the recipient needs to have it too.
    fn share(&self, alg: KeyManagementAlgorithm, enc: ContentEncryption) -> Option<Shared> {
        if !self.fits(alg) {
            return None;
        }
        match &self.key {
            Recipient::Agreement { curve, point } => {
                let ephemeral = agreement::PrivateKey::generate(curve.algorithm).ok()?;
                let agreed = management::agree(&ephemeral, point, alg, enc, &Parties::default())?;
                let epk = curve.parameters(ephemeral.compute_public_key().ok()?.as_ref());
                if alg == KeyManagementAlgorithm::EcdhEs {
                    return Some(Shared { key: agreed, encrypted: Vec::new(), epk });
                }
                let key = content::random_key(enc)?;
                Some(Shared { encrypted: management::wrap(&agreed, &key)?, key, epk })
            }
            Recipient::Rsa(recipient) => {
                let key = content::random_key(enc)?;
                let mut encrypted = vec![0; recipient.ciphertext_size()];
                let written = recipient.encrypt(oaep(alg)?, &key, &mut encrypted, None).ok()?.len();
                encrypted.truncate(written);
                Some(Shared { key, encrypted, epk: None })
            }
            Recipient::Secret(secret) => {
                let key = content::random_key(enc)?;
                let wrapping = management::of_secret(secret, alg)?;
                Some(Shared { encrypted: management::wrap(&wrapping, &key)?, key, epk: None })
            }
        }
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}

struct Shared {
    key: Vec<u8>,
    encrypted: Vec<u8>,
    epk: Option<PublicParameters>,
}

/// How to encrypt.
#[derive(Debug, Clone, Copy)]
pub struct Encryption<'a> {
    pub alg: KeyManagementAlgorithm,
    pub enc: ContentEncryption,
    /// What is encrypted: `JWT` for a nested token (RFC 7519 §5.2).
    pub cty: Option<&'a str>,
    /// What the whole is.
    pub typ: Option<&'a str>,
}

/// Encrypts, as a compact JWE (RFC 7516 §5.1).
pub fn encrypt(
    key: &EncryptionKey,
    how: &Encryption<'_>,
    payload: &[u8],
) -> Result<String, JweError> {
    let failed = JweError::Unencryptable;
    let shared = key.share(how.alg, how.enc).ok_or(failed)?;
    let header = WrittenHeader {
        alg: how.alg,
        enc: how.enc,
        kid: key.kid.as_deref(),
        typ: how.typ,
        cty: how.cty,
        epk: shared.epk.as_ref(),
    };
    let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).map_err(|_| failed)?);
    let sealed = content::seal(how.enc, &shared.key, token.as_bytes(), payload).ok_or(failed)?;
    for part in [shared.encrypted, sealed.iv, sealed.ciphertext, sealed.tag] {
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(part, &mut token);
    }
    Ok(token)
}

#[derive(Serialize)]
struct WrittenHeader<'a> {
    alg: KeyManagementAlgorithm,
    enc: ContentEncryption,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cty: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epk: Option<&'a PublicParameters>,
}

/// A private key that others encrypt to, or a secret.
pub struct DecryptionKey {
    kid: Option<KeyId>,
    public: Option<PublicParameters>,
    private: Private,
}

enum Private {
    Agreement { curve: &'static Curve, key: agreement::PrivateKey },
    Rsa(PrivateDecryptingKey),
    Secret(Vec<u8>),
}

impl DecryptionKey {
    /// A new key of the kind that this algorithm works with: on P-256, or RSA
    /// of 2048 bits, which takes a good part of a second. It does for all
    /// algorithms of that kind.
    #[must_use]
    pub fn generate(alg: KeyManagementAlgorithm) -> Option<Self> {
        if oaep(alg).is_some() {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
            let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
            return Self::from_pkcs8(alg, der.as_ref());
        }
        let [curve, ..] = &management::CURVES;
        is_agreement(alg).then(|| Self::generate_on(curve)).flatten()
    }

    fn generate_on(curve: &'static Curve) -> Option<Self> {
        Self::agreement(curve, agreement::PrivateKey::generate(curve.algorithm).ok()?)
    }

    fn agreement(curve: &'static Curve, key: agreement::PrivateKey) -> Option<Self> {
        let public = curve.parameters(key.compute_public_key().ok()?.as_ref())?;
        let private = Private::Agreement { curve, key };
        Some(Self { kid: Some(public.key_id()), public: Some(public), private })
    }

    /// Reads a key kept as PKCS#8 (RFC 5958), in DER.
    #[must_use]
    pub fn from_pkcs8(alg: KeyManagementAlgorithm, der: &[u8]) -> Option<Self> {
        if oaep(alg).is_some() {
            let pair = RsaKeyPair::from_pkcs8(der).ok()?;
            let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
            let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let public = PublicParameters::Rsa { n: base64(&parts.n), e: base64(&parts.e) };
            let private = Private::Rsa(PrivateDecryptingKey::from_pkcs8(der).ok()?);
            return Some(Self { kid: Some(public.key_id()), public: Some(public), private });
        }
        let [curve, ..] = &management::CURVES;
        let key = agreement::PrivateKey::from_private_key_der(curve.algorithm, der).ok()?;
        is_agreement(alg).then(|| Self::agreement(curve, key)).flatten()
    }

    /// The key that a client's secret makes (OpenID Connect Core §10.2).
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self { kid: None, public: None, private: Private::Secret(secret.to_vec()) }
    }

    /// The same of a secret that is shared already.
    #[must_use]
    pub fn from_shared(secret: &SharedSecret) -> Self {
        Self::from_secret(secret.bytes())
    }

    /// The key as PKCS#8, in DER: to be wrapped at once. A secret has none.
    #[must_use]
    pub fn to_pkcs8(&self) -> Option<Vec<u8>> {
        let der: Pkcs8V1Der<'_> = match &self.private {
            Private::Agreement { key, .. } => key.as_der().ok()?,
            Private::Rsa(key) => key.as_der().ok()?,
            Private::Secret(_) => return None,
        };
        Some(der.as_ref().to_vec())
    }

    /// Names the key; a secret has no name.
    #[must_use]
    pub const fn kid(&self) -> Option<&KeyId> {
        self.kid.as_ref()
    }

    /// The public key, as published: without `alg`, as it does for several. A
    /// secret has none.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Jwk> {
        Some(Jwk {
            key: self.public.clone()?,
            kid: self.kid.as_ref().map(|kid| kid.as_str().to_owned()),
            alg: None,
            key_use: Some(KeyUse::Encryption),
        })
    }

    /// May this token be encrypted to this key?
    fn fits(&self, header: &Header, alg: KeyManagementAlgorithm) -> bool {
        let is_named = match (&header.kid, &self.kid) {
            (Some(named), Some(kid)) => named == kid.as_str(),
            _ => true,
        };
        let fits = match &self.private {
            Private::Agreement { curve, .. } => {
                let epk = header.epk.as_ref().and_then(management::point);
                is_agreement(alg) && epk.is_some_and(|(other, _)| other.name == curve.name)
            }
            Private::Rsa(_) => oaep(alg).is_some(),
            Private::Secret(_) => alg.is_symmetric(),
        };
        is_named && fits
    }

    /// The content's key.
    fn unwrap(
        &self,
        header: &Header,
        alg: KeyManagementAlgorithm,
        enc: ContentEncryption,
        encrypted: &[u8],
    ) -> Option<Vec<u8>> {
        match &self.private {
            Private::Agreement { key, .. } => {
                let (_, point) = management::point(header.epk.as_ref()?)?;
                let agreed = management::agree(key, &point, alg, enc, &header.parties()?)?;
                if alg != KeyManagementAlgorithm::EcdhEs {
                    return management::unwrap(&agreed, encrypted);
                }
                // RFC 7516 §5.2, step 10.
                encrypted.is_empty().then_some(agreed)
            }
            Private::Rsa(key) => {
                let key = OaepPrivateDecryptingKey::new(key.clone()).ok()?;
                let mut output = vec![0; key.min_output_size()];
                Some(key.decrypt(oaep(alg)?, encrypted, &mut output, None).ok()?.to_vec())
            }
            Private::Secret(secret) => {
                management::unwrap(&management::of_secret(secret, alg)?, encrypted)
            }
        }
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptionKey(…)")
    }
}

/// What a reader accepts.
#[derive(Debug, Clone, Copy)]
pub struct AcceptEncrypted<'a> {
    pub algorithms: &'a [KeyManagementAlgorithm],
    pub encryptions: &'a [ContentEncryption],
}

/// What was in an encrypted token.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    pub payload: Vec<u8>,
    /// What it is: `JWT` for a nested token (RFC 7519 §5.2).
    pub cty: Option<String>,
}

/// Shows nothing of the content.
impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decrypted(…)")
    }
}

/// Is it made of five parts, as a compact JWE is? A JWS has three (RFC 7516
/// §9).
#[must_use]
pub fn is_encrypted(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 4
}

/// Decrypts a compact JWE (RFC 7516 §5.2) with that of the keys that it names,
/// or with those that fit. With RSA this takes a millisecond.
pub fn decrypt<'k>(
    keys: impl IntoIterator<Item = &'k DecryptionKey>,
    token: &str,
    accept: &AcceptEncrypted<'_>,
) -> Result<Decrypted, JweError> {
    if token.len() > LONGEST {
        return Err(JweError::Malformed);
    }
    let parts: Vec<_> = token.split('.').take(6).collect();
    let &[aad, encrypted, iv, ciphertext, tag] = parts.as_slice() else {
        return Err(JweError::Malformed);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JweError::Malformed);
    let header: Header = serde_json::from_slice(&decode(aad)?).map_err(|_| JweError::Malformed)?;
    if header.is_compressed || header.is_extended {
        return Err(JweError::Extended);
    }
    let alg = header.alg.parse().map_err(|_| JweError::WrongAlgorithm)?;
    let enc = header.enc.parse().map_err(|_| JweError::WrongAlgorithm)?;
    if !accept.algorithms.contains(&alg) || !accept.encryptions.contains(&enc) {
        return Err(JweError::WrongAlgorithm);
    }
    let encrypted = decode(encrypted)?;
    let (iv, ciphertext, tag) = (decode(iv)?, decode(ciphertext)?, decode(tag)?);
    let mut outcome = Err(JweError::UnknownKey);
    for key in keys.into_iter().filter(|key| key.fits(&header, alg)) {
        let random = content::random_key(enc).ok_or(JweError::Undecryptable)?;
        let key = key
            .unwrap(&header, alg, enc, &encrypted)
            .filter(|key| key.len() == random.len())
            .unwrap_or(random);
        let sealed = Sealed { iv: iv.clone(), ciphertext: ciphertext.clone(), tag: tag.clone() };
        if let Some(payload) = content::open(enc, &key, aad.as_bytes(), sealed) {
            return Ok(Decrypted { payload, cty: header.cty });
        }
        outcome = Err(JweError::Undecryptable);
    }
    outcome
}

/// What of a header is looked at; a member that stands twice is refused
/// (RFC 7516 §4).
#[derive(Deserialize)]
struct Header {
    alg: String,
    enc: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    cty: Option<String>,
    #[serde(default)]
    epk: Option<PublicParameters>,
    #[serde(default)]
    apu: Option<String>,
    #[serde(default)]
    apv: Option<String>,
    #[serde(default, rename = "zip", deserialize_with = "present")]
    is_compressed: bool,
    #[serde(default, rename = "crit", deserialize_with = "present")]
    is_extended: bool,
}

impl Header {
    fn parties(&self) -> Option<Parties> {
        let decode = |text: &Option<String>| {
            URL_SAFE_NO_PAD.decode(text.as_deref().unwrap_or_default()).ok()
        };
        Some(Parties { apu: decode(&self.apu)?, apv: decode(&self.apv)? })
    }
}

fn oaep(alg: KeyManagementAlgorithm) -> Option<&'static OaepAlgorithm> {
    match alg {
        KeyManagementAlgorithm::RsaOaep => Some(&OAEP_SHA1_MGF1SHA1),
        KeyManagementAlgorithm::RsaOaep256 => Some(&OAEP_SHA256_MGF1SHA256),
        _ => None,
    }
}

const fn is_agreement(alg: KeyManagementAlgorithm) -> bool {
    matches!(
        alg,
        KeyManagementAlgorithm::EcdhEs
            | KeyManagementAlgorithm::EcdhEsA128Kw
            | KeyManagementAlgorithm::EcdhEsA256Kw
    )
}

#[cfg(test)]
mod tests;
