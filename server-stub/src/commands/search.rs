//! `picket-collector search`.

use super::show::Printer;
use super::{Data, Failure};
use crate::store::{Filter, Query};
use clap::Args;
use picket_common::terminal::Plain;
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
        let words = self.words.clone();
        let filter = if self.text {
            Filter::Text(words)
        } else {
            Filter::Words(words)
        };
        let folder = self.data.records()?;
        let printer = Printer::new(&self.data.data, self.json)?;
        let mut output = BufWriter::new(io::stdout().lock());
        let (mut failed, mut any) = (Ok(()), false);
        let read = Query::new(&folder, filter).more(|row| {
            any = true;
            if failed.is_ok() {
                failed = printer.print(&mut output, &row);
            }
        });
        failed?;
        output.flush()?;
        read?;
        if !any {
            let elsewhere = if self.text {
                ""
            } else {
                "; --text looks in events as well"
            };
            writeln!(
                io::stderr(),
                "picket-collector: nothing holds {}{elsewhere}",
                Plain(&self.words)
            )?;
        }
        Ok(())
    }
}
