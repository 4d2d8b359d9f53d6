//! The claims that people may change themselves (OpenID Connect Core §5.1),
//! as fields of a form.

use serde_json::{Map, Value};
use url::Url;

use crate::interaction::texts::{Pick, Texts};
use crate::mail;

/// One field of the profile.
pub struct Claim {
    /// The field's name; a part of the address has the address before it.
    pub field: &'static str,
    pub label: Pick,
    /// The input's type, and what browsers fill in.
    pub kind: &'static str,
    pub autocomplete: &'static str,
    pub example: Option<Pick>,
    /// Does it fit? And else, what is wrong?
    fits: fn(&str) -> bool,
    wrong: Pick,
}

const fn claim(field: &'static str, label: Pick, autocomplete: &'static str) -> Claim {
    let wrong: Pick = |t| t.bad_text;
    Claim { field, label, kind: "text", autocomplete, example: None, fits: is_text, wrong }
}

const fn page(field: &'static str, label: Pick, autocomplete: &'static str) -> Claim {
    let wrong: Pick = |t| t.bad_url;
    Claim { kind: "url", fits: is_page, wrong, ..claim(field, label, autocomplete) }
}

/// In the order of the page.
pub const CLAIMS: &[Claim] = &[
    claim("name", |t| t.claim_name, "name"),
    claim("given_name", |t| t.claim_given_name, "given-name"),
    claim("family_name", |t| t.claim_family_name, "family-name"),
    claim("middle_name", |t| t.claim_middle_name, "additional-name"),
    claim("nickname", |t| t.claim_nickname, "nickname"),
    claim("preferred_username", |t| t.claim_preferred_username, "off"),
    Claim {
        kind: "email",
        fits: mail::is_address,
        wrong: |t| t.bad_email,
        ..claim("email", |t| t.claim_email, "email")
    },
    Claim {
        kind: "tel",
        fits: is_phone_number,
        wrong: |t| t.bad_phone,
        ..claim("phone_number", |t| t.claim_phone_number, "tel")
    },
    claim("address.street_address", |t| t.claim_street_address, "street-address"),
    claim("address.postal_code", |t| t.claim_postal_code, "postal-code"),
    claim("address.locality", |t| t.claim_locality, "address-level2"),
    claim("address.region", |t| t.claim_region, "address-level1"),
    claim("address.country", |t| t.claim_country, "country-name"),
    Claim {
        example: Some(|t| t.example_birthdate),
        fits: is_birthdate,
        wrong: |t| t.bad_birthdate,
        ..claim("birthdate", |t| t.claim_birthdate, "bday")
    },
    claim("gender", |t| t.claim_gender, "sex"),
    Claim {
        example: Some(|t| t.example_locale),
        fits: is_locale,
        wrong: |t| t.bad_locale,
        ..claim("locale", |t| t.claim_locale, "language")
    },
    Claim {
        example: Some(|t| t.example_zoneinfo),
        fits: is_zoneinfo,
        wrong: |t| t.bad_zoneinfo,
        ..claim("zoneinfo", |t| t.claim_zoneinfo, "off")
    },
    page("website", |t| t.claim_website, "url"),
    page("profile", |t| t.claim_profile, "off"),
    page("picture", |t| t.claim_picture, "photo"),
];

impl Claim {
    /// The claim that the field belongs to, and its part of it.
    fn path(&self) -> (&'static str, Option<&'static str>) {
        self.field.split_once('.').map_or((self.field, None), |(claim, part)| (claim, Some(part)))
    }

    /// May people change it?
    #[must_use]
    pub fn is_among(&self, editable: &[String]) -> bool {
        editable.iter().any(|name| name == self.path().0)
    }

    /// An id for the page.
    #[must_use]
    pub fn id(&self) -> String {
        format!("claim-{}", self.path().1.unwrap_or(self.field).replace('_', "-"))
    }

    /// What the person has there.
    #[must_use]
    pub fn value<'a>(&self, claims: &'a Map<String, Value>) -> &'a str {
        let (name, part) = self.path();
        let value = claims.get(name);
        let value = match part {
            None => value,
            Some(part) => value.and_then(|value| value.get(part)),
        };
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// What is wrong with this value; an empty one takes the claim away, and
    /// what an operator wrote there may stay.
    #[must_use]
    pub fn complaint(
        &self,
        value: &str,
        claims: &Map<String, Value>,
        t: &'static Texts,
    ) -> Option<&'static str> {
        let fits = value.is_empty()
            || value == self.value(claims)
            || (is_text(value) && (self.fits)(value));
        (!fits).then(|| (self.wrong)(t))
    }

    /// Adds to the changes that this is the value from now on.
    pub fn change(
        &self,
        value: &str,
        claims: &Map<String, Value>,
        changes: &mut Map<String, Value>,
    ) {
        if value == self.value(claims) {
            return;
        }
        let (name, part) = self.path();
        let new = if value.is_empty() { Value::Null } else { value.into() };
        let Some(part) = part else {
            changes.insert(name.to_owned(), new);
            if matches!(name, "email" | "phone_number") {
                // Nobody has shown yet that it is theirs.
                let unverified = if value.is_empty() { Value::Null } else { false.into() };
                changes.insert(format!("{name}_verified"), unverified);
            }
            return;
        };
        let before = || claims.get(name).cloned().unwrap_or_default();
        let whole = changes.entry(name).or_insert_with(before);
        let mut parts = whole.as_object().cloned().unwrap_or_default();
        // Written by its parts, the whole as one text is out of date.
        parts.remove("formatted");
        if new.is_null() {
            parts.remove(part);
        } else {
            parts.insert(part.to_owned(), new);
        }
        *whole = if parts.is_empty() { Value::Null } else { Value::Object(parts) };
    }
}

fn is_text(text: &str) -> bool {
    text.chars().count() <= 300 && !text.chars().any(char::is_control)
}

fn is_page(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// E.164 is recommended, with the separators that people write.
fn is_phone_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let rest = text.strip_prefix('+').unwrap_or(text);
    (4..=20).contains(&digits)
        && rest
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/'))
}

/// ISO 8601 `YYYY-MM-DD`, the year being 0000 where it is not told; or `YYYY`.
fn is_birthdate(text: &str) -> bool {
    let number = |part: &str, length: usize| -> Option<u16> {
        let digits = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    };
    let mut parts = text.split('-');
    let year = parts.next().and_then(|part| number(part, 4));
    match (year, parts.next(), parts.next(), parts.next()) {
        (Some(_), None, None, None) => true,
        (Some(year), Some(month), Some(day), None) => {
            // In a year not told, there may have been a 29 February.
            let year = if year == 0 { 2000 } else { year };
            let month = number(month, 2).and_then(|month| u8::try_from(month).ok());
            let month = month.and_then(|month| time::Month::try_from(month).ok());
            let day = number(day, 2).and_then(|day| u8::try_from(day).ok());
            month.zip(day).is_some_and(|(month, day)| {
                time::Date::from_calendar_date(year.into(), month, day).is_ok()
            })
        }
        _ => false,
    }
}

/// The form of a name in the time zone database; which there are changes with
/// the year.
fn is_zoneinfo(text: &str) -> bool {
    text.len() <= 64
        && text.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
        })
}

/// BCP 47, and its form with an underscore that OpenID Connect Core §5.1 allows
/// for.
fn is_locale(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let primary = parts.next().unwrap_or_default();
    (2..=8).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::accounts::Accounts;
    use crate::interaction::texts::EN;

    fn by_field(field: &str) -> &'static Claim {
        CLAIMS.iter().find(|claim| claim.field == field).unwrap()
    }

    #[test]
    fn every_claim_that_can_be_allowed_has_a_field_and_the_other_way_round() {
        for name in Accounts::CLAIMS {
            assert!(CLAIMS.iter().any(|claim| claim.path().0 == *name), "{name}");
        }
        assert!(CLAIMS.iter().all(|claim| Accounts::CLAIMS.contains(&claim.path().0)));
    }

    #[test]
    fn each_claim_has_its_form() {
        let none = Map::new();
        for (field, good, bad) in [
            ("email", "ada@example.com", "ada"),
            ("phone_number", "+44 (20) 7946-0000", "call me"),
            ("birthdate", "1815-12-10", "1815-02-30"),
            ("birthdate", "0000-02-29", "10.12.1815"),
            ("birthdate", "1815", "18151210"),
            ("locale", "en-GB", "the Queen's"),
            ("zoneinfo", "America/Argentina/Ushuaia", "half past nine"),
            ("website", "https://ada.example/", "javascript:alert(1)"),
            ("name", "Ada Lovelace", "Ada\u{7}"),
        ] {
            assert_eq!(by_field(field).complaint(good, &none, &EN), None, "{good}");
            assert!(by_field(field).complaint(bad, &none, &EN).is_some(), "{bad}");
            assert_eq!(by_field(field).complaint("", &none, &EN), None);
        }
    }

    #[test]
    fn what_an_operator_wrote_is_no_complaint() {
        let claims = json!({ "phone_number": "ext. 12" });
        let claims = claims.as_object().unwrap();
        assert_eq!(by_field("phone_number").complaint("ext. 12", claims, &EN), None);
        assert!(by_field("phone_number").complaint("ext. 13", claims, &EN).is_some());
    }

    #[test]
    fn another_address_is_not_verified() {
        let claims = json!({ "email": "a@example.com", "email_verified": true });
        let claims = claims.as_object().unwrap();
        let mut changes = Map::new();
        by_field("email").change("a@example.com", claims, &mut changes);
        assert!(changes.is_empty(), "the same is no change");
        by_field("email").change("b@example.com", claims, &mut changes);
        assert_eq!(
            Value::from(changes),
            json!({ "email": "b@example.com", "email_verified": false })
        );
    }

    #[test]
    fn the_address_is_changed_by_its_parts() {
        let claims = json!({ "address": { "formatted": "1 Road\nTown", "locality": "Town" } });
        let claims = claims.as_object().unwrap();
        let mut changes = Map::new();
        by_field("address.country").change("UK", claims, &mut changes);
        by_field("address.locality").change("City", claims, &mut changes);
        let expected = json!({ "address": { "country": "UK", "locality": "City" } });
        assert_eq!(Value::from(changes), expected);
        let mut changes = Map::new();
        by_field("address.locality").change("", claims, &mut changes);
        assert_eq!(Value::from(changes), json!({ "address": null }));
    }
}
