//! What the commands do that stand for no statement.

use super::{Flow, INCLUDES_MAX, Place, Shell};
use crate::chart::{self, Chart};
use crate::format::{Format, escaped};
use crate::script;
use crate::settings;
use skep_sql::literal;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command as Process;

impl Shell {
    /// Prints what was asked for: to where results go.
    pub(super) async fn print(&mut self, text: &str) -> Flow {
        match self.runner.screen.output.remark(text).await {
            Ok(()) => Flow::On,
            Err(error) => self.runner.output_failed(error).await.into(),
        }
    }

    pub(super) async fn set_format(&mut self, name: Option<&str>, place: Place<'_>) -> Flow {
        if let Some(name) = name
            && let Some(Err(message)) = self.runner.settings.set("format", name)
        {
            return self.fail(&message, place).await;
        }
        let format = self.runner.settings.get("format");
        self.tell(&format!("the format is {format}\n")).await;
        Flow::On
    }

    pub(super) async fn list_settings(&mut self) -> Flow {
        let mut list = String::new();
        for (name, values, description) in settings::NAMES {
            let value = self.runner.settings.get(name);
            list.push_str(&format!("{name} = {value}\n    {description}: {values}\n"));
        }
        let variables: Vec<_> = self.variables.all().collect();
        if !variables.is_empty() {
            list.push_str("\nvariables\n");
        }
        for (name, value) in variables {
            list.push_str(&format!("{name} = {}\n", escaped(value, false)));
        }
        self.print(&list).await
    }

    pub(super) async fn set(&mut self, name: &str, value: &str, place: Place<'_>) -> Flow {
        let outcome = match self.runner.settings.set(name, value) {
            Some(outcome) => outcome,
            None => self.variables.set(name, value),
        };
        if let Err(message) = outcome {
            return self.fail(&message, place).await;
        }
        let near = |known: &str| strsim::damerau_levenshtein(known, name) == 1;
        let near = settings::NAMES.iter().find(|(known, _, _)| near(known));
        if let Some((near, _, _)) = near.filter(|_| !settings::is_setting(name)) {
            let remark = format!("{name} is a variable now; there is a setting {near}\n");
            self.tell(&remark).await;
        }
        Flow::On
    }

    pub(super) async fn redirect(&mut self, path: Option<&Path>) -> Flow {
        if let Err(error) = self.runner.screen.output.redirect(path).await {
            return self.runner.output_failed(error).await.into();
        }
        let remark = match path {
            None => "results come here again\n".to_owned(),
            Some(path) => {
                let format = self.runner.screen.output.file_format();
                let format = format
                    .or(self.runner.settings.format)
                    .unwrap_or(Format::Csv);
                format!("results go to {} as {format}\n", path.display())
            }
        };
        self.tell(&remark).await;
        Flow::On
    }

    pub(super) async fn again(
        &mut self,
        file: Option<&Path>,
        vertical: bool,
        place: Place<'_>,
    ) -> Flow {
        let Some(statement) = self.last_statement.clone() else {
            return self.fail("there is no statement to run again", place).await;
        };
        if let Some(file) = file
            && let Err(error) = self.runner.screen.output.redirect_once(file).await
        {
            return self.runner.output_failed(error).await.into();
        }
        let format = vertical.then_some(Format::Vertical);
        self.run(&statement, place.file, format).await
    }

    pub(super) async fn watch(&mut self, every: Duration, place: Place<'_>) -> Flow {
        let Some(statement) = self.last_statement.clone() else {
            return self.fail("there is no statement to watch", place).await;
        };
        let remark = format!("every {} s, until Ctrl-C\n", every.as_secs_f64());
        self.tell(&remark).await;
        loop {
            match self.run(&statement, place.file, None).await {
                Flow::On => {}
                other => return other,
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.runner.interrupts.next() => {
                    self.tell("\n").await;
                    return Flow::On;
                }
            }
        }
    }

    pub(super) async fn chart(&mut self, chart: Chart, place: Place<'_>) -> Flow {
        let columns = self.runner.screen.terminal.columns();
        match chart::draw(chart, &self.runner.last.batches, columns) {
            Ok(drawn) => self.print(&drawn).await,
            Err(message) => self.fail(&message, place).await,
        }
    }

    pub(super) async fn profile(&mut self, id: Option<String>, place: Place<'_>) -> Flow {
        let Some(id) = id.or_else(|| self.runner.last.query_id.clone()) else {
            return self.fail("no query has run yet", place).await;
        };
        let sql = format!("SHOW PROFILE {}", literal(&id));
        let flow = self.own_statement(&sql, &["profile"], place).await;
        // The profile of a profile is of no use.
        self.runner.last.query_id = Some(id);
        flow
    }

    pub(super) async fn edit(&mut self, path: Option<&Path>, place: Place<'_>) -> Flow {
        if !self.is_interactive {
            return self.fail("\\e needs a terminal", place).await;
        }
        let edited = match path {
            Some(path) => self.edited(path).await,
            None => self.edited_copy().await,
        };
        match edited {
            Ok(text) => {
                self.to_edit = Some(text.trim_end().to_owned()).filter(|text| !text.is_empty());
                Flow::On
            }
            Err(message) => self.fail(&message, place).await,
        }
    }

    /// The last statement, after the user has changed it in a file of its own.
    async fn edited_copy(&mut self) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("cannot make a file to edit: {error}");
        let mut file = tempfile::Builder::new()
            .prefix("skep-")
            .suffix(".sql")
            .tempfile()
            .map_err(failed)?;
        let last = self.last_statement.as_ref();
        let last = last.map(|statement| format!("{};\n", statement.text));
        if let Some(text) = self.unfinished.take().or(last) {
            let written = file.write_all(text.as_bytes());
            written.and_then(|()| file.flush()).map_err(failed)?;
        }
        self.edited(file.path()).await
    }

    async fn edited(&mut self, path: &Path) -> Result<String, String> {
        let script = format!("{} \"$1\"", self.editor);
        self.runner.screen.keyboard.release();
        let status = Process::new("sh")
            .args(["-c", &script, "sh"])
            .arg(path)
            .status()
            .await;
        self.runner.screen.keyboard.hold();
        let status = status
            .map_err(|error| format!("cannot start the editor '{}': {error}", self.editor))?;
        if !status.success() {
            return Err(format!("the editor '{}' ended with {status}", self.editor));
        }
        let text = tokio::fs::read_to_string(path).await;
        text.map_err(|error| format!("cannot read {}: {error}", path.display()))
    }

    pub(super) async fn include(&mut self, path: &Path, place: Place<'_>) -> Flow {
        if self.includes >= INCLUDES_MAX {
            let message = format!("files include each other more than {INCLUDES_MAX} deep");
            return self.fail(&message, place).await;
        }
        self.includes += 1;
        let flow = script::run_file(self, path).await;
        self.includes -= 1;
        flow
    }
}
