//! The tests of the module above.

use super::*;
use crate::model::{BoundValue, ColumnId};
use crate::test_files::TestFiles;
use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    LargeStringArray, StringArray,
};
use arrow::datatypes::Int32Type;
use skep_protocol::{ErrorCode, QueryError};
use std::fs;

async fn find(files: &TestFiles, name: &str) -> Result<Discovered, CatalogError> {
    find_expecting(files, name, Expectation::default()).await
}

async fn find_expecting(
    files: &TestFiles,
    name: &str,
    expectation: Expectation<'_>,
) -> Result<Discovered, CatalogError> {
    let roots = AllowedRoots::unrestricted();
    discover(
        &TestFiles::store(),
        &files.location(name),
        &roots,
        expectation,
    )
    .await
}

fn ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn assert_fails(result: Result<Discovered, CatalogError>, code: ErrorCode, parts: &[&str]) {
    let error = QueryError::from(result.expect_err("a failure"));
    assert_eq!(error.code, code, "{error}");
    for part in parts {
        assert!(error.message.contains(part), "'{part}' in '{error}'");
    }
}

#[tokio::test]
async fn a_flat_directory_is_a_table_with_bounds() {
    let files = TestFiles::new();
    let prices = Decimal128Array::from_iter_values([250, -100, 300])
        .with_precision_and_scale(15, 2)
        .unwrap();
    files.write(
        "t/a.parquet",
        vec![
            ("Id", ints([3, 1, 2])),
            (
                "name",
                Arc::new(StringArray::from(vec![Some("b"), None, Some("a")])),
            ),
            ("price", Arc::new(prices)),
            ("day", Arc::new(Date32Array::from(vec![10, 20, 15]))),
            (
                "ratio",
                Arc::new(Float64Array::from(vec![0.5, f64::NAN, 2.0])),
            ),
        ],
    );
    let found = find(&files, "t").await.unwrap();
    assert!(found.location.is_directory());
    let names: Vec<_> = found
        .columns
        .iter()
        .map(|c| (&*c.name, &*c.source_name))
        .collect();
    assert_eq!(names[0], ("id", "Id"));
    let file = &found.files.files[0];
    assert_eq!((file.rows, file.partition), (Some(3), None));
    assert_eq!(
        file.size_bytes,
        fs::metadata(files.path().join("t/a.parquet"))
            .unwrap()
            .len()
    );
    let bounds = |column| {
        let bounds = file.bounds_of(ColumnId(column)).unwrap();
        (bounds.min.clone(), bounds.max.clone(), bounds.null_count)
    };
    let int = |value| Some(BoundValue::Int(value));
    let text = |value: &str| Some(BoundValue::Text(value.into()));
    assert_eq!(bounds(0), (int(1), int(3), Some(0)));
    assert_eq!(bounds(1), (text("a"), text("b"), Some(1)));
    let decimal = |value: i128| Some(BoundValue::Decimal(value.into()));
    assert_eq!(bounds(2), (decimal(-100), decimal(300), Some(0)));
    assert_eq!(bounds(3), (int(10), int(20), Some(0)));
    assert!(file.bounds_of(ColumnId(0)).unwrap().min_is_exact);
    assert!(
        !file.bounds_of(ColumnId(4)).unwrap().max_is_exact,
        "NaN is not in the statistics"
    );
}

#[tokio::test]
async fn partition_directories_become_columns() {
    let files = TestFiles::new();
    let directories = [
        "year=2023/kind=a%3Ab",
        "year=2024/kind=plain",
        "year=2024/kind=__HIVE_DEFAULT_PARTITION__",
    ];
    for directory in directories {
        files.write(&format!("t/{directory}/x.parquet"), vec![("id", ints([1]))]);
    }
    files.write("t/year=2024/kind=plain/y.parquet", vec![("id", ints([2]))]);
    for hidden in ["t/_SUCCESS", "t/.crc", "t/_temporary/year=1/x.parquet"] {
        let path = files.path().join(hidden);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "not Parquet").unwrap();
    }
    let found = find(&files, "t").await.unwrap();
    let columns: Vec<_> = found
        .partition_columns
        .iter()
        .map(|column| (&*column.name, &column.data_type))
        .collect();
    assert_eq!(
        columns,
        [("year", &DataType::Int32), ("kind", &DataType::Utf8)]
    );
    let mut partitions: Vec<_> = found
        .files
        .files
        .iter()
        .map(|file| {
            found
                .files
                .partition(file.partition.unwrap())
                .unwrap()
                .values
                .clone()
        })
        .collect();
    partitions.sort();
    let values =
        |year: &str, kind: Option<&str>| vec![Some(year.to_owned()), kind.map(str::to_owned)];
    let expected = [
        values("2023", Some("a:b")),
        values("2024", None),
        values("2024", Some("plain")),
        values("2024", Some("plain")),
    ];
    assert_eq!(partitions, expected);
    assert_eq!(found.files.partitions.len(), 3);
    let location = found.files.partitions[0].location.to_string();
    assert!(
        location.ends_with("/t/year=2023/kind=a%253Ab/"),
        "{location}"
    );
}

#[tokio::test]
async fn declared_partition_columns_are_checked() {
    let files = TestFiles::new();
    files.write("t/day=2024-01-31/x.parquet", vec![("id", ints([1]))]);
    files.write("t/day=soon/x.parquet", vec![("id", ints([1]))]);
    assert_eq!(
        find(&files, "t").await.unwrap().partition_columns[0].data_type,
        DataType::Utf8
    );
    let declared = |name: &str, data_type| {
        [ExpectedPartitionColumn {
            name: name.to_owned(),
            data_type,
            sql_type: None,
            comment: None,
        }]
    };
    let dates = declared("day", Some(DataType::Date32));
    let expectation = |columns| Expectation {
        format: FileFormat::Parquet,
        partition_columns: Some(columns),
        ..Expectation::default()
    };
    let result = find_expecting(&files, "t", expectation(&dates)).await;
    assert_fails(
        result,
        ErrorCode::DataCorrupt,
        &["day=soon/x.parquet", "'soon'", "Date32"],
    );
    let other = declared("hour", None);
    let result = find_expecting(&files, "t", expectation(&other)).await;
    assert_fails(result, ErrorCode::DataCorrupt, &["day", "hour"]);
    files.write("t/stray.parquet", vec![("id", ints([1]))]);
    assert_fails(
        find(&files, "t").await,
        ErrorCode::DataCorrupt,
        &["stray.parquet", "none"],
    );
}

#[tokio::test]
async fn schemas_are_merged_by_name() {
    let files = TestFiles::new();
    let dictionary: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
    files.write(
        "t/a.parquet",
        vec![("id", ints([1, 2])), ("text", Arc::new(dictionary))],
    );
    let large = LargeStringArray::from(vec!["z"]);
    files.write(
        "t/b.parquet",
        vec![("text", Arc::new(large)), ("more", ints([7]))],
    );
    let found = find(&files, "t").await.unwrap();
    let columns: Vec<_> = found
        .columns
        .iter()
        .map(|column| (&*column.name, &column.data_type, column.nullable))
        .collect();
    let expected = [
        ("id", &DataType::Int32, true),
        ("text", &DataType::Utf8, false),
        ("more", &DataType::Int32, true),
    ];
    assert_eq!(columns, expected);
    let absent = found.files.files[1].bounds_of(ColumnId(0)).unwrap();
    assert_eq!((absent.null_count, &absent.min), (Some(1), &None));
}

#[tokio::test]
async fn a_file_with_another_type_is_named() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("id", ints([1]))]);
    files.write(
        "t/b.parquet",
        vec![("id", Arc::new(StringArray::from(vec!["1"])))],
    );
    let result = find(&files, "t").await;
    assert_fails(
        result,
        ErrorCode::DataCorrupt,
        &["b.parquet", "'id'", "Utf8", "Int32"],
    );
}

#[tokio::test]
async fn one_file_cannot_have_two_columns_of_one_name_and_files_may_spell_it_differently() {
    let files = TestFiles::new();
    files.write("one/a.parquet", vec![("Id", ints([1])), ("ID", ints([1]))]);
    assert_fails(
        find(&files, "one").await,
        ErrorCode::DataCorrupt,
        &["a.parquet", "'id'"],
    );
    files.write("two/a.parquet", vec![("Id", ints([1]))]);
    files.write("two/b.parquet", vec![("ID", ints([1]))]);
    let found = find(&files, "two").await.unwrap();
    assert_eq!(found.columns.len(), 1);
    let bounds = found.files.files.iter();
    let known = bounds.filter(|file| file.bounds_of(ColumnId(0)).is_some());
    assert_eq!(known.count(), 2);
}

#[tokio::test]
async fn damaged_files_are_named() {
    let files = TestFiles::new();
    let path = files.write("t/a.parquet", vec![("id", ints([1]))]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    assert_fails(
        find(&files, "t").await,
        ErrorCode::DataCorrupt,
        &["a.parquet"],
    );
    fs::write(&path, "hello, I am a text file").unwrap();
    assert_fails(
        find(&files, "t").await,
        ErrorCode::DataCorrupt,
        &["a.parquet"],
    );
}

/// Writers that were interrupted leave them behind.
#[tokio::test]
async fn files_without_bytes_have_no_rows() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("id", ints([1]))]);
    fs::write(files.path().join("t/b.parquet"), "").unwrap();
    let found = find(&files, "t").await.unwrap();
    assert_eq!(found.files.files.len(), 1);
}

#[tokio::test]
async fn missing_and_empty_locations_are_told_apart() {
    let files = TestFiles::new();
    assert_fails(
        find(&files, "missing").await,
        ErrorCode::FileNotFound,
        &["missing"],
    );
    assert_fails(
        find(&files, "missing/").await,
        ErrorCode::FileNotFound,
        &["missing"],
    );
    fs::create_dir(files.path().join("empty")).unwrap();
    assert_fails(
        find(&files, "empty").await,
        ErrorCode::InvalidArgument,
        &["empty"],
    );
    let columns = [Column {
        id: ColumnId(0),
        name: "id".to_owned(),
        source_name: "id".to_owned(),
        data_type: DataType::Int32,
        sql_type: None,
        nullable: false,
        comment: None,
    }];
    let expectation = Expectation {
        format: FileFormat::Parquet,
        columns: &columns,
        columns_are_final: true,
        ..Expectation::default()
    };
    let found = find_expecting(&files, "empty", expectation).await.unwrap();
    assert_eq!((found.columns.len(), found.files.files.len()), (1, 0));
}

#[tokio::test]
async fn a_single_file_and_a_file_without_rows_are_tables() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("id", ints([]))]);
    files.write("t/b.parquet", vec![("other", ints([1]))]);
    let found = find(&files, "t/a.parquet").await.unwrap();
    assert!(!found.location.is_directory());
    assert_eq!((found.files.files.len(), found.files.rows()), (1, Some(0)));
    assert_eq!(found.columns[0].name, "id");
}

#[cfg(unix)]
#[tokio::test]
async fn links_out_of_the_allowed_roots_are_not_followed() {
    let files = TestFiles::new();
    let secret = files.write("secret/a.parquet", vec![("id", ints([1]))]);
    files.write("open/t/b.parquet", vec![("id", ints([1]))]);
    let roots = AllowedRoots::new(vec![files.location("open")]);
    let find = async || {
        let location = files.location("open/t");
        discover(
            &TestFiles::store(),
            &location,
            &roots,
            Expectation::default(),
        )
        .await
    };
    assert_eq!(find().await.unwrap().files.files.len(), 1);
    std::os::unix::fs::symlink(secret, files.path().join("open/t/c.parquet")).unwrap();
    assert_fails(find().await, ErrorCode::PermissionDenied, &["c.parquet"]);
}

#[tokio::test]
async fn unchanged_files_are_not_opened_again() {
    let files = TestFiles::new();
    let path = files.write("t/k=1/a.parquet", vec![("id", ints([1, 2]))]);
    let first = find(&files, "t").await.unwrap();
    // The same size and time with other contents, which opening it would show.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let size = fs::metadata(&path).unwrap().len();
    fs::write(&path, vec![b'x'; size as usize]).unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    files.write(
        "t/k=0/b.parquet",
        vec![("id", ints([3])), ("new", ints([4]))],
    );
    let partition_columns: Vec<_> = first.partition_columns.iter().map(Into::into).collect();
    let expectation = Expectation {
        format: FileFormat::Parquet,
        columns: &first.columns,
        columns_are_final: false,
        partition_columns: Some(&partition_columns),
        known: Some(&first.files),
    };
    // A local file's tag also says which file it is, and rewriting in place keeps that.
    let second = find_expecting(&files, "t", expectation).await.unwrap();
    assert!(second.files.files.contains(&first.files.files[0]));
    assert_eq!(
        second.files.partitions[0], first.files.partitions[0],
        "numbers are kept"
    );
    assert_eq!(second.files.partitions[1].number, 1);
    let new = &second.columns[1];
    assert_eq!(
        (&*new.name, new.id, new.nullable),
        ("new", ColumnId(1), true)
    );
}
