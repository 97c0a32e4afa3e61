//! `picket-collector search`.

use super::show::Printer;
use super::{Data, Failure};
use crate::store::{Filter, Query};
use clap::Args;
use std::io::{self, BufWriter, Write as _};

/// Looks for words in all that was received.
#[derive(Args)]
pub struct Search {
    #[command(flatten)]
    data: Data,
    /// Words to look for in findings, actions and losses: all of them, or as SQLite's full-text language has it, `brute NOT root`.
    words: String,
    /// Look for the exact text, in events as well.
    #[arg(long)]
    text: bool,
    /// A line of JSON for each.
    #[arg(long)]
    json: bool,
}

impl Search {
    pub(super) fn run(self) -> Result<(), Failure> {
        let filter = if self.text {
            Filter::Text(self.words)
        } else {
            Filter::Words(self.words)
        };
        let folder = self.data.records()?;
        let printer = Printer::new(&self.data.data, self.json)?;
        let mut output = BufWriter::new(io::stdout().lock());
        let mut failed = Ok(());
        let read = Query::new(&folder, filter).more(|row| {
            if failed.is_ok() {
                failed = printer.print(&mut output, &row);
            }
        });
        failed?;
        output.flush()?;
        Ok(read?)
    }
}
