//! Text with colour kept apart: a report is lines of spans, each with a tone, printed with or without.
//!
//! Everything that is put into a line is made visible first: a subject that answers with escape sequences cannot write
//! on the reader's terminal.

use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// What a span is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// To be seen first.
    Strong,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// To be looked at.
    Careful,
    /// Beside the point.
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        let coloured = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Good => coloured(AnsiColor::Green),
            Tone::Bad => coloured(AnsiColor::Red),
            Tone::Careful => coloured(AnsiColor::Yellow),
            Tone::Faint => Style::new().dimmed(),
        }
    }
}

/// Lines of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    lines: Vec<Vec<(Tone, String)>>,
}

impl Text {
    /// Adds a line in one tone.
    pub fn line(&mut self, tone: Tone, text: impl AsRef<str>) {
        self.spans([(tone, text.as_ref())]);
    }

    /// Adds a line of several spans.
    pub fn spans<'a>(&mut self, spans: impl IntoIterator<Item = (Tone, &'a str)>) {
        self.lines.push(spans.into_iter().map(|(tone, text)| (tone, visible(text))).collect());
    }

    /// Adds an empty line.
    pub fn blank(&mut self) {
        self.lines.push(Vec::new());
    }

    /// Adds lines of at most `width` columns: `label` before the first, as much room before the others.
    pub fn wrapped(&mut self, tone: Tone, label: &str, text: &str, width: usize) {
        let room = " ".repeat(label.chars().count());
        let text = visible(text);
        // A URL, a date or a name is copied whole: only a space ends a line.
        let options = textwrap::Options::new(width.saturating_sub(room.len()).max(20))
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for (index, part) in textwrap::wrap(&text, options).iter().enumerate() {
            let before = if index == 0 { label } else { &room };
            self.spans([(Tone::Faint, before), (tone, part)]);
        }
    }

    /// Adds lines like [`Text::wrapped`], broken wherever the width ends: for JSON, which has few words.
    pub fn folded(&mut self, tone: Tone, label: &str, text: &str, width: usize) {
        let room = " ".repeat(label.chars().count());
        let characters: Vec<char> = visible(text).chars().collect();
        for (index, part) in characters.chunks(width.saturating_sub(room.len()).max(20)).enumerate() {
            let before = if index == 0 { label } else { &room };
            self.spans([(Tone::Faint, before), (tone, &part.iter().collect::<String>())]);
        }
    }

    /// Adds all lines of another text.
    pub fn append(&mut self, other: Text) {
        self.lines.extend(other.lines);
    }

    /// The text without colour.
    pub fn plain(&self) -> String {
        self.print(|out, _, text| out.push_str(text))
    }

    /// The text with colour, for a terminal.
    pub fn coloured(&self) -> String {
        self.print(|out, tone, text| {
            let style = tone.style();
            // Writing to a string cannot fail.
            let _ = write!(out, "{style}{text}{style:#}");
        })
    }

    fn print(&self, span: impl Fn(&mut String, Tone, &str)) -> String {
        let mut out = String::new();
        for line in &self.lines {
            let last = line.iter().rposition(|(_, text)| !text.trim_end().is_empty()).map_or(0, |last| last + 1);
            for (index, (tone, text)) in line[..last].iter().enumerate() {
                span(&mut out, *tone, if index + 1 == last { text.trim_end() } else { text });
            }
            out.push('\n');
        }
        out
    }
}

/// The text with control characters and those that turn the direction of writing shown as escapes.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character.is_control() || is_invisible(character) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}

/// Whether a character is not seen, but moves what is: marks of direction, joiners, separators of lines.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_and_never_sent() {
        let mut text = Text::default();
        text.wrapped(Tone::Bad, "got: ", "a\u{1b}[2Jb\nc\u{202e}d\u{7f}", 80);
        assert_eq!(text.plain(), "got: a\\u{1b}[2Jb\\nc\\u{202e}d\\u{7f}\n");
        assert!(text.coloured().contains("\u{1b}[31m"), "colour is there where it is asked for");
    }

    #[test]
    fn wrapped_lines_keep_their_room() {
        let mut text = Text::default();
        text.wrapped(Tone::Plain, "  at ", "one two three four five six seven eight", 30);
        assert_eq!(text.plain(), "  at one two three four five\n     six seven eight\n");
    }

    #[test]
    fn folded_lines_break_anywhere() {
        let mut text = Text::default();
        text.folded(Tone::Plain, "a ", &"x".repeat(25), 22);
        assert_eq!(text.plain(), format!("a {}\n  {}\n", "x".repeat(20), "x".repeat(5)));
    }
}
