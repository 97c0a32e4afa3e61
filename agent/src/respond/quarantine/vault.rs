//! Where files are kept that were taken away: what is in it, and the way back.
//!
//! What is put back comes about, masked off and proven by its hash, in a folder of the agent's own beside its place, and is then
//! renamed to it. How files get here is told in `passage`.

use super::mask::{Hashed, pour};
use super::place::{Aside, Place, names_in};
use super::record::{Phase, Record, Shelf};
use picket_common::ids::RecordId;
use rustix::fs::{Mode, fchmod};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// It did not work; what was to be moved is where it was.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The system says no.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The error.
        error: io::Error,
    },
    /// There is no such file.
    #[error("there is no '{0}' in quarantine")]
    Unknown(String),
    /// What is stored is not what was put there.
    #[error("what is stored is not what was taken away: it has been tampered with, and is not given back")]
    Tampered,
    /// It is not what was judged.
    #[error("{0}")]
    Changed(&'static str),
    /// Its place is taken.
    #[error("{path:?} is there already, and is not overwritten; give another place with --to")]
    Occupied {
        /// Which.
        path: PathBuf,
    },
    /// Its folder is gone.
    #[error("the folder of {path:?} cannot be opened ({error}); give another place with --to")]
    Homeless {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The quarantine has no room.
    #[error(
        "the quarantine is full: {used} of {quota} bytes are taken (respond.quarantine.quota); `picket quarantine list` shows by what"
    )]
    Full {
        /// How many bytes are taken.
        used: u64,
        /// How many may be.
        quota: u64,
    },
    /// Not even the way back worked.
    #[error(
        "{error}, and it could not be put back: {back}; it is kept and tried again when the agent starts"
    )]
    Stuck {
        /// Why it was to be put back.
        error: Box<VaultError>,
        /// Why it was not.
        back: io::Error,
    },
}

/// The steps between which an agent may end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Recorded,
    Unlocked,
    Away,
    Copied,
    Stored,
    Restoring,
    Unmasked,
    Back,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Vault {
    directory: PathBuf,
    pub(super) quota: u64,
    /// Told after each step; a test ends there.
    pub(super) after: fn(Step),
}

impl Vault {
    /// One in that folder, which is made when something is put there, and that holds so many bytes.
    pub fn new(directory: &Path, quota: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            quota,
            after: |_| {},
        }
    }

    /// Everything that is in it, and what could not be read.
    pub fn records(&self) -> Result<(Vec<Record>, Vec<String>), VaultError> {
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        if !self.directory.exists() {
            return Ok((records, problems));
        }
        let folder = self.folder()?;
        let names = names_in(&folder).map_err(system("the quarantine cannot be read"))?;
        for name in names {
            if Path::new(&name).extension() != Some(OsStr::new("json")) {
                continue;
            }
            let read = Place::in_folder(&folder, &name).and_then(|place| Record::read(&place));
            match read {
                Ok(record) => records.push(record),
                Err(error) => problems.push(format!("{}: {error}", self.directory.join(&name).display())),
            }
        }
        records.sort_by_key(|record| (record.action.time, record.id().to_bytes()));
        Ok((records, problems))
    }

    /// What is known of a file in it, by its id or by where it lay; of several that lay there the last.
    pub fn find(&self, name: &str) -> Result<Record, VaultError> {
        let (records, _) = self.records()?;
        let is_it =
            |record: &&Record| record.id().to_string() == name || record.path.as_bytes() == name.as_bytes();
        let found = records.iter().rev().find(is_it).cloned();
        found.ok_or_else(|| VaultError::Unknown(name.chars().take(300).collect()))
    }

    /// Whether there is room for so many bytes more.
    pub(super) fn has_room(&self, size: u64) -> Result<(), VaultError> {
        let (records, _) = self.records()?;
        let used = records
            .iter()
            .fold(0_u64, |sum, record| sum.saturating_add(record.size));
        match used.saturating_add(size) > self.quota {
            true => Err(VaultError::Full {
                used,
                quota: self.quota,
            }),
            false => Ok(()),
        }
    }

    /// Puts a file back where it lay, or to another place, as it was. Nothing is overwritten.
    pub(super) fn restore(&self, record: &mut Record, to: Option<&Path>) -> Result<(), VaultError> {
        let failed = system("it could not be put back");
        let path = to.unwrap_or(record.path.as_path()).to_owned();
        let home = Place::of(&path).map_err(|error| VaultError::Homeless {
            path: path.clone(),
            error,
        })?;
        if home.look().map_err(failed)?.is_some() {
            return Err(VaultError::Occupied { path });
        }
        let shelf = self.shelf(record.id())?;
        record.phase = Phase::Restoring(path.as_path().into());
        record.write(&shelf).map_err(failed)?;
        (self.after)(Step::Restoring);
        if let Err(error) = self.bring_home(record, &shelf, &home, &path) {
            record.phase = Phase::Stored;
            if let Err(error) = record.write(&shelf) {
                tracing::warn!("{}: {error}", record.path);
            }
            return Err(error);
        }
        (self.after)(Step::Back);
        shelf
            .clear()
            .map_err(system("it is back, but what was stored of it is still there"))
    }

    fn bring_home(
        &self,
        record: &Record,
        shelf: &Shelf,
        home: &Place,
        path: &Path,
    ) -> Result<(), VaultError> {
        let failed = system("it could not be put back");
        let aside = Aside::make(home, &aside_name(record)).map_err(failed)?;
        let at = aside.inside(&record.id().to_string()).map_err(failed)?;
        let bring = || -> Result<(), VaultError> {
            let file = at.create().map_err(failed)?;
            self.unmask(record, shelf, &file)?;
            record.attributes.give(&file).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            (self.after)(Step::Unmasked);
            at.rename(home).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => VaultError::Occupied {
                    path: path.to_owned(),
                },
                _ => failed(error),
            })?;
            if let Err(error) = record.attributes.lock(&file) {
                tracing::warn!("{path:?} is back without the flags that it had: {error}");
            }
            Ok(())
        };
        let brought = bring();
        if let Err(error) = at.remove().and_then(|()| aside.remove()) {
            tracing::warn!("a folder of the agent's own is left beside {path:?}: {error}");
        }
        brought
    }

    /// Writes what is stored of a file, as it was, into an empty file; a file whose content is another is none.
    fn unmask(&self, record: &Record, shelf: &Shelf, to: &File) -> Result<(), VaultError> {
        let masked = shelf
            .masked
            .open()
            .map_err(system("what is stored cannot be read"))?;
        let most = record.size.saturating_add(1);
        match pour(&masked, Some(&record.mask), Some(to), Hashed::Output, most) {
            Ok(poured) if poured == (record.sha256.clone(), record.size) => Ok(()),
            Ok(_) => Err(VaultError::Tampered),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(VaultError::Tampered),
            Err(error) => Err(system("it could not be written")(error)),
        }
    }

    /// Writes the content of a file to where nothing lies, for whoever wants to look into it: it stays in quarantine, and what
    /// is written only the caller may read, and nobody may run.
    pub fn export(&self, record: &Record, to: &Path) -> Result<(), VaultError> {
        let failed = system("it could not be written");
        let place = Place::of(to).map_err(failed)?;
        let file = place.create().map_err(failed)?;
        let written = fchmod(&file, Mode::RUSR)
            .map_err(|error| failed(error.into()))
            .and_then(|()| self.unmask(record, &self.shelf(record.id())?, &file))
            .and_then(|()| file.sync_all().map_err(failed));
        if written.is_err() {
            place.remove().map_err(failed)?;
        }
        written
    }

    /// Deletes what is stored of a file, for good.
    pub(super) fn delete(&self, id: RecordId) -> Result<(), VaultError> {
        self.shelf(id)?.clear().map_err(system("it could not be deleted"))
    }

    fn folder(&self) -> Result<OwnedFd, VaultError> {
        Place::own_folder(&self.directory).map_err(system("the quarantine cannot be opened"))
    }

    pub(super) fn shelf(&self, id: RecordId) -> Result<Shelf, VaultError> {
        Shelf::new(&self.folder()?, id).map_err(system("the quarantine cannot be opened"))
    }
}

pub(super) fn aside_name(record: &Record) -> String {
    format!(".picket-{}", record.id())
}

pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> VaultError + Copy {
    move |error| VaultError::System { what, error }
}
