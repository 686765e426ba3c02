//! `--hold`: the subject that the suite started waits, before the first scenario and after the last, for a debugger.

use crate::command_error::CommandError;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

/// Whoever looks at a subject with a debugger needs more time than any scenario.
pub const NO_TIMEOUT: Duration = Duration::from_secs(60 * 60 * 24 * 7);

/// A subject that is held.
pub struct Hold {
    input: Lines<BufReader<Stdin>>,
}

impl Hold {
    /// Tells where the subject is, and waits for Enter. Ctrl-C leaves.
    pub async fn before(
        pid: Option<u32>,
        address: Option<&str>,
        folder: &Path,
        scenarios: usize,
    ) -> Result<Self, CommandError> {
        let process = pid.map_or_else(|| "a process that has ended".to_owned(), |pid| format!("process {pid}"));
        let address = address.map_or_else(String::new, |address| format!(", at {address}"));
        eprintln!("held: {process}{address}, with its data in {}", folder.display());
        eprintln!("held: Enter runs what was selected ({scenarios}), one at a time; Ctrl-C leaves");
        let mut hold = Self { input: BufReader::new(tokio::io::stdin()).lines() };
        if hold.goes_on().await {
            return Ok(hold);
        }
        Err(CommandError::nothing_ran("left before anything ran"))
    }

    /// Waits once more, for Enter or Ctrl-C.
    pub async fn after(mut self) {
        eprintln!("held: the last scenario has ended, and the subject is as it left it; Enter or Ctrl-C ends it");
        self.goes_on().await;
    }

    /// Whether it was Enter, or the end of the input, rather than Ctrl-C.
    async fn goes_on(&mut self) -> bool {
        tokio::select! {
            _ = self.input.next_line() => true,
            _ = tokio::signal::ctrl_c() => false,
        }
    }
}
