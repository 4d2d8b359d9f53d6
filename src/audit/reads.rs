//! Who saw personal data, and why?

use chancery_domain::ids::SubjectId;
use chancery_projections::personal_data_reads::PERSONAL_DATA_READS;
use chancery_projections::{Projection as _, Value};
use schemars::JsonSchema;
use serde::Serialize;

use super::as_of::StatedList;
use super::error::AuditError;
use super::moment::{Moment, Timestamp};
use super::part::{Filling, Part};
use super::records::Records;
use crate::lookups::{Order, PersonalDataReadRow};
use crate::stores::{Bounds, Query};

/// Somebody other than the person saw what is sealed of them. What was seen is named, not told.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Read {
    /// Its position in the log, in sixteen hexadecimal digits.
    pub read_id: String,
    /// Whose data it was.
    pub subject: SubjectId,
    /// Which operator saw it: `ada` at the command line, `client ID` or `account SUBJECT` by the
    /// API.
    pub reader: String,
    /// The names of what was shown: `username`, and claims.
    pub what: Vec<String>,
    /// In the reader's words.
    pub reason: String,
    #[serde(flatten)]
    pub at: Moment,
}

/// Which reads.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// Of this person's data.
    pub subject: Option<SubjectId>,
    /// By this operator.
    pub reader: Option<String>,
    /// That happened from then on (inclusive).
    pub since: Option<Timestamp>,
    /// That happened up to then (exclusive).
    pub until: Option<Timestamp>,
}

/// Who saw personal data, when and why, the newest first.
pub async fn reads(
    records: &Records,
    which: &Which,
    part: Part,
) -> Result<StatedList<Read>, AuditError> {
    let by = [
        which.subject.map(|subject| ("subject", Value::Text(subject.to_string()))),
        which.reader.clone().map(|reader| ("reader", Value::Text(reader))),
    ];
    let bound = |time: &Option<Timestamp>| time.as_ref().map(|time| Value::Text(time.to_string()));
    let (from, below) = (bound(&which.since), bound(&which.until));
    let query = Query {
        within: vec![Bounds { column: "happened_at", from, below }],
        ..Query::by(&PERSONAL_DATA_READS, by)
    };
    let model = chancery_projections::personal_data_reads::PersonalDataReads.name();
    let (as_of, (items, next)) = records
        .settled(&[model], async |_| {
            let mut filling = Filling::new(part.limit);
            let ended = filling
                .take(
                    (Order::LastToFirst, part.after.clone()),
                    async |part| {
                        Ok(records.lookups.personal_data_reads(query.clone(), part).await?)
                    },
                    |row: &PersonalDataReadRow| row.read_id.clone(),
                    async |row| Ok(Some(Read::of(row))),
                )
                .await?;
            Ok(filling.done(ended))
        })
        .await?;
    Ok(StatedList { as_of, items, next })
}

impl Read {
    fn of(row: &PersonalDataReadRow) -> Self {
        let at = Moment::new(row.position, row.sequence, &row.happened_at, row.recorded_at_ms);
        Self {
            read_id: row.read_id.clone(),
            subject: row.subject,
            reader: row.reader.clone().unwrap_or_default(),
            what: row.what.clone(),
            reason: row.reason.clone(),
            at,
        }
    }
}
