//! Text from elsewhere, shown on a terminal.

use crate::ndjson::steers;
use std::fmt;

/// Shows a text with everything escaped that could steer a terminal or turn text round.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In as few pieces as can be: standard error is not buffered.
        let mut rest = self.0;
        while let Some(at) = rest.find(|sign: char| sign.is_control() || steers(sign)) {
            let (before, after) = rest.split_at(at);
            f.write_str(before)?;
            let mut signs = after.chars();
            if let Some(sign) = signs.next() {
                write!(f, "{}", sign.escape_default())?;
            }
            rest = signs.as_str();
        }
        f.write_str(rest)
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
