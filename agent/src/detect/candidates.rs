//! Which rules an event may meet: those of its kind, and of those the ones that do not need what it does not have.

use super::fields::{self, Record, audit};
use super::literals::pieces;
use super::needed::{Needed, Question, names, needed, values};
use super::rules::Single;
use super::signature::{self, Verdict};
use super::topic::Topic;
use aho_corasick::AhoCorasick;
use picket_common::event::AuthEvent;
use rsigma_eval::CompiledMatcher;
use std::collections::{BTreeSet, HashMap};

/// Places of rules among those about single events.
#[derive(Default)]
pub(super) struct Candidates {
    /// For each signature of a login, the rules that it does not rule out.
    logins: Vec<Vec<usize>>,
    /// By the name of the program, and that of its parent.
    pub(super) programs: Index,
    /// Those for auditd's log that ask for the record `SYSCALL`, by the name of the program.
    pub(super) syscalls: Index,
    /// Those that ask for `EXECVE`, by the first argument.
    pub(super) execves: Index,
    pub(super) connections: Vec<usize>,
    pub(super) exits: Vec<usize>,
    pub(super) privileges: Vec<usize>,
    pub(super) signals: Vec<usize>,
    /// By the names of the file and of whoever wrote it.
    pub(super) files: Index,
    /// Those of them that are about a change of mode or owner as well.
    pub(super) attributes: Index,
}

/// Rules by what they need.
#[derive(Default)]
pub(super) struct Index {
    by_name: HashMap<String, Vec<usize>>,
    by_parent: HashMap<String, Vec<usize>>,
    by_piece: HashMap<String, Vec<usize>>,
    /// Those that need nothing in particular.
    others: Vec<usize>,
    /// Finds all pieces at once, each with its rules.
    finder: Option<(AhoCorasick, Vec<Vec<usize>>)>,
}

/// What a program, or a file, shows of itself to an index, all in lower case.
pub(super) struct Shown<'a> {
    /// The last part of its path; to rules for `EXECVE` its first argument.
    pub(super) name: &'a str,
    /// The last part of its parent's path, or of that of whoever wrote the file.
    pub(super) parent: &'a str,
    /// The paths and the command line; of a file what it is for as well.
    pub(super) text: &'a str,
}

/// What a rule may need of a program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Sign {
    /// Its name.
    Name(String),
    /// That of its parent.
    Parent(String),
    /// A piece of its path, its parent's, or its command line.
    Piece(String),
}

impl Candidates {
    pub(super) fn new(singles: &[Single]) -> Self {
        let mut all = Self {
            logins: vec![Vec::new(); signature::COUNT],
            ..Self::default()
        };
        for (at, single) in singles.iter().enumerate() {
            if single.meta.reports || !single.counted_by.is_empty() {
                all.add(at, single);
            }
        }
        for index in [
            &mut all.programs,
            &mut all.syscalls,
            &mut all.execves,
            &mut all.files,
            &mut all.attributes,
        ] {
            index.finish();
        }
        all
    }

    fn add(&mut self, at: usize, single: &Single) {
        let rule = &single.compiled;
        match &single.topic {
            Topic::Logins { verdicts, .. } => {
                for (rules, verdict) in self.logins.iter_mut().zip(verdicts) {
                    if *verdict != Verdict::No {
                        rules.push(at);
                    }
                }
            }
            Topic::Programs => self.programs.add(at, needed(rule, &About::Program)),
            Topic::Audit => {
                let of = |record| needed(rule, &About::Record(record));
                self.syscalls.add(at, of(Record::Syscall));
                self.execves.add(at, of(Record::Execve));
            }
            Topic::Connections => self.connections.push(at),
            Topic::Exits => self.exits.push(at),
            Topic::Privileges => self.privileges.push(at),
            Topic::Signals => self.signals.push(at),
            Topic::Files { attributes } => {
                let needed = needed(rule, &About::File);
                if *attributes {
                    self.attributes.add(at, needed.clone());
                }
                self.files.add(at, needed);
            }
            Topic::Others => {}
        }
    }

    pub(super) fn logins(&self, auth: &AuthEvent) -> &[usize] {
        self.logins.get(signature::of(auth)).map_or(&[], Vec::as_slice)
    }
}

impl Index {
    fn add(&mut self, at: usize, needed: Needed<Sign>) {
        let Some(needed) = needed else {
            self.others.push(at);
            return;
        };
        for sign in needed {
            let (by, value) = match sign {
                Sign::Name(value) => (&mut self.by_name, value),
                Sign::Parent(value) => (&mut self.by_parent, value),
                Sign::Piece(value) => (&mut self.by_piece, value),
            };
            by.entry(value).or_default().push(at);
        }
    }

    /// Makes what finds the pieces. Were there too many of them, all those rules would be asked always.
    fn finish(&mut self) {
        let (pieces, rules): (Vec<String>, Vec<Vec<usize>>) = self.by_piece.drain().unzip();
        match AhoCorasick::new(&pieces) {
            Ok(finder) => self.finder = (!pieces.is_empty()).then_some((finder, rules)),
            Err(_) => self.others.extend(rules.into_iter().flatten()),
        }
    }

    /// Adds the rules that a program may meet, once each.
    pub(super) fn find(&self, shown: &Shown<'_>, found: &mut Vec<usize>) {
        let mut add = |rules: &[usize]| {
            for at in rules {
                if !found.contains(at) {
                    found.push(*at);
                }
            }
        };
        let by = [(&self.by_name, shown.name), (&self.by_parent, shown.parent)];
        by.iter()
            .filter_map(|(by, name)| by.get(*name))
            .for_each(|rules| add(rules));
        if let Some((finder, rules)) = &self.finder {
            for piece in finder.find_overlapping_iter(shown.text) {
                add(rules.get(piece.pattern().as_usize()).map_or(&[], Vec::as_slice));
            }
        }
        found.extend(&self.others);
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self {
            by_name,
            by_parent,
            finder,
            others,
            ..
        } = self;
        by_name.is_empty() && by_parent.is_empty() && finder.is_none() && others.is_empty()
    }
}

/// What a rule is about.
enum About {
    Program,
    /// A record of auditd.
    Record(Record),
    /// A file. What it shows is its name, and that of whoever wrote it in the place of a parent's.
    File,
}

impl Question for About {
    type Thing = Sign;

    fn of_item(&self, field: Option<&str>, matcher: &CompiledMatcher) -> Needed<Sign> {
        let named = |values: Needed<String>, as_sign: fn(String) -> Sign| -> Needed<Sign> {
            Some(values?.into_iter().map(as_sign).collect())
        };
        let piece = || named(pieces(matcher), Sign::Piece);
        // What has no such field does not match, unless that is what is asked for.
        let never = || (!matches!(matcher, CompiledMatcher::Null)).then(BTreeSet::new);
        match (self, field) {
            (Self::Program, None) => None,
            (Self::Program, Some(field)) => match fields::exec::ours(field) {
                "process.executable" => named(names(matcher), Sign::Name).or_else(piece),
                "process.name" => named(values(matcher), Sign::Name),
                "process.parent.executable" => named(names(matcher), Sign::Parent).or_else(piece),
                "process.parent.name" => named(values(matcher), Sign::Parent),
                "process.command_line" | "process.args" => piece(),
                _ if fields::exec::is_known(field) => None,
                _ => never(),
            },
            (Self::File, None) => None,
            (Self::File, Some(field)) => match fields::file::ours(field) {
                "file.path" => named(names(matcher), Sign::Name).or_else(piece),
                "file.name" => named(values(matcher), Sign::Name).or_else(piece),
                "file.directory" => piece(),
                "process.executable" => named(names(matcher), Sign::Parent).or_else(piece),
                "process.name" => named(values(matcher), Sign::Parent),
                "picket.file.change.kind" => piece(),
                _ if fields::is_known(field) => None,
                _ => never(),
            },
            (Self::Record(record), Some("type")) => is(record.as_str(), values(matcher)),
            (Self::Record(Record::Syscall), Some(field)) => match field {
                "SYSCALL" => is("execve", values(matcher)),
                "exe" => named(names(matcher), Sign::Name).or_else(piece),
                // A longer name is cut there.
                "comm" => {
                    let values =
                        values(matcher).filter(|all| all.iter().all(|name| name.len() < audit::COMM));
                    named(values, Sign::Name)
                }
                _ if audit::OF_SYSCALL.contains(&field) => None,
                _ => never(),
            },
            (Self::Record(Record::Execve), Some(field)) => match audit::argument(field) {
                Some(0) => named(values(matcher), Sign::Name).or_else(piece),
                Some(_) => piece(),
                None if audit::OF_EXECVE.contains(&field) => None,
                None => never(),
            },
            (Self::Record(Record::Syscall), None) => None,
            // Beside the arguments stand there the type of the record, and their number.
            (Self::Record(Record::Execve), None) => named(pieces(matcher), Sign::Piece).filter(|signs| {
                signs.iter().all(|sign| match sign {
                    Sign::Piece(text) => !"execve".contains(text.as_str()) && text.parse::<u64>().is_err(),
                    _ => false,
                })
            }),
        }
    }

    /// The most common decides.
    fn worth(&self, signs: &BTreeSet<Sign>) -> usize {
        let worth = |sign: &Sign| match sign {
            Sign::Name(_) => 20,
            Sign::Parent(_) => 8,
            Sign::Piece(piece) => piece.len(),
        };
        signs.iter().map(worth).min().unwrap_or(usize::MAX)
    }
}

/// Nothing, where the only value that there is is none of those; else any.
fn is(value: &str, wanted: Needed<String>) -> Needed<Sign> {
    (!wanted?.contains(&value.to_lowercase())).then(BTreeSet::new)
}
