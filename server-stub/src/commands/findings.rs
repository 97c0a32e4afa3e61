//! `picket-collector findings`.

use super::show::Printer;
use super::{Data, Failure};
use crate::store::{DOORBELL, Filter, Query};
use clap::Args;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io::{self, Write as _};

/// Shows findings, what was done about them, and what was lost, in the order of their arrival.
#[derive(Args)]
pub struct Findings {
    #[command(flatten)]
    data: Data,
    /// Go on as more arrives.
    #[arg(long, short)]
    follow: bool,
    /// A line of JSON for each.
    #[arg(long)]
    json: bool,
}

impl Findings {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folder = self.data.records()?;
        // Watched before the first look, so that nothing falls in between.
        let watch = if self.follow {
            let watch = Inotify::init(InitFlags::IN_CLOEXEC).map_err(io::Error::from)?;
            watch
                .add_watch(&folder.join(DOORBELL), AddWatchFlags::IN_MODIFY)
                .map_err(io::Error::from)?;
            Some(watch)
        } else {
            None
        };
        let mut query = Query::new(&folder, Filter::Findings);
        loop {
            let mut rows = Vec::new();
            let read = query.more(|row| rows.push(row));
            if !rows.is_empty() {
                let printer = Printer::new(&self.data.data, self.json)?;
                let mut output = io::stdout().lock();
                for row in &rows {
                    printer.print(&mut output, row)?;
                }
                output.flush()?;
            }
            read?;
            match &watch {
                Some(watch) => drop(watch.read_events().map_err(io::Error::from)?),
                None => return Ok(()),
            }
        }
    }
}
