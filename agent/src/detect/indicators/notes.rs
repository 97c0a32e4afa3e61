//! What lists say of their indicators: which list it is, and in what words.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// More bytes of words are not kept, nor more different ones.
const MOST_BYTES: usize = 12 << 20;
const MOST: usize = 250_000;
/// Of longer words the beginning is kept.
const LONGEST: usize = 120;

/// What one list says of some of its indicators.
#[derive(Clone, Copy)]
struct Note {
    list: u32,
    start: u32,
    length: u32,
}

/// See the module. Words that are the same are kept once.
#[derive(Default)]
pub(super) struct Notes {
    notes: Vec<Note>,
    words: String,
}

/// Notes that grow.
#[derive(Default)]
pub(super) struct Growing {
    pub(super) notes: Notes,
    /// By a hash of list and words.
    known: HashMap<u64, u32>,
    keys: RandomState,
    /// How many words found no room.
    pub(super) left_out: usize,
}

impl Notes {
    /// The number of its list.
    pub(super) fn list(&self, note: u32) -> u32 {
        self.get(note).map_or(u32::MAX, |note| note.list)
    }

    /// Its words, which may be none.
    pub(super) fn words(&self, note: u32) -> &str {
        let place = self.get(note).and_then(|note| {
            let start = usize::try_from(note.start).ok()?;
            Some(start..start + usize::try_from(note.length).ok()?)
        });
        place.and_then(|place| self.words.get(place)).unwrap_or_default()
    }

    fn get(&self, note: u32) -> Option<&Note> {
        self.notes.get(usize::try_from(note).ok()?)
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.notes.capacity() * size_of::<Note>() + self.words.capacity()
    }
}

impl Growing {
    /// The number of a note, a new one if need be. For words that find no room, one without any.
    pub(super) fn note(&mut self, list: u32, words: &str) -> u32 {
        let words = words
            .get(..words.floor_char_boundary(LONGEST))
            .unwrap_or_default();
        let key = self.keys.hash_one((list, words));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let full = self.notes.notes.len() >= MOST || self.notes.words.len() + words.len() > MOST_BYTES;
        if full && !words.is_empty() {
            self.left_out += 1;
            return self.note(list, "");
        }
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let note = Note {
            list,
            start: number(self.notes.words.len()),
            length: number(words.len()),
        };
        self.notes.words.push_str(words);
        let place = number(self.notes.notes.len());
        self.notes.notes.push(note);
        self.known.insert(key, place);
        place
    }

    pub(super) fn done(mut self) -> Notes {
        self.notes.notes.shrink_to_fit();
        self.notes.words.shrink_to_fit();
        self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_of_a_list_are_one_note_and_what_finds_no_room_has_none() {
        let mut growing = Growing::default();
        let first = growing.note(0, "Mirai");
        assert_eq!(growing.note(0, "Mirai"), first);
        let other = growing.note(1, "Mirai");
        assert_ne!(other, first);
        let long = growing.note(1, &"é".repeat(1000));
        for number in 0..MOST {
            growing.note(0, &number.to_string());
        }
        assert_eq!(growing.left_out, 3, "as many as were there before");
        let last = growing.note(1, "left out");
        let notes = growing.done();
        assert_eq!((notes.list(first), notes.words(first)), (0, "Mirai"));
        assert_eq!((notes.list(other), notes.words(other)), (1, "Mirai"));
        assert_eq!(notes.words(long).len(), LONGEST);
        assert_eq!((notes.list(last), notes.words(last)), (1, ""));
    }
}
