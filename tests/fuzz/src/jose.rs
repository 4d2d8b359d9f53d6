//! Tokens and keys that others wrote. What verifies was signed by us: libFuzzer can't.

use std::sync::LazyLock;

use chancery::jose::jwe::{AcceptEncrypted, DecryptionKey, decrypt};
use chancery::jose::{
    Accept, Jwk, JwkSet, PeerKeys, PrivateKey, PublicKey, SharedSecret, Types, Unverified, Verifier,
};
use chancery_domain::protocol::content_encryption::ContentEncryption;
use chancery_domain::protocol::key_management_algorithm::KeyManagementAlgorithm;
use chancery_domain::protocol::signing_algorithm::SigningAlgorithm;
use serde_json::Value;

struct Keys {
    peer: PeerKeys,
    own: Verifier,
    shared: SharedSecret,
    decryption: Vec<DecryptionKey>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    chancery::outbound::crypto_provider();
    let generate = |alg| PrivateKey::generate(alg).expect("a key").public_jwk();
    let jwks = [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA, SigningAlgorithm::RS256];
    let jwks = jwks.map(generate);
    let decryption = [KeyManagementAlgorithm::EcdhEs, KeyManagementAlgorithm::RsaOaep256];
    let decryption = decryption.into_iter().filter_map(DecryptionKey::generate);
    let secret = DecryptionKey::from_secret(b"a secret that the client and we know");
    Keys {
        peer: PeerKeys::new(&jwks),
        own: Verifier::new(&jwks),
        shared: SharedSecret::new(b"a secret that the client and we know"),
        decryption: decryption.chain([secret]).collect(),
    }
});

/// Reads a text in every way that there is.
pub fn jose(text: &str) {
    if let Ok(unverified) = Unverified::parse(text) {
        let _ = (unverified.alg(), unverified.kid(), unverified.typ(), unverified.is_unsigned());
        let _ = unverified.claims::<Value>();
    }
    let keys = &*KEYS;
    let accept = Accept { algorithms: SigningAlgorithm::ALL, types: Types::Any };
    assert!(keys.peer.verify::<Value>(text, &accept).is_err(), "nobody signed {text}");
    assert!(keys.own.verify::<Value>(text, &["at+jwt"]).is_err(), "nobody signed {text}");
    assert!(keys.shared.verify::<Value>(text, &accept).is_err(), "nobody signed {text}");
    let accept = AcceptEncrypted {
        algorithms: KeyManagementAlgorithm::ALL,
        encryptions: ContentEncryption::ALL,
    };
    let _ = decrypt(&keys.decryption, text, &accept);
    if let Ok(jwk) = serde_json::from_str::<Jwk>(text) {
        let _ = (PublicKey::from_jwk(&jwk), jwk.key.thumbprint());
        let _ = PeerKeys::new([&jwk]);
        let again = serde_json::to_string(&jwk).expect("JSON");
        assert_eq!(serde_json::from_str::<Jwk>(&again).expect("a JWK"), jwk);
    }
    let _ = serde_json::from_str::<JwkSet>(text);
}
