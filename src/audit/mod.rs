//! The questions of auditors: one file each. The command line, the API at
//! `/audit` and the console ask the same functions.
//!
//! Lists are found by read models made for them, and what is told of a grant is
//! folded from its own history; nothing here reads the whole log. README.md says
//! what each question costs.

pub mod access;
mod as_of;
pub mod cascade;
pub mod client;
pub mod erasure;
mod error;
pub mod export;
pub mod grant;
mod happening;
pub mod incidents;
pub mod lineage;
mod moment;
mod part;
pub mod reads;
mod records;
pub mod signed_by;
pub mod still_alive;

pub use self::as_of::{AsOf, ReadModel, ReadModelState, Stated, StatedList};
pub use self::error::AuditError;
pub use self::happening::Happening;
pub use self::moment::{Moment, Period, Timestamp, instant, period};
pub use self::part::Part;
pub use self::records::Records;
