//! The tests of the modules above.

use super::*;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::table_schema::TableSchemaBuilder;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use datafusion_proto::physical_plan::{DefaultPhysicalProtoConverter, PhysicalExtensionCodec};
use std::collections::BTreeSet;

/// Files of ascending size in partitions `k = 10` and `k = NULL` by turns.
fn list(count: u32) -> Arc<FileList> {
    let paths: Vec<String> = (0..count).map(|n| format!("t/{n:04}.parquet")).collect();
    let files = (0..).zip(&paths).map(|(n, path)| ListedFile {
        path,
        size_bytes: u64::from(n) + 1,
        modified_us: 1_000_000 + i64::from(n),
        // The first partition of the table has no files.
        partition: Some(1 + n % 2),
    });
    let keys: ArrayRef = Arc::new(Int32Array::from(vec![Some(5), Some(10), None]));
    let partitions = RecordBatch::try_from_iter_with_nullable([("k", keys, true)]).unwrap();
    Arc::new(FileList::new(files, partitions).unwrap())
}

fn bulk_scan(shares: Vec<FileShare>) -> Arc<dyn ExecutionPlan> {
    let file = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let key = Arc::new(Field::new("k", DataType::Int32, true));
    let schema = TableSchemaBuilder::from(&file)
        .with_table_partition_cols(vec![key])
        .build();
    let groups = shares.into_iter().map(|share| {
        let placeholder = share.placeholder().unwrap();
        FileGroup::new(vec![placeholder])
    });
    let store = ObjectStoreUrl::local_filesystem();
    let config = FileScanConfigBuilder::new(store, Arc::new(ParquetSource::new(schema)))
        .with_file_groups(groups.collect())
        .build();
    make_bulk_scans(DataSourceExec::from_data_source(config)).unwrap()
}

fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Vec<Vec<PartitionedFile>> {
    let config = file_scan(plan).unwrap();
    let groups = config.file_groups.iter();
    groups.map(|group| group.files().to_vec()).collect()
}

#[test]
fn files_are_spread_evenly_and_always_alike() {
    let list = list(1_000);
    let shares = FileShare::spread(&list, 4).unwrap();
    let sizes: Vec<u64> = shares.iter().map(FileShare::size_bytes).collect();
    assert_eq!(sizes.iter().sum::<u64>(), 1_000 * 1_001 / 2);
    assert!(
        sizes.iter().all(|size| size.abs_diff(sizes[0]) <= 1_000),
        "{sizes:?}"
    );
    let again = FileShare::spread_again(&shares, 4).unwrap();
    let paths = |shares: &[FileShare]| -> Vec<Vec<String>> {
        let files = shares.iter().map(|share| share.files().unwrap());
        let paths = files.map(|files| files.iter().map(|file| file.path().to_string()).collect());
        paths.collect()
    };
    assert_eq!(paths(&again), paths(&shares));
    let all: BTreeSet<String> = paths(&shares).concat().into_iter().collect();
    assert_eq!(all.len(), 1_000);
    let more = FileShare::spread_again(&shares, 7).unwrap();
    assert_eq!(more.iter().map(FileShare::len).sum::<usize>(), 1_000);
}

#[test]
fn a_scan_arrives_with_the_files_of_its_partitions() {
    let shares = FileShare::spread(&list(9), 2).unwrap();
    let expected: Vec<Vec<String>> = shares
        .iter()
        .map(|share| {
            let files = share.files().unwrap();
            files.iter().map(|file| file.path().to_string()).collect()
        })
        .collect();
    let scan = bulk_scan(shares);
    assert!(scan.is::<BulkScanExec>());
    assert_eq!(scan.properties().output_partitioning().partition_count(), 2);
    let converter = DefaultPhysicalProtoConverter {};
    let mut bytes = Vec::new();
    BulkScanCodec
        .try_encode(scan, &mut bytes, &converter)
        .unwrap();
    let context = SessionContext::new().task_ctx();
    let arrived = BulkScanCodec.try_decode(&bytes, &[], &context, &converter);
    let groups = files_of(&arrived.unwrap());
    for (files, expected) in groups.iter().zip(&expected) {
        let paths: Vec<String> = files.iter().map(|file| file.path().to_string()).collect();
        assert_eq!(paths, *expected);
        for file in files {
            let number = u64::from(file.path().to_string()[2..6].parse::<u32>().unwrap());
            let key = (number % 2 == 0).then_some(10);
            assert_eq!(file.partition_values, [ScalarValue::Int32(key)]);
            assert_eq!(file.object_meta.size, number + 1);
            let modified = file.object_meta.last_modified.timestamp_micros();
            assert_eq!(modified, 1_000_000 + number as i64);
        }
    }
    bytes.truncate(bytes.len() - 10);
    let damaged = BulkScanCodec.try_decode(&bytes, &[], &context, &converter);
    assert!(damaged.is_err());
}

#[test]
fn a_table_without_partitions_has_no_values() {
    let paths = ["a", "b"];
    let files = paths.iter().map(|path| ListedFile {
        path,
        size_bytes: 1,
        modified_us: 0,
        partition: None,
    });
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options);
    let list = Arc::new(FileList::new(files, none.unwrap()).unwrap());
    let shares = FileShare::spread(&list, 1).unwrap();
    let (gathered, counts) = FileShare::gather(&shares).unwrap();
    let again = FileShare::scatter(gathered, &counts).unwrap();
    let files = again[0].files().unwrap();
    assert!(files.iter().all(|file| file.partition_values.is_empty()));
    assert_eq!(files.len(), 2);
    let (gathered, _) = FileShare::gather(&shares).unwrap();
    assert!(FileShare::scatter(gathered, &[3]).is_err());
}
