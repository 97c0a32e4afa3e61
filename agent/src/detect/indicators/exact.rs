//! Values that match as a whole: digests, domains, paths and names.
//!
//! Of each value 128 bits are kept and no text: what matched is in the event. The bits come from a hash under keys that are made
//! anew by each process, so nobody can make a value that is taken for another. A million values take 24 MiB, whatever they are,
//! and one is found within a stretch of the table that the first bits tell.

use std::hash::{BuildHasher as _, RandomState};

/// So many of the first bits tell the stretch.
const STRETCHES: u32 = 16;
/// It never ends.
pub(super) const NEVER: u32 = u32::MAX;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Class {
    Sha256,
    Sha1,
    Md5,
    Domain,
    Path,
    Name,
}

impl Class {
    /// Its place in a set of classes.
    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha1 => 2,
            Self::Md5 => 4,
            Self::Domain => 8,
            Self::Path => 16,
            Self::Name => 32,
        }
    }

    /// As people call it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha1 => "SHA-1",
            Self::Md5 => "MD5",
            Self::Domain => "domain",
            Self::Path => "path",
            Self::Name => "name",
        }
    }
}

/// The keys of the hash.
#[derive(Clone, Default)]
pub(super) struct Secret([RandomState; 2]);

impl Secret {
    pub(super) fn fingerprint(&self, class: Class, value: &[u8]) -> Fingerprint {
        self.0.each_ref().map(|half| half.hash_one((class, value)))
    }
}

/// Stands for a value.
pub(super) type Fingerprint = [u64; 2];

/// A value of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Exact {
    pub(super) value: Fingerprint,
    /// The number of its note.
    pub(super) note: u32,
    /// From when on it does not match any more, in seconds since the epoch.
    pub(super) expires: u32,
}

/// Values, to be looked up.
#[derive(Default)]
pub(super) struct Table {
    sorted: Vec<Exact>,
    /// Where each stretch begins, and where the last one ends.
    stretches: Vec<u32>,
}

impl Table {
    /// Of values that a list names twice the one that ends last is kept; `list` tells the list of a note.
    pub(super) fn new(mut values: Vec<Exact>, list: impl Fn(u32) -> u32) -> Self {
        values.sort_unstable_by(|one, other| {
            let lists = || list(one.note).cmp(&list(other.note));
            let ends = || other.expires.cmp(&one.expires);
            one.value.cmp(&other.value).then_with(lists).then_with(ends)
        });
        values.dedup_by(|one, other| one.value == other.value && list(one.note) == list(other.note));
        values.shrink_to_fit();
        let mut stretches = Vec::new();
        if !values.is_empty() {
            stretches.reserve_exact((1 << STRETCHES) + 1);
            let mut at = 0_usize;
            for stretch in 0..1_u64 << STRETCHES {
                while values
                    .get(at)
                    .is_some_and(|exact| first_bits(exact.value) < stretch)
                {
                    at += 1;
                }
                stretches.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
            stretches.push(u32::try_from(values.len()).unwrap_or(u32::MAX));
        }
        Self {
            sorted: values,
            stretches,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Exact> {
        self.sorted.iter()
    }

    /// What lists say of a value.
    pub(super) fn find(&self, value: Fingerprint) -> &[Exact] {
        self.within(value).unwrap_or_default()
    }

    fn within(&self, value: Fingerprint) -> Option<&[Exact]> {
        let stretch = usize::try_from(first_bits(value)).ok()?;
        let place = |at: usize| usize::try_from(*self.stretches.get(at)?).ok();
        let stretch = self.sorted.get(place(stretch)?..place(stretch + 1)?)?;
        let start = stretch.partition_point(|exact| exact.value < value);
        let rest = stretch.get(start..)?;
        let end = rest.iter().take_while(|exact| exact.value == value).count();
        rest.get(..end)
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.sorted.capacity() * size_of::<Exact>() + self.stretches.capacity() * size_of::<u32>()
    }
}

fn first_bits([first, _]: Fingerprint) -> u64 {
    first >> (u64::BITS - STRETCHES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_found_in_every_list_that_names_it_and_no_other_is() {
        let secret = Secret::default();
        let value = |number: u32| secret.fingerprint(Class::Name, &number.to_le_bytes());
        // Notes 0 and 2 are of list 0, note 1 is of list 1.
        let exact = |number, note, expires| Exact {
            value: value(number),
            note,
            expires,
        };
        let mut all: Vec<Exact> = (0..5000).map(|number| exact(number, 0, NEVER)).collect();
        all.extend([
            exact(7, 1, 5),
            exact(7, 2, 9),
            exact(9999, 2, 4),
            exact(9999, 0, 6),
        ]);
        let table = Table::new(all, |note| note % 2);
        assert_eq!(table.len(), 5002);
        for number in (0..5000).filter(|number| *number != 7) {
            assert_eq!(table.find(value(number)), [exact(number, 0, NEVER)]);
        }
        assert_eq!(table.find(value(7)), [exact(7, 0, NEVER), exact(7, 1, 5)]);
        assert_eq!(table.find(value(9999)), [exact(9999, 0, 6)]);
        for other in 10_000..20_000 {
            assert_eq!(table.find(value(other)), []);
        }
        let other = secret.fingerprint(Class::Path, &3_u32.to_le_bytes());
        assert_eq!(table.find(other), [], "another class");
        assert_eq!(Table::default().find(value(1)), []);
    }
}
