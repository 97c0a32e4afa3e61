//! Who was kept from starting what, summed by file: however many try, it stays small, and nobody goes uncounted.

use picket_common::action::DeniedFile;
use picket_common::process::ProcessId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// So many are named for each file; of more it is only counted how many they are.
const NAMED: usize = 32;

/// Those who were kept from starting one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    /// The first.
    pub named: Vec<ProcessId>,
    /// How many more there were.
    pub more: u64,
}

/// By the file, of which there are never more than are denied.
#[derive(Debug, Default)]
pub struct Refusals(HashMap<DeniedFile, Refused>);

impl Refused {
    /// One.
    pub(super) fn once(process: ProcessId) -> Self {
        Self {
            named: vec![process],
            more: 0,
        }
    }

    fn add(&mut self, others: Self) {
        self.more = self.more.saturating_add(others.more);
        for process in others.named {
            if self.named.len() < NAMED {
                self.named.push(process);
            } else {
                self.more = self.more.saturating_add(1);
            }
        }
    }
}

impl Refusals {
    pub(super) fn add(&mut self, file: DeniedFile, refused: Refused) {
        self.0.entry(file).or_default().add(refused);
    }

    /// Those of one file, which are forgotten with that.
    pub(super) fn take(&mut self, file: &DeniedFile) -> Option<Refused> {
        self.0.remove(file)
    }

    /// Those of any file, which are forgotten with that.
    pub(super) fn take_any(&mut self) -> Option<(DeniedFile, Refused)> {
        let file = self.0.keys().next()?.clone();
        self.0.remove_entry(&file)
    }
}
