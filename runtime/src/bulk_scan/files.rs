//! The files of a bulk scan, in columns.

use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, RecordBatch, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt32Type, UInt64Type,
};
use chrono::DateTime;
use datafusion::common::{DataFusionError, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use object_store::ObjectMeta;
use object_store::path::Path;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, LazyLock};

const PATH: usize = 0;
const SIZE: usize = 1;
const MODIFIED: usize = 2;
const PARTITION: usize = 3;

static FILE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let modified = DataType::Timestamp(TimeUnit::Microsecond, None);
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::LargeUtf8, false),
        Field::new("size_bytes", DataType::UInt64, false),
        Field::new("modified", modified, false),
        Field::new("partition", DataType::UInt32, true),
    ]))
});

/// Files, and the partitions of their table.
#[derive(Debug)]
pub struct FileList {
    /// Path, size, time of its last change, and the row of its partition in `partitions`.
    files: RecordBatch,
    /// One column per partition column of the table.
    partitions: RecordBatch,
}

/// One file of a list that is being made.
#[derive(Clone, Copy, Debug)]
pub struct ListedFile<'a> {
    /// Its key in the scan's store.
    pub path: &'a str,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written, in microseconds since 1970.
    pub modified_us: i64,
    /// The row of its partition.
    pub partition: Option<u32>,
}

impl FileList {
    /// The list of `files`, whose partitions are rows of `partitions`.
    ///
    /// # Errors
    /// Never, but for a defect.
    pub fn new<'a>(
        files: impl Iterator<Item = ListedFile<'a>> + Clone,
        partitions: RecordBatch,
    ) -> Result<Self> {
        let paths = LargeStringArray::from_iter_values(files.clone().map(|file| file.path));
        let sizes = UInt64Array::from_iter_values(files.clone().map(|file| file.size_bytes));
        let times = files.clone().map(|file| file.modified_us);
        let times = TimestampMicrosecondArray::from_iter_values(times);
        let partition: UInt32Array = files.map(|file| file.partition).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(paths),
            Arc::new(sizes),
            Arc::new(times),
            Arc::new(partition),
        ];
        let files = RecordBatch::try_new(Arc::clone(&FILE_SCHEMA), columns)?;
        Ok(Self { files, partitions })
    }

    pub(super) fn from_parts(files: RecordBatch, partitions: RecordBatch) -> Result<Self> {
        match files.schema().fields() == FILE_SCHEMA.fields() {
            true => Ok(Self { files, partitions }),
            false => Err(internal_datafusion_err!("malformed list of files")),
        }
    }

    pub(super) fn parts(&self) -> [&RecordBatch; 2] {
        [&self.files, &self.partitions]
    }

    fn sizes(&self) -> Result<&UInt64Array> {
        let sizes = self.files.column(SIZE).as_primitive_opt::<UInt64Type>();
        sizes.ok_or_else(|| internal_datafusion_err!("a list of files has no sizes"))
    }
}

/// Some files of a list: what one partition of a scan reads.
#[derive(Clone, Debug)]
pub struct FileShare {
    list: Arc<FileList>,
    /// Rows of the list, ascending.
    rows: Arc<[u32]>,
}

impl FileShare {
    /// The files of a list, spread over `count` shares of about the same size.
    ///
    /// # Errors
    /// Never, but for a defect.
    pub fn spread(list: &Arc<FileList>, count: usize) -> Result<Vec<Self>> {
        let rows = (0..).take(list.files.num_rows());
        Self::deal(list, rows.collect(), count)
    }

    /// The files of all `shares`, which are of one list, spread over `count` shares.
    ///
    /// # Errors
    /// Never, but for a defect.
    pub fn spread_again(shares: &[Self], count: usize) -> Result<Vec<Self>> {
        let Some(first) = shares.first() else {
            return Ok(Vec::new());
        };
        let rows = shares.iter().flat_map(|share| share.rows.iter().copied());
        Self::deal(&first.list, rows.collect(), count)
    }

    /// Each file, the largest first, goes where there is least. The same files are always dealt alike.
    fn deal(list: &Arc<FileList>, mut rows: Vec<u32>, count: usize) -> Result<Vec<Self>> {
        let sizes = list.sizes()?;
        rows.sort_unstable_by_key(|row| (Reverse(sizes.value(*row as usize)), *row));
        let mut shares = vec![Vec::with_capacity(rows.len() / count.max(1) + 1); count];
        let mut least: BinaryHeap<_> = (0..count)
            .map(|share| Reverse((0_u64, 0_usize, share)))
            .collect();
        for row in rows {
            let Some(Reverse((size, files, share))) = least.pop() else {
                break;
            };
            shares[share].push(row);
            let size = size + sizes.value(row as usize);
            least.push(Reverse((size, files + 1, share)));
        }
        Ok(shares
            .into_iter()
            .map(|mut rows| {
                rows.sort_unstable();
                Self {
                    list: Arc::clone(list),
                    rows: rows.into(),
                }
            })
            .collect())
    }

    /// How many files it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes its files have.
    pub fn size_bytes(&self) -> u64 {
        let sizes = self.list.sizes().map(|sizes| {
            let rows = self.rows.iter();
            rows.map(|row| sizes.value(*row as usize)).sum()
        });
        sizes.unwrap_or(0)
    }

    /// A file that stands for all of the share while the scan is planned.
    ///
    /// # Errors
    /// Where a partition column has a type that has no NULL.
    pub fn placeholder(self) -> Result<PartitionedFile> {
        let mut file = PartitionedFile::new("many files", self.size_bytes());
        let fields = self.list.partitions.schema();
        let unknown = fields.fields().iter();
        let unknown = unknown.map(|field| ScalarValue::try_from(field.data_type()));
        file.partition_values = unknown.collect::<Result<_>>()?;
        Ok(file.with_extension(self))
    }

    /// The files one by one.
    pub(super) fn files(&self) -> Result<Vec<PartitionedFile>> {
        let damaged = || internal_datafusion_err!("a list of files has other columns");
        let files = &self.list.files;
        let paths = files
            .column(PATH)
            .as_string_opt::<i64>()
            .ok_or_else(damaged)?;
        let sizes = self.list.sizes()?;
        let times = files.column(MODIFIED);
        let times = times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(damaged)?;
        let partitions = files.column(PARTITION);
        let partitions = partitions
            .as_primitive_opt::<UInt32Type>()
            .ok_or_else(damaged)?;
        let file = |row: &u32| {
            let row = *row as usize;
            let location = Path::parse(paths.value(row))
                .map_err(|error| DataFusionError::ObjectStore(Box::new(error.into())))?;
            let last_modified =
                DateTime::from_timestamp_micros(times.value(row)).ok_or_else(damaged)?;
            let mut file = PartitionedFile::from(ObjectMeta {
                location,
                last_modified,
                size: sizes.value(row),
                e_tag: None,
                version: None,
            });
            if partitions.is_valid(row) {
                let partition = partitions.value(row) as usize;
                let values = self.list.partitions.columns().iter();
                let values = values.map(|column| ScalarValue::try_from_array(column, partition));
                file.partition_values = values.collect::<Result<_>>()?;
            }
            Ok(file)
        };
        self.rows.iter().map(file).collect()
    }

    /// The files of several shares of one list, one after the other, with none that no share has; and
    /// how many each share has.
    pub(super) fn gather(shares: &[Self]) -> Result<(FileList, Vec<u64>)> {
        let first = shares.first();
        let first = first.ok_or_else(|| internal_datafusion_err!("a scan has no shares"))?;
        let batches = shares.iter().map(|share| {
            let rows = UInt32Array::from_iter_values(share.rows.iter().copied());
            Ok(take_record_batch(&share.list.files, &rows)?)
        });
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let files = concat_batches(&FILE_SCHEMA, &batches)?;
        let partitions = files.column(PARTITION).as_primitive::<UInt32Type>();
        let mut used: Vec<u32> = partitions.iter().flatten().collect();
        used.sort_unstable();
        used.dedup();
        let renumber = |partition: u32| {
            let index = used.binary_search(&partition).unwrap_or_default();
            u32::try_from(index).unwrap_or_default()
        };
        let renumbered: UInt32Array = partitions.iter().map(|row| row.map(renumber)).collect();
        let mut columns = files.columns().to_vec();
        columns[PARTITION] = Arc::new(renumbered);
        let all = &first.list.partitions;
        let partitions = match all.num_columns() {
            0 => all.clone(),
            _ => take_record_batch(all, &UInt32Array::from(used))?,
        };
        let list = FileList {
            files: RecordBatch::try_new(files.schema(), columns)?,
            partitions,
        };
        Ok((
            list,
            shares.iter().map(|share| share.len() as u64).collect(),
        ))
    }

    /// The opposite of [`FileShare::gather`].
    pub(super) fn scatter(list: FileList, counts: &[u64]) -> Result<Vec<Self>> {
        let total: u64 = counts.iter().sum();
        if total != list.files.num_rows() as u64 {
            return Err(internal_datafusion_err!(
                "{total} files were announced and {} came",
                list.files.num_rows()
            ));
        }
        let list = Arc::new(list);
        let mut rows = 0_u32..;
        let shares = counts.iter().map(|count| Self {
            list: Arc::clone(&list),
            rows: rows.by_ref().take(*count as usize).collect(),
        });
        Ok(shares.collect())
    }
}
