//! A line: one JSON object in ASCII.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io;

/// Writes a message as a line, with its end.
pub(super) fn write(message: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    message.serialize(&mut Serializer::with_formatter(&mut line, Ascii)).expect("the lines are plain JSON");
    line.push(b'\n');
    line
}

/// Escapes what is not ASCII: there are languages for which U+2028 ends a line.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        for character in fragment.chars() {
            if character.is_ascii() {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    // Stored JSON comes as a raw text, which is escaped like any other: outside of strings JSON is ASCII.
    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.write_string_fragment(writer, fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    #[test]
    fn a_line_is_ascii_and_says_the_same() {
        let raw = RawValue::from_string("{\"a\":\"\u{2028}é😀\"}".to_owned()).unwrap();
        let line = write(&json!({"é\n": "\u{2028}😀\"\\"}));
        let of_raw = write(&raw);
        for (line, said) in [(&line, json!({"é\n": "\u{2028}😀\"\\"})), (&of_raw, json!({"a": "\u{2028}é😀"}))] {
            assert!(line.is_ascii() && line.iter().filter(|byte| **byte == b'\n').count() == 1, "{line:?}");
            assert_eq!(serde_json::from_slice::<Value>(line).unwrap(), said);
        }
    }
}
