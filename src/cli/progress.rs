//! Progress bars, on standard error; silent where nobody watches.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that fills as `total` things are done.
#[must_use]
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), target());
    let template = "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// A bar for what is counted in bytes.
#[must_use]
pub fn bytes(total: u64, what: &str) -> ProgressBar {
    let bar = bar(total, what);
    let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A spinner for what has no known end.
#[must_use]
pub fn spinner(what: &str) -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, target());
    spinner.set_message(what.to_owned());
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    spinner
}

/// Makes a bar, without figures, of what was shown: it fills as `total` passes.
pub fn as_bar(shown: &ProgressBar, total: u64) {
    shown.reset();
    shown.set_length(total);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {eta}") {
        shown.set_style(style);
    }
}

/// Makes a spinner of what was shown: nobody knows how long it takes.
pub fn as_spinner(shown: &ProgressBar) {
    shown.unset_length();
    shown.set_style(ProgressStyle::default_spinner());
}

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}
