//! Ids in the rows of read models: sixteen bytes, where the text of one has
//! thirty-two.
//!
//! A grant's row and its indexes name ten of them. As bytes they stand in the
//! same order as their texts.

const DIGITS: usize = 32;

/// The bytes of an id; None: the text is none.
pub(super) fn packed(text: &str) -> Option<[u8; DIGITS / 2]> {
    let (digits, number) = leading(text);
    (digits == DIGITS && text.len() == DIGITS).then(|| number.to_be_bytes())
}

/// The text of an id; None: the bytes are none.
pub(super) fn unpacked(bytes: &[u8]) -> Option<String> {
    Some(format!("{:032x}", u128::from_be_bytes(bytes.try_into().ok()?)))
}

/// Bytes that stand among those of all ids where this text stands among their texts: whoever pages
/// on from a text that is no id finds the same rows as if ids were kept as texts.
pub(super) fn place(text: &str) -> Vec<u8> {
    let behind = |id: u128| [&id.to_be_bytes()[..], &[0]].concat();
    if let Some(id) = packed(text) {
        return id.to_vec();
    }
    match next(text) {
        Some(id) => id.checked_sub(1).map(behind).unwrap_or_default(),
        None => behind(u128::MAX),
    }
}

/// The first id behind a text that is none; None: all are before it.
fn next(text: &str) -> Option<u128> {
    let (digits, number) = leading(text);
    if digits == DIGITS {
        return number.checked_add(1);
    }
    // The digits before what stands in place of one.
    let passed = match text.as_bytes().get(digits) {
        None | Some(..b'0') => 0,
        Some(..b'a') => 10,
        Some(_) => 16,
    };
    let open = 4 * (DIGITS - 1 - digits);
    (number * 16).checked_add(passed)?.checked_mul(1 << open)
}

/// How many digits of an id a text begins with, and their number.
fn leading(text: &str) -> (usize, u128) {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(u128::from(byte - b'0')),
        b'a'..=b'f' => Some(u128::from(byte - b'a' + 10)),
        _ => None,
    };
    let digits = text.as_bytes().iter().take(DIGITS).map_while(digit);
    digits.fold((0, 0), |(count, number), digit| (count + 1, number * 16 + digit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0190c0ffee00700080000000000000aa";

    #[test]
    fn an_id_comes_back_as_it_was() {
        for id in [ID, "00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff"] {
            assert_eq!(unpacked(&packed(id).unwrap()).unwrap(), id);
        }
    }

    #[test]
    fn what_only_looks_like_an_id_is_none() {
        for text in ["", "0190", &ID[1..], &format!("{ID}0"), &ID.to_uppercase(), "rp"] {
            assert_eq!(packed(text), None, "{text}");
        }
        assert_eq!(unpacked(&[0; 15]), None);
    }

    /// Texts that are near ids: parts of them, longer ones, with something else in them.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9a-f]{32}", "[0f]{30,34}", "[0-9a-f]{0,33}[ -~]?", "[09af/:`g~]{0,3}"]
    }

    proptest! {
        #[test]
        fn a_text_has_the_same_place_among_ids_as_among_their_texts(
            text in texts(),
            id in prop_oneof!["[0-9a-f]{32}", "[0f]{31}[0-9a-f]"],
            near: bool,
        ) {
            // Few come close by chance.
            let id = if near { format!("{text:0<32.32}") } else { id };
            let Some(bytes) = packed(&id) else { return Ok(()) };
            prop_assert_eq!(place(&text).as_slice().cmp(&bytes), text.as_bytes().cmp(id.as_bytes()));
        }
    }
}
