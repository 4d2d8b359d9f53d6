//! What the pages say, in each language: one file a language. A text that a
//! language lacks stops the build.
//!
//! The language is the first of `ui_locales` (OpenID Connect Core §3.1.2.1)
//! that there is, else what the browser prefers (RFC 9110 §12.5.4), else
//! English.

mod de;
mod en;

pub use self::de::DE;
pub use self::en::EN;

macro_rules! texts {
    ($($name:ident,)*) => {
        /// All texts of one language.
        #[derive(Debug)]
        pub struct Texts {
            $(pub $name: &'static str,)*
        }

        #[cfg(test)]
        impl Texts {
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

texts! {
        lang,
        // Every page.
        expired,
        unavailable,
        wait_before,
        wait_after,
        a_second,
        seconds,
        minutes,
        error_mark,
        cancel,
        continue_button,
        // The login page.
        sign_in,
        to_continue_to,
        to_your_account,
        user_name,
        password,
        wrong_credentials,
        login_unavailable,
        login_expired,
        forgot_link,
        // The consent page.
        allow_access,
        asks_for_access,
        signed_in_as,
        if_you_allow,
        new_badge,
        allow,
        deny,
        remembered,
        either_way_before,
        either_way_after,
        not_before,
        sign_in_as_other,
        scope_openid,
        scope_profile,
        scope_email,
        scope_address,
        scope_phone,
        scope_offline_access,
        read_about_you,
        // Choosing an account.
        choose_account,
        choose_account_lead,
        continue_as,
        another_account,
        // Making an account.
        create_account,
        no_account_yet,
        have_an_account,
        optional,
        password_again,
        name_rule,
        name_not_free,
        // Signing out.
        sign_out,
        sign_out_question,
        asks_to_sign_out,
        stay_signed_in,
        signed_out,
        you_are_signed_out,
        close_this_page,
        you_are_taken_back_to,
        continue_now,
        asked_to_sign_you_out,
        you_may_still_be_signed_in,
        signing_out_of_an_application,
        other_sessions_last,
        // Going back to an application.
        returning,
        returning_to,
        if_nothing_happens,
        // The error page.
        error_fact,
        application_fact,
        request_fact,
        give_them_these,
        start_again,
        tell_them,
        try_again_shortly,
        unknown_application,
        application_not_known,
        application_not_said,
        not_right,
        cannot_answer,
        form_unreadable,
        not_good_any_more,
        request_expired,
        request_answered,
        request_not_known,
        page_expired,
        page_open_too_long,
        too_much_to_do,
        cannot_answer_now,
        went_wrong,
        server_failed,
        // Passwords.
        password_rule,
        password_too_short,
        password_too_long,
        password_has_name,
        password_too_simple,
        passwords_differ,
        // Forgotten passwords.
        forgot_title,
        forgot_lead,
        send_link,
        link_sent_title,
        link_sent,
        back_to_sign_in,
        choose_password,
        choose_password_lead,
        new_password,
        new_password_again,
        set_password,
        link_not_good,
        link_not_good_lead,
        new_link,
        password_was_set,
        password_was_set_lead,
        // Confirming an e-mail address.
        confirm_email,
        confirm_email_lead,
        confirm,
        email_confirmed,
        // The account's own pages.
        your_account,
        overview,
        profile,
        sessions,
        applications,
        profile_about,
        password_about,
        sessions_about,
        applications_about,
        saved,
        save,
        your_password_now,
        check_fields,
        wrong_password,
        profile_lead,
        nothing_to_edit,
        not_confirmed,
        send_confirmation,
        confirmation_sent,
        confirmed,
        old_password,
        end_others,
        change_password,
        password_changed,
        this_session,
        signed_in_since,
        last_password,
        from_address,
        unknown_device,
        on_system,
        session_ended,
        sessions_lead,
        applications_lead,
        no_applications,
        since,
        last_used,
        take_back,
        taken_back,
        // The claims of OpenID Connect Core §5.1.
        claim_name,
        claim_given_name,
        claim_family_name,
        claim_middle_name,
        claim_nickname,
        claim_preferred_username,
        claim_profile,
        claim_picture,
        claim_website,
        claim_gender,
        claim_birthdate,
        claim_zoneinfo,
        claim_locale,
        claim_email,
        claim_phone_number,
        claim_updated_at,
        claim_email_verified,
        claim_phone_number_verified,
        claim_address,
        claim_street_address,
        claim_locality,
        claim_region,
        claim_postal_code,
        claim_country,
        example_zoneinfo,
        example_locale,
        example_birthdate,
        bad_text,
        bad_url,
        bad_email,
        bad_phone,
        bad_birthdate,
        bad_zoneinfo,
        bad_locale,
        // Mail.
        mail_reset_subject,
        mail_reset_body,
        mail_reset_end,
        mail_confirm_subject,
        mail_confirm_body,
        mail_confirm_end,
}

/// One text of whichever language it will be.
pub type Pick = fn(&'static Texts) -> &'static str;

/// Every language, the one for everybody else first.
pub static LANGUAGES: &[&Texts] = &[&EN, &DE];

impl Texts {
    /// A length of time, in words.
    #[must_use]
    pub fn duration(&self, seconds: u32) -> String {
        match seconds {
            0 | 1 => self.a_second.to_owned(),
            2..=90 => format!("{seconds} {}", self.seconds),
            _ => format!("{} {}", seconds.div_ceil(60), self.minutes),
        }
    }

    /// Too many attempts.
    #[must_use]
    pub fn wait(&self, seconds: u32) -> String {
        format!("{}{}{}", self.wait_before, self.duration(seconds), self.wait_after)
    }
}

/// The language for somebody.
#[must_use]
pub fn choose(ui_locales: &[String], accept_language: Option<&str>) -> &'static Texts {
    ui_locales
        .iter()
        .find_map(|tag| language(tag))
        .or_else(|| preferred(accept_language?))
        .unwrap_or(&EN)
}

/// The language of a tag (BCP 47): its region, script and variant aside.
fn language(tag: &str) -> Option<&'static Texts> {
    let primary = tag.trim().split(['-', '_']).next()?;
    LANGUAGES.iter().copied().find(|texts| texts.lang.eq_ignore_ascii_case(primary))
}

/// RFC 9110 §12.5.4: the greatest weight wins; among equals, the first.
fn preferred(accept_language: &str) -> Option<&'static Texts> {
    let mut best: Option<(u32, &'static Texts)> = None;
    for range in accept_language.split(',').take(32) {
        let mut parts = range.split(';');
        let Some(texts) = parts.next().and_then(language) else { continue };
        let weight = parts
            .find_map(|part| part.trim().strip_prefix("q="))
            .map_or(1000, |text| thousandths(text).unwrap_or(0));
        if weight > 0 && best.is_none_or(|(other, _)| weight > other) {
            best = Some((weight, texts));
        }
    }
    best.map(|(_, texts)| texts)
}

/// A weight of at most one, in thousandths.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let weight = whole.parse::<u32>().ok()?.checked_mul(1000)? + digits.parse::<u32>().ok()?;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ui_locales: &[&str], accept: Option<&str>) -> &'static str {
        let ui_locales: Vec<_> = ui_locales.iter().map(|tag| (*tag).to_owned()).collect();
        choose(&ui_locales, accept).lang
    }

    #[test]
    fn the_request_s_languages_win_over_the_browser_s() {
        assert_eq!(chosen(&["fr-CA", "de-AT", "en"], Some("en")), "de");
        assert_eq!(chosen(&["fr"], Some("de")), "de");
        assert_eq!(chosen(&["fr"], None), "en");
    }

    #[test]
    fn the_greatest_weight_wins() {
        for (accept, lang) in [
            ("de-DE,de;q=0.9,en;q=0.8", "de"),
            ("fr, en;q=0.5, de;q=0.75", "de"),
            ("de;q=0, en;q=0.1", "en"),
            ("en;q=0.9,de;q=0.9", "en"),
            ("de;q=nonsense", "en"),
            ("*", "en"),
            ("", "en"),
        ] {
            assert_eq!(chosen(&[], Some(accept)), lang, "{accept}");
        }
    }

    #[test]
    fn nothing_was_left_untranslated() {
        /// The same in both languages, and rightly so.
        const SAME: &[&str] = &[
            "either_way_after",
            "full_name",
            "claim_name",
            "claim_website",
            "claim_region",
            "name",
        ];
        for ((name, english), (_, german)) in EN.all().into_iter().zip(DE.all()) {
            assert!(!english.trim().is_empty() && !german.trim().is_empty(), "{name}");
            assert!(english != german || SAME.contains(&name), "{name}: {english}");
        }
    }
}
