//! What the agent says of itself goes to standard error, where systemd's journal takes it.

use tracing_subscriber::filter::LevelFilter;

/// Begins to write. Without times where the journal adds its own.
pub fn start() {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::INFO)
        .with_target(false)
        .with_ansi(false);
    if journal {
        builder.without_time().init();
    } else {
        builder.init();
    }
}
