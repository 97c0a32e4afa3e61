//! What the agent says of itself goes to standard error, where systemd's journal takes it.

use picket_common::terminal::Plain;
use std::io::{self, Write};
use tracing_subscriber::filter::LevelFilter;

/// Begins to write. Without times where the journal adds its own.
pub fn start() {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_writer(|| Errors)
        .with_max_level(LevelFilter::INFO)
        .with_target(false)
        .with_ansi(false);
    if journal {
        builder.without_time().init();
    } else {
        builder.init();
    }
}

/// Standard error. Names of files, and what others wrote, are in what is said: nothing of it steers a terminal.
struct Errors;

impl Write for Errors {
    fn write(&mut self, said: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(said);
        // In one piece: standard error is not buffered, and others write to the same terminal.
        let line = format!("{}\n", Plain(text.trim_end_matches('\n')));
        io::stderr().write_all(line.as_bytes())?;
        Ok(said.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
