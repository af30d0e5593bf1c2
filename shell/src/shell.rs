//! The shell itself, whether somebody types or a script runs: statements with their variables and
//! parameters, and what commands do.

mod commands;
mod connecting;
mod demo;
#[cfg(test)]
mod tests;

pub(crate) use connecting::{NotOpen, Servers, server_connector};

use crate::command::{self, Command};
use crate::format::Format;
use crate::options::{EXIT_ERROR, ShellOptions};
use crate::report::Origin;
use crate::runner::{Outcome, Request, Runner};
use crate::variables::Variables;
use skep_protocol::Position;
use skep_sql::ScriptStatement as Statement;

/// How deep files may include each other.
const INCLUDES_MAX: usize = 20;

/// The shell.
pub(crate) struct Shell {
    /// What runs statements.
    pub runner: Runner,
    /// The text that the next line begins with, after `\e`.
    pub to_edit: Option<String>,
    /// A statement that is not complete, for `\e`.
    pub unfinished: Option<String>,
    /// Whether somebody types.
    pub is_interactive: bool,
    /// Whether a script goes on after an error.
    pub continue_on_error: bool,
    variables: Variables,
    parameters: Vec<Option<String>>,
    last_statement: Option<Statement>,
    includes: usize,
    editor: String,
    servers: Servers,
}

/// Where the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next line.
    On,
    /// With the next line where somebody types, and otherwise nowhere: the exit code.
    Failed(i32),
    /// Ctrl-C: not with what was on the same line or in the same script.
    Cancelled,
    /// Nowhere: the exit code.
    Leave(i32),
}

impl From<Outcome> for Flow {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::On,
            Outcome::Failed(code) => Self::Failed(code),
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Abandoned => Self::Leave(crate::options::EXIT_CANCELLED),
            Outcome::OutputClosed => Self::Leave(crate::options::EXIT_OK),
        }
    }
}

/// Where a command stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The script; none for what was typed or given as an option.
    pub file: Option<&'a str>,
    /// The line, from 1.
    pub line: u64,
}

impl Shell {
    pub(crate) fn new(runner: Runner, options: &ShellOptions, servers: Servers) -> Self {
        Self {
            runner,
            to_edit: None,
            unfinished: None,
            is_interactive: false,
            continue_on_error: options.continue_on_error,
            variables: Variables::new(&options.variables),
            parameters: options.parameters.clone(),
            last_statement: None,
            includes: 0,
            editor: options.editor.clone(),
            servers,
        }
    }

    /// Runs a statement, and the command that ended it.
    pub(crate) async fn statement(&mut self, statement: &Statement, file: Option<&str>) -> Flow {
        if !statement.text.is_empty() {
            self.last_statement = Some(statement.clone());
        }
        let place = Place {
            file,
            line: statement.start.line,
        };
        match &statement.command {
            None => self.run(statement, file, None).await,
            // A chart is of the statement's result.
            Some(command) if command.starts_with("\\chart") => {
                match self.run(statement, file, None).await {
                    Flow::On => self.command(command, place).await,
                    other => other,
                }
            }
            Some(command) => self.command(command, place).await,
        }
    }

    /// Runs a statement.
    async fn run(
        &mut self,
        statement: &Statement,
        file: Option<&str>,
        format: Option<Format>,
    ) -> Flow {
        let dialect = self.runner.dialect();
        let sent = match self.variables.substitute(&statement.text, dialect) {
            Ok(sent) => sent,
            Err(message) => {
                let place = Place {
                    file,
                    line: statement.start.line,
                };
                return self.fail(&message, place).await;
            }
        };
        let parameters = match skep_sql::has_parameters(&sent.text, dialect) {
            true => self.parameters.clone(),
            false => Vec::new(),
        };
        let origin = Origin {
            file,
            statement,
            sent: Some(&sent),
        };
        let request = Request {
            origin,
            sql: &sent.text,
            parameters: &parameters,
            columns: &[],
            format,
        };
        self.runner.run(request).await.into()
    }

    /// Runs a statement of the shell's own, and shows these columns of its result.
    pub(crate) async fn own_statement(
        &mut self,
        sql: &str,
        columns: &[&str],
        place: Place<'_>,
    ) -> Flow {
        let statement = Statement {
            text: sql.to_owned(),
            start: Position {
                line: place.line,
                column: 1,
            },
            complete: true,
            command: None,
        };
        let request = Request {
            origin: Origin {
                file: place.file,
                statement: &statement,
                sent: None,
            },
            sql,
            parameters: &[],
            columns,
            format: None,
        };
        self.runner.run(request).await.into()
    }

    /// Carries out a line that begins with a backslash.
    pub(crate) async fn command(&mut self, line: &str, place: Place<'_>) -> Flow {
        match command::parse(line) {
            Ok(command) => Box::pin(self.act(command, place)).await,
            Err(message) => self.fail(&message, place).await,
        }
    }

    /// Says what went wrong, and where in a script.
    async fn fail(&mut self, message: &str, place: Place<'_>) -> Flow {
        let message = match place.file {
            Some(file) => format!("{message}\n  at {file}:{}", place.line),
            None => message.to_owned(),
        };
        self.runner.complain(&message).await;
        Flow::Failed(EXIT_ERROR)
    }

    /// Says something to people, and to nobody else.
    async fn tell(&mut self, text: &str) {
        if self.is_interactive {
            self.runner.say(text).await;
        }
    }

    /// What is asked before every line: who is where, as far as there is room.
    pub(crate) fn prompt(&self) -> String {
        let connector = self.runner.connector();
        let database = self.runner.database();
        let server = self.servers.short_name(connector.address());
        let columns = self.runner.screen.terminal.columns();
        let prompts = [
            format!("{}@{server}/{database}> ", connector.user()),
            format!("{database}> "),
        ];
        let fits = prompts
            .into_iter()
            .find(|prompt| crate::format::width(prompt) * 2 <= columns);
        fits.unwrap_or_else(|| "> ".to_owned())
    }
}

impl Shell {
    async fn act(&mut self, command: Command, place: Place<'_>) -> Flow {
        match command {
            Command::Quit => Flow::Leave(crate::options::EXIT_OK),
            Command::Help => {
                let columns = self.runner.screen.terminal.columns();
                self.print(&command::help(columns)).await
            }
            Command::Statement(asked) => {
                let help = command::statements::help(asked.as_deref());
                self.print(&help).await
            }
            Command::Sql(sql, columns) => {
                let room = self.runner.screen.terminal.columns();
                let columns = command::that_fit(columns, room);
                self.own_statement(&sql, columns, place).await
            }
            Command::Timing(on) => {
                let settings = &mut self.runner.settings;
                settings.timing = on.unwrap_or(!settings.timing);
                let timing = settings.get("timing");
                self.tell(&format!("timing is {timing}\n")).await;
                Flow::On
            }
            Command::Format(name) => self.set_format(name.as_deref(), place).await,
            Command::Set(None) => self.list_settings().await,
            Command::Set(Some((name, value))) => self.set(&name, &value, place).await,
            Command::Unset(name) => match self.variables.unset(&name) {
                true => Flow::On,
                false => {
                    let message = format!("variable '{name}' is not set");
                    self.fail(&message, place).await
                }
            },
            Command::Output(path) => self.redirect(path.as_deref()).await,
            Command::Again { file, vertical } => self.again(file.as_deref(), vertical, place).await,
            Command::Watch(every) => self.watch(every, place).await,
            Command::Chart(chart) => self.chart(chart, place).await,
            Command::Profile(id) => self.profile(id, place).await,
            Command::Connect(target) => self.connect_to(target.as_deref(), place).await,
            Command::Edit(path) => self.edit(path.as_deref(), place).await,
            Command::Include(path) => self.include(&path, place).await,
            Command::Demo => self.demo(place).await,
        }
    }
}
