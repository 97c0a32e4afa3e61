//! Indicators: digests, addresses, networks, domains, paths and names that lists say are bad, looked for in every event.
//!
//! `list` reads a file, by `columns` where it is a table; `value` says what is taken and what would match everything. What was
//! taken is kept as fingerprints (`exact`) and ranges (`networks`), with what lists say of it in `notes`; `listed` judges events.
//! A domain also stands for every name under it, a name for a file of that name in any folder.

mod columns;
mod exact;
mod list;
mod listed;
mod loading;
mod networks;
mod notes;
mod value;

pub use listed::Listed;

use super::about::About;
use super::exceptions::{Exception, Exceptions};
use super::rule_files::Problem;
use crate::config;
use crate::history::Observable;
use exact::{Class, Exact, NEVER, Secret, Table};
use networks::Networks;
use notes::Notes;
use picket_common::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More lists are not named of one value.
const MOST_LISTS: usize = 3;

/// Indicators, shared by all that hold them.
#[derive(Clone, Default)]
pub struct Indicators(Arc<All>);

#[derive(Default)]
struct All {
    secret: Secret,
    exact: Table,
    networks: Networks,
    notes: Notes,
    lists: Vec<List>,
    /// The classes of which there may be any.
    classes: u8,
    /// To each of the rules, in their order.
    exceptions: [Exceptions; listed::RULES.len()],
}

struct List {
    file: PathBuf,
}

/// What lists say of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// What is listed, as people write it.
    pub value: String,
    /// Each list that names it, as its file, with its words if there are any.
    pub lists: Vec<(PathBuf, String)>,
    /// The number of the rule.
    pub rule: usize,
    /// What the list names: the value itself, or a network or domain that holds it.
    pub listed: String,
}

impl Indicators {
    /// Reads the files of all lists. What is wrong is named; the rest counts.
    pub(super) fn load(settings: &config::Indicators, before: &Self) -> (Self, Vec<Problem>) {
        loading::load(settings, before)
    }

    /// How many indicators there are, those among them that have ended.
    pub fn len(&self) -> usize {
        self.0.exact.len() + self.0.networks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.exact.bytes() + self.0.networks.bytes() + self.0.notes.bytes()
    }

    /// What people may want to know of the rules.
    pub(super) fn about(&self) -> Vec<About> {
        match self.0.lists.first() {
            Some(list) => listed::about(&list.file),
            None => Vec::new(),
        }
    }

    /// Whether a rule about indicators has this id or title.
    pub(super) fn has_rule(name: &str) -> bool {
        listed::place(name).is_some()
    }

    /// Takes those of the exceptions that name a rule about indicators.
    pub(super) fn except(&mut self, exceptions: &[Exception]) {
        // Nobody else holds them yet.
        let Some(all) = Arc::get_mut(&mut self.0) else {
            return;
        };
        for exception in exceptions {
            let rule = listed::place(&exception.rule);
            if let Some(excepted) = rule.and_then(|at| all.exceptions.get_mut(at)) {
                excepted.push(exception.clone());
            }
        }
    }

    /// What lists that have not ended at a time say of something.
    pub fn find(&self, observable: &Observable<'_>, at: Timestamp) -> Option<Match> {
        let all = &*self.0;
        match observable {
            Observable::Digest(text) => {
                let (class, digest, length) = value::bytes(text)?;
                let found = all.find(class, digest.get(..length)?, at)?;
                let value = format!("{} {text}", class.word());
                Some(all.matched(listed::FILE, value, text, found))
            }
            Observable::Address(address) => {
                let now = seconds(at);
                let mut ranges = all.networks.find(*address).filter(|range| range.expires > now);
                let first = ranges.next()?;
                let network = first.network().filter(|network| !network.is_single());
                let address = address.to_string();
                let (value, named) = match network.map(|network| network.to_string()) {
                    Some(network) => (format!("{address} of {network}"), network),
                    None => (address.clone(), address),
                };
                let notes = std::iter::once(first).chain(ranges).map(|range| range.note);
                Some(all.matched(listed::ADDRESS, value, &named, notes))
            }
            Observable::Domain(name) => {
                if !all.has(Class::Domain) {
                    return None;
                }
                let mut rest = Some(name.as_ref());
                while let Some(domain) = rest {
                    if let Some(found) = all.find(Class::Domain, domain.as_bytes(), at) {
                        let value = match domain == name {
                            true => domain.to_owned(),
                            false => format!("{name} of {domain}"),
                        };
                        return Some(all.matched(listed::DOMAIN, value, domain, found));
                    }
                    rest = domain.split_once('.').map(|(_, wider)| wider);
                }
                None
            }
            Observable::Path(path) => {
                if let Some(found) = all.find(Class::Path, path.as_bytes(), at) {
                    return Some(all.matched(listed::NAME, (*path).to_owned(), path, found));
                }
                let (_, name) = path.rsplit_once('/')?;
                let found = all.find(Class::Name, name.as_bytes(), at)?;
                Some(all.matched(listed::NAME, name.to_owned(), name, found))
            }
        }
    }

    fn knows(&self, file: &Path) -> bool {
        let old = self.0.lists.iter().position(|list| list.file == file);
        let is_of_it = |note: u32| usize::try_from(self.0.notes.list(note)).ok() == old;
        let exact = self.0.exact.iter().any(|known| is_of_it(known.note));
        old.is_some() && (exact || self.0.networks.iter().any(|known| is_of_it(known.note)))
    }
}

impl All {
    fn has(&self, class: Class) -> bool {
        self.classes & class.bit() != 0
    }

    /// The notes of those that have not ended at a time.
    fn find(&self, class: Class, value: &[u8], at: Timestamp) -> Option<impl Iterator<Item = u32>> {
        if !self.has(class) {
            return None;
        }
        let found = self.exact.find(self.secret.fingerprint(class, value));
        let now = seconds(at);
        let mut live = found
            .iter()
            .filter(move |exact| exact.expires > now)
            .map(note)
            .peekable();
        live.peek()?;
        Some(live)
    }

    fn matched(&self, rule: usize, value: String, named: &str, notes: impl Iterator<Item = u32>) -> Match {
        let list = |note: u32| {
            let list = usize::try_from(self.notes.list(note)).ok()?;
            let file = self.lists.get(list)?.file.clone();
            Some((file, self.notes.words(note).to_owned()))
        };
        Match {
            value,
            lists: notes.filter_map(list).take(MOST_LISTS).collect(),
            rule,
            listed: named.to_owned(),
        }
    }
}

fn note(exact: &Exact) -> u32 {
    exact.note
}

/// What ends never has not ended at any time.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_secs().max(0))
        .unwrap_or(NEVER)
        .min(NEVER - 1)
}

#[cfg(test)]
mod tests;
