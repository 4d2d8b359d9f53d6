-- Read model: who saw what is sealed of a person, when and why.

CREATE TABLE personal_data_reads (
    read_id     TEXT NOT NULL,
    subject     TEXT,
    reader      TEXT,
    what        TEXT,
    reason      TEXT,
    sequence    INTEGER,
    happened_at TEXT,
    recorded_at INTEGER,
    PRIMARY KEY (read_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX personal_data_reads_by_subject ON personal_data_reads (subject, read_id);
CREATE INDEX personal_data_reads_by_reader ON personal_data_reads (reader, read_id);
