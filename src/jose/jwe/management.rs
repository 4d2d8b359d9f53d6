//! How the content's key is agreed upon or encrypted (RFC 7518 §4).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;

use super::super::PublicParameters;
use super::content::key_length;

/// A curve that keys are agreed upon on (RFC 7518 §6.2.1.1, RFC 8037 §3.2).
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) algorithm: &'static agreement::Algorithm,
    coordinate: usize,
}

pub(super) static CURVES: [Curve; 4] = [
    Curve { name: "P-256", algorithm: &ECDH_P256, coordinate: 32 },
    Curve { name: "P-384", algorithm: &ECDH_P384, coordinate: 48 },
    Curve { name: "P-521", algorithm: &ECDH_P521, coordinate: 66 },
    Curve { name: "X25519", algorithm: &X25519, coordinate: 32 },
];

impl Curve {
    fn is_montgomery(&self) -> bool {
        self.name == "X25519"
    }

    /// The public key of these bytes, as the library writes it.
    pub(super) fn parameters(&self, bytes: &[u8]) -> Option<PublicParameters> {
        let (crv, base64) = (self.name.to_owned(), |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
        if self.is_montgomery() {
            return Some(PublicParameters::Okp { crv, x: base64(bytes) });
        }
        // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
        let (x, y) = bytes.get(1..)?.split_at_checked(self.coordinate)?;
        Some(PublicParameters::Ec { crv, x: base64(x), y: base64(y) })
    }
}

/// The curve of a public key, and the key as the library reads it. That it is
/// on the curve is checked when it is used.
pub(super) fn point(key: &PublicParameters) -> Option<(&'static Curve, Vec<u8>)> {
    let (crv, bytes) = match key {
        PublicParameters::Ec { crv, .. } => (crv, key.point()?),
        PublicParameters::Okp { crv, x } => (crv, URL_SAFE_NO_PAD.decode(x).ok()?),
        PublicParameters::Rsa { .. } => return None,
    };
    let curve = CURVES.iter().find(|curve| curve.name == crv)?;
    let is_okp = matches!(key, PublicParameters::Okp { .. });
    let length = if is_okp { curve.coordinate } else { 1 + 2 * curve.coordinate };
    let fits = curve.is_montgomery() == is_okp && bytes.len() == length;
    fits.then_some((curve, bytes))
}

/// Who speaks to whom, as the header has it: part of what is hashed.
#[derive(Default)]
pub(super) struct Parties {
    pub(super) apu: Vec<u8>,
    pub(super) apv: Vec<u8>,
}

/// Agrees upon a key: the content's, or the one that wraps it (RFC 7518 §4.6).
pub(super) fn agree(
    mine: &agreement::PrivateKey,
    theirs: &[u8],
    alg: KeyManagementAlgorithm,
    enc: ContentEncryption,
    parties: &Parties,
) -> Option<Vec<u8>> {
    let (name, length) = match wrapping_key_length(alg) {
        Some(length) => (alg.as_str(), length),
        None => (enc.as_str(), key_length(enc)),
    };
    let theirs = UnparsedPublicKey::new(mine.algorithm(), theirs);
    agreement::agree(mine, theirs, (), |shared| concat_kdf(shared, name, parties, length).ok_or(()))
        .ok()
}

/// RFC 7518 §4.6.2: the Concat KDF of NIST SP 800-56A, with SHA-256.
fn concat_kdf(shared: &[u8], name: &str, parties: &Parties, length: usize) -> Option<Vec<u8>> {
    let mut info = Vec::new();
    for data in [name.as_bytes(), &parties.apu, &parties.apv] {
        info.extend(u32::try_from(data.len()).ok()?.to_be_bytes());
        info.extend(data);
    }
    info.extend(u32::try_from(length * 8).ok()?.to_be_bytes());
    let mut key = Vec::with_capacity(length + 32);
    for round in 1_u32.. {
        if key.len() >= length {
            break;
        }
        let input = [&round.to_be_bytes(), shared, &info].concat();
        key.extend(digest(&SHA256, &input).as_ref());
    }
    key.truncate(length);
    Some(key)
}

/// The length of the key that wraps another, where one does.
fn wrapping_key_length(alg: KeyManagementAlgorithm) -> Option<usize> {
    match alg {
        KeyManagementAlgorithm::A128Kw | KeyManagementAlgorithm::EcdhEsA128Kw => Some(16),
        KeyManagementAlgorithm::A256Kw | KeyManagementAlgorithm::EcdhEsA256Kw => Some(32),
        KeyManagementAlgorithm::RsaOaep
        | KeyManagementAlgorithm::RsaOaep256
        | KeyManagementAlgorithm::EcdhEs => None,
    }
}

/// The key that a client's secret makes: the left of its hash (OpenID Connect
/// Core §10.2).
pub(super) fn of_secret(secret: &[u8], alg: KeyManagementAlgorithm) -> Option<Vec<u8>> {
    let length = wrapping_key_length(alg)?;
    digest(&SHA256, secret).as_ref().get(..length).map(<[u8]>::to_vec)
}

/// Wraps the content's key (RFC 7518 §4.4).
pub(super) fn wrap(wrapping: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut wrapped = vec![0; key.len() + 8];
    let written = kek(wrapping)?.wrap(key, &mut wrapped).ok()?.len();
    (written == wrapped.len()).then_some(wrapped)
}

/// Unwraps the content's key.
pub(super) fn unwrap(wrapping: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let mut key = vec![0; wrapped.len().checked_sub(8)?];
    let written = kek(wrapping)?.unwrap(wrapped, &mut key).ok()?.len();
    (written == key.len()).then_some(key)
}

fn kek(wrapping: &[u8]) -> Option<AesKek> {
    let cipher = match wrapping.len() {
        16 => &key_wrap::AES_128,
        32 => &key_wrap::AES_256,
        _ => return None,
    };
    AesKek::new(cipher, wrapping).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 7518 appendix C: Alice's ephemeral key and Bob's, from either side.
    #[test]
    fn the_rfc_s_key_agreement_is_right() {
        let alice = PublicParameters::Ec {
            crv: "P-256".to_owned(),
            x: "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0".to_owned(),
            y: "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps".to_owned(),
        };
        let bob = PublicParameters::Ec {
            crv: "P-256".to_owned(),
            x: "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ".to_owned(),
            y: "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck".to_owned(),
        };
        let private = |d| agreement::PrivateKey::from_private_key(&ECDH_P256, &base64(d)).unwrap();
        let alice_d = private("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let bob_d = private("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw");
        let parties = Parties { apu: b"Alice".to_vec(), apv: b"Bob".to_vec() };
        for (mine, theirs) in [(alice_d, bob), (bob_d, alice)] {
            let key = agree(
                &mine,
                &point(&theirs).unwrap().1,
                KeyManagementAlgorithm::EcdhEs,
                ContentEncryption::A128Gcm,
                &parties,
            );
            assert_eq!(key, Some(base64("VqqN6vgjbSBcIijNcacQGg")));
        }
    }

    /// The second round begins where the first ends.
    #[test]
    fn a_long_key_takes_more_rounds() {
        let parties = Parties::default();
        let long = concat_kdf(b"shared", "A256CBC-HS512", &parties, 64).unwrap();
        assert_eq!(long.len(), 64);
        assert_ne!(long[..32], long[32..]);
        let info = [&[0, 0, 0, 13][..], b"A256CBC-HS512", &[0; 8], &[0, 0, 2, 0]].concat();
        let second = [&[0, 0, 0, 2][..], b"shared", &info].concat();
        assert_eq!(&long[32..], digest(&SHA256, &second).as_ref());
    }

    /// RFC 7516 §11.4, RFC 8725 §3.4: a point off the curve would tell of the
    /// private key.
    #[test]
    fn a_point_that_is_not_on_the_curve_is_refused() {
        let mine = agreement::PrivateKey::generate(&ECDH_P256).unwrap();
        let public = mine.compute_public_key().unwrap();
        let agree = |theirs: &[u8]| {
            let enc = ContentEncryption::A128Gcm;
            agree(&mine, theirs, KeyManagementAlgorithm::EcdhEs, enc, &Parties::default())
        };
        assert!(agree(public.as_ref()).is_some());
        let mut off = public.as_ref().to_vec();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(agree(&off), None);
        assert_eq!(agree(&[]), None);
    }

    #[test]
    fn a_key_of_another_curve_or_length_is_refused() {
        let ec = |crv: &str, bytes: usize| PublicParameters::Ec {
            crv: crv.to_owned(),
            x: URL_SAFE_NO_PAD.encode(vec![1; bytes]),
            y: URL_SAFE_NO_PAD.encode(vec![1; bytes]),
        };
        let okp = |crv: &str, bytes: usize| PublicParameters::Okp {
            crv: crv.to_owned(),
            x: URL_SAFE_NO_PAD.encode(vec![1; bytes]),
        };
        for good in [ec("P-256", 32), ec("P-384", 48), ec("P-521", 66), okp("X25519", 32)] {
            assert!(point(&good).is_some());
        }
        for bad in [ec("P-256", 31), ec("P-384", 32), ec("X25519", 32), okp("P-256", 65)] {
            assert!(point(&bad).is_none());
        }
        assert!(point(&okp("X25519", 31)).is_none() && point(&okp("Ed25519", 32)).is_none());
    }

    /// OpenID Connect Core §10.2
    #[test]
    fn a_secret_s_key_is_the_left_of_its_hash() {
        let hash = digest(&SHA256, b"secret");
        let key = |alg| of_secret(b"secret", alg);
        assert_eq!(key(KeyManagementAlgorithm::A128Kw).as_deref(), hash.as_ref().get(..16));
        assert_eq!(key(KeyManagementAlgorithm::A256Kw).as_deref(), Some(hash.as_ref()));
        assert_eq!(key(KeyManagementAlgorithm::RsaOaep), None);
    }
}
