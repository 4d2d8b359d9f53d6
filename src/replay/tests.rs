//! A log that was tampered with is found out.
