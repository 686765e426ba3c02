//! How a value gets into a page: as text, whatever it is.

use crate::report::text::{is_invisible, visible};
use askama::filters::Escaper;
use std::fmt::{self, Write};

/// Escapes what HTML reads as its own, and shows control characters and marks of direction. Ends of lines stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown;

impl Escaper for Shown {
    fn write_escaped_str<W: Write>(&self, mut out: W, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (place, character) in text.char_indices() {
            let entity = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\n' => continue,
                _ if character.is_control() || is_invisible(character) => "",
                _ => continue,
            };
            out.write_str(&text[plain..place])?;
            match entity {
                "" => out.write_str(&visible(character.encode_utf8(&mut [0; 4])))?,
                entity => out.write_str(entity)?,
            }
            plain = place + character.len_utf8();
        }
        out.write_str(&text[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_text() {
        let mut out = String::new();
        Shown.write_escaped_str(&mut out, "a<b>&\"'\u{1b}[2J\u{202e}é\n").unwrap();
        assert_eq!(out, "a&lt;b&gt;&amp;&quot;&#39;\\u{1b}[2J\\u{202e}é\n");
    }
}
