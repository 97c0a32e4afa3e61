//! A file that may be taken away: open, looked at, and hashed, before anything is done to it.

use super::attributes::Attributes;
use super::mask::{Hashed, pour};
use super::place::{Place, identity_of};
use picket_common::event::{FileIdentity, FileRef};
use picket_common::raw_text::RawText;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// See the module.
pub struct Subject {
    pub(super) path: RawText,
    pub(super) place: Place,
    pub(super) file: File,
    pub(super) identity: FileIdentity,
    pub(super) attributes: Attributes,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) links: u64,
    /// Those of its other names that lie in the same folder.
    pub(super) other_names: Vec<RawText>,
}

impl Subject {
    /// Opens the file at a path, and reads it if it has at most so many bytes.
    pub(super) fn open(path: &Path, most: u64) -> io::Result<Self> {
        let place = Place::of(path)?;
        let file = place.open()?;
        let attributes = Attributes::of(&file)?;
        let data = file.metadata()?;
        if data.len() > most {
            return Err(io::Error::other(format!(
                "it has {} bytes, more than the quarantine may hold (respond.quarantine.quota)",
                data.len()
            )));
        }
        let (sha256, size) = pour(&file, None, None, Hashed::Input, most)?;
        let identity = identity_of(&file)?;
        let other_names = match data.nlink() {
            0..=1 => Vec::new(),
            _ => place.other_names(identity)?,
        };
        Ok(Self {
            path: path.into(),
            place,
            identity,
            attributes,
            size,
            sha256,
            links: data.nlink(),
            other_names,
            file,
        })
    }

    /// Why it is not the file that was meant; `None` when it is.
    pub(super) fn differs(&self, meant: &FileRef) -> Option<String> {
        if meant.identity.is_some_and(|identity| identity != self.identity) {
            return Some("another file lies there now than the one that was judged".to_owned());
        }
        let same = meant.sha256.as_ref().is_none_or(|sha256| *sha256 == self.sha256);
        (!same).then(|| "its content has changed since it was judged".to_owned())
    }

    /// As an action names it.
    pub(super) fn named(&self) -> FileRef {
        FileRef {
            path: self.path.clone(),
            identity: Some(self.identity),
            sha256: Some(self.sha256.as_str().into()),
        }
    }
}
