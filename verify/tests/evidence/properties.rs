//! Whatever is changed in a bundle, it is never proved, and nothing panics.

use crate::bundles::*;
use chancery_verify::Verdict;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A byte of a file is another, in an archive that is whole.
    #[test]
    fn a_flipped_byte_of_any_file_is_never_proved(
        file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let log = Log::example();
        let mut files = log.bundle_since(7).all();
        let name = file.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
        let bytes = files.get_mut(&name).expect("it is there");
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let report = check(zip(&files), &log.trust());
        prop_assert_ne!(report.verdict(), Verdict::Proved, "{} at {}", name, at);
    }

    /// The same by somebody who makes the manifest fit. Of what only the manifest
    /// vouches for nothing more can be known.
    #[test]
    fn a_flipped_byte_of_what_is_proved_is_never_proved_though_the_manifest_fits(
        file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let log = Log::example();
        let mut bundle = log.bundle_since(7);
        let vouched = ["README.txt", "answer.json", "query.json", "schemas/event.schema.json"];
        let names: Vec<_> =
            bundle.files.keys().filter(|name| !vouched.contains(&name.as_str())).cloned().collect();
        let name = file.get(&names).clone();
        let bytes = bundle.files.get_mut(&name).expect("it is there");
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let (before, report) = (bytes[at] ^ flip, bundle.check(&log.trust()));
        // Space between members is no part of what they say.
        let space = before.is_ascii_whitespace() && (before ^ flip).is_ascii_whitespace();
        prop_assert!(space || report.verdict() != Verdict::Proved, "{} at {}", name, at);
    }

    /// A byte of the archive itself: refused, or the same files are read from it.
    #[test]
    fn a_flipped_byte_of_the_archive_never_panics(
        at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let log = Log::example();
        let mut zip = log.bundle().zip();
        let whole = check(zip.clone(), &log.trust());
        let at = at.index(zip.len());
        zip[at] ^= flip;
        let report = check(zip, &log.trust());
        prop_assert!(report.verdict() != Verdict::Proved || report == whole);
    }

    #[test]
    fn whatever_is_no_archive_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_ne!(check(bytes, &Log::example().trust()).verdict(), Verdict::Proved);
    }
}
