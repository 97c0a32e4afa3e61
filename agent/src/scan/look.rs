//! All that is looked for in one file: its digests, its kind, the rules that match it, and what is in it.

use super::archive::Unpacker;
use super::content;
use super::protocol::{Limits, Problem};
use super::rules::Source;
use super::yara::{MOST_MATCHES, Rules, Subject};
use crate::parse::magic::Kind;
use picket_common::event::{FileContent, YaraMatch};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// A longer reason is cut, in characters.
const LONGEST_REASON: usize = 400;

/// Looks into one file after the other.
#[derive(Debug)]
pub struct Look {
    rules: Rules,
    limits: Limits,
}

impl Look {
    /// With rules, given as the names of their files and their texts, and what is wrong in them: all that a worker does, without
    /// its walls.
    pub fn new(rules: &[(&str, &str)], limits: Limits) -> (Self, Vec<Problem>) {
        let source = |(name, text): &(&str, &str)| Source {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        let sources: Vec<Source> = rules.iter().map(source).collect();
        let (rules, problems) = Rules::compile(&sources);
        (Self::with(rules, limits), problems)
    }

    pub(super) fn with(rules: Rules, limits: Limits) -> Self {
        Self { rules, limits }
    }

    /// Looks into an open file, and into what is in it. `path` and `owner` are what rules are told of it.
    pub fn inspect(&mut self, file: &OwnedFd, path: &str, owner: &str) -> FileContent {
        let Self { rules, limits } = self;
        let until = Instant::now() + limits.time;
        let read = content::read(file, limits, until);
        let (mut matches, mut missing) = (Vec::new(), read.missing);
        let kind = Kind::of(&read.bytes);
        let whole = Subject {
            bytes: &read.bytes,
            path,
            kind,
            owner,
            md5: &read.md5,
        };
        missing.extend(rules.matches(&whole, until, &mut matches));
        let mut unpacker = Unpacker::new(limits, until);
        unpacker.unpack(&read.bytes, path, &mut |inside, bytes| {
            let (before, kind) = (matches.len(), Kind::of(bytes));
            let member = Subject {
                bytes,
                path: inside,
                kind,
                ..whole
            };
            let why = rules.matches(&member, until, &mut matches);
            if let Some(why) = why.filter(|why| !missing.contains(why)) {
                missing.push(why);
            }
            for found in matches.iter_mut().skip(before) {
                found.member = Some(inside.into());
            }
            bound(&mut matches, &mut missing);
        });
        missing.extend(unpacker.missing());
        bound(&mut matches, &mut missing);
        let missing = missing.join("; ");
        FileContent {
            sha256: read.sha256,
            sha1: read.sha1,
            md5: read.md5.clone(),
            mime_type: kind.map(|kind| kind.mime.into()),
            entropy: read.entropy,
            matches,
            unscanned: (!missing.is_empty()).then(|| missing.chars().take(LONGEST_REASON).collect()),
        }
    }
}

fn bound(matches: &mut Vec<YaraMatch>, missing: &mut Vec<String>) {
    if matches.len() > MOST_MATCHES {
        matches.truncate(MOST_MATCHES);
        let why = format!("more than {MOST_MATCHES} rules match, of which the first are told");
        if !missing.contains(&why) {
            missing.push(why);
        }
    }
}
