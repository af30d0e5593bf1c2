//! Random statements, most of which make sense.

use super::model::{Model, Table, Type, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A statement that a model understands.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The table or view that it is about.
    key: Option<(String, String)>,
    pub kind: Kind,
    files: PathBuf,
}

/// What it does.
#[derive(Clone, Debug)]
pub enum Kind {
    CreateDatabase {
        name: String,
        if_not_exists: bool,
    },
    DropDatabase {
        name: String,
        cascade: bool,
    },
    Create {
        table: Table,
        if_not_exists: bool,
    },
    CreateAs {
        source: Source,
    },
    CreateView {
        of: (String, String),
    },
    CreateExternal {
        directory: u32,
    },
    WriteDirectory {
        directory: u32,
        source: Source,
    },
    Drop {
        is_view: bool,
        if_exists: bool,
    },
    Rename {
        to: String,
    },
    Insert {
        source: Source,
        overwrite: bool,
        partition: Option<Value>,
    },
    Truncate {
        partition: Option<Value>,
    },
    AddColumn {
        name: String,
        data_type: Type,
    },
    DropColumn {
        name: String,
    },
    ChangeColumn {
        name: String,
        to: String,
        data_type: Type,
    },
    AddPartition {
        value: Value,
        if_not_exists: bool,
    },
    DropPartition {
        value: Value,
    },
    RenamePartition {
        from: Value,
        to: Value,
    },
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum Source {
    Values(Vec<Vec<Value>>),
    /// All of a table or view.
    Table((String, String)),
}

impl Statement {
    pub fn key(&self) -> Result<&(String, String), String> {
        self.key.as_ref().ok_or_else(|| "about no table".to_owned())
    }

    /// The one table that it may have changed; `None` where it may be several.
    pub fn table(&self) -> Option<&(String, String)> {
        match self.kind {
            Kind::DropDatabase { .. } | Kind::Rename { .. } => None,
            _ => self.key.as_ref(),
        }
    }

    /// The statement as Skep gets it.
    pub fn to_sql(&self) -> String {
        let name = self.key.as_ref().map(path).unwrap_or_default();
        match &self.kind {
            Kind::CreateDatabase {
                name,
                if_not_exists,
            } => {
                format!(
                    "CREATE DATABASE {}{name}",
                    if_text(*if_not_exists, "IF NOT EXISTS ")
                )
            }
            Kind::DropDatabase { name, cascade } => {
                format!("DROP DATABASE {name}{}", if_text(*cascade, " CASCADE"))
            }
            Kind::Create {
                table,
                if_not_exists,
            } => {
                let columns = table.columns.iter();
                let columns = columns.map(|(name, of)| format!("{name} {}", of.name()));
                let columns: Vec<String> = columns.collect();
                format!(
                    "CREATE TABLE {}{name} ({}){}",
                    if_text(*if_not_exists, "IF NOT EXISTS "),
                    columns.join(", "),
                    if_text(table.partitions.is_some(), " PARTITIONED BY (k INT)")
                )
            }
            Kind::CreateAs { source } => format!("CREATE TABLE {name} AS {}", source.to_sql()),
            Kind::CreateView { of } => {
                format!(
                    "CREATE VIEW {name} AS SELECT count(*) AS n FROM {}",
                    path(of)
                )
            }
            Kind::CreateExternal { directory } => format!(
                "CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{}'",
                self.files.join(directory.to_string()).display()
            ),
            Kind::WriteDirectory { directory, source } => format!(
                "INSERT OVERWRITE DIRECTORY '{}' STORED AS PARQUET {}",
                self.files.join(directory.to_string()).display(),
                source.to_sql()
            ),
            Kind::Drop { is_view, if_exists } => format!(
                "DROP {} {}{name}",
                if *is_view { "VIEW" } else { "TABLE" },
                if_text(*if_exists, "IF EXISTS ")
            ),
            Kind::Rename { to } => {
                let database = self.key.as_ref().map_or("", |(database, _)| database);
                format!("ALTER TABLE {name} RENAME TO {database}.{to}")
            }
            Kind::Insert {
                source,
                overwrite,
                partition,
            } => format!(
                "INSERT {} TABLE {name}{} {}",
                if *overwrite { "OVERWRITE" } else { "INTO" },
                partition
                    .as_ref()
                    .map_or_else(String::new, |k| format!(" PARTITION ({})", key(k))),
                source.to_sql()
            ),
            Kind::Truncate { partition } => format!(
                "TRUNCATE TABLE {name}{}",
                partition
                    .as_ref()
                    .map_or_else(String::new, |k| format!(" PARTITION ({})", key(k)))
            ),
            Kind::AddColumn {
                name: column,
                data_type,
            } => {
                format!(
                    "ALTER TABLE {name} ADD COLUMNS ({column} {})",
                    data_type.name()
                )
            }
            Kind::DropColumn { name: column } => format!("ALTER TABLE {name} DROP COLUMN {column}"),
            Kind::ChangeColumn {
                name: column,
                to,
                data_type,
            } => {
                format!(
                    "ALTER TABLE {name} CHANGE {column} {to} {}",
                    data_type.name()
                )
            }
            Kind::AddPartition {
                value,
                if_not_exists,
            } => format!(
                "ALTER TABLE {name} ADD {}PARTITION ({})",
                if_text(*if_not_exists, "IF NOT EXISTS "),
                key(value)
            ),
            Kind::DropPartition { value } => {
                format!("ALTER TABLE {name} DROP PARTITION ({})", key(value))
            }
            Kind::RenamePartition { from, to } => format!(
                "ALTER TABLE {name} PARTITION ({}) RENAME TO PARTITION ({})",
                key(from),
                key(to)
            ),
        }
    }
}

impl Source {
    fn to_sql(&self) -> String {
        match self {
            Self::Table(key) => format!("SELECT * FROM {}", path(key)),
            Self::Values(rows) => {
                let row = |row: &Vec<Value>| {
                    let values: Vec<String> = row.iter().map(literal).collect();
                    format!("({})", values.join(", "))
                };
                let rows: Vec<String> = rows.iter().map(row).collect();
                format!("VALUES {}", rows.join(", "))
            }
        }
    }
}

fn path((database, name): &(String, String)) -> String {
    format!("{database}.{name}")
}

fn key(value: &Value) -> String {
    format!("k = {}", value.as_deref().unwrap_or("NULL"))
}

fn literal(value: &Value) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.parse::<i64>().is_ok() => text.clone(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

fn if_text(is_set: bool, text: &'static str) -> &'static str {
    if is_set { text } else { "" }
}

/// Makes statements of a seed.
pub struct Statements {
    state: u64,
    files: PathBuf,
}

impl Statements {
    pub fn new(seed: u64, files: &Path) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            files: files.to_owned(),
        }
    }

    /// SplitMix64, by Sebastiano Vigna.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random() % bound as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        match from.is_empty() {
            true => None,
            false => Some(from[self.below(from.len())].clone()),
        }
    }

    /// A statement that has something to do with what there is.
    pub fn next(&mut self, model: &Model) -> Statement {
        let (key, kind) = match self.below(100) {
            0..=4 => self.about_databases(model),
            5..=24 => self.creation(model),
            25..=31 => self.removal(model),
            _ => self.change(model).unwrap_or_else(|| self.creation(model)),
        };
        Statement {
            key,
            kind,
            files: self.files.clone(),
        }
    }

    fn database(&mut self, model: &Model) -> String {
        match self.one_in(20) {
            true => format!("d{}", self.below(3)),
            false => self.pick(&model.databases()).unwrap_or_default(),
        }
    }

    fn name(&mut self, model: &Model) -> (String, String) {
        let tables = model.tables();
        let keys: Vec<_> = tables.into_iter().map(|(key, _)| key).collect();
        match self.pick(&keys) {
            Some(key) if !self.one_in(15) => key,
            _ => (self.database(model), format!("t{}", self.below(5))),
        }
    }

    fn about_databases(&mut self, model: &Model) -> (Option<(String, String)>, Kind) {
        let kind = match self.one_in(3) {
            true => Kind::DropDatabase {
                name: self.database(model),
                cascade: self.one_in(2),
            },
            false => Kind::CreateDatabase {
                name: format!("d{}", self.below(3)),
                if_not_exists: self.one_in(2),
            },
        };
        (None, kind)
    }

    fn creation(&mut self, model: &Model) -> (Option<(String, String)>, Kind) {
        let key = (self.database(model), format!("t{}", self.below(5)));
        let tables = model.tables();
        let kind = match self.below(10) {
            0 | 1 if !tables.is_empty() => Kind::CreateAs {
                source: self.table_source(model),
            },
            2 => Kind::CreateView {
                of: self.name(model),
            },
            3 if !tables.is_empty() => {
                return (
                    None,
                    Kind::WriteDirectory {
                        directory: self.below(3) as u32,
                        source: self.table_source(model),
                    },
                );
            }
            4 if !model.directories().is_empty() => Kind::CreateExternal {
                directory: self.pick(&model.directories()).unwrap_or(0),
            },
            _ => Kind::Create {
                table: Table {
                    columns: vec![
                        ("a".to_owned(), Type::Int),
                        (
                            "b".to_owned(),
                            if self.one_in(2) {
                                Type::Text
                            } else {
                                Type::BigInt
                            },
                        ),
                    ],
                    partitions: self.one_in(2).then(BTreeSet::new),
                    rows: Vec::new(),
                    directory: None,
                },
                if_not_exists: self.one_in(4),
            },
        };
        (Some(key), kind)
    }

    fn removal(&mut self, model: &Model) -> (Option<(String, String)>, Kind) {
        let kind = Kind::Drop {
            is_view: self.one_in(4),
            if_exists: self.one_in(4),
        };
        (Some(self.name(model)), kind)
    }

    fn table_source(&mut self, model: &Model) -> Source {
        Source::Table(self.name(model))
    }

    fn change(&mut self, model: &Model) -> Option<(Option<(String, String)>, Kind)> {
        let (key, table) = self.pick(&model.tables())?;
        let (column, data_type) = self.pick(&table.columns)?;
        // What is written into an external table stays in its directory, whatever becomes of the table.
        let choice = match table.directory {
            Some(_) => 23 + self.below(17),
            None => self.below(40),
        };
        let kind = match choice {
            0..=19 => self.insertion(table),
            20..=22 => Kind::Insert {
                source: self.table_source(model),
                overwrite: self.one_in(2),
                partition: None,
            },
            23 | 24 => Kind::Truncate {
                partition: self.one_in(2).then(|| self.partition(table)),
            },
            25 | 26 => Kind::AddColumn {
                name: self.column_name(),
                data_type: self.data_type(),
            },
            // What is dropped from an external table may come back with what the files have.
            27 if table.directory.is_none() => Kind::DropColumn { name: column },
            28..=30 => Kind::ChangeColumn {
                to: match self.one_in(2) {
                    true => self.column_name(),
                    false => column.clone(),
                },
                data_type: match (self.below(4), data_type) {
                    (0, _) => self.data_type(),
                    (1 | 2, Type::Int) => Type::BigInt,
                    (_, same) => same,
                },
                name: column,
            },
            31..=33 => Kind::AddPartition {
                value: self.partition(table),
                if_not_exists: self.one_in(2),
            },
            34 | 35 => Kind::DropPartition {
                value: self.partition(table),
            },
            36 | 37 => Kind::RenamePartition {
                from: self.partition(table),
                to: self.partition(table),
            },
            _ => Kind::Rename {
                to: format!("t{}", self.below(5)),
            },
        };
        Some((Some(key), kind))
    }

    fn insertion(&mut self, table: &Table) -> Kind {
        let is_static = table.partitions.is_some() && self.one_in(2);
        let mut types = table.types();
        if is_static {
            types.pop();
        }
        if self.one_in(25) {
            types.push(Type::Int);
        }
        let rows = (0..1 + self.below(4)).map(|_| {
            let values = types.iter().map(|data_type| self.value(*data_type));
            values.collect()
        });
        Kind::Insert {
            source: Source::Values(rows.collect()),
            overwrite: self.one_in(3),
            partition: is_static.then(|| self.partition(table)),
        }
    }

    /// One that is there, more often than not.
    fn partition(&mut self, table: &Table) -> Value {
        let known: Vec<Value> = table.partitions.iter().flatten().cloned().collect();
        match self.pick(&known) {
            Some(value) if !self.one_in(3) => value,
            _ => self.key(),
        }
    }

    fn key(&mut self) -> Value {
        (!self.one_in(6)).then(|| self.below(4).to_string())
    }

    fn column_name(&mut self) -> String {
        let names = ["a", "b", "c", "d", "e", "k"];
        names[self.below(names.len())].to_owned()
    }

    fn data_type(&mut self) -> Type {
        [Type::Int, Type::BigInt, Type::Text][self.below(3)]
    }

    /// A value that nearly always is one of the type.
    fn value(&mut self, data_type: Type) -> Value {
        if self.one_in(6) {
            return None;
        }
        let number = self.below(1_000) as i64 - 500;
        Some(match data_type {
            Type::Int if self.one_in(60) => "3000000000".to_owned(),
            Type::BigInt if self.one_in(3) => (number * 100_000_000_000).to_string(),
            Type::Int | Type::BigInt => number.to_string(),
            Type::Text => {
                let texts = ["", "x", "it's", "a/b=c%", "Zürich 東京", "NULL", "\\N"];
                texts[self.below(texts.len())].to_owned()
            }
        })
    }
}
