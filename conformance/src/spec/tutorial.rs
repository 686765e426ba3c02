//! A tutorial: files that a reader writes and commands that a reader types, each with what it prints.
//!
//! A block `python file=server.py` is a file, whatever its language; `python append=server.py` goes to its end. In a block
//! `console` a line that begins with `$ ` is a command, and below it stands what it prints, in which `…` stands for
//! anything: in a line for a part of it, and as a line of its own for any lines.

use super::chapter::check_prose;
use super::flaw::Flaw;
use super::markdown::{BlockKind, blocks};

/// What is done in a tutorial, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tutorial {
    /// The stem of its file.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// What the reader does.
    pub steps: Vec<TutorialStep>,
}

/// One thing that the reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TutorialStep {
    /// Writes a file.
    Write {
        /// Its path, below the reader's folder.
        path: String,
        /// What stands in it, or at its end.
        text: String,
        /// The text goes to the end of what is there.
        appends: bool,
    },
    /// Types a command.
    Run(Command),
}

/// A command, and what it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command, for a shell.
    pub line: String,
    /// The lines that it prints.
    pub prints: Vec<String>,
    /// Its place in the text, from 1.
    pub at: u32,
}

/// Reads a tutorial.
pub(super) fn read(name: &str, file: &str, text: &str, flaws: &mut Vec<Flaw>) -> Tutorial {
    let mut tutorial = Tutorial { name: name.to_owned(), file: file.to_owned(), steps: Vec::new() };
    for block in blocks(text) {
        let BlockKind::Code { info } = &block.kind else {
            check_prose(file, &block, flaws);
            continue;
        };
        let mut words = info.split_whitespace();
        match (words.next(), words.next().and_then(|word| word.split_once('=')), words.next()) {
            (Some("console"), None, None) => match commands(&block.text, block.line + 1) {
                Ok(commands) => tutorial.steps.extend(commands.into_iter().map(TutorialStep::Run)),
                Err((line, problem)) => flaws.push(Flaw::new(file, line, problem)),
            },
            (Some(_), Some((key @ ("file" | "append"), path)), None) if is_below(path) => {
                let (path, text) = (path.to_owned(), block.text.clone());
                tutorial.steps.push(TutorialStep::Write { path, text, appends: key == "append" });
            }
            _ => {
                let problem = format!(
                    "a block {info:?} is not executed: use `console`, or `<language> file=<path>` or `append=<path>`"
                );
                flaws.push(Flaw::new(file, block.line, problem));
            }
        }
    }
    tutorial
}

fn is_below(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| !part.is_empty() && part != "..")
}

fn commands(text: &str, first_line: u32) -> Result<Vec<Command>, (u32, String)> {
    let mut commands: Vec<Command> = Vec::new();
    for (line, at) in text.lines().zip(first_line..) {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(Command { line: command.to_owned(), prints: Vec::new(), at }),
            (None, Some(last)) => last.prints.push(line.to_owned()),
            (None, None) => return Err((at, "a block `console` begins with a command: `$ fieldsync …`".to_owned())),
        }
    }
    Ok(commands)
}

impl Command {
    /// The first expected line that is not printed where it should be; nothing where all is as the text has it.
    pub fn differs(&self, printed: &str) -> Option<&str> {
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let printed = match printed.iter().rposition(|line| !line.is_empty()) {
            Some(last) => &printed[..=last],
            None => &[],
        };
        let mut furthest = 0;
        let fits = follow(&self.prints, printed, 0, &mut furthest);
        (!fits).then(|| self.prints.get(furthest).map_or("nothing more", String::as_str))
    }
}

/// Whether the printed lines are the expected ones; `furthest` is the last expected line that was looked for.
fn follow(expected: &[String], printed: &[&str], at: usize, furthest: &mut usize) -> bool {
    *furthest = at.max(*furthest);
    let Some((first, rest)) = expected.split_first() else { return printed.is_empty() };
    if first == "…" {
        return (0..=printed.len()).any(|skipped| follow(rest, &printed[skipped..], at + 1, furthest));
    }
    printed
        .split_first()
        .is_some_and(|(line, others)| is_like(first.trim_end(), line) && follow(rest, others, at + 1, furthest))
}

/// Whether a line is as expected, where `…` stands for any characters.
fn is_like(expected: &str, line: &str) -> bool {
    match expected.split_once('…') {
        None => expected == line,
        Some((head, rest)) => line.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| is_like(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(prints: &[&str]) -> Command {
        let prints = prints.iter().map(|line| (*line).to_owned()).collect();
        Command { line: String::new(), prints, at: 1 }
    }

    #[test]
    fn files_and_commands_come_in_their_order() {
        let text = "# T\n\n```python file=a/b.py\nx = 1\n```\n\n```python append=a/b.py\ny\n```\n\n```console\n$ one\nsaid\n\n$ two\n```\n";
        let mut flaws = Vec::new();
        let read = read("tutorial-x", "t.md", text, &mut flaws);
        assert_eq!(flaws, []);
        let [
            TutorialStep::Write { appends: false, .. },
            TutorialStep::Write { path, text, appends: true },
            TutorialStep::Run(one),
            TutorialStep::Run(two),
        ] = &read.steps[..]
        else {
            panic!("{read:#?}")
        };
        assert_eq!((path.as_str(), text.as_str()), ("a/b.py", "y\n"));
        assert_eq!((one.line.as_str(), one.at, two.line.as_str(), two.at), ("one", 12, "two", 15));
        assert_eq!(one.prints, ["said", ""]);
    }

    #[test]
    fn what_is_not_executed_is_a_flaw() {
        for (block, line) in [
            ("```python\nx\n```\n", 1),
            ("```python file=../x\nx\n```\n", 1),
            ("```console\nsaid\n```\n", 2),
            ("It MUST be.\n", 1),
        ] {
            let mut flaws = Vec::new();
            read("tutorial-x", "t.md", block, &mut flaws);
            assert_eq!(flaws.iter().map(|flaw| flaw.line).collect::<Vec<_>>(), [line], "{block}");
        }
    }

    #[test]
    fn an_ellipsis_stands_for_anything() {
        assert_eq!(command(&["a", "…", "port …: ok", "…"]).differs("a\nb\nc\nport 1: ok\nd\n\n"), None);
        assert_eq!(command(&["a", "…"]).differs("a\n"), None);
        assert_eq!(command(&[]).differs("\n"), None);
        assert_eq!(command(&["a", "…", "x"]).differs("a\nb\n"), Some("x"));
        assert_eq!(command(&["a"]).differs("a\nb\n"), Some("nothing more"));
        assert_eq!(command(&["a …c"]).differs("a bd\n"), Some("a …c"));
        assert_eq!(command(&["a"]).differs(""), Some("a"));
    }
}
