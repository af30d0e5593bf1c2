//! What the server has, for completion: asked for in the background, so that typing never waits.

use crate::format::values;
use crate::session::Aside;
use parking_lot::{Mutex, RwLock};
use skep_client::{ClientError, Column};
use skep_sql::{Dialect, quoted_name};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

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
    /// How the session reads statements.
    pub dialect: Dialect,
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

/// A question about a table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// Its columns.
    Columns(TableKey),
    /// Its partitions.
    Partitions(TableKey),
}

/// What has yet to be asked. Nothing is in it twice, however often keys want it.
#[derive(Default)]
struct Wanted {
    /// A session to ask on from now on.
    session: Option<Box<dyn Aside>>,
    /// Whether all names are to be asked for anew, which comes before the tables.
    everything: bool,
    tables: BTreeSet<Question>,
}

/// The questions, and a bell for who asks them.
#[derive(Default)]
struct Questions {
    wanted: Mutex<Wanted>,
    added: Notify,
}

/// Who asks questions, and does not wait for answers.
#[derive(Clone)]
pub(crate) struct Asker {
    questions: Arc<Questions>,
    knowledge: Arc<Knowledge>,
    /// The number of the session that is learned from.
    session: Option<u64>,
}

/// Starts learning; it ends when the set is dropped.
pub(crate) fn start(knowledge: Arc<Knowledge>) -> (Asker, JoinSet<()>) {
    let asker = Asker::new(Arc::clone(&knowledge));
    let questions = Arc::clone(&asker.questions);
    let mut learning = JoinSet::new();
    learning.spawn(async move {
        let mut session: Option<Box<dyn Aside>> = None;
        loop {
            questions.added.notified().await;
            if let Some(other) = questions.wanted.lock().session.take() {
                session = Some(other);
            }
            if let Some(session) = &mut session {
                answer(session.as_mut(), &knowledge, &questions).await;
            }
        }
    });
    (asker, learning)
}

/// Asks until nothing is wanted, or another session is to be asked. What cannot be learned is not
/// completed; statements say what is wrong.
async fn answer(session: &mut dyn Aside, knowledge: &Knowledge, questions: &Questions) {
    while questions.wanted.lock().session.is_none() {
        if std::mem::take(&mut questions.wanted.lock().everything) {
            let _ = everything(session, knowledge).await;
            continue;
        }
        // It stays until it is answered, so that keys do not add it again meanwhile.
        let next = questions.wanted.lock().tables.first().cloned();
        let Some(question) = next else { return };
        let _ = learn(session, knowledge, &question).await;
        questions.wanted.lock().tables.remove(&question);
    }
}

async fn learn(
    session: &mut dyn Aside,
    knowledge: &Knowledge,
    question: &Question,
) -> Result<(), ClientError> {
    match question {
        Question::Columns(key) => {
            let columns = session.columns(&key.0, &key.1).await?;
            knowledge.change(|names| {
                names.columns.insert(key.clone(), columns);
            });
        }
        Question::Partitions(key) => {
            // A table without partitions is asked about once.
            knowledge.change(|names| {
                names.partitions.insert(key.clone(), Vec::new());
            });
            let name = format!("{}.{}", quoted_name(&key.0), quoted_name(&key.1));
            let batches = session.rows(&format!("SHOW PARTITIONS {name}")).await?;
            let mut partitions = Vec::new();
            for batch in batches.iter() {
                for shown in values(batch, 0).unwrap_or_default().into_iter().flatten() {
                    partitions.push(partition(&shown));
                }
            }
            partitions.truncate(PARTITIONS_MAX);
            knowledge.change(|names| {
                names.partitions.insert(key.clone(), partitions);
            });
        }
    }
    Ok(())
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
    /// One whose questions nobody answers until somebody does.
    pub(crate) fn new(knowledge: Arc<Knowledge>) -> Self {
        Self {
            questions: Arc::default(),
            knowledge,
            session: None,
        }
    }

    /// Learns from this session and looks names up in this database from now on. Each session has a
    /// number of its own.
    pub(crate) fn follow(
        &mut self,
        session: Option<(u64, Box<dyn Aside>)>,
        database: &str,
        dialect: Dialect,
    ) {
        self.knowledge.change(|names| {
            names.dialect = dialect;
            if names.database != database {
                database.clone_into(&mut names.database);
            }
        });
        if let Some((number, session)) = session.filter(|(number, _)| self.session != Some(*number))
        {
            self.session = Some(number);
            self.ask(|wanted| {
                wanted.session = Some(session);
                wanted.everything = true;
            });
        }
    }

    /// Learns everything anew.
    pub(crate) fn refresh(&self) {
        self.ask(|wanted| wanted.everything = true);
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
            self.ask(|wanted| _ = wanted.tables.insert(Question::Columns(key.clone())));
        }
        if partitions && !has_partitions {
            self.ask(|wanted| _ = wanted.tables.insert(Question::Partitions(key)));
        }
    }

    fn ask(&self, add: impl FnOnce(&mut Wanted)) {
        add(&mut self.questions.wanted.lock());
        self.questions.added.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use async_trait::async_trait;
    use skep_client::{QueryProgress, Table};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    /// A server with one table, which gets a partition more each time that all names are asked for, and
    /// takes its time.
    struct Growing {
        rounds: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl Aside for Growing {
        async fn progress(&mut self) -> Result<Vec<QueryProgress>, ClientError> {
            Ok(Vec::new())
        }

        async fn remarks(&mut self, _: &str) -> Result<Vec<String>, ClientError> {
            Ok(Vec::new())
        }

        async fn databases(&mut self) -> Result<Vec<String>, ClientError> {
            tokio::time::sleep(Duration::from_millis(30)).await;
            self.rounds.fetch_add(1, Ordering::Relaxed);
            Ok(vec!["default".to_owned()])
        }

        async fn tables(&mut self) -> Result<Vec<Table>, ClientError> {
            Ok(Vec::new())
        }

        async fn columns(&mut self, _: &str, _: &str) -> Result<Vec<Column>, ClientError> {
            Ok(Vec::new())
        }

        async fn rows(&mut self, sql: &str) -> Result<Vec<RecordBatch>, ClientError> {
            if !sql.starts_with("SHOW PARTITIONS") {
                return Ok(Vec::new());
            }
            let rounds = self.rounds.load(Ordering::Relaxed);
            let partitions = (0..rounds).map(|round| Some(format!("day={round}")));
            let partitions: ArrayRef = Arc::new(StringArray::from_iter(partitions));
            Ok(vec![
                RecordBatch::try_from_iter([("partition", partitions)]).unwrap(),
            ])
        }
    }

    /// Fast typing over a slow line: questions of many keys wait, and neither the news of a statement
    /// that has just run nor the answers are lost.
    #[tokio::test]
    async fn a_slow_server_answers_everything_in_the_end() {
        let knowledge = Arc::<Knowledge>::default();
        let (mut asker, _learning) = start(Arc::clone(&knowledge));
        let rounds = Arc::<AtomicUsize>::default();
        let session = Growing {
            rounds: Arc::clone(&rounds),
        };
        let days = || {
            knowledge.with(|names| {
                let key = ("default".to_owned(), "t".to_owned());
                names.partitions.get(&key).map(Vec::len)
            })
        };
        asker.follow(Some((1, Box::new(session))), "default", Dialect::Standard);
        for expected in 1..4 {
            for _ in 0..500 {
                asker.table("default", "t", true);
            }
            asker.refresh();
            let until = Instant::now() + Duration::from_secs(20);
            while days() != Some(expected) && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
                asker.table("default", "t", true);
            }
            assert_eq!(days(), Some(expected));
            assert_eq!(rounds.load(Ordering::Relaxed), expected);
        }
    }

    #[test]
    fn partitions_are_taken_apart() {
        let expected = vec![
            ("day".to_owned(), "2026-01-01".to_owned()),
            ("hour".to_owned(), "7".to_owned()),
        ];
        assert_eq!(partition("day=2026-01-01/hour=7"), expected);
    }
}
