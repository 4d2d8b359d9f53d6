//! The console's own style sheet, beside the one of all pages.

use std::sync::LazyLock;

use crate::interaction::assets::Asset;

/// How the console looks, where it is not like every page.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "css", "text/css; charset=utf-8", include_str!("assets/console.css"))
});

/// What the frame of the pages needs of it.
pub(crate) fn style_url() -> &'static str {
    &STYLE.url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::assets;

    #[test]
    fn the_style_sheet_loads_nothing_from_elsewhere() {
        for word in ["@import", "url(", "http:", "https:", "//"] {
            assert!(!STYLE.body.contains(word), "{word}");
        }
    }

    /// The contrasts are proved for the palette of all pages, in both schemes.
    #[test]
    fn every_colour_is_one_of_the_palette() {
        assert!(!STYLE.body.contains('#'), "a colour of its own");
        for name in STYLE.body.split("var(--").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(assets::STYLE.body.contains(&format!("--{name}: ")), "{name}");
        }
    }
}
