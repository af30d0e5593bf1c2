//! Databases, tables and rows in memory, and what statements do to them.

use super::statements::{Kind, Source, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// A value as text; `None` is NULL.
pub type Value = Option<String>;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int,
    BigInt,
    Text,
}

impl Type {
    /// As SQL calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::BigInt => "BIGINT",
            Self::Text => "STRING",
        }
    }

    /// Whether a value can be one of the type.
    fn holds(self, value: &Value) -> bool {
        let number = || value.as_ref().map(|text| text.parse::<i64>());
        match (self, value) {
            (_, None) | (Self::Text, _) => true,
            (Self::BigInt, _) => matches!(number(), Some(Ok(_))),
            (Self::Int, _) => matches!(number(), Some(Ok(n)) if i32::try_from(n).is_ok()),
        }
    }
}

/// A table. The rows have the value of the partition column, where there is one, at their end.
#[derive(Clone, Debug)]
pub struct Table {
    pub columns: Vec<(String, Type)>,
    /// The partitions, where there is a partition column, which is `k INT`.
    pub partitions: Option<BTreeSet<Value>>,
    pub rows: Vec<Vec<Value>>,
    /// Where an external table lies.
    pub directory: Option<u32>,
}

impl Table {
    /// How many values a row has.
    pub fn width(&self) -> usize {
        self.columns.len() + usize::from(self.partitions.is_some())
    }

    /// The types of a row's values.
    pub fn types(&self) -> Vec<Type> {
        let own = self.columns.iter().map(|(_, data_type)| *data_type);
        own.chain(self.partitions.iter().map(|_| Type::Int))
            .collect()
    }

    fn key_of(&self, row: &[Value]) -> Value {
        row[self.columns.len()].clone()
    }
}

#[derive(Clone, Debug)]
enum Relation {
    Table(Table),
    /// `SELECT count(*) AS n FROM` that table.
    View((String, String)),
}

type Key = (String, String);

/// The columns of a relation and its rows.
type Rows = (Vec<(String, Type)>, Vec<Vec<Value>>);

/// All that there is.
#[derive(Clone, Debug)]
pub struct Model {
    databases: BTreeMap<String, BTreeMap<String, Relation>>,
    /// What was written into directories: columns and rows.
    directories: BTreeMap<u32, Rows>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            databases: [("default".to_owned(), BTreeMap::new())].into(),
            directories: BTreeMap::new(),
        }
    }
}

/// What can be seen of all that there is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The names of tables and views by database.
    pub tables: BTreeMap<String, Vec<String>>,
    /// As SHOW PARTITIONS has them.
    pub partitions: BTreeMap<Key, Vec<String>>,
    /// Sorted, as text.
    pub rows: BTreeMap<Key, Vec<Vec<String>>>,
}

type Outcome = Result<(), String>;

fn fail<T>(reason: impl Into<String>) -> Result<T, String> {
    Err(reason.into())
}

impl Model {
    /// The names of the databases.
    pub fn databases(&self) -> Vec<String> {
        self.databases.keys().cloned().collect()
    }

    /// Every table that is there.
    pub fn tables(&self) -> Vec<(Key, &Table)> {
        let all = self.databases.iter().flat_map(|(database, relations)| {
            relations
                .iter()
                .filter_map(move |(name, relation)| match relation {
                    Relation::Table(table) => Some(((database.clone(), name.clone()), table)),
                    Relation::View(_) => None,
                })
        });
        all.collect()
    }

    /// The directories that were written.
    pub fn directories(&self) -> Vec<u32> {
        self.directories.keys().copied().collect()
    }

    pub fn is_partitioned(&self, key: &Key) -> bool {
        self.table(key)
            .is_ok_and(|table| table.partitions.is_some())
    }

    pub fn is_view(&self, key: &Key) -> bool {
        matches!(self.relation(key), Some(Relation::View(_)))
    }

    fn relation(&self, (database, name): &Key) -> Option<&Relation> {
        self.databases.get(database)?.get(name)
    }

    fn table(&self, key: &Key) -> Result<&Table, String> {
        match self.relation(key) {
            Some(Relation::Table(table)) => Ok(table),
            Some(Relation::View(_)) => fail("a view"),
            None => fail("no such table"),
        }
    }

    /// What the statements to come are to find in Skep, too: the rows of one table only where one is
    /// given.
    pub fn contents(&self, only: Option<&Key>) -> Contents {
        let mut contents = Contents::default();
        for (database, relations) in &self.databases {
            contents
                .tables
                .insert(database.clone(), relations.keys().cloned().collect());
            for (name, relation) in relations {
                let key = (database.clone(), name.clone());
                if only.is_some_and(|only| *only != key) {
                    continue;
                }
                let rows = match relation {
                    Relation::Table(table) => {
                        if let Some(partitions) = &table.partitions {
                            let mut shown: Vec<String> = partitions.iter().map(shown).collect();
                            shown.sort();
                            contents.partitions.insert(key.clone(), shown);
                        }
                        visible(&table.rows)
                    }
                    Relation::View(_) => match self.rows_in(&key) {
                        Ok((_, rows)) => visible(&rows),
                        Err(_) => vec![vec!["broken".to_owned()]],
                    },
                };
                contents.rows.insert(key, rows);
            }
        }
        contents
    }

    /// Does what the statement says, or nothing where it must fail.
    pub fn run(&mut self, statement: &Statement) -> Outcome {
        let before = self.clone();
        let outcome = self.try_run(statement);
        if outcome.is_err() {
            *self = before;
        }
        outcome
    }

    fn try_run(&mut self, statement: &Statement) -> Outcome {
        match &statement.kind {
            Kind::CreateDatabase {
                name,
                if_not_exists,
            } => {
                if self.databases.contains_key(name) {
                    return if *if_not_exists {
                        Ok(())
                    } else {
                        fail("it is there")
                    };
                }
                self.databases.insert(name.clone(), BTreeMap::new());
                Ok(())
            }
            Kind::DropDatabase { name, cascade } => match self.databases.get(name) {
                _ if name == "default" => fail("the default database"),
                None => fail("no such database"),
                Some(relations) if !relations.is_empty() && !cascade => fail("not empty"),
                Some(_) => {
                    self.databases.remove(name);
                    Ok(())
                }
            },
            Kind::Create {
                table,
                if_not_exists,
            } => {
                let created = Relation::Table(table.clone());
                self.create(statement.key()?, created, *if_not_exists)
            }
            Kind::CreateAs { source } => {
                let (columns, rows) = self.rows_of(source)?;
                let table = Table {
                    columns,
                    partitions: None,
                    rows,
                    directory: None,
                };
                self.create(statement.key()?, Relation::Table(table), false)
            }
            Kind::CreateView { of } => {
                self.rows_in(of)?;
                self.create(statement.key()?, Relation::View(of.clone()), false)
            }
            Kind::CreateExternal { directory } => {
                let (columns, rows) = self.directories.get(directory).cloned().ok_or("none")?;
                if rows.is_empty() {
                    return fail("no files");
                }
                let table = Table {
                    columns,
                    partitions: None,
                    rows,
                    directory: Some(*directory),
                };
                self.create(statement.key()?, Relation::Table(table), false)
            }
            Kind::WriteDirectory { directory, source } => {
                let written = self.rows_of(source)?;
                let tables = self.tables();
                if tables
                    .iter()
                    .any(|(_, table)| table.directory == Some(*directory))
                {
                    return fail("a table lies there");
                }
                self.directories.insert(*directory, written);
                Ok(())
            }
            Kind::Drop { is_view, if_exists } => self.drop(statement.key()?, *is_view, *if_exists),
            Kind::Rename { to } => {
                let key = statement.key()?;
                self.table(key)?;
                let (database, name) = key.clone();
                let relations = self.databases.get_mut(&database).ok_or("no database")?;
                if relations.contains_key(to) {
                    return fail("the name is taken");
                }
                let table = relations.remove(&name).ok_or("no table")?;
                relations.insert(to.clone(), table);
                Ok(())
            }
            other => self.change(statement.key()?, other),
        }
    }

    fn create(&mut self, key: &Key, relation: Relation, if_not_exists: bool) -> Outcome {
        let relations = self.databases.get_mut(&key.0).ok_or("no database")?;
        match relations.get(&key.1) {
            Some(_) if if_not_exists => Ok(()),
            Some(_) => fail("it is there"),
            None => {
                relations.insert(key.1.clone(), relation);
                Ok(())
            }
        }
    }

    fn drop(&mut self, key: &Key, is_view: bool, if_exists: bool) -> Outcome {
        let relations = self.databases.get_mut(&key.0).ok_or("no database")?;
        match (relations.get(&key.1), is_view) {
            (None, _) if if_exists => Ok(()),
            (Some(Relation::Table(_)), false) | (Some(Relation::View(_)), true) => {
                relations.remove(&key.1);
                Ok(())
            }
            _ => fail("nothing of that kind"),
        }
    }

    /// The columns and the rows that a source has.
    fn rows_of(&self, source: &Source) -> Result<Rows, String> {
        match source {
            Source::Values(rows) => Ok((Vec::new(), rows.clone())),
            Source::Table(key) => self.rows_in(key),
        }
    }

    fn rows_in(&self, key: &Key) -> Result<Rows, String> {
        match self.relation(key) {
            None => fail("no such table"),
            Some(Relation::View(of)) => {
                let count = self.rows_in(of)?.1.len();
                let columns = vec![("n".to_owned(), Type::BigInt)];
                Ok((columns, vec![vec![Some(count.to_string())]]))
            }
            Some(Relation::Table(table)) => {
                let mut columns = table.columns.clone();
                columns.extend(table.partitions.iter().map(|_| ("k".to_owned(), Type::Int)));
                Ok((columns, table.rows.clone()))
            }
        }
    }

    fn change(&mut self, key: &Key, kind: &Kind) -> Outcome {
        let written = match kind {
            Kind::Insert {
                source, partition, ..
            } => {
                let (columns, rows) = self.rows_of(source)?;
                let given = match source {
                    Source::Values(rows) => rows.first().map_or(0, Vec::len),
                    Source::Table(_) => columns.len(),
                };
                if given + usize::from(partition.is_some()) != self.table(key)?.width() {
                    return fail("another number of columns");
                }
                Some(rows)
            }
            _ => None,
        };
        self.table(key)?;
        let relation = self
            .databases
            .get_mut(&key.0)
            .and_then(|all| all.get_mut(&key.1));
        let Some(Relation::Table(table)) = relation else {
            return fail("no such table");
        };
        match kind {
            Kind::Insert {
                overwrite,
                partition,
                ..
            } => insert(
                table,
                written.unwrap_or_default(),
                *overwrite,
                partition.as_ref(),
            ),
            Kind::Truncate { partition } => truncate(table, partition.as_ref()),
            Kind::AddColumn { name, data_type } => {
                has_no(table, name)?;
                for row in &mut table.rows {
                    row.insert(table.columns.len(), None);
                }
                table.columns.push((name.clone(), *data_type));
                Ok(())
            }
            Kind::DropColumn { name } => {
                let index = position(table, name)?;
                if table.columns.len() == 1 {
                    return fail("the last column");
                }
                table.columns.remove(index);
                for row in &mut table.rows {
                    row.remove(index);
                }
                Ok(())
            }
            Kind::ChangeColumn {
                name,
                to,
                data_type,
            } => {
                let index = position(table, name)?;
                if name != to {
                    has_no(table, to)?;
                }
                match (table.columns[index].1, data_type) {
                    (from, to) if from == *to => {}
                    (Type::Int, Type::BigInt) => {}
                    _ => return fail("not wider"),
                }
                table.columns[index] = (to.clone(), *data_type);
                Ok(())
            }
            Kind::AddPartition {
                value,
                if_not_exists,
            } => {
                let partitions = table.partitions.as_mut().ok_or("not partitioned")?;
                match partitions.insert(value.clone()) || *if_not_exists {
                    true => Ok(()),
                    false => fail("it is there"),
                }
            }
            Kind::DropPartition { value } => {
                let partitions = table.partitions.as_mut().ok_or("not partitioned")?;
                if !partitions.remove(value) {
                    return fail("no such partition");
                }
                let index = table.columns.len();
                table.rows.retain(|row| row[index] != *value);
                Ok(())
            }
            Kind::RenamePartition { from, to } => {
                let partitions = table.partitions.as_mut().ok_or("not partitioned")?;
                if !partitions.contains(from) || partitions.contains(to) {
                    return fail("no such partition, or one too many");
                }
                partitions.remove(from);
                partitions.insert(to.clone());
                let index = table.columns.len();
                for row in table.rows.iter_mut().filter(|row| row[index] == *from) {
                    row[index].clone_from(to);
                }
                Ok(())
            }
            other => fail(format!("not about a table: {other:?}")),
        }
    }
}

fn position(table: &Table, name: &str) -> Result<usize, String> {
    let found = table.columns.iter().position(|(column, _)| column == name);
    found.ok_or_else(|| "no such column".to_owned())
}

fn has_no(table: &Table, name: &str) -> Outcome {
    let is_key = table.partitions.is_some() && name == "k";
    match is_key || position(table, name).is_ok() {
        true => fail("the column is there"),
        false => Ok(()),
    }
}

fn insert(
    table: &mut Table,
    rows: Vec<Vec<Value>>,
    overwrite: bool,
    partition: Option<&Value>,
) -> Outcome {
    if partition.is_some() && table.partitions.is_none() {
        return fail("not partitioned");
    }
    let mut complete = Vec::new();
    for mut row in rows {
        row.extend(partition.cloned());
        if !row
            .iter()
            .zip(table.types())
            .all(|(value, data_type)| data_type.holds(value))
        {
            return fail("a value of another type");
        }
        complete.push(row);
    }
    let keys: BTreeSet<Value> = match (&table.partitions, partition) {
        (None, _) => BTreeSet::new(),
        (Some(_), None) => complete.iter().map(|row| table.key_of(row)).collect(),
        // A static partition that is overwritten is there afterwards even without rows.
        (Some(_), Some(value)) if overwrite || !complete.is_empty() => [value.clone()].into(),
        (Some(_), Some(_)) => BTreeSet::new(),
    };
    if overwrite {
        let index = table.columns.len();
        match &table.partitions {
            None => table.rows.clear(),
            Some(_) => table.rows.retain(|row| !keys.contains(&row[index])),
        }
    }
    if let Some(partitions) = &mut table.partitions {
        partitions.extend(keys);
    }
    table.rows.extend(complete);
    Ok(())
}

fn truncate(table: &mut Table, partition: Option<&Value>) -> Outcome {
    if table.directory.is_some() {
        return fail("an external table");
    }
    match (partition, &table.partitions) {
        (None, _) => table.rows.clear(),
        (Some(_), None) => return fail("not partitioned"),
        (Some(value), Some(partitions)) if partitions.contains(value) => {
            let index = table.columns.len();
            table.rows.retain(|row| row[index] != *value);
        }
        (Some(_), Some(_)) => return fail("no such partition"),
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    match value {
        Some(value) => format!("k={value}"),
        None => "k=__HIVE_DEFAULT_PARTITION__".to_owned(),
    }
}

fn visible(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    let cell = |value: &Value| match value.as_deref() {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    };
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect();
    rows.sort();
    rows
}
