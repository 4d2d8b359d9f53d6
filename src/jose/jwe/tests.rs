//! The vectors of the RFCs, round trips, and what must not be decrypted.

use aws_lc_rs::rsa::KeyPairComponents;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ANY: AcceptEncrypted<'static> = AcceptEncrypted {
    algorithms: KeyManagementAlgorithm::ALL,
    encryptions: ContentEncryption::ALL,
};

const RSA_OAEP: &str = concat!(
    "eyJhbGciOiJSU0EtT0FFUCIsImtpZCI6InNhbXdpc2UuZ2FtZ2VlQGhvYmJpdG9uLmV4YW1wbGUiLC",
    "JlbmMiOiJBMjU2R0NNIn0.rT99rwrBTbTI7IJM8fU3Eli7226HEB7IchCxNuh7lCiud48LxeolRdtF",
    "F4nzQibeYOl5S_PJsAXZwSXtDePz9hk-BbtsTBqC2UsPOdwjC9NhNupNNu9uHIVftDyucvI6hvALeZ",
    "6OGnhNV4v1zx2k7O1D89mAzfw-_kT3tkuorpDU-CpBENfIHX1Q58-Aad3FzMuo3Fn9buEP2yXakLXY",
    "a15BUXQsupM4A1GD4_H4Bd7V3u9h8Gkg8BpxKdUV9ScfJQTcYm6eJEBz3aSwIaK4T3-dwWpuBOhROQ",
    "XBosJzS1asnuHtVMt2pKIIfux5BC6huIvmY7kzV7W7aIUrpYm_3H4zYvyMeq5pGqFmW2k8zpO878TR",
    "lZx7pZfPYDSXZyS0CfKKkMozT_qiCwZTSz4duYnt8hS4Z9sGthXn9uDqd6wycMagnQfOTs_lycTWmY",
    "-aqWVDKhjYNRf03NiwRtb5BE-tOdFwCASQj3uuAgPGrO2AWBe38UjQb0lvXn1SpyvYZ3WFc7WOJYaT",
    "a7A8DRn6MC6T-xDmMuxC0G7S2rscw5lQQU06MvZTlFOt0UvfuKBa03cxA_nIBIhLMjY2kOTxQMmpDP",
    "Tr6Cbo8aKaOnx6ASE5Jx9paBpnNmOOKH35j_QlrQhDWUN6A2Gg8iFayJ69xDEdHAVCGRzN3woEI2oz",
    "DRs.-nBoKLH0YkLZPSI9.o4k2cnGN8rSSw3IDo1YuySkqeS_t2m1GXklSgqBdpACm6UJuJowOHC5yt",
    "jqYgRL-I-soPlwqMUf4UgRWWeaOGNw6vGW-xyM01lTYxrXfVzIIaRdhYtEMRBvBWbEwP7ua1DRfvaO",
    "jgZv6Ifa3brcAM64d8p5lhhNcizPersuhw5f-pGYzseva-TUaL8iWnctc-sSwy7SQmRkfhDjwbz0fz",
    "6kFovEgj64X1I5s7E6GLp5fnbYGLa1QUiML7Cc2GxgvI7zqWo0YIEc7aCflLG1-8BboVWFdZKLK9vN",
    "oycrYHumwzKluLWEbSVmaPpOslY2n525DxDfWaVFUfKQxMF56vn4B9QMpWAbnypNimbM8zVOw.UCGi",
    "qJxhBI3IFVdPalHHvA",
);

const ECDH_ES_A128KW: &str = concat!(
    "eyJhbGciOiJFQ0RILUVTK0ExMjhLVyIsImtpZCI6InBlcmVncmluLnRvb2tAdHVja2Jvcm91Z2guZX",
    "hhbXBsZSIsImVwayI6eyJrdHkiOiJFQyIsImNydiI6IlAtMzg0IiwieCI6InVCbzRrSFB3Nmtiang1",
    "bDB4b3dyZF9vWXpCbWF6LUdLRlp1NHhBRkZrYllpV2d1dEVLNml1RURzUTZ3TmROZzMiLCJ5Ijoic3",
    "AzcDVTR2haVkMyZmFYdW1JLWU5SlUyTW84S3BvWXJGRHI1eVBOVnRXNFBnRXdaT3lRVEEtSmRhWTh0",
    "YjdFMCJ9LCJlbmMiOiJBMTI4R0NNIn0.0DJjBXri_kBcC46IkU5_Jk9BqaQeHdv2.mH-G2zVqgztUt",
    "nW_.tkZuOO9h95OgHJmkkrfLBisku8rGf6nzVxhRM3sVOhXgz5NJ76oID7lpnAi_cPWJRCjSpAaUZ5",
    "dOR3Spy7QuEkmKx8-3RCMhSYMzsXaEwDdXta9Mn5B7cCBoJKB0IgEnj_qfo1hIi-uEkUpOZ8aLTZGH",
    "fpl05jMwbKkTe2yK3mjF6SBAsgicQDVCkcY9BLluzx1RmC3ORXaM0JaHPB93YcdSDGgpgBWMVrNU1E",
    "rkjcMqMoT_wtCex3w03XdLkjXIuEr2hWgeP-nkUZTPU9EoGSPj6fAS-bSz87RCPrxZdj_iVyC6QWcq",
    "Au07WNhjzJEPc4jVntRJ6K53NgPQ5p99l3Z408OUqj4ioYezbS6vTPlQ.WuGzxmcreYjpHGJoa17EB",
    "g",
);

const ECDH_ES: &str = concat!(
    "eyJhbGciOiJFQ0RILUVTIiwia2lkIjoibWVyaWFkb2MuYnJhbmR5YnVja0BidWNrbGFuZC5leGFtcG",
    "xlIiwiZXBrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoibVBVS1RfYkFXR0hJaGcwVHBq",
    "anFWc1AxclhXUXVfdndWT0hIdE5rZFlvQSIsInkiOiI4QlFBc0ltR2VBUzQ2ZnlXdzVNaFlmR1RUME",
    "lqQnBGdzJTUzM0RHY0SXJzIn0sImVuYyI6IkExMjhDQkMtSFMyNTYifQ..yc9N8v5sYyv3iGQT926I",
    "Ug.BoDlwPnTypYq-ivjmQvAYJLb5Q6l-F3LIgQomlz87yW4OPKbWE1zSTEFjDfhU9IPIOSA9Bml4m7",
    "iDFwA-1ZXvHteLDtw4R1XRGMEsDIqAYtskTTmzmzNa-_q4F_evAPUmwlO-ZG45Mnq4uhM1fm_D9rBt",
    "WolqZSF3xGNNkpOMQKF1Cl8i8wjzRli7-IXgyirlKQsbhhqRzkv8IcY6aHl24j03C-AR2le1r7URUh",
    "ArM79BY8soZU0lzwI-sD5PZ3l4NDCCei9XkoIAfsXJWmySPoeRb2Ni5UZL4mYpvKDiwmyzGd65KqVw",
    "7MsFfI_K767G9C9Azp73gKZD0DyUn1mn0WW5LmyX_yJ-3AROq8p1WZBfG-ZyJ6195_JGG2m9Csg.WC",
    "CkNa-x4BeB9hIDIfFuhg",
);

const A128KW: &str = concat!(
    "eyJhbGciOiJBMTI4S1ciLCJraWQiOiI4MWIyMDk2NS04MzMyLTQzZDktYTQ2OC04MjE2MGFkOTFhYz",
    "giLCJlbmMiOiJBMTI4R0NNIn0.CBI6oDw8MydIx1IBntf_lQcw2MmJKIQx.Qx0pmsDa8KnJc9Jo.Aw",
    "liP-KmWgsZ37BvzCefNen6VTbRK3QMA4TkvRkH0tP1bTdhtFJgJxeVmJkLD61A1hnWGetdg11c9ADs",
    "nWgL56NyxwSYjU1ZEHcGkd3EkU0vjHi9gTlb90qSYFfeF0LwkcTtjbYKCsiNJQkcIp1yeM03OmuiYS",
    "oYJVSpf7ej6zaYcMv3WwdxDFl8REwOhNImk2Xld2JXq6BR53TSFkyT7PwVLuq-1GwtGHlQeg7gDT6x",
    "W0JqHDPn_H-puQsmthc9Zg0ojmJfqqFvETUxLAF-KjcBTS5dNy6egwkYtOt8EIHK-oEsKYtZRaa8Z7",
    "MOZ7UGxGIMvEmxrGCPeJa14slv2-gaqK0kEThkaSqdYw0FkQZF.ER7MWJZ1FBI_NKvn7Zb1Lw",
);

fn base64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn on_curve(name: &str, d: &str) -> DecryptionKey {
    let curve = management::CURVES.iter().find(|curve| curve.name == name).unwrap();
    let key = agreement::PrivateKey::from_private_key(curve.algorithm, &base64(d)).unwrap();
    DecryptionKey::agreement(curve, key).unwrap()
}

/// The members of an RSA key, in the order of RFC 7518 §6.3.
#[expect(clippy::many_single_char_names, reason = "the registry has such names")]
fn rsa(members: &[(&str, &str); 8]) -> DecryptionKey {
    let [n, e, d, p, q, dp, dq, qi] = members.map(|(_, text)| base64(text));
    let public_key = RsaPublicKeyComponents { n, e };
    let parts = KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi };
    let der: Pkcs8V1Der<'_> = RsaKeyPair::from_components(&parts).unwrap().as_der().unwrap();
    DecryptionKey::from_pkcs8(KeyManagementAlgorithm::RsaOaep, der.as_ref()).unwrap()
}

/// A name that is no thumbprint, as in the vectors.
fn without_kid(key: DecryptionKey) -> DecryptionKey {
    DecryptionKey { kid: None, ..key }
}

fn read(key: &DecryptionKey, token: &str) -> Result<String, JweError> {
    decrypt([key], token, &ANY).map(|read| String::from_utf8(read.payload).unwrap())
}

/// Decrypts what is wrapped by these very bytes.
fn unwrapped_by(wrapping: &[u8], token: &str) -> Option<Vec<u8>> {
    let parts: Vec<_> = token.split('.').collect();
    let header: Value = serde_json::from_slice(&base64(parts[0])).unwrap();
    let enc = header["enc"].as_str().unwrap().parse().unwrap();
    let key = management::unwrap(wrapping, &base64(parts[1]))?;
    let sealed =
        Sealed { iv: base64(parts[2]), ciphertext: base64(parts[3]), tag: base64(parts[4]) };
    content::open(enc, &key, parts[0].as_bytes(), sealed)
}

/// RFC 7516 appendix A.1.
#[test]
fn the_rfc_s_rsa_oaep_with_a256gcm_is_right() {
    let key = rsa(&[
        (
            "n",
            concat!(
                "oahUIoWw0K0usKNuOR6H4wkf4oBUXHTxRvgb48E-BVvxkeDNjbC4he8rUWcJoZmds2h7M70imEVhRU",
                "5djINXtqllXI4DFqcI1DgjT9LewND8MW2Krf3Spsk_ZkoFnilakGygTwpZ3uesH-PFABNIUYpOiN15",
                "dsQRkgr0vEhxN92i2asbOenSZeyaxziK72UwxrrKoExv6kc5twXTq4h-QChLOln0_mtUZwfsRaMStP",
                "s6mS6XrgxnxbWhojf663tuEQueGC-FCMfra36C9knDFGzKsNa7LZK2djYgyD3JR_MB_4NUJW_TqOQt",
                "wHYbxevoJArm-L5StowjzGy-_bq6Gw",
            ),
        ),
        ("e", "AQAB"),
        (
            "d",
            concat!(
                "kLdtIj6GbDks_ApCSTYQtelcNttlKiOyPzMrXHeI-yk1F7-kpDxY4-WY5NWV5KntaEeXS1j82E375x",
                "xhWMHXyvjYecPT9fpwR_M9gV8n9Hrh2anTpTD93Dt62ypW3yDsJzBnTnrYu1iwWRgBKrEYY46qAZIr",
                "A2xAwnm2X7uGR1hghkqDp0Vqj3kbSCz1XyfCs6_LehBwtxHIyh8Ripy40p24moOAbgxVw3rxT_vlt3",
                "UVe4WO3JkJOzlpUf-KTVI2Ptgm-dARxTEtE-id-4OJr0h-K-VFs3VSndVTIznSxfyrj8ILL6MG_Uv8",
                "YAu7VILSB3lOW085-4qE3DzgrTjgyQ",
            ),
        ),
        (
            "p",
            concat!(
                "1r52Xk46c-LsfB5P442p7atdPUrxQSy4mti_tZI3Mgf2EuFVbUoDBvaRQ-SWxkbkmoEzL7JXroSBjS",
                "rK3YIQgYdMgyAEPTPjXv_hI2_1eTSPVZfzL0lffNn03IXqWF5MDFuoUYE0hzb2vhrlN_rKrbfDIwUb",
                "TrjjgieRbwC6Cl0",
            ),
        ),
        (
            "q",
            concat!(
                "wLb35x7hmQWZsWJmB_vle87ihgZ19S8lBEROLIsZG4ayZVe9Hi9gDVCOBmUDdaDYVTSNx_8Fyw1YYa",
                "9XGrGnDew00J28cRUoeBB_jKI1oma0Orv1T9aXIWxKwd4gvxFImOWr3QRL9KEBRzk2RatUBnmDZJTI",
                "AfwTs0g68UZHvtc",
            ),
        ),
        (
            "dp",
            concat!(
                "ZK-YwE7diUh0qR1tR7w8WHtolDx3MZ_OTowiFvgfeQ3SiresXjm9gZ5KLhMXvo-uz-KUJWDxS5pFQ_",
                "M0evdo1dKiRTjVw_x4NyqyXPM5nULPkcpU827rnpZzAJKpdhWAgqrXGKAECQH0Xt4taznjnd_zVpAm",
                "ZZq60WPMBMfKcuE",
            ),
        ),
        (
            "dq",
            concat!(
                "Dq0gfgJ1DdFGXiLvQEZnuKEN0UUmsJBxkjydc3j4ZYdBiMRAy86x0vHCjywcMlYYg4yoC4YZa9hNVc",
                "sjqA3FeiL19rk8g6Qn29Tt0cj8qqyFpz9vNDBUfCAiJVeESOjJDZPYHdHY8v1b-o-Z2X5tvLx-TCek",
                "f7oxyeKDUqKWjis",
            ),
        ),
        (
            "qi",
            concat!(
                "VIMpMYbPf47dT1w_zDUXfPimsSegnMOA1zTaX7aGk_8urY6R8-ZW1FxU7AlWAyLWybqq6t16VFd7hQ",
                "d0y6flUK4SlOydB61gwanOsXGOAOv82cHq0E3eL4HrtZkUuKvnPrMnsUUFlfUdybVzxyjz9JF_XyaY",
                "14ardLSjf4L_FNY",
            ),
        ),
    ]);
    let token = concat!(
        "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DV",
        "ZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGeipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb2",
        "3nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5XnZAYpQdb76Fd",
        "IKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppama",
        "vo35UgoRdbYaBcoh9QcfylQr66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg.",
        "48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j",
        "6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ",
    );
    assert_eq!(
        read(&key, token).as_deref(),
        Ok("The true sign of intelligence is not knowledge but imagination.")
    );
}

/// RFC 7516 appendix A.3.
#[test]
fn the_rfc_s_a128kw_with_a128cbc_hs256_is_right() {
    let token = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.\
                 6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ.\
                 AxY8DCtDaGlsbGljb3RoZQ.\
                 KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.\
                 U0m_YmjN04DJvceFICbCVQ";
    let read = unwrapped_by(&base64("GawgguFyGrWKav7AX4VKUg"), token);
    assert_eq!(read.as_deref(), Some(&b"Live long and prosper."[..]));
}

/// RFC 7520, figure 72.
const FRODO: &str = "You can trust us to stick with you through thick and thin\u{2013}to the \
    bitter end. And you can trust us to keep any secret of yours\u{2013}closer than you keep it \
    yourself. But you cannot trust us to let you face trouble alone, and go off without a word. \
    We are your friends, Frodo.";

/// RFC 7520 §5.2.
#[test]
fn the_cookbook_s_rsa_oaep_is_right() {
    let key = without_kid(rsa(&[
        (
            "n",
            concat!(
                "wbdxI55VaanZXPY29Lg5hdmv2XhvqAhoxUkanfzf2-5zVUxa6prHRrI4pP1AhoqJRlZfYtWWd5mmHR",
                "G2pAHIlh0ySJ9wi0BioZBl1XP2e-C-FyXJGcTy0HdKQWlrfhTm42EW7Vv04r4gfao6uxjLGwfpGrZL",
                "arohiWCPnkNrg71S2CuNZSQBIPGjXfkmIy2tl_VWgGnL22GplyXj5YlBLdxXp3XeStsqo571utNfoU",
                "TU8E4qdzJ3U1DItoVkPGsMwlmmnJiwA7sXRItBCivR4M5qnZtdw-7v4WuR4779ubDuJ5nalMv2S66-",
                "RPcnFAzWSKxtBDnFJJDGIUe7Tzizjg1nms0Xq_yPub_UOlWn0ec85FCft1hACpWG8schrOBeNqHBOD",
                "FskYpUc2LC5JA2TaPF2dA67dg1TTsC_FupfQ2kNGcE1LgprxKHcVWYQb86B-HozjHZcqtauBzFNV5t",
                "bTuB-TpkcvJfNcFLlH3b8mb-H_ox35FjqBSAjLKyoeqfKTpVjvXhd09knwgJf6VKq6UC418_TOljMV",
                "fFTWXUxlnfhOOnzW6HSSzD1c9WrCuVzsUMv54szidQ9wf1cYWf3g5qFDxDQKis99gcDaiCAwM3yEBI",
                "zuNeeCa5dartHDb1xEB_HcHSeYbghbMjGfasvKn0aZRsnTyC0xhWBlsolZE",
            ),
        ),
        ("e", "AQAB"),
        (
            "d",
            concat!(
                "n7fzJc3_WG59VEOBTkayzuSMM780OJQuZjN_KbH8lOZG25ZoA7T4Bxcc0xQn5oZE5uSCIwg91oCt0J",
                "vxPcpmqzaJZg1nirjcWZ-oBtVk7gCAWq-B3qhfF3izlbkosrzjHajIcY33HBhsy4_WerrXg4MDNE4H",
                "Yojy68TcxT2LYQRxUOCf5TtJXvM8olexlSGtVnQnDRutxEUCwiewfmmrfveEogLx9EA-KMgAjTiISX",
                "xqIXQhWUQX1G7v_mV_Hr2YuImYcNcHkRvp9E7ook0876DhkO8v4UOZLwA1OlUX98mkoqwc58A_Y2lB",
                "YbVx1_s5lpPsEqbbH-nqIjh1fL0gdNfihLxnclWtW7pCztLnImZAyeCWAG7ZIfv-Rn9fLIv9jZ6r7r",
                "-MSH9sqbuziHN2grGjD_jfRluMHa0l84fFKl6bcqN1JWxPVhzNZo01yDF-1LiQnqUYSepPf6X3a2SO",
                "dkqBRiquE6EvLuSYIDpJq3jDIsgoL8Mo1LoomgiJxUwL_GWEOGu28gplyzm-9Q0U0nyhEf1uhSR8aJ",
                "AQWAiFImWH5W_IQT9I7-yrindr_2fWQ_i1UgMsGzA7aOGzZfPljRy6z-tY_KuBG00-28S_aWvjyUc-",
                "Alp8AUyKjBZ-7CWH32fGWK48j1t-zomrwjL_mnhsPbGs0c9WsWgRzI-K8gE",
            ),
        ),
        (
            "p",
            concat!(
                "7_2v3OQZzlPFcHyYfLABQ3XP85Es4hCdwCkbDeltaUXgVy9l9etKghvM4hRkOvbb01kYVuLFmxIkCD",
                "tpi-zLCYAdXKrAK3PtSbtzld_XZ9nlsYa_QZWpXB_IrtFjVfdKUdMz94pHUhFGFj7nr6NNxfpiHSHW",
                "FE1zD_AC3mY46J961Y2LRnreVwAGNw53p07Db8yD_92pDa97vqcZOdgtybH9q6uma-RFNhO1AoiJhY",
                "Zj69hjmMRXx-x56HO9cnXNbmzNSCFCKnQmn4GQLmRj9sfbZRqL94bbtE4_e0Zrpo8RNo8vxRLqQNwI",
                "y85fc6BRgBJomt8QdQvIgPgWCv5HoQ",
            ),
        ),
        (
            "q",
            concat!(
                "zqOHk1P6WN_rHuM7ZF1cXH0x6RuOHq67WuHiSknqQeefGBA9PWs6ZyKQCO-O6mKXtcgE8_Q_hA2kMR",
                "cKOcvHil1hqMCNSXlflM7WPRPZu2qCDcqssd_uMbP-DqYthH_EzwL9KnYoH7JQFxxmcv5An8oXUtTw",
                "k4knKjkIYGRuUwfQTus0w1NfjFAyxOOiAQ37ussIcE6C6ZSsM3n41UlbJ7TCqewzVJaPJN5cxjySPZ",
                "PD3Vp01a9YgAD6a3IIaKJdIxJS1ImnfPevSJQBE79-EXe2kSwVgOzvt-gsmM29QQ8veHy4uAqca5dZ",
                "zMs7hkkHtw1z0jHV90epQJJlXXnH8Q",
            ),
        ),
        (
            "dp",
            concat!(
                "19oDkBh1AXelMIxQFm2zZTqUhAzCIr4xNIGEPNoDt1jK83_FJA-xnx5kA7-1erdHdms_Ef67HsONNv",
                "5A60JaR7w8LHnDiBGnjdaUmmuO8XAxQJ_ia5mxjxNjS6E2yD44USo2JmHvzeeNczq25elqbTPLhUpG",
                "o1IZuG72FZQ5gTjXoTXC2-xtCDEUZfaUNh4IeAipfLugbpe0JAFlFfrTDAMUFpC3iXjxqzbEanflwP",
                "vj6V9iDSgjj8SozSM0dLtxvu0LIeIQAeEgT_yXcrKGmpKdSO08kLBx8VUjkbv_3Pn20Gyu2YEuwpFl",
                "M_H1NikuxJNKFGmnAq9LcnwwT0jvoQ",
            ),
        ),
        (
            "dq",
            concat!(
                "S6p59KrlmzGzaQYQM3o0XfHCGvfqHLYjCO557HYQf72O9kLMCfd_1VBEqeD-1jjwELKDjck8kOBl5U",
                "vohK1oDfSP1DleAy-cnmL29DqWmhgwM1ip0CCNmkmsmDSlqkUXDi6sAaZuntyukyflI-qSQ3C_BafP",
                "yFaKrt1fgdyEwYa08pESKwwWisy7KnmoUvaJ3SaHmohFS78TJ25cfc10wZ9hQNOrIChZlkiOdFCtxD",
                "qdmCqNacnhgE3bZQjGp3n83ODSz9zwJcSUvODlXBPc2AycH6Ci5yjbxt4Ppox_5pjm6xnQkiPgj01G",
                "psUssMmBN7iHVsrE7N2iznBNCeOUIQ",
            ),
        ),
        (
            "qi",
            concat!(
                "FZhClBMywVVjnuUud-05qd5CYU0dK79akAgy9oX6RX6I3IIIPckCciRrokxglZn-omAY5CnCe4Kdrn",
                "jFOT5YUZE7G_Pg44XgCXaarLQf4hl80oPEf6-jJ5Iy6wPRx7G2e8qLxnh9cOdf-kRqgOS3F48Ucvw3",
                "ma5V6KGMwQqWFeV31XtZ8l5cVI-I3NzBS7qltpUVgz2Ju021eyc7IlqgzR98qKONl27DuEES0aK0WE",
                "97jnsyO27Yp88Wa2RiBrEocM89QZI1seJiGDizHRUP4UZxw9zsXww46wy0P6f9grnYp7t8LkyDDk8e",
                "oI4KX6SNMNVcyVS9IWjlq8EzqZEKIA",
            ),
        ),
    ]));
    assert_eq!(read(&key, RSA_OAEP).as_deref(), Ok(FRODO));
}

/// RFC 7520 §5.4.
#[test]
fn the_cookbook_s_ecdh_es_with_key_wrapping_is_right() {
    let key = without_kid(on_curve(
        "P-384",
        "iTx2pk7wW-GqJkHcEkFQb2EFyYcO7RugmaW3mRrQVAOUiPommT0IdnYK2xDlZh-j",
    ));
    assert_eq!(read(&key, ECDH_ES_A128KW).as_deref(), Ok(FRODO));
}

/// RFC 7520 §5.5.
#[test]
fn the_cookbook_s_ecdh_es_is_right() {
    let key = without_kid(on_curve("P-256", "r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8"));
    assert_eq!(read(&key, ECDH_ES).as_deref(), Ok(FRODO));
}

/// RFC 7520 §5.8.
#[test]
fn the_cookbook_s_a128kw_is_right() {
    let read = unwrapped_by(&base64("GZy6sIZ6wl9NJOKB-jnmVQ"), A128KW);
    assert_eq!(read.as_deref(), Some(FRODO.as_bytes()));
}

/// A key for each way to have one, with what is public of it.
fn keys() -> Vec<(DecryptionKey, EncryptionKey)> {
    let curves = management::CURVES.iter().map(|curve| DecryptionKey::generate_on(curve).unwrap());
    let rsa = DecryptionKey::generate(KeyManagementAlgorithm::RsaOaep).unwrap();
    let public = |key: DecryptionKey| {
        let public = EncryptionKey::from_jwk(&key.public_jwk().unwrap()).unwrap();
        (key, public)
    };
    let secret = (DecryptionKey::from_secret(b"s"), EncryptionKey::from_secret(b"s"));
    curves.chain([rsa]).map(public).chain([secret]).collect()
}

fn how(alg: KeyManagementAlgorithm, enc: ContentEncryption) -> Encryption<'static> {
    Encryption { alg, enc, cty: Some("JWT"), typ: None }
}

#[test]
fn what_is_encrypted_is_read_by_its_key_alone_for_every_alg_and_enc() {
    let (keys, others) = (keys(), keys());
    let mut pairs = 0;
    for (index, (mine, public)) in keys.iter().enumerate() {
        for alg in KeyManagementAlgorithm::ALL {
            for enc in ContentEncryption::ALL {
                let token = encrypt(public, &how(*alg, *enc), b"payload");
                if !public.fits(*alg) {
                    assert_eq!(token, Err(JweError::Unencryptable));
                    continue;
                }
                let token = token.unwrap();
                assert!(is_encrypted(&token));
                let read = decrypt([mine], &token, &ANY).unwrap();
                assert_eq!((&*read.payload, read.cty.as_deref()), (&b"payload"[..], Some("JWT")));
                pairs += 1;
                for (other, (key, _)) in
                    keys.iter().enumerate().filter(|(other, _)| *other != index)
                {
                    let outcome = decrypt([key], &token, &ANY);
                    assert_eq!(outcome, Err(JweError::UnknownKey), "{alg} {enc} {other}");
                }
                let Some((other, _)) = others.get(index).filter(|_| mine.kid.is_some()) else {
                    continue;
                };
                assert_eq!(decrypt([other], &token, &ANY), Err(JweError::UnknownKey));
            }
        }
    }
    // Four curves with three algorithms, RSA with two, a secret with two.
    assert_eq!(pairs, (4 * 3 + 2 + 2) * 4);
}

#[test]
fn another_secret_reads_nothing() {
    let token = encrypt(
        &EncryptionKey::from_secret(b"one"),
        &how(KeyManagementAlgorithm::A256Kw, ContentEncryption::A256Gcm),
        b"payload",
    );
    let outcome = read(&DecryptionKey::from_secret(b"two"), &token.unwrap());
    assert_eq!(outcome, Err(JweError::Undecryptable));
}

fn changed(token: &str, part: usize) -> String {
    let mut parts: Vec<_> = token.split('.').map(base64).collect();
    match parts[part].first_mut() {
        Some(byte) => *byte ^= 1,
        None => parts[part].push(1),
    }
    let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    parts.join(".")
}

/// RFC 7516 §11.5: wherever it was changed, the answer is the same.
#[test]
fn a_changed_token_says_nothing_but_that_it_can_t_be_read() {
    for (key, public) in keys() {
        for alg in KeyManagementAlgorithm::ALL.iter().filter(|alg| public.fits(**alg)) {
            for enc in ContentEncryption::ALL {
                let token = encrypt(&public, &how(*alg, *enc), b"payload").unwrap();
                for part in 1..5 {
                    let outcome = read(&key, &changed(&token, part));
                    assert_eq!(outcome, Err(JweError::Undecryptable), "{alg} {enc} {part}");
                }
                let mut parts: Vec<_> = token.split('.').collect();
                parts[1] = "";
                if *alg != KeyManagementAlgorithm::EcdhEs {
                    let outcome = read(&key, &parts.join("."));
                    assert_eq!(outcome, Err(JweError::Undecryptable), "{alg} {enc}");
                }
            }
        }
    }
}

/// A token with this header, which is authenticated, to a secret.
fn with_header(header: &Value) -> String {
    let enc = ContentEncryption::A128Gcm;
    let key = content::random_key(enc).unwrap();
    let wrapping = management::of_secret(b"s", KeyManagementAlgorithm::A128Kw).unwrap();
    let aad = URL_SAFE_NO_PAD.encode(header.to_string());
    let sealed = content::seal(enc, &key, aad.as_bytes(), b"{}").unwrap();
    let wrapped = management::wrap(&wrapping, &key).unwrap();
    let parts = [wrapped, sealed.iv, sealed.ciphertext, sealed.tag];
    let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    format!("{aad}.{}", parts.join("."))
}

#[test]
fn compression_and_critical_extensions_are_refused() {
    let key = DecryptionKey::from_secret(b"s");
    let mut header = json!({"alg": "A128KW", "enc": "A128GCM"});
    assert_eq!(read(&key, &with_header(&header)).as_deref(), Ok("{}"));
    for (name, value) in
        [("zip", json!("DEF")), ("zip", json!(null)), ("crit", json!(["exp"])), ("crit", json!([]))]
    {
        header[name] = value;
        assert_eq!(read(&key, &with_header(&header)), Err(JweError::Extended), "{header}");
        header.as_object_mut().unwrap().remove(name);
    }
}

#[test]
fn only_the_algorithms_asked_for_are_accepted() {
    let key = DecryptionKey::from_secret(b"s");
    let token = with_header(&json!({"alg": "A128KW", "enc": "A128GCM"}));
    let wrong = Err(JweError::WrongAlgorithm);
    let accept = AcceptEncrypted { algorithms: &[KeyManagementAlgorithm::A256Kw], ..ANY };
    assert_eq!(decrypt([&key], &token, &accept), wrong);
    let accept = AcceptEncrypted { encryptions: &[ContentEncryption::A256Gcm], ..ANY };
    assert_eq!(decrypt([&key], &token, &accept), wrong);
    for (alg, enc) in
        [("dir", "A128GCM"), ("RSA1_5", "A128GCM"), ("A128KW", "A192GCM"), ("none", "A128GCM")]
    {
        assert_eq!(decrypt([&key], &with_header(&json!({"alg": alg, "enc": enc})), &ANY), wrong);
    }
}

#[test]
fn the_key_that_is_named_is_used() {
    let alg = KeyManagementAlgorithm::EcdhEs;
    let one = DecryptionKey::generate(alg).unwrap();
    let two = DecryptionKey::generate(alg).unwrap();
    let how = how(alg, ContentEncryption::A128Gcm);
    let mut jwk = two.public_jwk().unwrap();
    let token = encrypt(&EncryptionKey::from_jwk(&jwk).unwrap(), &how, b"x").unwrap();
    assert_eq!(decrypt([&one, &two], &token, &ANY).unwrap().payload, b"x");
    assert_eq!(decrypt([&one], &token, &ANY), Err(JweError::UnknownKey));
    jwk.kid = None;
    let token = encrypt(&EncryptionKey::from_jwk(&jwk).unwrap(), &how, b"x").unwrap();
    assert_eq!(decrypt([&one, &two], &token, &ANY).unwrap().payload, b"x");
    assert_eq!(decrypt([&one], &token, &ANY), Err(JweError::Undecryptable));
    assert_eq!(decrypt([], &token, &ANY), Err(JweError::UnknownKey));
}

#[test]
fn a_key_for_encryption_is_chosen_before_one_that_does_not_say() {
    let alg = KeyManagementAlgorithm::EcdhEs;
    let jwk = |kid: &str| {
        let jwk = DecryptionKey::generate(alg).unwrap().public_jwk().unwrap();
        Jwk { kid: Some(kid.to_owned()), ..jwk }
    };
    let chosen = |jwks: &[Jwk]| EncryptionKey::choose(jwks, alg).map(|key| key.kid.unwrap());
    let signs = Jwk { key_use: Some(KeyUse::Signature), ..jwk("signs") };
    let silent = Jwk { key_use: None, ..jwk("silent") };
    let other = Jwk { alg: Some(KeyManagementAlgorithm::EcdhEsA128Kw.into()), ..jwk("other") };
    let rsa = DecryptionKey::generate(KeyManagementAlgorithm::RsaOaep).unwrap();
    let rsa = rsa.public_jwk().unwrap();
    let mut jwks = vec![signs, other, rsa, silent];
    assert_eq!(chosen(&jwks).as_deref(), Some("silent"));
    jwks.push(jwk("encrypts"));
    assert_eq!(chosen(&jwks).as_deref(), Some("encrypts"));
    assert_eq!(chosen(&jwks[..3]), None);
}

#[test]
fn a_key_survives_pkcs8_and_publishes_no_private_part() {
    for alg in [KeyManagementAlgorithm::EcdhEs, KeyManagementAlgorithm::RsaOaep] {
        let key = DecryptionKey::generate(alg).unwrap();
        let again = DecryptionKey::from_pkcs8(alg, &key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        let jwk = serde_json::to_value(key.public_jwk().unwrap()).unwrap();
        assert_eq!(jwk["use"], "enc");
        assert_eq!(jwk["kid"], key.kid().unwrap().as_str());
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(jwk.get(private).is_none(), "{private}");
        }
    }
    assert!(DecryptionKey::generate(KeyManagementAlgorithm::A128Kw).is_none());
}

#[test]
fn a_token_without_end_is_not_looked_at() {
    let key = DecryptionKey::from_secret(b"s");
    let token = format!("{}{}", "A".repeat(LONGEST), "....");
    assert_eq!(read(&key, &token), Err(JweError::Malformed));
    for token in ["", ".", "....", ".....", "e30....", "a.b.c"] {
        assert_eq!(read(&key, token), Err(JweError::Malformed), "{token}");
    }
}

proptest! {
    #[test]
    fn any_payload_comes_back(payload: Vec<u8>, secret: Vec<u8>) {
        let (key, public) =
            (DecryptionKey::from_secret(&secret), EncryptionKey::from_secret(&secret));
        for enc in ContentEncryption::ALL {
            let how = how(KeyManagementAlgorithm::A256Kw, *enc);
            let token = encrypt(&public, &how, &payload).unwrap();
            prop_assert_eq!(&decrypt([&key], &token, &ANY).unwrap().payload, &payload);
        }
    }

    #[test]
    fn no_text_panics(
        text in ".{0,100}",
        alg in 0..7_usize,
        enc in 0..4_usize,
        parts: [Vec<u8>; 4],
        x: Vec<u8>,
    ) {
        let ec = DecryptionKey::generate(KeyManagementAlgorithm::EcdhEs).unwrap();
        let keys = [ec, DecryptionKey::from_secret(b"s")];
        let _ = decrypt(&keys, &text, &ANY);
        let x = URL_SAFE_NO_PAD.encode(x);
        let header = json!({
            "alg": KeyManagementAlgorithm::ALL[alg],
            "enc": ContentEncryption::ALL[enc],
            "epk": {"kty": "EC", "crv": "P-256", "x": x, "y": x},
            "apu": text,
        });
        let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
        let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), parts.join("."));
        let _ = decrypt(&keys, &token, &ANY);
    }
}
