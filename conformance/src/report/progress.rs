//! What is seen while a run goes on: a bar on a terminal, plain lines elsewhere. It goes to the error output, so that
//! the report stays what it is.

use super::text::visible;
use fieldsync_schemas::event::{ScenarioEnded, Verdict};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;

/// The progress of one run.
pub struct Progress {
    total: u64,
    ended: u64,
    failed: u64,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write + Send>, told: u64 },
}

impl Progress {
    /// A bar on the error output, which is a terminal.
    pub fn bar(total: u64) -> Self {
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        Self { total, ended: 0, failed: 0, shown: Shown::Bar(bar) }
    }

    /// A line for every tenth of the run and for every failure.
    pub fn lines(total: u64, out: impl Write + Send + 'static) -> Self {
        Self { total, ended: 0, failed: 0, shown: Shown::Lines { out: Box::new(out), told: 0 } }
    }

    /// A bar if the error output is a terminal, else lines.
    pub fn on_stderr(total: u64) -> Self {
        use std::io::IsTerminal;
        if std::io::stderr().is_terminal() { Self::bar(total) } else { Self::lines(total, std::io::stderr()) }
    }

    /// The run was planned: this many scenarios are to come.
    pub fn planned(&mut self, total: u64) {
        self.total = total;
        if let Shown::Bar(bar) = &self.shown {
            bar.set_length(total);
        }
    }

    /// A scenario has ended.
    pub fn ended(&mut self, scenario: &ScenarioEnded) {
        self.ended += 1;
        let line = broken(scenario);
        if line.is_some() {
            self.failed += 1;
        }
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(self.ended);
                if self.failed > 0 {
                    bar.set_message(format!("{} failed", self.failed));
                }
                if let Some(line) = line {
                    bar.println(line);
                }
            }
            Shown::Lines { out, told } => {
                // A run goes on where nobody reads its progress.
                if let Some(line) = line {
                    let _ = writeln!(out, "{line}");
                }
                let tenth = (self.ended * 10).checked_div(self.total).unwrap_or(10);
                if tenth > *told {
                    *told = tenth;
                    let _ = writeln!(out, "{} %: {} of {}, {} failed", tenth * 10, self.ended, self.total, self.failed);
                }
            }
        }
    }

    /// The run has ended.
    pub fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

/// The line of a scenario that failed.
fn broken(scenario: &ScenarioEnded) -> Option<String> {
    let why = match scenario.verdict {
        Verdict::Fail => scenario.failures.first().map_or("no reason was given", |failure| failure.rule.as_str()),
        Verdict::Error => scenario.reason.as_deref().unwrap_or("no reason was given"),
        _ => return None,
    };
    Some(visible(&format!("{} {}: {why}", scenario.verdict.as_str(), scenario.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs;
    use fieldsync_schemas::event::Event;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn told(total: u64, scenarios: Vec<Event>) -> String {
        let kept = Kept::default();
        let mut progress = Progress::lines(total, kept.clone());
        for event in scenarios {
            if let Event::Scenario(ended) = event {
                progress.ended(&ended);
            }
        }
        progress.finish();
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_tenth_is_a_line_and_so_is_a_failure() {
        let mut scenarios: Vec<Event> = (0..20).map(|n| test_runs::passed(&format!("push/n{n}"))).collect();
        scenarios[4] = test_runs::failed("push/bad\u{1b}");
        let told = told(20, scenarios);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 11, "{told}");
        assert_eq!(
            lines[..3],
            ["10 %: 2 of 20, 0 failed", "20 %: 4 of 20, 0 failed", "fail push/bad\\u{1b}: push.retry.same-outcome"]
        );
        assert_eq!(lines[10], "100 %: 20 of 20, 1 failed");
    }
}
