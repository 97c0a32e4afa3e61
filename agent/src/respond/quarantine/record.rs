//! What is kept of a file beside its content: enough to bring it back, and to know how far it has been taken away.

use super::attributes::Attributes;
use super::mask::Mask;
use super::place::Place;
use super::subject::Subject;
use picket_common::action::Action;
use picket_common::event::FileIdentity;
use picket_common::ids::RecordId;
use picket_common::raw_text::RawText;
use rustix::fs::{Mode, fchmod};
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

/// A longer one is none of the agent's: a file may have 255 bytes of name, and 64 KiB of attributes, each in a few signs.
const LONGEST: u64 = 4 << 20;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Why it was taken away, and by what.
    pub action: Action,
    /// How far it has come.
    pub(super) phase: Phase,
    /// Where it lay.
    pub path: RawText,
    /// Which file it was.
    pub identity: FileIdentity,
    /// How many bytes it has.
    pub size: u64,
    /// The SHA-256 of its content, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What it has beside that.
    pub attributes: Attributes,
    /// How many names it had; those that are left lead to its content still.
    pub links: u64,
    /// Those of its other names that lay in the same folder.
    pub other_names: Vec<RawText>,
    pub(super) mask: Mask,
}

/// How far a file has come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// It lies where it lay, or wholly where only the agent can reach it.
    Moving,
    /// Its masked copy is whole and the only one that counts.
    Stored,
    /// As [`Phase::Stored`], and it may lie there again.
    Restoring(RawText),
}

/// Where the parts of one file lie in the quarantine.
pub(super) struct Shelf {
    pub(super) record: Place,
    pub(super) masked: Place,
    /// The file itself, on its way.
    pub(super) original: Place,
    fresh: Place,
}

impl Record {
    pub(super) fn new(subject: &Subject, action: &Action, mask: Mask) -> Self {
        Self {
            action: action.clone(),
            phase: Phase::Moving,
            path: subject.path.clone(),
            identity: subject.identity,
            size: subject.size,
            sha256: subject.sha256.clone(),
            attributes: subject.attributes.clone(),
            links: subject.links,
            other_names: subject.other_names.clone(),
            mask,
        }
    }

    /// The id of the action, which is the file's as well.
    pub fn id(&self) -> RecordId {
        self.action.id
    }

    /// Writes it in the place of what is there, safe from a power cut.
    pub(super) fn write(&self, shelf: &Shelf) -> io::Result<()> {
        shelf.fresh.remove()?;
        let mut file = shelf.fresh.create()?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        fchmod(&file, Mode::RUSR)?;
        file.sync_all()?;
        shelf.fresh.replace(&shelf.record)
    }

    pub(super) fn read(place: &Place) -> io::Result<Self> {
        let mut text = Vec::new();
        place.open()?.take(LONGEST).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

impl Shelf {
    pub(super) const RECORD: &str = ".json";
    pub(super) const MASKED: &str = ".masked";

    pub(super) fn new(folder: &OwnedFd, id: RecordId) -> io::Result<Self> {
        let place = |ending: &str| Place::in_folder(folder, format!("{id}{ending}"));
        Ok(Self {
            record: place(Self::RECORD)?,
            masked: place(Self::MASKED)?,
            original: place(".original")?,
            fresh: place(".new")?,
        })
    }

    /// Takes everything away; the record last, as it tells of the rest.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.fresh.remove()?;
        self.masked.remove()?;
        self.masked.sync()?;
        self.record.remove()?;
        self.record.sync()
    }
}
