//! Private keys, and tokens signed with them (RFC 7515 §3.1, §5.1).

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::ids::KeyId;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde::Serialize;

use super::jwk::{Jwk, KeyUse, PublicParameters};
use super::{KeyError, KeyShape, suite};

/// A private signing key, parsed once. It leaves the process only as PKCS#8,
/// to be wrapped by the master key.
pub struct PrivateKey {
    alg: SigningAlgorithm,
    kid: KeyId,
    public: PublicParameters,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa { pair: RsaKeyPair, padding: &'static dyn RsaEncoding },
}

impl PrivateKey {
    /// A new key, from the library's own randomness. RSA keys have 2048 bits
    /// and take a good part of a second: not for the event loop.
    pub fn generate(alg: SigningAlgorithm) -> Result<Self, KeyError> {
        let failed = KeyError::Library(alg);
        let pair = match suite(alg).key {
            KeyShape::Ec { signing, .. } => {
                Pair::Ec(EcdsaKeyPair::generate(signing).map_err(|_| failed)?)
            }
            KeyShape::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| failed)?),
            KeyShape::Rsa { padding } => Pair::Rsa {
                pair: RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed)?,
                padding,
            },
            KeyShape::Secret { .. } => return Err(KeyError::NotAPrivateKey(alg)),
        };
        Self::with(alg, pair)
    }

    /// Reads a key kept as PKCS#8 (RFC 5958), in DER.
    pub fn from_pkcs8(alg: SigningAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let wrong = KeyError::NotAPrivateKey(alg);
        let pair = match suite(alg).key {
            KeyShape::Ec { signing, .. } => {
                Pair::Ec(EcdsaKeyPair::from_pkcs8(signing, der).map_err(|_| wrong)?)
            }
            KeyShape::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| wrong)?),
            KeyShape::Rsa { padding } => {
                Pair::Rsa { pair: RsaKeyPair::from_pkcs8(der).map_err(|_| wrong)?, padding }
            }
            KeyShape::Secret { .. } => return Err(wrong),
        };
        Self::with(alg, pair)
    }

    fn with(alg: SigningAlgorithm, pair: Pair) -> Result<Self, KeyError> {
        let public = pair.public(alg)?;
        Ok(Self { alg, kid: public.key_id(), public, pair })
    }

    /// The key as PKCS#8, in DER: to be wrapped at once.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Library(self.alg);
        Ok(match &self.pair {
            Pair::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa { pair, .. } => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
        })
    }

    /// What it signs with.
    #[must_use]
    pub const fn alg(&self) -> SigningAlgorithm {
        self.alg
    }

    /// Names the key: the beginning of its thumbprint.
    #[must_use]
    pub const fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// The public key, as published.
    #[must_use]
    pub fn public_jwk(&self) -> Jwk {
        Jwk {
            key: self.public.clone(),
            kid: Some(self.kid.as_str().to_owned()),
            alg: Some(self.alg.into()),
            key_use: Some(KeyUse::Signature),
        }
    }

    /// Does a signature take long enough (a third of a millisecond) to be kept
    /// off the event loop?
    #[must_use]
    pub const fn is_slow(&self) -> bool {
        matches!(self.pair, Pair::Rsa { .. })
    }

    /// The bare signature over these bytes.
    #[cfg(test)]
    pub(super) fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.pair.sign(message)
    }

    /// Signs claims as a compact JWS of type `typ` (RFC 7519 §3, RFC 8725
    /// §3.11).
    pub fn sign<C: Serialize + ?Sized>(&self, typ: &str, claims: &C) -> Result<String, KeyError> {
        let room = self.pair.signature_text_length();
        compact(self.alg, typ, Some(self.kid.as_str()), claims, room, |message| {
            self.pair.sign(message)
        })
    }
}

/// Shows nothing of the private part.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {})", self.alg, self.kid)
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: SigningAlgorithm,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// Writes a compact JWS (RFC 7515 §3.1). `room` is about how long the signature
/// will be in base64url.
pub(super) fn compact<C: Serialize + ?Sized>(
    alg: SigningAlgorithm,
    typ: &str,
    kid: Option<&str>,
    claims: &C,
    room: usize,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<String, KeyError> {
    let header = serde_json::to_vec(&Header { alg, typ, kid }).map_err(|_| KeyError::Claims)?;
    let claims = serde_json::to_vec(claims).map_err(|_| KeyError::Claims)?;
    let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + room + 8);
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = sign(token.as_bytes()).ok_or(KeyError::Library(alg))?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

impl Pair {
    fn public(&self, alg: SigningAlgorithm) -> Result<PublicParameters, KeyError> {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match (self, suite(alg).key) {
            (Self::Ec(pair), KeyShape::Ec { curve, coordinate, .. }) => {
                // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref();
                let x = point.get(1..=coordinate).ok_or(KeyError::Library(alg))?;
                let y = point.get(coordinate + 1..).ok_or(KeyError::Library(alg))?;
                Ok(PublicParameters::Ec { crv: curve.to_owned(), x: base64(x), y: base64(y) })
            }
            (Self::Ed25519(pair), _) => Ok(PublicParameters::Okp {
                crv: "Ed25519".to_owned(),
                x: base64(pair.public_key().as_ref()),
            }),
            (Self::Rsa { pair, .. }, _) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                Ok(PublicParameters::Rsa { n: base64(&parts.n), e: base64(&parts.e) })
            }
            (Self::Ec(_), _) => Err(KeyError::Library(alg)),
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => pair.sign(&random, message).ok().map(|s| s.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.try_sign(message).ok().map(|s| s.as_ref().to_vec()),
            Self::Rsa { pair, padding } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }

    /// About how long a signature is in base64url.
    fn signature_text_length(&self) -> usize {
        match self {
            // P-521; the others are shorter.
            Self::Ec(_) => 176,
            Self::Ed25519(_) => 86,
            Self::Rsa { pair, .. } => pair.public_modulus_len() * 4 / 3,
        }
    }
}
