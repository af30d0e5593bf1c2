//! A catalog as lines of JSON, with which it moves from one database to another.
//!
//! Each line is an object with one member, whose name says what it is: first `catalog`, with the number
//! of this form; then `database`, `user`, `role`, `member`, `grant`, `abandoned`, and each `view` and `table`,
//! followed by the `grant`s on it and its `partition`s and `file`s; last `end`, with the number of the lines before
//! it, without which a file is not whole. Ids and versions are not kept: a table has others where it arrives.

mod access_lines;
mod lines;

#[cfg(test)]
pub(crate) use access_lines::upgraded_role;

use super::{Catalog, DEFAULT_DATABASE};
use crate::error::CatalogError;
use crate::model::{Partition, Securable, TableFiles, TableId, User};
use crate::snapshot::{CatalogSnapshot, Relation};
use crate::store::Change;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use lines::{End, Header, Line};
use std::collections::VecDeque;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, Lines};

/// How many partitions' files are in memory at the same time.
const PARTITIONS_PER_READ: usize = 1_000;

/// How many partitions and files one change has at most.
const ROWS_PER_CHANGE: usize = 5_000;

/// How long a line may be, in bytes: a table of thousands of columns is one line.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferSummary {
    /// Databases.
    pub databases: usize,
    /// Tables and views.
    pub relations: usize,
    /// Files.
    pub files: usize,
}

impl TransferSummary {
    fn count(&mut self, line: &Line) {
        match line {
            Line::Database(_) => self.databases += 1,
            Line::Table(_) | Line::View(_) => self.relations += 1,
            Line::File(_) => self.files += 1,
            _ => {}
        }
    }
}

impl Catalog {
    /// Writes the latest version of the catalog. Users' hashes of passwords are part of it.
    pub async fn export(
        &self,
        output: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<TransferSummary, CatalogError> {
        let snapshot = self.snapshot();
        let mut writer = Writer {
            output,
            lines: 0,
            summary: TransferSummary::default(),
        };
        writer.write(Line::Catalog(Header::current())).await?;
        for database in snapshot.databases() {
            writer.write(Line::Database(database.into())).await?;
        }
        for user in snapshot.users() {
            writer.write(Line::User(user.into())).await?;
        }
        let rules = snapshot.access();
        for role in &rules.roles {
            writer.write(Line::Role(role.into())).await?;
        }
        for membership in &rules.memberships {
            writer.write(Line::Member(membership.into())).await?;
        }
        for grant in access_lines::grants_besides_relations(rules) {
            writer.write(Line::Grant(grant.into())).await?;
        }
        for location in snapshot.abandoned_locations() {
            writer.write(Line::Abandoned(location.to_string())).await?;
        }
        for database in snapshot.databases() {
            for relation in snapshot.relations(&database.name)? {
                writer.relation(&snapshot, relation).await?;
            }
        }
        let lines = writer.lines;
        writer.write(Line::End(End { lines })).await?;
        writer
            .output
            .flush()
            .await
            .map_err(CatalogError::Transfer)?;
        Ok(writer.summary)
    }

    /// Fills an empty catalog with what [`Catalog::export`] has written: all of it or nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotEmpty`] where there is something in it already,
    /// [`CatalogError::InvalidExport`] where the input is damaged or not whole.
    pub async fn import(
        &self,
        input: impl AsyncBufRead + Unpin + Send,
    ) -> Result<TransferSummary, CatalogError> {
        let _turn = self.turn().await?;
        self.timeline.reload().await?;
        let snapshot = self.snapshot();
        let is_new = snapshot.databases().count() == 1
            && snapshot.relations(DEFAULT_DATABASE)?.next().is_none()
            && snapshot.users().next().is_none()
            && snapshot.access().roles.is_empty();
        if !is_new {
            return Err(CatalogError::NotEmpty);
        }
        let mut reader = Reader::new(input);
        let changes = reader.changes();
        self.store
            .commit_stream(snapshot.version(), changes)
            .await?;
        let summary = reader.summary;
        self.timeline.reload().await?;
        Ok(summary)
    }
}

struct Writer<'a, W> {
    output: &'a mut W,
    lines: u64,
    summary: TransferSummary,
}

impl<W: AsyncWrite + Unpin + Send> Writer<'_, W> {
    async fn write(&mut self, line: Line) -> Result<(), CatalogError> {
        let mut text =
            serde_json::to_vec(&line).map_err(|error| CatalogError::Damaged(error.to_string()))?;
        text.push(b'\n');
        let written = self.output.write_all(&text).await;
        written.map_err(CatalogError::Transfer)?;
        self.lines += 1;
        self.summary.count(&line);
        Ok(())
    }

    /// What is granted on a table or a view.
    async fn grants(
        &mut self,
        snapshot: &CatalogSnapshot,
        id: TableId,
    ) -> Result<(), CatalogError> {
        let object = Securable::Relation(id);
        let grants = snapshot.access().grants.iter();
        for grant in grants.filter(|grant| grant.key.object == object) {
            self.write(Line::Grant(grant.into())).await?;
        }
        Ok(())
    }

    async fn relation(
        &mut self,
        snapshot: &CatalogSnapshot,
        relation: &Relation,
    ) -> Result<(), CatalogError> {
        let table = match relation {
            Relation::View(view) => {
                self.write(Line::View((&**view).into())).await?;
                return self.grants(snapshot, view.id).await;
            }
            Relation::Table(table) => table,
        };
        let line = lines::TableLine::new(&table.definition)?;
        self.write(Line::Table(Box::new(line))).await?;
        self.grants(snapshot, table.id).await?;
        let partitions = snapshot.table_partitions(table).await?;
        if table.definition.partition_columns.is_empty() {
            let files = snapshot.table_files(table).await?;
            for file in &files.files {
                self.write(Line::File(file.into())).await?;
            }
        }
        for partitions in partitions.chunks(PARTITIONS_PER_READ) {
            let numbers: Vec<u32> = partitions.iter().map(|p| p.number).collect();
            for partition in partitions {
                self.write(Line::Partition(partition.into())).await?;
            }
            let store = snapshot.partition_files(table, &numbers).await?;
            let wanted = numbers.first().copied()..=numbers.last().copied();
            for file in store.files.iter().filter(|f| wanted.contains(&f.partition)) {
                self.write(Line::File(file.into())).await?;
            }
        }
        Ok(())
    }
}

/// Makes changes of lines.
struct Reader<R> {
    lines: Lines<R>,
    number: u64,
    is_over: bool,
    /// A line that was read and belongs to the next change.
    pending: Option<Line>,
    /// Changes that follow from lines that were read.
    queued: VecDeque<Change>,
    /// Whether users could do everything when it was written.
    is_without_access: bool,
    /// Whether there is the role for that already.
    has_upgraded_role: bool,
    summary: TransferSummary,
}

impl<R: AsyncBufRead + Unpin + Send> Reader<R> {
    fn new(input: R) -> Self {
        Self {
            lines: input.lines(),
            number: 0,
            is_over: false,
            pending: None,
            queued: VecDeque::new(),
            is_without_access: false,
            has_upgraded_role: false,
            summary: TransferSummary::default(),
        }
    }

    fn changes(&mut self) -> BoxStream<'_, Result<Change, CatalogError>> {
        stream::try_unfold(self, |reader| async move {
            let change = reader.next_change().await?;
            Ok(change.map(|change| (change, reader)))
        })
        .boxed()
    }

    fn invalid(&self, reason: impl Into<String>) -> CatalogError {
        CatalogError::InvalidExport {
            line: self.number,
            reason: reason.into(),
        }
    }

    /// The next line that is neither the first nor the last.
    async fn next_line(&mut self) -> Result<Option<Line>, CatalogError> {
        if self.is_over {
            return Ok(None);
        }
        if let Some(line) = self.pending.take() {
            return Ok(Some(line));
        }
        let text = self.lines.next_line().await;
        self.number += 1;
        let Some(text) = text.map_err(CatalogError::Transfer)? else {
            return Err(self.invalid("it ends before its end: it is not whole"));
        };
        if text.len() > LINE_BYTES_MAX {
            return Err(self.invalid("it is too long"));
        }
        let line: Line =
            serde_json::from_str(&text).map_err(|error| self.invalid(error.to_string()))?;
        match &line {
            Line::Catalog(header) if self.number == 1 => match header.is_known() {
                true => {
                    self.is_without_access = header.is_without_access();
                    Box::pin(self.next_line()).await
                }
                false => Err(self.invalid("it is in a form that this version does not know")),
            },
            _ if self.number == 1 => Err(self.invalid("it is not an exported catalog")),
            Line::Catalog(_) => Err(self.invalid("a second beginning")),
            Line::End(End { lines }) if *lines + 1 == self.number => {
                self.is_over = true;
                Ok(None)
            }
            Line::End(_) => Err(self.invalid("lines are missing")),
            _ => {
                self.summary.count(&line);
                Ok(Some(line))
            }
        }
    }

    async fn next_change(&mut self) -> Result<Option<Change>, CatalogError> {
        if let Some(change) = self.queued.pop_front() {
            return Ok(Some(change));
        }
        let Some(line) = self.next_line().await? else {
            return Ok(None);
        };
        Ok(Some(match line {
            Line::Database(database) => {
                let database = database.decode()?;
                // It is there from the beginning.
                match database.name == DEFAULT_DATABASE {
                    true => Change::AlterDatabase(database),
                    false => Change::CreateDatabase(database),
                }
            }
            Line::User(user) => self.user(user.decode()?),
            Line::Role(role) => role.decode()?,
            Line::Member(membership) => membership.decode()?,
            Line::Grant(grant) => grant.decode()?,
            Line::Abandoned(location) => Change::AbandonLocation(lines::location(&location)?),
            Line::View(view) => Change::CreateView(view.decode()?),
            Line::Table(table) => Change::CreateTable {
                definition: table.decode()?,
                files: self.next_files().await?,
            },
            line @ (Line::Partition(_) | Line::File(_)) => {
                self.pending = Some(line);
                Change::ExtendTable {
                    files: self.next_files().await?,
                }
            }
            Line::Catalog(_) | Line::End(_) => return Err(self.invalid("it is out of place")),
        }))
    }

    /// A user, who may do afterwards what they could.
    fn user(&mut self, user: User) -> Change {
        if self.is_without_access && !user.admin {
            if !std::mem::replace(&mut self.has_upgraded_role, true) {
                self.queued.extend(access_lines::upgraded_role());
            }
            self.queued
                .push_back(access_lines::upgraded_user(&user.name));
        }
        Change::CreateUser(user)
    }

    /// The partitions and files that come next, but not too many.
    async fn next_files(&mut self) -> Result<TableFiles, CatalogError> {
        let mut partitions: Vec<Partition> = Vec::new();
        let mut files = Vec::new();
        while partitions.len() + files.len() < ROWS_PER_CHANGE {
            match self.next_line().await? {
                Some(Line::Partition(partition)) => partitions.push(partition.decode()?),
                Some(Line::File(file)) => files.push(file.decode()?),
                line => {
                    self.pending = line;
                    break;
                }
            }
        }
        Ok(TableFiles {
            partitions: partitions.into(),
            files,
        })
    }
}

#[cfg(test)]
mod tests;
