//! How long an answer may be kept (RFC 9111).

use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};

/// The seconds that `Cache-Control` gives, less those that the answer has been
/// on its way (RFC 9111 §4.2). The first of two `max-age` counts.
pub(super) fn max_age(headers: &HeaderMap) -> Option<u32> {
    let values = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut lifetime = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(0),
            "max-age" if lifetime.is_none() => lifetime = seconds(argument),
            _ => {}
        }
    }
    let age = headers.get(AGE).and_then(|value| seconds(value.to_str().ok()?)).unwrap_or(0);
    lifetime.map(|lifetime| lifetime.saturating_sub(age))
}

/// Delta-seconds; a number too big means for ever (RFC 9111 §1.2.2).
fn seconds(text: &str) -> Option<u32> {
    let digits = text.trim().trim_matches('"');
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn cache_control_says_how_long() {
        let of = |cache: &'static str, age: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
            if let Some(age) = age {
                headers.insert(AGE, HeaderValue::from_static(age));
            }
            max_age(&headers)
        };
        assert_eq!(of("public, Max-Age=60", None), Some(60));
        assert_eq!(of("max-age=60, max-age=70", None), Some(60));
        assert_eq!(of("max-age=\"60\"", Some("20")), Some(40));
        assert_eq!(of("max-age=60", Some("80")), Some(0));
        assert_eq!(of("max-age=99999999999999", None), Some(u32::MAX));
        assert_eq!(of("max-age=60, no-store", None), Some(0));
        assert_eq!(of("max-age=soon", None), None);
        assert_eq!(of("public", None), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
