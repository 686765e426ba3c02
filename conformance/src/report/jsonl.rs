//! The event stream as JSON lines: a header, an event a line, a footer.

use super::text::is_invisible;
use super::{IncompleteStream, Run, bounds};
use fieldsync_schemas::event::Event;
use std::io::{BufRead, Write};

/// The version of the format that this suite writes. It reads those before, too.
pub const FORMAT: u32 = 2;

/// Writes one event as a line. Characters that move a terminal's cursor or turn the direction of writing stand as
/// escapes, which mean the same to whoever reads JSON.
pub fn write(out: &mut impl Write, event: &Event) -> std::io::Result<()> {
    let mut line = String::new();
    for character in serde_json::to_string(event)?.chars() {
        if character.is_control() || is_invisible(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                line += &format!("\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    // One write a line, so that a killed run leaves whole lines.
    out.write_all(line.as_bytes())
}

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadReportError {
    /// The input failed.
    #[error("line {line} of the report: {source}")]
    Input {
        /// The line, from 1.
        line: usize,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line is no event.
    #[error("{}", match .line {
        1 => format!("it is no run of fieldsync: its first line is no event ({source}); `fieldsync check --jsonl FILE` writes runs"),
        line => format!("line {line} of the report is no event: {source}"),
    })]
    NoEvent {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The format is another one.
    #[error("the report has format {got}, and this program reads up to format {FORMAT}: use the program that wrote it")]
    Format {
        /// The format of the report.
        got: u32,
    },
    /// It is not whole.
    #[error(transparent)]
    Incomplete(#[from] IncompleteStream),
}

/// Reads a whole report.
pub fn read(input: impl BufRead) -> Result<Vec<Event>, ReadReportError> {
    let mut events: Vec<Event> = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|source| ReadReportError::Input { line: number, source })?;
        let mut event = match serde_json::from_str(&line) {
            Ok(event) => event,
            // Half a last line is what a killed run leaves.
            Err(error) if error.is_eof() && !events.is_empty() => return Err(IncompleteStream::NoFooter.into()),
            Err(source) => return Err(ReadReportError::NoEvent { line: number, source }),
        };
        if let Event::Header(header) = &event
            && !(1..=FORMAT).contains(&header.format)
        {
            return Err(ReadReportError::Format { got: header.format });
        }
        bounds::bound(&mut event);
        events.push(event);
    }
    Run::of(&events)?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs;

    fn written(events: &[Event]) -> Vec<u8> {
        let mut out = Vec::new();
        events.iter().for_each(|event| write(&mut out, event).unwrap());
        out
    }

    #[test]
    fn a_report_reads_as_it_was_written() {
        let mut events = test_runs::failing();
        events.iter_mut().for_each(bounds::bound);
        assert!(read(&written(&events)[..]).unwrap() == events);
    }

    #[test]
    fn a_line_has_no_character_that_a_terminal_obeys() {
        let mut events = test_runs::hostile(10);
        events.iter_mut().for_each(bounds::bound);
        let text = String::from_utf8(written(&events)).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || is_invisible(c))));
        assert!(read(text.as_bytes()).unwrap() == events, "it reads as it was");
    }

    #[test]
    fn a_report_that_is_not_whole_is_refused() {
        let events = test_runs::failing();
        let problem = |text: &[u8]| read(text).unwrap_err().to_string();
        assert!(problem(&written(&events[..events.len() - 1])).contains("truncated"));
        let all = written(&events);
        assert!(problem(&all[..all.len() - 5]).contains("truncated"));
        assert!(problem(&written(&events[1..])).contains("does not begin with a header"));
        assert!(problem(b"").contains("does not begin with a header"));
        assert!(problem(&[&all[..], &all[..]].concat()).contains("two reports"));
        assert!(problem(b"{\"event\":\"what\"}\n").contains("it is no run of fieldsync"));
        assert!(problem(&[&all[..], b"x\n"].concat()).contains("of the report is no event"));
        let other = String::from_utf8(all).unwrap().replacen("\"format\":2", "\"format\":7", 1);
        assert!(problem(other.as_bytes()).contains("format 7"));
    }
}
