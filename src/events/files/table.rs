//! Events as Parquet, by the column: rows are gathered and written as a row
//! group, so that no more than that is in memory.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::row::{COLUMNS, Column, Field, Kind};

/// So many rows make a row group …
const ROWS: usize = 50_000;
/// … or so many bytes of text.
const TEXT: usize = 16 * 1024 * 1024;

/// A file that is being written.
pub struct Table<W: Write + Send> {
    file: SerializedFileWriter<W>,
    gathered: Vec<Gathered>,
    rows: usize,
    text: usize,
}

/// What a column of the next row group will hold.
struct Gathered {
    column: Column,
    /// 1: there is a value; 0: there is none. Nothing for a column that is always filled.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Integers(Vec<i64>),
    Texts(Vec<ByteArray>),
}

impl<W: Write + Send> Table<W> {
    pub fn begin(out: W) -> io::Result<Self> {
        let file = schema()
            .and_then(|schema| SerializedFileWriter::new(out, schema, Arc::new(properties()?)));
        Ok(Self {
            file: file.map_err(io_error)?,
            gathered: COLUMNS.into_iter().map(Gathered::new).collect(),
            rows: 0,
            text: 0,
        })
    }

    pub fn add(&mut self, row: [Field<'_>; COLUMNS.len()]) -> io::Result<()> {
        for (gathered, field) in self.gathered.iter_mut().zip(row) {
            self.text += gathered.add(field);
        }
        self.rows += 1;
        if self.rows < ROWS && self.text < TEXT {
            return Ok(());
        }
        self.flush().map_err(io_error)
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for gathered in &mut self.gathered {
            let Some(column) = group.next_column()? else { break };
            gathered.write(column)?;
        }
        group.close()?;
        (self.rows, self.text) = (0, 0);
        Ok(())
    }

    /// Writes what is gathered, and the end of the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush().and_then(|()| self.file.into_inner()).map_err(io_error)
    }
}

impl Gathered {
    fn new(column: Column) -> Self {
        let values = match column.kind {
            Kind::Integer | Kind::Time => Values::Integers(Vec::new()),
            Kind::Name | Kind::Text => Values::Texts(Vec::new()),
        };
        Self { column, levels: Vec::new(), values }
    }

    /// Takes a field; gives how much text it is.
    fn add(&mut self, field: Field<'_>) -> usize {
        let mut text = 0;
        let filled = match (field, &mut self.values) {
            (Field::Integer(value), Values::Integers(values)) => {
                values.push(value);
                true
            }
            (Field::Text(value), Values::Texts(values)) => {
                text = value.len();
                values.push(value.into_owned().into_bytes().into());
                true
            }
            _ => false,
        };
        if self.column.optional {
            self.levels.push(filled.into());
        }
        text
    }

    fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> Result<()> {
        let levels = self.column.optional.then_some(&*self.levels);
        match &mut self.values {
            Values::Integers(values) => {
                column.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Texts(values) => {
                column.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
        }
        self.levels.clear();
        column.close()
    }
}

fn schema() -> Result<TypePtr> {
    let fields = COLUMNS.iter().map(|column| {
        let physical = match column.kind {
            Kind::Integer | Kind::Time => Physical::INT64,
            Kind::Name | Kind::Text => Physical::BYTE_ARRAY,
        };
        let logical = match column.kind {
            Kind::Integer => None,
            Kind::Time => Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
            Kind::Name | Kind::Text => Some(LogicalType::String),
        };
        let repetition = if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Type::group_type_builder("event").with_fields(fields).build().map(Arc::new)
}

fn properties() -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("chancery ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?));
    for column in COLUMNS {
        let path = ColumnPath::from(column.name);
        properties = match column.kind {
            Kind::Integer | Kind::Time => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Kind::Name => properties,
            // Neither a dictionary nor limits say anything of what is never the same.
            Kind::Text => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
        };
    }
    Ok(properties.build())
}

/// Nothing but the file can fail here.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;

    fn row(position: i64, payload: &str) -> [Field<'_>; COLUMNS.len()] {
        COLUMNS.map(|column| match column.kind {
            Kind::Integer | Kind::Time => Field::Integer(position),
            _ if column.optional => Field::Empty,
            _ => Field::Text(Cow::Borrowed(payload)),
        })
    }

    #[test]
    fn much_text_is_written_in_several_groups() {
        let payload = "{}".repeat(1024 * 1024);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.parquet");
        let mut table = Table::begin(std::fs::File::create(&path).unwrap()).unwrap();
        for position in 0..10 {
            table.add(row(position, &payload)).unwrap();
            assert!(table.text < TEXT);
        }
        table.finish().unwrap();

        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        assert!(reader.num_row_groups() >= 2, "{}", reader.num_row_groups());
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 10);
        for (position, row) in (0..).zip(&rows) {
            assert_eq!(row.get_long(0).unwrap(), position);
            assert_eq!(*row.get_string(3).unwrap(), payload);
            assert!(row.get_string(8).is_err(), "it is empty");
        }
    }
}
