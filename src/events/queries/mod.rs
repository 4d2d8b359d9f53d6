//! Questions about the files of an export, in SQL for DuckDB. What each figure
//! means stands in the query itself.

use std::path::Path;

use super::files::Format;

/// A question, ready to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    pub name: &'static str,
    /// With a comment first that says what it answers.
    pub sql: &'static str,
}

macro_rules! queries {
    ($($name:literal),* $(,)?) => {
        /// All of them.
        pub const ALL: &[Query] = &[$(
            Query { name: $name, sql: include_str!(concat!($name, ".sql")) }
        ),*];
    };
}

queries![
    "funnel",
    "before_login",
    "counters",
    "error_rate",
    "grant_lifetime",
    "refresh_reuse",
    "residual_life",
];

impl Query {
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|query| query.name == name)
    }

    /// What it answers, in a sentence: the first line of it.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.sql.lines().next().unwrap_or_default().trim_start_matches("--").trim()
    }

    /// The query about the files in a folder, whole.
    #[must_use]
    pub fn about(self, folder: &Path, format: Format) -> String {
        format!("{}\n{}", view(folder, format), self.sql)
    }
}

/// Makes the view `events`, which the queries ask: a row for each event, with the
/// columns of the Parquet files and `day`.
#[must_use]
pub fn view(folder: &Path, format: Format) -> String {
    let folder = folder.display().to_string().replace('\'', "''");
    match format {
        Format::Parquet => include_str!("view_parquet.sql"),
        Format::Ndjson => include_str!("view_ndjson.sql"),
    }
    .replace("{folder}", &folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_it_answers_and_what_its_columns_are() {
        for query in ALL {
            assert!(query.summary().ends_with('?'), "{}: {}", query.name, query.summary());
            let comment = query.sql.lines().take_while(|line| line.starts_with("--"));
            assert!(comment.into_iter().any(|line| line == "-- Columns:"), "{}", query.name);
            assert_eq!(Query::named(query.name).unwrap().sql, query.sql);
        }
    }

    #[test]
    fn a_folder_with_a_quote_in_its_name_stays_a_name() {
        for format in [Format::Parquet, Format::Ndjson] {
            assert!(view(Path::new("o'clock"), format).contains("'o''clock/day=*/"));
        }
    }
}
