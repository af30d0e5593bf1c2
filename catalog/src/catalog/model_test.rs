//! Random changes, the same to a catalog and to a model of it that fits on a page: what comes of each,
//! and the state after each, are the same.

use super::test_catalog::{column, flat, new_file, partitioned, spec};
use super::*;
use crate::model::Table;
use crate::test_postgres::TestPostgres;
use crate::test_random::Random;
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;
use std::collections::BTreeSet;
use tempfile::TempDir;

const STEPS: usize = 400;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const HOURS: [&str; 5] = ["1", "2", "3", "10", "20"];

/// The table `t`s of the model: partitions by hour, with the names of their files.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelTable {
    is_partitioned: bool,
    columns: Vec<String>,
    properties: BTreeMap<String, String>,
    /// Files of a table without partitions are under the hour zero.
    partitions: BTreeMap<i32, BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq)]
enum ModelRelation {
    Table(ModelTable),
    View(String),
}

/// Names and what they stand for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    relations: BTreeMap<String, ModelRelation>,
}

type Outcome = Result<(), ErrorCode>;

impl Model {
    fn create(&mut self, name: &str, relation: ModelRelation) -> Outcome {
        if self.relations.contains_key(name) {
            return Err(ErrorCode::AlreadyExists);
        }
        self.relations.insert(name.to_owned(), relation);
        Ok(())
    }

    fn table(&mut self, name: &str) -> Result<&mut ModelTable, ErrorCode> {
        match self.relations.get_mut(name) {
            Some(ModelRelation::Table(table)) => Ok(table),
            Some(ModelRelation::View(_)) => Err(ErrorCode::Semantic),
            None => Err(ErrorCode::TableNotFound),
        }
    }

    fn rename(&mut self, name: &str, to: &str) -> Outcome {
        self.table(name)?;
        if self.relations.contains_key(to) {
            return Err(ErrorCode::AlreadyExists);
        }
        let table = self.relations.remove(name);
        self.relations
            .extend(table.map(|table| (to.to_owned(), table)));
        Ok(())
    }
}

/// What is under test, which can be closed and opened again.
struct Subject {
    location: CatalogLocation,
    directory: TempDir,
    catalog: Option<Catalog>,
    files: usize,
}

impl Subject {
    async fn new(location: CatalogLocation) -> Self {
        let mut subject = Self {
            location,
            directory: tempfile::tempdir().unwrap(),
            catalog: None,
            files: 0,
        };
        subject.reopen().await;
        subject
    }

    async fn reopen(&mut self) {
        self.catalog = None;
        let options = CatalogOptions {
            data_dir: self.directory.path().to_owned(),
            store: self.location.clone(),
            allowed_roots: AllowedRoots::unrestricted(),
            warehouse: None,
        };
        self.catalog = Some(Catalog::open(options).await.unwrap());
    }

    fn catalog(&self) -> &Catalog {
        self.catalog.as_ref().unwrap()
    }

    fn table(&self, name: &str) -> Result<Arc<Table>, CatalogError> {
        let snapshot = self.catalog().snapshot();
        snapshot.table("default", name).cloned()
    }

    /// The catalog's state as the model has it.
    async fn state(&self) -> Model {
        let snapshot = self.catalog().snapshot();
        let mut model = Model::default();
        for relation in snapshot.relations("default").unwrap() {
            let (name, relation) = match relation {
                Relation::View(view) => {
                    let definition = &view.definition;
                    let view = ModelRelation::View(definition.sql.clone());
                    (definition.name.clone(), view)
                }
                Relation::Table(table) => {
                    let found = model_of(&snapshot, table).await;
                    let name = table.definition.name.clone();
                    (name, ModelRelation::Table(found))
                }
            };
            model.relations.insert(name, relation);
        }
        model
    }
}

async fn model_of(snapshot: &CatalogSnapshot, table: &Table) -> ModelTable {
    let definition = &table.definition;
    let files = snapshot.table_files(table).await.unwrap();
    let mut result = ModelTable {
        is_partitioned: !definition.partition_columns.is_empty(),
        columns: definition.columns.iter().map(|c| c.name.clone()).collect(),
        properties: definition.properties.clone(),
        partitions: BTreeMap::new(),
    };
    let hour = |number: u32| {
        let partition = files.partition(number).unwrap();
        partition.values[1].as_ref().unwrap().parse().unwrap()
    };
    for partition in files.partitions.iter() {
        result.partitions.entry(hour(partition.number)).or_default();
    }
    for file in &files.files {
        let hour = file.partition.map_or(0, hour);
        let name = file.path.rsplit('/').next().unwrap().to_owned();
        assert!(result.partitions.entry(hour).or_default().insert(name));
    }
    result
}

fn code<T>(result: Result<T, CatalogError>) -> Outcome {
    result.map(|_| ()).map_err(|error| error.code())
}

/// Does something random to both; returns what, and what came of it in each.
async fn step(
    random: &mut Random,
    subject: &mut Subject,
    model: &mut Model,
) -> (String, Outcome, Outcome) {
    let name = *random.pick(&NAMES);
    let choice = random.below(12);
    let (mut found, expected): (Outcome, Outcome) = match choice {
        0 | 1 => create_table(subject, model, name, choice == 1).await,
        2 => {
            let found = subject.catalog().drop_table("default", name, false).await;
            let expected = model.table(name).map(|_| ());
            if expected.is_ok() {
                model.relations.remove(name);
            }
            (code(found), expected)
        }
        3 => {
            let to = *random.pick(&NAMES);
            let change = TableChange::Rename {
                database: None,
                name: to.to_owned(),
            };
            let found = subject.catalog().alter_table("default", name, change).await;
            (code(found), model.rename(name, to))
        }
        4 => change_columns(random, subject, model, name).await,
        5 => view(random, subject, model, name).await,
        6 => drop_partitions(random, subject, model, name).await,
        7 => rename_partition(random, subject, model, name).await,
        8 => {
            subject.reopen().await;
            (Ok(()), Ok(()))
        }
        _ => write(random, subject, model, name).await,
    };
    if choice == 3 && found == Err(ErrorCode::AlreadyExists) && expected.is_err() {
        // Both refuse; which of two reasons is told first does not matter.
        found = expected;
    }
    (format!("{choice} {name}"), found, expected)
}

async fn create_table(
    subject: &Subject,
    model: &mut Model,
    name: &str,
    is_partitioned: bool,
) -> (Outcome, Outcome) {
    let new = match is_partitioned {
        true => partitioned(name),
        false => flat(name),
    };
    let table = ModelTable {
        is_partitioned,
        columns: vec!["id".to_owned(), "name".to_owned()],
        ..ModelTable::default()
    };
    (
        code(subject.catalog().create_managed_table(new).await),
        model.create(name, ModelRelation::Table(table)),
    )
}

async fn change_columns(
    random: &mut Random,
    subject: &Subject,
    model: &mut Model,
    name: &str,
) -> (Outcome, Outcome) {
    let column_name = *random.pick(&["x", "y", "z"]);
    let is_add = random.below(2) == 0;
    let change = match is_add {
        true => TableChange::AddColumns(vec![column(column_name, DataType::Utf8)]),
        false => TableChange::DropColumns {
            names: vec![column_name.to_owned()],
            if_exists: false,
        },
    };
    let expected = model.table(name).and_then(|table| {
        let known = table
            .columns
            .iter()
            .position(|column| column == column_name);
        match (is_add, known) {
            (true, Some(_)) => Err(ErrorCode::AlreadyExists),
            (true, None) => {
                table.columns.push(column_name.to_owned());
                Ok(())
            }
            (false, Some(index)) => {
                table.columns.remove(index);
                Ok(())
            }
            (false, None) => Err(ErrorCode::ColumnNotFound),
        }
    });
    let found = subject.catalog().alter_table("default", name, change).await;
    (code(found), expected)
}

async fn view(
    random: &mut Random,
    subject: &Subject,
    model: &mut Model,
    name: &str,
) -> (Outcome, Outcome) {
    if random.below(3) == 0 {
        let found = subject.catalog().drop_view("default", name, false).await;
        let expected = match model.relations.get(name) {
            Some(ModelRelation::View(_)) => Ok(()),
            Some(ModelRelation::Table(_)) => Err(ErrorCode::Semantic),
            None => Err(ErrorCode::TableNotFound),
        };
        if expected.is_ok() {
            model.relations.remove(name);
        }
        return (code(found), expected);
    }
    let or_replace = random.below(2) == 0;
    let sql = format!("SELECT {}", random.below(100));
    let new = NewView {
        database: "default".to_owned(),
        name: name.to_owned(),
        if_not_exists: false,
        or_replace,
        columns: Vec::new(),
        sql: sql.clone(),
        resolve_in: "default".to_owned(),
        properties: BTreeMap::new(),
        comment: None,
        owner: String::new(),
    };
    if or_replace && matches!(model.relations.get(name), Some(ModelRelation::View(_))) {
        model.relations.remove(name);
    }
    (
        code(subject.catalog().create_view(new).await),
        model.create(name, ModelRelation::View(sql)),
    )
}

async fn drop_partitions(
    random: &mut Random,
    subject: &Subject,
    model: &mut Model,
    name: &str,
) -> (Outcome, Outcome) {
    let bound = *random.pick(&HOURS);
    let condition = PartitionCondition {
        column: "hr".to_owned(),
        comparison: Comparison::GreaterOrEqual,
        value: Some(bound.to_owned()),
    };
    let found = subject
        .catalog()
        .drop_partitions("default", name, &[vec![condition]], false)
        .await;
    let expected = model.table(name).and_then(|table| {
        if !table.is_partitioned {
            return Err(ErrorCode::InvalidArgument);
        }
        let before = table.partitions.len();
        let bound: i32 = bound.parse().unwrap();
        table.partitions.retain(|hour, _| *hour < bound);
        match table.partitions.len() < before {
            true => Ok(()),
            false => Err(ErrorCode::PartitionNotFound),
        }
    });
    (code(found), expected)
}

async fn rename_partition(
    random: &mut Random,
    subject: &Subject,
    model: &mut Model,
    name: &str,
) -> (Outcome, Outcome) {
    let (from, to) = (*random.pick(&HOURS), *random.pick(&HOURS));
    let at = |hour| spec(&[("ds", Some("day")), ("hr", Some(hour))]);
    let found = subject
        .catalog()
        .rename_partition("default", name, &at(from), &at(to))
        .await;
    let expected = model.table(name).and_then(|table| {
        if !table.is_partitioned {
            return Err(ErrorCode::InvalidArgument);
        }
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        if !table.partitions.contains_key(&from) {
            return Err(ErrorCode::PartitionNotFound);
        }
        if table.partitions.contains_key(&to) {
            return Err(ErrorCode::AlreadyExists);
        }
        let files = table.partitions.remove(&from).unwrap();
        table.partitions.insert(to, files);
        Ok(())
    });
    (code(found), expected)
}

async fn write(
    random: &mut Random,
    subject: &mut Subject,
    model: &mut Model,
    name: &str,
) -> (Outcome, Outcome) {
    let planned = match subject.table(name) {
        Ok(table) => table,
        Err(error) => return (Err(error.code()), model.table(name).map(|_| ())),
    };
    let table = model.table(name).unwrap();
    let mode = random
        .pick(&[
            WriteMode::Append,
            WriteMode::OverwriteTable,
            WriteMode::OverwriteDynamic,
        ])
        .clone();
    let mut files = Vec::new();
    let mut added: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    for _ in 0..random.below(4) {
        subject.files += 1;
        let file = format!("f{}", subject.files);
        let hour = *random.pick(&HOURS);
        let (values, hour): (&[Option<&str>], i32) = match table.is_partitioned {
            true => (&[Some("day"), Some(hour)], hour.parse().unwrap()),
            false => (&[], 0),
        };
        files.push(new_file(&file, values));
        added.entry(hour).or_default().insert(file);
    }
    let found = subject
        .catalog()
        .commit_write(&super::test_catalog::write(&planned, mode.clone(), files))
        .await;
    match mode {
        WriteMode::OverwriteTable => table.partitions.clear(),
        WriteMode::OverwriteDynamic if !table.is_partitioned => table.partitions.clear(),
        WriteMode::OverwriteDynamic => table.partitions.retain(|hour, _| !added.contains_key(hour)),
        _ => {}
    }
    for (hour, files) in added {
        table.partitions.entry(hour).or_default().extend(files);
    }
    (code(found), Ok(()))
}

async fn compare(location: CatalogLocation, seed: u64) {
    let mut random = Random::from_environment(seed);
    let mut subject = Subject::new(location).await;
    let mut model = Model::default();
    let mut succeeded = 0;
    for number in 0..STEPS {
        let (what, found, expected) = step(&mut random, &mut subject, &mut model).await;
        assert_eq!(found, expected, "step {number}: {what}");
        assert_eq!(subject.state().await, model, "step {number}: {what}");
        succeeded += usize::from(found.is_ok());
    }
    assert!(
        succeeded > STEPS / 4,
        "{succeeded} of {STEPS} steps did something"
    );
}

#[tokio::test]
async fn sqlite_does_what_the_model_does() {
    for seed in 1..=3 {
        compare(CatalogLocation::Sqlite, seed).await;
    }
}

#[tokio::test]
async fn postgres_does_what_the_model_does() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    for seed in 4..=5 {
        let url = server.new_database().await;
        compare(CatalogLocation::Postgres(url), seed).await;
    }
}
