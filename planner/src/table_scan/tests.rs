//! The tests of the module above.

use super::*;
use crate::resolution::snapshot_catalog::SnapshotCatalog;
use crate::session::SessionCatalog;
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::stats::Precision;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::{ExecutionPlanProperties, collect};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion_proto::bytes::{physical_plan_from_bytes, physical_plan_to_bytes};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use skep_catalog::model::{FileFormat, StorageOptions};
use skep_catalog::{Catalog, CatalogOptions, NewExternalTable};
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A directory of Parquet files with a catalog of them.
struct Warehouse {
    path: PathBuf,
    catalog: Catalog,
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Warehouse {
    async fn new() -> Self {
        let path = std::env::temp_dir().join(format!("skep-scan-{}", uuid::Uuid::new_v4()));
        let options = CatalogOptions {
            data_dir: path.join("catalog"),
            allowed_roots: AllowedRoots::unrestricted(),
            store: skep_catalog::CatalogLocation::Sqlite,
            warehouse: None,
        };
        Self {
            catalog: Catalog::open(options).await.unwrap(),
            path,
        }
    }

    fn write(&self, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = std::fs::File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    async fn register(&self, name: &str) {
        let table = NewExternalTable {
            database: "default".to_owned(),
            name: name.to_owned(),
            if_not_exists: false,
            format: FileFormat::Parquet,
            storage: StorageOptions::default(),
            location: StorageUrl::from_local_path(&self.path.join(name)).unwrap(),
            columns: Vec::new(),
            source_names: Default::default(),
            partition_columns: None,
            bucketing: None,
            properties: BTreeMap::new(),
            comment: None,
            owner: String::new(),
        };
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        self.catalog
            .create_external_table(table, &store)
            .await
            .unwrap();
    }

    /// A session on the catalog as it is now.
    fn session(&self, target_partitions: usize) -> SessionContext {
        let config = SessionConfig::new()
            .with_target_partitions(target_partitions)
            .with_default_catalog_and_schema("skep", "default")
            .with_create_default_catalog_and_schema(false);
        let context = SessionContext::new_with_config(config);
        let catalog = SnapshotCatalog::new(SessionCatalog::unchecked(self.catalog.snapshot()));
        context.register_catalog("skep", Arc::new(catalog));
        context
    }

    /// Rows of `sql` as text, and how many files its scan reads.
    async fn query(&self, sql: &str) -> (String, usize) {
        let frame = self.session(4).sql(sql).await.unwrap();
        let plan = frame.clone().create_physical_plan().await.unwrap();
        let rows = pretty_format_batches(&frame.collect().await.unwrap()).unwrap();
        (rows.to_string(), files_of(&plan))
    }
}

fn scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<FileScanConfig> {
    let own = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>().cloned());
    own.into_iter()
        .chain(plan.children().into_iter().flat_map(scans))
        .collect()
}

fn files_of(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let mut paths: Vec<_> = scans(plan)
        .iter()
        .flat_map(|scan| &scan.file_groups)
        .flat_map(|group| group.iter().map(|file| file.path().clone()))
        .collect();
    paths.sort();
    paths.dedup();
    paths.len()
}

fn ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn rows_of(rows: &str) -> Vec<String> {
    let body = rows.lines().filter(|line| line.starts_with('|')).skip(1);
    body.map(|line| {
        line.trim_matches('|')
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    })
    .collect()
}

/// Two days and no day, two kinds, one file with ten numbers each.
async fn events() -> Warehouse {
    let warehouse = Warehouse::new().await;
    for (index, day) in ["2024-01-30", "2024-01-31", "__HIVE_DEFAULT_PARTITION__"]
        .iter()
        .enumerate()
    {
        for (offset, kind) in ["a%3Ab", "plain"].iter().enumerate() {
            let start = (index * 2 + offset) as i32 * 10;
            let name = format!("events/day={day}/kind={kind}/x.parquet");
            let label = format!("label{start}");
            let labels = vec![Some(label.as_str()); 10];
            warehouse.write(
                &name,
                vec![("n", ints(start..start + 10)), ("label", text(&labels))],
            );
        }
    }
    warehouse.register("events").await;
    warehouse
}

#[tokio::test]
async fn filters_choose_partitions_and_files() {
    let warehouse = events().await;
    let cases = [
        ("n >= 0", 60, 6),
        ("day = '2024-01-31'", 20, 2),
        ("day = DATE '2024-01-31' AND kind = 'a:b'", 10, 1),
        ("day > DATE '2024-01-30'", 20, 2),
        ("day IS NULL", 20, 2),
        ("day IS NOT NULL AND kind IN ('plain', 'none')", 20, 2),
        ("kind LIKE 'pl%'", 30, 3),
        ("day <> DATE '2024-01-31'", 20, 2),
        ("n < 15", 15, 2),
        ("n BETWEEN 25 AND 31 AND kind = 'plain'", 2, 1),
        ("label = 'label40'", 10, 1),
        ("day = DATE '2024-01-30' OR n = 59", 21, 3),
        ("n + 0 = 7", 1, 6),
        (
            "extract(day FROM day) = 31 AND upper(kind) = 'PLAIN'",
            10,
            1,
        ),
    ];
    for (filter, rows, files) in cases {
        let sql =
            format!("SELECT count(*) FROM (SELECT n, label, day, kind FROM events WHERE {filter})");
        let (found, read) = warehouse.query(&format!("{sql} WHERE n > -1")).await;
        assert_eq!(
            (rows_of(&found), read),
            (vec![rows.to_string()], files),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn nothing_is_read_where_nothing_matches() {
    let warehouse = events().await;
    for filter in ["n > 1000", "day = DATE '1999-01-01'", "kind IS NULL"] {
        let (found, read) = warehouse
            .query(&format!(
                "SELECT count(n), min(label) FROM events WHERE {filter}"
            ))
            .await;
        assert_eq!(
            (rows_of(&found), read),
            (vec!["0 |".to_owned()], 0),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn partition_values_are_columns_of_their_type() {
    let warehouse = events().await;
    let sql = "SELECT n, day, kind FROM events WHERE n IN (5, 25, 55) ORDER BY n";
    let (found, _) = warehouse.query(sql).await;
    let expected = ["5 2024-01-30 a:b", "25 2024-01-31 a:b", "55 plain"];
    let found: Vec<String> = rows_of(&found)
        .iter()
        .map(|row| row.replace("| ", ""))
        .collect();
    let normal: Vec<String> = found
        .iter()
        .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(normal, expected);
    let schema = warehouse
        .session(2)
        .table("events")
        .await
        .unwrap()
        .schema()
        .as_arrow()
        .clone();
    assert_eq!(
        *schema.field_with_name("day").unwrap().data_type(),
        DataType::Date32
    );
    assert_eq!(
        *schema.field_with_name("label").unwrap().data_type(),
        DataType::Utf8View
    );
}

#[tokio::test]
async fn names_in_other_cases_are_found() {
    let warehouse = Warehouse::new().await;
    for part in 0..3 {
        let start = part * 10;
        warehouse.write(
            &format!("trips/Year={}/x.parquet", 2020 + part),
            vec![
                ("VendorID", ints(start..start + 10)),
                ("Note", text(&[Some("x"); 10])),
                ("plain", ints(0..10)),
            ],
        );
    }
    warehouse.register("trips").await;
    let (found, read) = warehouse
        .query("SELECT plain, vendorid FROM trips WHERE vendorid = 13 AND note = 'x' AND plain < 9")
        .await;
    assert_eq!((rows_of(&found), read), (vec!["3 | 13".to_owned()], 1));
    let (found, _) = warehouse
        .query("SELECT * FROM trips WHERE vendorid = 29")
        .await;
    assert!(
        found.contains("| vendorid | note | plain | year |"),
        "{found}"
    );
    assert_eq!(rows_of(&found), ["29 | x | 9 | 2022"]);
    let (found, _) = warehouse
        .query("SELECT year, sum(vendorid) FROM trips GROUP BY year ORDER BY year DESC LIMIT 1")
        .await;
    assert_eq!(rows_of(&found), ["2022 | 245"]);
}

#[tokio::test]
async fn columns_that_some_files_lack_are_null() {
    let warehouse = Warehouse::new().await;
    warehouse.write("t/a.parquet", vec![("id", ints([1])), ("old", ints([10]))]);
    warehouse.write("t/b.parquet", vec![("new", ints([20])), ("id", ints([2]))]);
    warehouse.register("t").await;
    let (found, _) = warehouse
        .query("SELECT id, old, new FROM t ORDER BY id")
        .await;
    assert_eq!(rows_of(&found), ["1 | 10 |", "2 | | 20"]);
    let (found, read) = warehouse
        .query("SELECT id FROM t WHERE new IS NOT NULL")
        .await;
    assert_eq!((rows_of(&found), read), (vec!["2".to_owned()], 1));
    let (found, read) = warehouse.query("SELECT id FROM t WHERE old IS NULL").await;
    assert_eq!((rows_of(&found), read), (vec!["2".to_owned()], 1));
}

#[tokio::test]
async fn a_limit_needs_no_more_files_than_its_rows() {
    let warehouse = events().await;
    let (found, read) = warehouse.query("SELECT n FROM events LIMIT 12").await;
    assert_eq!((rows_of(&found).len(), read), (12, 2));
    let (found, read) = warehouse
        .query("SELECT n FROM events WHERE day = DATE '2024-01-31' LIMIT 5")
        .await;
    assert_eq!((rows_of(&found).len(), read), (5, 1));
    let (found, read) = warehouse
        .query("SELECT n FROM events WHERE n % 10 = 9 LIMIT 4")
        .await;
    assert_eq!(
        (rows_of(&found).len(), read),
        (4, 6),
        "a filter may leave few rows of a file"
    );
}

#[tokio::test]
async fn files_carry_what_the_catalog_knows() {
    let warehouse = events().await;
    let frame = warehouse
        .session(4)
        .sql("SELECT * FROM events")
        .await
        .unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let scan = scans(&plan).remove(0);
    let statistics = scan.statistics();
    assert_eq!(statistics.num_rows, Precision::Exact(60));
    let [n, label, day, _] = &statistics.column_statistics[..] else {
        panic!("four columns");
    };
    assert_eq!(n.min_value, Precision::Exact(ScalarValue::Int32(Some(0))));
    assert_eq!(n.max_value, Precision::Exact(ScalarValue::Int32(Some(59))));
    assert_eq!(n.byte_size, Precision::Exact(240));
    let last = ScalarValue::Utf8View(Some("label50".to_owned()));
    assert_eq!(label.max_value, Precision::Exact(last));
    assert_eq!(day.null_count, Precision::Exact(20));
    let files: Vec<_> = scan
        .file_groups
        .iter()
        .flat_map(|group| group.iter())
        .collect();
    for file in files {
        let path = format!("/{}", file.path());
        let metadata = std::fs::metadata(path).unwrap();
        assert_eq!(file.object_meta.size, metadata.len());
        assert!(file.has_statistics());
    }
}

#[tokio::test]
async fn aggregates_over_all_rows_need_no_file() {
    let warehouse = events().await;
    let (found, read) = warehouse
        .query("SELECT count(*), min(n), max(n) FROM events")
        .await;
    assert_eq!((rows_of(&found), read), (vec!["60 | 0 | 59".to_owned()], 0));
}

#[tokio::test]
async fn groups_have_about_the_same_size() {
    let file = |name: &str, size| PartitionedFile::new(name, size);
    let files = vec![
        file("a", 1),
        file("b", 9),
        file("c", 5),
        file("d", 4),
        file("e", 1),
    ];
    let groups = split_by_size(files.clone(), 2);
    let shape: Vec<Vec<&str>> = groups
        .iter()
        .map(|group| group.iter().map(|file| file.path().as_ref()).collect())
        .collect();
    assert_eq!(shape, [vec!["a", "b"], vec!["c", "d", "e"]]);
    assert_eq!(split_by_size(files, 100).len(), 5);
    assert_eq!(split_by_size(Vec::new(), 4).len(), 0);
}

#[tokio::test]
async fn an_empty_table_and_missing_names_are_what_they_are() {
    let warehouse = Warehouse::new().await;
    warehouse.write("t/a.parquet", vec![("id", ints([]))]);
    warehouse.register("t").await;
    let (found, _) = warehouse.query("SELECT count(*), sum(id) FROM t").await;
    assert_eq!(rows_of(&found), ["0 |"]);
    let context = warehouse.session(2);
    assert!(context.table_exist("t").unwrap() && !context.table_exist("u").unwrap());
    assert!(context.sql("SELECT * FROM nowhere.t").await.is_err());
}

#[tokio::test]
async fn text_is_read_without_views_where_that_is_set() {
    let warehouse = events().await;
    let catalog = SnapshotCatalog::new(SessionCatalog::unchecked(warehouse.catalog.snapshot()))
        .with_views(false);
    let context = warehouse.session(2);
    context.register_catalog("skep", Arc::new(catalog));
    let sql = "SELECT DISTINCT label, kind FROM events WHERE label = 'label10' AND kind = 'plain'";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let types: Vec<_> = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|f| f.data_type().clone())
        .collect();
    assert_eq!(types, [DataType::Utf8, DataType::Utf8]);
    let rows = pretty_format_batches(&batches).unwrap().to_string();
    assert_eq!(rows_of(&rows), ["label10 | plain"]);
}

/// Executors get scans as bytes: names, NULL partitions and statistics must come along.
#[tokio::test]
async fn a_scan_survives_being_sent() {
    let warehouse = events().await;
    for part in 0..2 {
        let columns = vec![("VendorID", ints([part])), ("Note", text(&[Some("x")]))];
        warehouse.write(&format!("trips/{part}.parquet"), columns);
    }
    warehouse.register("trips").await;
    let context = warehouse.session(2);
    let statements = [
        ("SELECT * FROM events WHERE n % 7 = 0", 9),
        ("SELECT note, vendorid FROM trips WHERE vendorid = 1", 1),
    ];
    for (sql, rows) in statements {
        let plan = context
            .sql(sql)
            .await
            .unwrap()
            .create_physical_plan()
            .await
            .unwrap();
        let bytes = physical_plan_to_bytes(Arc::clone(&plan)).unwrap();
        let received = physical_plan_from_bytes(&bytes, &context.task_ctx()).unwrap();
        assert_eq!(received.schema(), plan.schema());
        assert_eq!(
            scans(&received)[0].statistics(),
            scans(&plan)[0].statistics()
        );
        let mut found = Vec::new();
        for plan in [plan, received] {
            let batches = collect(plan, context.task_ctx()).await.unwrap();
            let mut lines = rows_of(&pretty_format_batches(&batches).unwrap().to_string());
            lines.sort();
            found.push(lines);
        }
        assert_eq!(found[0], found[1], "{sql}");
        assert_eq!(found[0].len(), rows, "{sql}");
    }
}

/// The same files through DataFusion's own listing give the same rows and the same estimates.
#[tokio::test]
async fn plans_are_like_those_of_a_listing() {
    let warehouse = Warehouse::new().await;
    for part in 0..3_i64 {
        let keys = Int64Array::from_iter_values((0..1_000).map(|row| row * 3 + part));
        let names: Vec<Option<&str>> = (0..1_000)
            .map(|row| (row % 7 > 0).then_some("name"))
            .collect();
        warehouse.write(
            &format!("t/{part}.parquet"),
            vec![("key", Arc::new(keys)), ("name", text(&names))],
        );
    }
    warehouse.register("t").await;
    let listing = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
    let path = warehouse.path.join("t").display().to_string();
    listing
        .register_parquet("t", path, ParquetReadOptions::default())
        .await
        .unwrap();
    let sql = "SELECT key, name FROM t WHERE key > 1500 AND name IS NOT NULL";
    let mut results = Vec::new();
    for context in [listing, warehouse.session(4)] {
        let frame = context.sql(sql).await.unwrap();
        let plan = frame.clone().create_physical_plan().await.unwrap();
        let statistics = scans(&plan).remove(0).statistics();
        let sorted = frame
            .sort(vec![datafusion::prelude::col("key").sort(true, true)])
            .unwrap();
        let rows = pretty_format_batches(&sorted.collect().await.unwrap())
            .unwrap()
            .to_string();
        let partitions = plan.output_partitioning().partition_count();
        results.push((plan.schema(), statistics, partitions, rows));
    }
    let [listed, ours] = &results[..] else {
        panic!("two results");
    };
    assert_eq!(ours.0, listed.0);
    assert_eq!(ours.1, listed.1);
    assert_eq!(ours.2, listed.2);
    assert_eq!(ours.3, listed.3);
}

#[tokio::test]
async fn many_files_have_the_statistics_that_they_have_in_common() {
    let warehouse = Warehouse::new().await;
    warehouse.write("t/k=1/a", vec![("id", ints([3, 1])), ("n", ints([1, 2]))]);
    warehouse.write(
        "t/k=2/b",
        vec![("id", ints([7, 5, 9])), ("n", ints([0, 2, 2]))],
    );
    warehouse.write("t/k=3/c", vec![("id", ints([2]))]);
    warehouse.register("t").await;
    let snapshot = warehouse.catalog.snapshot();
    let table = snapshot.table("default", "t").unwrap();
    let files = snapshot.table_files(table).await.unwrap();
    let schema = ScanSchema::new(&table.definition, true);
    let found = statistics::of_many(files.files.iter(), &table.definition, &schema, |_| true);
    assert_eq!(found.num_rows, Precision::Exact(6));
    let [id, n, k] = found.column_statistics.as_slice() else {
        panic!("{found}");
    };
    let int = |value| Precision::Inexact(ScalarValue::Int32(Some(value)));
    assert_eq!((&id.min_value, &id.max_value), (&int(1), &int(9)));
    assert_eq!(id.null_count, Precision::Exact(0));
    assert_eq!((&n.min_value, &n.max_value), (&int(0), &int(2)));
    assert_eq!(n.null_count, Precision::Exact(1), "the third file has none");
    assert_eq!(k.min_value, Precision::Absent);
}
