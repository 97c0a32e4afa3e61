//! One JSON value a line, safe to show in a terminal.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// Writes `value` and a newline. Every control character is escaped: JSON itself asks that only of those below U+0020,
/// but terminals obey U+009B as they do ESC, and the marks of direction turn text round.
pub fn write(output: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    value
        .serialize(&mut Serializer::with_formatter(&mut *output, Plain))
        .map_err(io::Error::from)?;
    output.write_all(b"\n")
}

struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.is_ascii() && !fragment.contains('\u{7f}') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(steers) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut characters = after.chars();
            if let Some(character) = characters.next() {
                // All of them lie below U+10000, where JSON needs one escape.
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

pub(crate) fn steers(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_escaped_and_read_back() {
        let text = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}é\u{1f600}\n\"";
        let mut written = Vec::new();
        super::write(&mut written, &text).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(!written.trim_end().contains(char::is_control), "{written:?}");
        assert!(!written.contains('\u{202e}'));
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
