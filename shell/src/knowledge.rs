//! What the server has, for completion: asked for in the background, so that typing never waits.

use crate::format::values;
use crate::session::Aside;
use crate::sql::quoted_name;
use parking_lot::RwLock;
use skep_client::{ClientError, Column};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many questions may wait. What does not fit is asked again at the next key.
const QUESTIONS_MAX: usize = 32;

/// How many tables' columns and partitions are kept.
const TABLES_MAX: usize = 1000;

/// How many partitions of a table are offered.
const PARTITIONS_MAX: usize = 1000;

/// What is known so far.
#[derive(Default)]
pub(crate) struct Knowledge(RwLock<Names>);

/// A table by its database and its name.
pub(crate) type TableKey = (String, String);

/// A partition: its columns with their values.
pub(crate) type PartitionValues = Vec<(String, String)>;

/// The names.
#[derive(Default)]
pub(crate) struct Names {
    /// In which database names are looked up.
    pub database: String,
    /// All databases.
    pub databases: Vec<String>,
    /// All tables and views: database and name.
    pub tables: Vec<TableKey>,
    /// All functions, with how each is called.
    pub functions: Vec<(String, String)>,
    /// All settings.
    pub settings: Vec<String>,
    /// The columns of tables that were asked for.
    pub columns: HashMap<TableKey, Vec<Column>>,
    /// The partitions of tables that were asked for.
    pub partitions: HashMap<TableKey, Vec<PartitionValues>>,
}

impl Knowledge {
    /// Looks something up.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Names) -> T) -> T {
        look(&self.0.read())
    }

    /// Changes what is known.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Names)) {
        change(&mut self.0.write());
    }
}

/// A question to the server.
enum Question {
    /// Everything anew, on another session where there is one.
    Everything(Option<Box<dyn Aside>>),
    /// The columns of a table.
    Columns(String, String),
    /// The partitions of a table.
    Partitions(String, String),
}

/// Who asks questions, and does not wait for answers.
#[derive(Clone)]
pub(crate) struct Asker {
    questions: mpsc::Sender<Question>,
    knowledge: Arc<Knowledge>,
    /// The number of the session that is learned from.
    session: Option<u64>,
}

/// Starts learning; it ends when the set is dropped.
pub(crate) fn start(knowledge: Arc<Knowledge>) -> (Asker, JoinSet<()>) {
    let (questions, mut asked) = mpsc::channel(QUESTIONS_MAX);
    let mut learning = JoinSet::new();
    let learner = Arc::clone(&knowledge);
    learning.spawn(async move {
        let mut session: Option<Box<dyn Aside>> = None;
        while let Some(question) = asked.recv().await {
            let question = match question {
                Question::Everything(Some(other)) => {
                    session = Some(other);
                    Question::Everything(None)
                }
                other => other,
            };
            if let Some(session) = &mut session {
                // What cannot be learned is not completed; statements say what is wrong.
                let _ = learn(session.as_mut(), &learner, question).await;
            }
        }
    });
    let asker = Asker {
        questions,
        knowledge,
        session: None,
    };
    (asker, learning)
}

/// One that nobody answers, for tests.
#[cfg(test)]
pub(crate) fn start_idle(knowledge: Arc<Knowledge>) -> (Asker, ()) {
    let (questions, _) = mpsc::channel(QUESTIONS_MAX);
    let asker = Asker {
        questions,
        knowledge,
        session: None,
    };
    (asker, ())
}

async fn learn(
    session: &mut dyn Aside,
    knowledge: &Knowledge,
    question: Question,
) -> Result<(), ClientError> {
    match question {
        Question::Everything(_) => everything(session, knowledge).await,
        Question::Columns(database, table) => {
            let columns = session.columns(&database, &table).await?;
            knowledge.change(|names| {
                names.columns.insert((database, table), columns);
            });
            Ok(())
        }
        Question::Partitions(database, table) => {
            let name = format!("{}.{}", quoted_name(&database), quoted_name(&table));
            // A table without partitions is asked about once.
            knowledge.change(|names| {
                names
                    .partitions
                    .insert((database.clone(), table.clone()), Vec::new());
            });
            let batches = session.rows(&format!("SHOW PARTITIONS {name}")).await?;
            let mut partitions = Vec::new();
            for batch in batches.iter() {
                for shown in values(batch, 0).unwrap_or_default().into_iter().flatten() {
                    partitions.push(partition(&shown));
                }
            }
            partitions.truncate(PARTITIONS_MAX);
            knowledge.change(|names| {
                names.partitions.insert((database, table), partitions);
            });
            Ok(())
        }
    }
}

/// The values in `a=1/b=x`.
fn partition(shown: &str) -> PartitionValues {
    let parts = shown.split('/').filter_map(|part| part.split_once('='));
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

async fn everything(session: &mut dyn Aside, knowledge: &Knowledge) -> Result<(), ClientError> {
    let databases = session.databases().await?;
    let tables = session.tables().await?;
    let tables = tables.into_iter().map(|table| (table.database, table.name));
    let tables: Vec<_> = tables.collect();
    knowledge.change(|names| {
        names.databases = databases;
        names.tables = tables;
        names.columns.clear();
        names.partitions.clear();
    });
    if !knowledge.with(|names| names.functions.is_empty()) {
        return Ok(());
    }
    let functions =
        "SELECT routine_name, min(syntax_example) FROM information_schema.routines GROUP BY 1";
    let functions = pairs(session, functions).await?;
    let settings = pairs(session, "SHOW ALL").await?;
    knowledge.change(|names| {
        names.functions = functions;
        names.functions.sort();
        names.settings = settings.into_iter().map(|(name, _)| name).collect();
    });
    Ok(())
}

async fn pairs(session: &mut dyn Aside, sql: &str) -> Result<Vec<(String, String)>, ClientError> {
    let mut pairs = Vec::new();
    for batch in session.rows(sql).await? {
        let column = |column| values(&batch, column).unwrap_or_default();
        let text = |value: Option<String>| value.unwrap_or_default();
        let rows = column(0).into_iter().zip(column(1));
        pairs.extend(rows.map(|(first, second)| (text(first), text(second))));
    }
    Ok(pairs)
}

impl Asker {
    /// Learns from this session and looks names up in this database from now on. Each session has a
    /// number of its own.
    pub(crate) fn follow(&mut self, session: Option<(u64, Box<dyn Aside>)>, database: &str) {
        self.knowledge.change(|names| {
            if names.database != database {
                database.clone_into(&mut names.database);
            }
        });
        if let Some((number, session)) = session.filter(|(number, _)| self.session != Some(*number))
        {
            self.session = Some(number);
            self.ask(Question::Everything(Some(session)));
        }
    }

    /// Learns everything anew.
    pub(crate) fn refresh(&self) {
        self.ask(Question::Everything(None));
    }

    /// Asks for the columns and, where wanted, the partitions of a table, unless they are known.
    pub(crate) fn table(&self, database: &str, table: &str, partitions: bool) {
        let key = (database.to_owned(), table.to_owned());
        let (is_full, has_columns, has_partitions) = self.knowledge.with(|names| {
            (
                names.columns.len() >= TABLES_MAX,
                names.columns.contains_key(&key),
                names.partitions.contains_key(&key),
            )
        });
        if is_full {
            return;
        }
        if !has_columns {
            self.ask(Question::Columns(key.0.clone(), key.1.clone()));
        }
        if partitions && !has_partitions {
            self.ask(Question::Partitions(key.0, key.1));
        }
    }

    fn ask(&self, question: Question) {
        // Where too many questions wait, this one is asked again at the next key.
        let _ = self.questions.try_send(question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_taken_apart() {
        let expected = vec![
            ("day".to_owned(), "2026-01-01".to_owned()),
            ("hour".to_owned(), "7".to_owned()),
        ];
        assert_eq!(partition("day=2026-01-01/hour=7"), expected);
    }
}
