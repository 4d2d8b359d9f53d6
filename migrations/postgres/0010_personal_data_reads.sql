-- Read model: who saw what is sealed of a person, when and why.

CREATE TABLE personal_data_reads (
    read_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    reader text COLLATE "C",
    what text COLLATE "C",
    reason text COLLATE "C",
    sequence bigint,
    happened_at text COLLATE "C",
    recorded_at bigint,
    PRIMARY KEY (read_id)
);

CREATE INDEX personal_data_reads_by_subject ON personal_data_reads (subject, read_id);
CREATE INDEX personal_data_reads_by_reader ON personal_data_reads (reader, read_id);
