//! The static files beside the pages, each at a URL that names its content, so
//! that a browser may keep it for ever and a new release is seen at once.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

/// The `Cache-Control` of every [`Asset`].
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// A static file and where it is served.
#[derive(Debug)]
pub struct Asset {
    /// `/assets/NAME-<8 hex digits of the body's SHA-256>.EXTENSION`
    pub url: String,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub body: &'static str,
}

impl Asset {
    /// Names a file by its content.
    #[must_use]
    pub fn new(
        name: &str,
        extension: &str,
        content_type: &'static str,
        body: &'static str,
    ) -> Self {
        let mut url = format!("/assets/{name}-");
        for byte in digest(&SHA256, body.as_bytes()).as_ref().iter().take(4) {
            // Writing to a string does not fail.
            let _ = write!(url, "{byte:02x}");
        }
        url.push('.');
        url.push_str(extension);
        Self { url, content_type, body }
    }

    /// A script.
    #[must_use]
    pub fn script(name: &str, body: &'static str) -> Self {
        Self::new(name, "js", "text/javascript; charset=utf-8", body)
    }
}

/// How every page looks.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css"))
});

/// The icon in the browser's tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Sends the `form_post` page's form, where scripts run.
pub static FORM_POST: LazyLock<Asset> =
    LazyLock::new(|| Asset::script("form-post", include_str!("assets/form-post.js")));

/// Tells a client's page whether the same person is still logged in.
pub static CHECK_SESSION: LazyLock<Asset> =
    LazyLock::new(|| Asset::script("check-session", include_str!("assets/check-session.js")));

/// The files that every server serves.
#[must_use]
pub fn assets() -> [&'static Asset; 4] {
    [&STYLE, &ICON, &FORM_POST, &CHECK_SESSION]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_url_follows_the_content() {
        // sha256("abc") = ba7816bf…
        let asset = Asset::new("style", "css", "text/css", "abc");
        assert_eq!(asset.url, "/assets/style-ba7816bf.css");
        assert_ne!(asset.url, Asset::new("style", "css", "text/css", "abd").url);
    }

    #[test]
    fn the_style_sheet_loads_nothing_from_elsewhere() {
        for word in ["@import", "url(", "http:", "https:", "//"] {
            assert!(!STYLE.body.contains(word), "{word}");
        }
    }

    /// The colours of the light scheme, then of the dark one.
    fn schemes() -> [BTreeMap<&'static str, [u8; 3]>; 2] {
        let (light, dark) = STYLE.body.split_once("prefers-color-scheme: dark").unwrap();
        let dark = dark.split_once("}\n}").unwrap().0;
        [light, dark].map(|block| {
            block
                .lines()
                .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"))
                .map(|(name, hex)| {
                    let hex = hex.trim_end_matches(';');
                    let long: String = if hex.len() == 3 {
                        hex.chars().flat_map(|digit| [digit, digit]).collect()
                    } else {
                        hex.to_owned()
                    };
                    let [_, r, g, b] = u32::from_str_radix(&long, 16).unwrap().to_be_bytes();
                    (name, [r, g, b])
                })
                .collect()
        })
    }

    /// WCAG 2.2, contrast ratio.
    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let [r, g, b] = colour.map(|part| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        if a > b { a / b } else { b / a }
    }

    /// WCAG 2.2 §1.4.3 (text) and §1.4.11 (the edges of fields, the focus ring).
    #[test]
    fn everything_can_be_read_in_both_schemes() {
        for (scheme, colours) in ["light", "dark"].into_iter().zip(schemes()) {
            let check = |text: &str, grounds: &[&str], least: f64| {
                for ground in grounds {
                    let ratio = contrast(colours[text], colours[*ground]);
                    assert!(ratio >= least, "{scheme}: {text} on {ground} is {ratio:.2}");
                }
            };
            for text in ["ink", "soft", "link", "amber"] {
                check(text, &["ground", "surface", "sunken"], 4.5);
            }
            check("on-wax", &["wax", "wax-deep"], 4.5);
            check("red", &["red-tint", "surface"], 4.5);
            check("link", &["tint"], 4.5);
            check("edge", &["surface", "sunken", "ground"], 3.0);
            check("wax", &["surface", "ground", "sunken"], 3.0);
        }
    }
}
