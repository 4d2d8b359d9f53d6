//! Content encryption (RFC 7518 §5).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, rand};
use chancery_domain::protocol::content_encryption::ContentEncryption;

/// What encrypting gives (RFC 7516 §5.1).
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// Everything that distinguishes one algorithm from the next.
enum Suite {
    Gcm(&'static aead::Algorithm),
    /// RFC 7518 §5.2.2: the first half of the key is the MAC's.
    CbcHmac {
        cipher: &'static cipher::Algorithm,
        mac: hmac::Algorithm,
        half: usize,
    },
}

fn suite(enc: ContentEncryption) -> Suite {
    match enc {
        ContentEncryption::A128Gcm => Suite::Gcm(&aead::AES_128_GCM),
        ContentEncryption::A256Gcm => Suite::Gcm(&aead::AES_256_GCM),
        ContentEncryption::A128CbcHs256 => {
            Suite::CbcHmac { cipher: &cipher::AES_128, mac: hmac::HMAC_SHA256, half: 16 }
        }
        ContentEncryption::A256CbcHs512 => {
            Suite::CbcHmac { cipher: &cipher::AES_256, mac: hmac::HMAC_SHA512, half: 32 }
        }
    }
}

/// The length of a key, in bytes.
pub(super) fn key_length(enc: ContentEncryption) -> usize {
    match suite(enc) {
        Suite::Gcm(algorithm) => algorithm.key_len(),
        Suite::CbcHmac { half, .. } => half * 2,
    }
}

/// A key nobody knows. Nothing if there is no randomness to be had.
pub(super) fn random_key(enc: ContentEncryption) -> Option<Vec<u8>> {
    random(key_length(enc))
}

fn random(length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Encrypts; the key has to have the right length. `aad` is authenticated too.
pub(super) fn seal(
    enc: ContentEncryption,
    key: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Option<Sealed> {
    let mut ciphertext = plaintext.to_vec();
    match suite(enc) {
        Suite::Gcm(algorithm) => {
            let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
            let iv = random(algorithm.nonce_len())?;
            let nonce = Nonce::try_assume_unique_for_key(&iv).ok()?;
            let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut ciphertext);
            Some(Sealed { iv, ciphertext, tag: tag.ok()?.as_ref().to_vec() })
        }
        Suite::CbcHmac { cipher, mac, half } => {
            let (mac_key, key) = halves(key, half)?;
            let key = UnboundCipherKey::new(cipher, key).ok()?;
            let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).ok()?;
            let iv = random(16)?;
            let context = EncryptionContext::Iv128(FixedLength::try_from(&*iv).ok()?);
            key.less_safe_encrypt(&mut ciphertext, context).ok()?;
            let tag = cbc_tag(&hmac::Key::new(mac, mac_key), half, [aad, &iv, &ciphertext])?;
            Some(Sealed { iv, ciphertext, tag })
        }
    }
}

/// Decrypts what is whole; nothing is decrypted that is not.
pub(super) fn open(
    enc: ContentEncryption,
    key: &[u8],
    aad: &[u8],
    sealed: Sealed,
) -> Option<Vec<u8>> {
    let Sealed { iv, mut ciphertext, tag } = sealed;
    match suite(enc) {
        Suite::Gcm(algorithm) => {
            let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
            let nonce = Nonce::try_assume_unique_for_key(&iv).ok()?;
            // A shorter tag would be easier to guess (RFC 7518 §5.3).
            if tag.len() != algorithm.tag_len() {
                return None;
            }
            let mut plaintext = vec![0; ciphertext.len()];
            let aad = Aad::from(aad);
            key.open_separate_gather(nonce, aad, &ciphertext, &tag, &mut plaintext).ok()?;
            Some(plaintext)
        }
        Suite::CbcHmac { cipher, mac, half } => {
            let (mac_key, key) = halves(key, half)?;
            let mac_key = hmac::Key::new(mac, mac_key);
            let expected = cbc_tag(&mac_key, half, [aad, &iv, &ciphertext])?;
            // Before decrypting, in constant time: the padding is nobody's oracle.
            verify_slices_are_equal(&expected, &tag).ok()?;
            let key = UnboundCipherKey::new(cipher, key).ok()?;
            let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
            let context = DecryptionContext::Iv128(FixedLength::try_from(&*iv).ok()?);
            Some(key.decrypt(&mut ciphertext, context).ok()?.to_vec())
        }
    }
}

fn halves(key: &[u8], half: usize) -> Option<(&[u8], &[u8])> {
    if key.len() == half * 2 { key.split_at_checked(half) } else { None }
}

/// RFC 7518 §5.2.2.1: over the parts and the length of the first, in bits; the
/// left half of the MAC.
fn cbc_tag(key: &hmac::Key, half: usize, parts: [&[u8]; 3]) -> Option<Vec<u8>> {
    let [aad, ..] = parts;
    let bits = u64::try_from(aad.len()).ok()?.checked_mul(8)?;
    let mut mac = hmac::Context::with_key(key);
    for part in parts {
        mac.update(part);
    }
    mac.update(&bits.to_be_bytes());
    mac.sign().as_ref().get(..half).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter(char::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    const PLAINTEXT: &str = "A cipher system must not be required to be secret, and it must be \
                             able to fall into the hands of the enemy without inconvenience";
    const AAD: &[u8] = b"The second principle of Auguste Kerckhoffs";
    const IV: &str = "1a f3 8c 2d c2 b9 6f fd d8 66 94 09 23 41 bc 04";

    fn key(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    /// RFC 7518 appendix B.1.
    #[test]
    fn the_rfc_s_aes_128_cbc_hmac_sha_256_is_right() {
        let sealed = || Sealed {
            iv: hex(IV),
            ciphertext: hex("c8 0e df a3 2d df 39 d5 ef 00 c0 b4 68 83 42 79
                 a2 e4 6a 1b 80 49 f7 92 f7 6b fe 54 b9 03 a9 c9
                 a9 4a c9 b4 7a d2 65 5c 5f 10 f9 ae f7 14 27 e2
                 fc 6f 9b 3f 39 9a 22 14 89 f1 63 62 c7 03 23 36
                 09 d4 5a c6 98 64 e3 32 1c f8 29 35 ac 40 96 c8
                 6e 13 33 14 c5 40 19 e8 ca 79 80 df a4 b9 cf 1b
                 38 4c 48 6f 3a 54 c5 10 78 15 8e e5 d7 9d e5 9f
                 bd 34 d8 48 b3 d6 95 50 a6 76 46 34 44 27 ad e5
                 4b 88 51 ff b5 98 f7 f8 00 74 b9 47 3c 82 e2 db"),
            tag: hex("65 2c 3f a3 6b 0a 7c 5b 32 19 fa b3 a3 0b c1 c4"),
        };
        let enc = ContentEncryption::A128CbcHs256;
        let opened = open(enc, &key(32), AAD, sealed());
        assert_eq!(opened.as_deref(), Some(PLAINTEXT.as_bytes()));
        assert_eq!(open(enc, &key(32), b"other", sealed()), None);
    }

    /// RFC 7518 appendix B.3.
    #[test]
    fn the_rfc_s_aes_256_cbc_hmac_sha_512_is_right() {
        let sealed = Sealed {
            iv: hex(IV),
            ciphertext: hex("4a ff aa ad b7 8c 31 c5 da 4b 1b 59 0d 10 ff bd
                 3d d8 d5 d3 02 42 35 26 91 2d a0 37 ec bc c7 bd
                 82 2c 30 1d d6 7c 37 3b cc b5 84 ad 3e 92 79 c2
                 e6 d1 2a 13 74 b7 7f 07 75 53 df 82 94 10 44 6b
                 36 eb d9 70 66 29 6a e6 42 7e a7 5c 2e 08 46 a1
                 1a 09 cc f5 37 0d c8 0b fe cb ad 28 c7 3f 09 b3
                 a3 b7 5e 66 2a 25 94 41 0a e4 96 b2 e2 e6 60 9e
                 31 e6 e0 2c c8 37 f0 53 d2 1f 37 ff 4f 51 95 0b
                 be 26 38 d0 9d d7 a4 93 09 30 80 6d 07 03 b1 f6"),
            tag: hex("4d d3 b4 c0 88 a7 f4 5c 21 68 39 64 5b 20 12 bf
                 2e 62 69 a8 c5 6a 81 6d bc 1b 26 77 61 95 5b c5"),
        };
        let opened = open(ContentEncryption::A256CbcHs512, &key(64), AAD, sealed);
        assert_eq!(opened.as_deref(), Some(PLAINTEXT.as_bytes()));
    }

    #[test]
    fn what_was_changed_anywhere_is_not_opened() {
        for enc in ContentEncryption::ALL {
            let key = random_key(*enc).unwrap();
            let seal = || seal(*enc, &key, b"aad", b"plaintext").unwrap();
            let opened = open(*enc, &key, b"aad", seal());
            assert_eq!(opened.as_deref(), Some(&b"plaintext"[..]), "{enc}");
            assert_eq!(open(*enc, &key, b"aae", seal()), None, "{enc}");
            let (mut iv, mut ciphertext, mut tag, mut short) = (seal(), seal(), seal(), seal());
            iv.iv[0] ^= 1;
            ciphertext.ciphertext[0] ^= 1;
            tag.tag[0] ^= 1;
            short.tag.truncate(12);
            for changed in [iv, ciphertext, tag, short] {
                assert_eq!(open(*enc, &key, b"aad", changed), None, "{enc}");
            }
            let wrong = random_key(*enc).unwrap();
            assert_eq!(open(*enc, &wrong, b"aad", seal()), None, "{enc}");
            assert_eq!(open(*enc, &key[1..], b"aad", seal()), None, "{enc}");
        }
    }
}
