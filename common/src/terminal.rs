//! Text from elsewhere, shown on a terminal.

use crate::ndjson::steers;
use std::fmt::{self, Write as _};

/// Shows a text with everything escaped that could steer a terminal or turn text round.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sign in self.0.chars() {
            if sign.is_control() || steers(sign) {
                write!(f, "{}", sign.escape_default())?;
            } else {
                f.write_char(sign)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_steers_the_terminal() {
        let shown = super::Plain("a\u{1b}[2J\u{9b}\u{202e}\r\né").to_string();
        assert_eq!(shown, r"a\u{1b}[2J\u{9b}\u{202e}\r\né");
    }
}
