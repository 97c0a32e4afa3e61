//! From the files of lists to what is looked up.

use super::exact::{Exact, Secret, Table};
use super::list::{self, Line};
use super::networks::{Networks, Range};
use super::notes::Growing;
use super::value::Value;
use super::{All, Indicators, List};
use crate::config;
use crate::detect::rule_files::Problem;
use picket_common::action::Network;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// More indicators are not kept.
const MOST: usize = 4_000_000;
/// How long a line is that holds a SHA-256 and no more.
const LINE: u64 = 65;

#[derive(Default)]
struct Loading {
    secret: Secret,
    exact: Vec<Exact>,
    /// Those that there may be.
    classes: u8,
    ranges: Vec<Range>,
    notes: Growing,
    problems: Vec<Problem>,
}

/// Reads all files. What is wrong is named, and the rest counts. Of a file that cannot be read, or in which nothing is right, what
/// `before` had of it stays.
pub(super) fn load(settings: &config::Indicators, before: &Indicators) -> (Indicators, Vec<Problem>) {
    let mut loading = Loading {
        // So that what was known before is known by the same fingerprints.
        secret: before.0.secret.clone(),
        ..Loading::default()
    };
    let mut lists = Vec::new();
    for (number, file) in settings.files.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        loading.reserve(file);
        loading.file(number, file, &settings.allow, before);
        lists.push(List { file: file.clone() });
    }
    let left_out = loading.notes.left_out;
    if let (1.., Some(list)) = (left_out, lists.last()) {
        tracing::warn!(
            "{}: of {left_out} indicators the words are not kept, as all lists together have too many",
            list.file.display()
        );
    }
    let notes = loading.notes.done();
    let exact = Table::new(loading.exact, |note| notes.list(note));
    let networks = Networks::new(loading.ranges, |note| notes.list(note));
    let all = All {
        secret: loading.secret,
        classes: loading.classes,
        exact,
        networks,
        notes,
        lists,
        exceptions: Default::default(),
    };
    (Indicators(Arc::new(all)), loading.problems)
}

impl Loading {
    /// Makes room for what a file is likely to hold, so that it need not be moved while it grows.
    fn reserve(&mut self, file: &Path) {
        let bytes = file.metadata().map_or(0, |data| data.len());
        let lines = usize::try_from(bytes / LINE).unwrap_or(MOST);
        self.exact.reserve_exact(lines.min(MOST - self.count().min(MOST)));
    }

    fn file(&mut self, number: u32, file: &Path, allow: &[Network], before: &Indicators) {
        let had = (self.exact.len(), self.ranges.len());
        let (read, message) = match list::read(file, allow, |line| self.take(number, &line)) {
            Ok(read) if read.is_empty => (read, Some("is empty".to_owned())),
            // More likely something else than a list has taken its place than that all of it is wrong.
            Ok(read) if read.good == 0 && read.wrong > 0 => (read, Some("names no indicator".to_owned())),
            Ok(read) => (read, None),
            Err((error, read)) => (read, Some(format!("cannot be read: {error}"))),
        };
        for (line, message) in read.problems {
            self.problems.push(Problem::new(file, line, message));
        }
        if read.passed_over > 0 {
            let passed = read.passed_over;
            tracing::info!("{}: {passed} lines name what is not looked for", file.display());
        }
        if let Some(message) = message {
            // Half of a new list and all of the old one would be neither.
            let cut = (had.0, had.1, before.knows(file));
            let stays = self.take_over(number, file, before, cut);
            let stays = if stays {
                "; what it held before stays in force"
            } else {
                ""
            };
            self.problems
                .push(Problem::new(file, 1, format!("{message}{stays}")));
        }
    }

    fn count(&self) -> usize {
        self.exact.len() + self.ranges.len()
    }

    fn take(&mut self, list: u32, line: &Line<'_>) -> Result<(), Cow<'static, str>> {
        if self.count() >= MOST {
            return Err("is left out: there are more than 4000000 indicators".into());
        }
        let note = self.notes.note(list, line.words);
        let expires = line.expires;
        match &line.value {
            Value::Exact(class, value) => {
                self.classes |= class.bit();
                let value = self.secret.fingerprint(*class, value);
                self.exact.push(Exact { value, note, expires });
            }
            Value::Network(network) => self.ranges.push(Range::new(*network, note, expires)),
        }
        Ok(())
    }

    /// Puts what was known of a file before in the place of what was read of it now. Whether there was anything.
    fn take_over(
        &mut self,
        list: u32,
        file: &Path,
        before: &Indicators,
        (exact, ranges, knows): (usize, usize, bool),
    ) -> bool {
        let all = &before.0;
        let Some(old) = all
            .lists
            .iter()
            .position(|list| list.file == file)
            .filter(|_| knows)
        else {
            return false;
        };
        self.exact.truncate(exact);
        self.ranges.truncate(ranges);
        self.classes |= all.classes;
        let is_of_it = |note: u32| usize::try_from(all.notes.list(note)) == Ok(old);
        for known in all.exact.iter().filter(|known| is_of_it(known.note)) {
            let note = self.notes.note(list, all.notes.words(known.note));
            self.exact.push(Exact { note, ..*known });
        }
        for known in all.networks.iter().filter(|known| is_of_it(known.note)) {
            let note = self.notes.note(list, all.notes.words(known.note));
            self.ranges.push(known.with_note(note));
        }
        true
    }
}
