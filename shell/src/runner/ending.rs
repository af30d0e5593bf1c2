//! How a statement ends: with a remark for people, with an error, or by Ctrl-C.

use super::{FAREWELL_TIMEOUT, Outcome, Request, Runner, Trouble};
use crate::format::Format;
use crate::options::EXIT_ERROR;
use crate::output::OutputError;
use crate::progress;
use skep_client::StatementResult;
use std::time::Duration;

/// The shortest time that a statement takes which was started again.
const RESTART_MIN: Duration = Duration::from_millis(100);

impl Runner {
    /// The line below a result, for people at a terminal.
    pub(super) async fn remark_on(
        &mut self,
        result: &StatementResult,
        rows: u64,
        elapsed: Duration,
    ) -> Result<(), Trouble> {
        let format = self.settings.format.unwrap_or(Format::Table);
        if !self.screen.out_is_terminal || self.screen.quiet {
            return Ok(());
        }
        let what = match (result.returns_rows(), result.affected_rows) {
            (true, _) if format.is_for_people() || self.screen.output.is_file() => {
                count_of_rows(rows)
            }
            (true, _) => return Ok(()),
            (false, Some(rows)) => {
                let rows = u64::try_from(rows).unwrap_or(0);
                format!("{} affected", count_of_rows(rows))
            }
            (false, None) => "ok".to_owned(),
        };
        let timing = match self.settings.timing {
            true if elapsed < Duration::from_secs(10) => {
                format!(", {:.3} s", elapsed.as_secs_f64())
            }
            true => format!(", {}", progress::time(elapsed)),
            false => String::new(),
        };
        let remark = format!("({what}{timing})\n\n");
        let written = self.screen.output.remark(&remark).await;
        written.map_err(Trouble::Output)
    }

    /// A line for each time that the statement was started again. No pause before another attempt is shorter
    /// than [`RESTART_MIN`], so that nothing is asked about statements that were faster.
    pub(super) async fn remark_on_attempts(&mut self, result: &StatementResult, elapsed: Duration) {
        if self.screen.quiet || elapsed < RESTART_MIN {
            return;
        }
        let (Some(query), Some(aside)) = (&result.query_id, &mut self.aside) else {
            return;
        };
        // Servers other than Skep do not know the call, and the statement has succeeded in any case.
        let asked = tokio::time::timeout(FAREWELL_TIMEOUT, aside.remarks(query)).await;
        for remark in asked.ok().and_then(Result::ok).unwrap_or_default() {
            self.say(&format!("{remark}\n")).await;
        }
    }

    pub(super) async fn ended_by(
        &mut self,
        trouble: Trouble,
        result: Option<StatementResult>,
        request: Request<'_>,
    ) -> Outcome {
        match trouble {
            Trouble::Interrupted => self.cancel(result).await,
            Trouble::Client(error) => {
                self.report(&error, Some(request.origin)).await;
                if error.ends_session() {
                    self.session = None;
                    self.aside = None;
                }
                Outcome::Failed(error.exit_code())
            }
            Trouble::Format(error) => {
                self.complain(&error.to_string()).await;
                Outcome::Failed(EXIT_ERROR)
            }
            Trouble::Refused(message) => {
                self.complain(&message).await;
                Outcome::Failed(EXIT_ERROR)
            }
            Trouble::Output(error) => self.output_failed(error).await,
        }
    }

    /// Says that results cannot be written where they should.
    pub(crate) async fn output_failed(&mut self, error: OutputError) -> Outcome {
        match error {
            OutputError::Closed => Outcome::OutputClosed,
            OutputError::PagerClosed => Outcome::Done,
            OutputError::Failed(target, error) => {
                let was_file = self.screen.output.is_file();
                self.screen.output.give_up_file();
                let back = match was_file && self.screen.out_is_terminal {
                    true => "; results go to the terminal again",
                    false => "",
                };
                self.complain(&format!("cannot write {target}: {error}{back}"))
                    .await;
                Outcome::Failed(EXIT_ERROR)
            }
        }
    }

    /// Cancels what runs. A statement that has returned no result yet was cancelled by dropping its
    /// call; a result is cancelled by name, so that the server has confirmed it before the prompt is
    /// back, and by being dropped.
    async fn cancel(&mut self, result: Option<StatementResult>) -> Outcome {
        self.interrupts.has_cancelled();
        let query_id = result.as_ref().and_then(|result| result.query_id.clone());
        let (Some(query_id), Some(session)) = (query_id, &mut self.session) else {
            drop(result);
            self.say_cancelled("cancelled\n").await;
            return Outcome::Cancelled;
        };
        let confirmed = tokio::select! {
            confirmed = tokio::time::timeout(FAREWELL_TIMEOUT, session.cancel(&query_id)) => {
                confirmed
            }
            () = self.interrupts.next() => return Outcome::Abandoned,
        };
        drop(result);
        let remark = match confirmed {
            Ok(Ok(true)) => format!("query {query_id} cancelled\n"),
            Ok(Ok(false)) => format!("query {query_id} had ended already\n"),
            Ok(Err(error)) => format!("query {query_id} cancelled without confirmation: {error}\n"),
            Err(_) => format!("query {query_id} cancelled; the server has not confirmed it\n"),
        };
        self.say_cancelled(&remark).await;
        Outcome::Cancelled
    }

    /// A terminal has shown the keys as `^C`, which the remark should not follow on the same line.
    async fn say_cancelled(&mut self, remark: &str) {
        let is_echoed = self.screen.out_is_terminal && !self.screen.keyboard.is_held();
        let line_end = if is_echoed { "\n" } else { "" };
        self.say(&format!("{line_end}{remark}")).await;
    }
}

fn count_of_rows(rows: u64) -> String {
    if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    }
}
