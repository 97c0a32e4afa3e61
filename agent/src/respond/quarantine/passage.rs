//! How a file gets into the quarantine, and how that goes on when the agent had ended in the middle.
//!
//! A file is always whole in one of two places. Its record is written first. It is then renamed to where only the agent can
//! reach it, the quarantine itself or, in another file system, a folder of the agent's own beside it; only there is its
//! identity proven for good, its content masked into the quarantine, and read back. Once the record says that the copy is
//! whole the file itself goes. Whatever fails before that brings it back. Each step is safe from a power cut before the next,
//! and [`Vault::recover`] goes on from any of them.

use super::mask::{Hashed, Mask, pour};
use super::place::{Aside, Place, identity, identity_of, is_regular};
use super::record::{Phase, Record, Shelf};
use super::subject::Subject;
use super::vault::{Step, Vault, VaultError, aside_name, system};
use picket_common::action::Action;
use rustix::fs::{Mode, fchmod};
use std::fs::File;
use std::io;

const SWAPPED: VaultError = VaultError::Changed("another file was put in its place meanwhile");

/// What became of a file that an earlier run had in its hands.
#[derive(Debug)]
pub(super) enum Recovered {
    /// It is in quarantine.
    Stored {
        /// It was not yet, before.
        only_now: bool,
    },
    /// It lies where it lay.
    InPlace,
    /// It is where it was restored to.
    Restored,
    /// It is neither, for now.
    Stuck(String),
}

/// A file on its way: only the agent can reach it.
struct Away {
    at: Place,
    aside: Option<Aside>,
}

impl Vault {
    /// Takes a file away.
    pub(super) fn put(&self, subject: &Subject, action: &Action) -> Result<Record, VaultError> {
        let failed = system("it could not be taken away");
        let shelf = self.shelf(action.id)?;
        let mask = Mask::random().map_err(system("there is no random key"))?;
        let mut record = Record::new(subject, action, mask);
        if let Err(error) = record.write(&shelf) {
            // Nothing has been done that would have to be known.
            let _ = shelf.clear();
            return Err(system("the quarantine cannot be written")(error));
        }
        (self.after)(Step::Recorded);
        let away = match self.take_away(&record, subject, &shelf) {
            Ok(away) => away,
            Err(error) => {
                let undone = record.attributes.lock(&subject.file).and_then(|()| shelf.clear());
                return Err(match undone {
                    Ok(()) => failed(error),
                    Err(back) => VaultError::Stuck {
                        error: failed(error).into(),
                        back,
                    },
                });
            }
        };
        (self.after)(Step::Away);
        self.store_or_put_back(&mut record, &away, &subject.place, &shelf)?;
        Ok(record)
    }

    fn take_away(&self, record: &Record, subject: &Subject, shelf: &Shelf) -> io::Result<Away> {
        record.attributes.unlock(&subject.file)?;
        (self.after)(Step::Unlocked);
        match subject.place.rename(&shelf.original) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
            other => {
                other?;
                let at = shelf.original.beside_itself()?;
                return Ok(Away { at, aside: None });
            }
        }
        let aside = Aside::make(&subject.place, &aside_name(record))?;
        let at = aside.inside(&record.id().to_string())?;
        if let Err(error) = subject.place.rename(&at) {
            aside.remove()?;
            return Err(error);
        }
        Ok(Away {
            at,
            aside: Some(aside),
        })
    }

    fn store_or_put_back(
        &self,
        record: &mut Record,
        away: &Away,
        place: &Place,
        shelf: &Shelf,
    ) -> Result<(), VaultError> {
        let Err(error) = self.store(record, away, shelf) else {
            // From here on it is in quarantine, whether the rest works now or when the agent starts again.
            if let Err(error) = away.remove() {
                tracing::warn!(
                    "{} is in quarantine; what is left of it stays: {error}",
                    record.path
                );
            }
            return Ok(());
        };
        match put_back(record, away, place, shelf) {
            Ok(()) => Err(error),
            Err(back) => Err(VaultError::Stuck {
                error: error.into(),
                back,
            }),
        }
    }

    /// Makes the masked copy of what is away.
    fn store(&self, record: &mut Record, away: &Away, shelf: &Shelf) -> Result<(), VaultError> {
        let failed = |error| system("it could not be copied into the quarantine")(error);
        let stat = away.at.look().map_err(failed)?;
        if !stat.is_some_and(|stat| is_regular(&stat)) {
            return Err(SWAPPED);
        }
        let file = away.at.open().map_err(failed)?;
        let hash = |file: &File, mask| {
            let hashed = pour(file, mask, None, Hashed::Output, self.quota).map_err(failed)?;
            Ok(hashed == (record.sha256.clone(), record.size))
        };
        // An overlay gives a file that it copies up another identity. Its content is proof as well.
        if identity_of(&file).map_err(failed)? != record.identity && !hash(&file, None)? {
            return Err(VaultError::Changed("another file was put in its place meanwhile"));
        }
        let copy = || -> io::Result<_> {
            shelf.masked.remove()?;
            let masked = shelf.masked.create()?;
            let copied = pour(
                &file,
                Some(&record.mask),
                Some(&masked),
                Hashed::Input,
                self.quota,
            )?;
            fchmod(&masked, Mode::RUSR)?;
            masked.sync_all()?;
            shelf.masked.sync()?;
            Ok((masked, copied))
        };
        let (masked, copied) = copy().map_err(failed)?;
        // Whoever has it open may write to it still.
        if copied != (record.sha256.clone(), record.size) || !hash(&file, None)? {
            return Err(VaultError::Changed("somebody goes on writing to it"));
        }
        if !hash(&masked, Some(&record.mask))? {
            return Err(failed(io::Error::other(
                "the copy is another than what was written",
            )));
        }
        (self.after)(Step::Copied);
        record.phase = Phase::Stored;
        if let Err(error) = record.write(shelf) {
            record.phase = Phase::Moving;
            return Err(failed(error));
        }
        (self.after)(Step::Stored);
        Ok(())
    }

    /// Goes on with what an earlier run had begun: forward into the quarantine if `forward`, else back.
    pub(super) fn recover(&self, forward: bool) -> Result<Vec<(Action, Recovered)>, VaultError> {
        let (records, problems) = self.records()?;
        for problem in problems {
            tracing::warn!("{problem}");
        }
        let mut recovered = Vec::new();
        for mut record in records {
            let state = self.recover_one(&mut record, forward);
            recovered.push((
                record.action,
                state.unwrap_or_else(|error| Recovered::Stuck(error.to_string())),
            ));
        }
        Ok(recovered)
    }

    fn recover_one(&self, record: &mut Record, forward: bool) -> Result<Recovered, VaultError> {
        let failed = system("what an earlier run had begun could not be ended");
        let shelf = self.shelf(record.id())?;
        let inside = record.id().to_string();
        let home = match &record.phase {
            Phase::Restoring(path) => path.as_path(),
            _ => record.path.as_path(),
        };
        let home = Place::of(home);
        let mut away = None;
        if shelf.original.look().map_err(failed)?.is_some() {
            let at = shelf.original.beside_itself().map_err(failed)?;
            away = Some(Away { at, aside: None });
        } else if let Ok(home) = &home
            && let Some(aside) = Aside::find(home, &aside_name(record), &inside).map_err(failed)?
        {
            let at = aside.inside(&inside).map_err(failed)?;
            away = Some(Away {
                at,
                aside: Some(aside),
            });
        }
        match (&record.phase, away) {
            (Phase::Moving, Some(away)) => {
                let home = home.map_err(failed)?;
                if forward {
                    self.store_or_put_back(record, &away, &home, &shelf)?;
                    return Ok(Recovered::Stored { only_now: true });
                }
                put_back(record, &away, &home, &shelf).map_err(failed)?;
                Ok(Recovered::InPlace)
            }
            (Phase::Moving, None) => {
                // Its file system may not be there: then the file may be aside in it.
                let home = home.map_err(failed)?;
                Aside::sweep(&home, &aside_name(record)).map_err(failed)?;
                if let Ok(file) = home.open()
                    && identity_of(&file).map_err(failed)? == record.identity
                {
                    record.attributes.lock(&file).map_err(failed)?;
                }
                shelf.clear().map_err(failed)?;
                Ok(Recovered::InPlace)
            }
            (_, away) => {
                // What is aside is a copy of what is stored.
                let only_now = away.is_some() && record.phase == Phase::Stored;
                match (away, &home) {
                    (Some(away), _) => away.remove().map_err(failed)?,
                    (None, Ok(home)) => Aside::sweep(home, &aside_name(record)).map_err(failed)?,
                    (None, Err(_)) => {}
                }
                let ended = self.end_restoring(record, home.ok(), &shelf).map_err(failed)?;
                Ok(ended.unwrap_or(Recovered::Stored { only_now }))
            }
        }
    }

    /// An agent ended between putting a file back and forgetting it, or before that.
    fn end_restoring(
        &self,
        record: &mut Record,
        home: Option<Place>,
        shelf: &Shelf,
    ) -> io::Result<Option<Recovered>> {
        if record.phase == Phase::Stored {
            return Ok(None);
        }
        if let Some(file) = home.and_then(|home| home.open().ok())
            && file.metadata()?.len() == record.size
            && pour(&file, None, None, Hashed::Output, record.size)? == (record.sha256.clone(), record.size)
        {
            record.attributes.lock(&file)?;
            shelf.clear()?;
            return Ok(Some(Recovered::Restored));
        }
        record.phase = Phase::Stored;
        record.write(shelf)?;
        Ok(None)
    }
}

impl Away {
    fn remove(&self) -> io::Result<()> {
        self.at.remove()?;
        self.at.sync()?;
        self.aside.as_ref().map_or(Ok(()), Aside::remove)
    }
}

/// Puts back what is away, and forgets it. Where somebody has put another file in its place, it lies beside that.
fn put_back(record: &Record, away: &Away, place: &Place, shelf: &Shelf) -> io::Result<()> {
    // It may be something else that was put in its place in the last moment, of whatever kind.
    let own = away
        .at
        .look()?
        .is_some_and(|stat| identity(&stat) == record.identity);
    let file = own.then(|| away.at.open()).transpose()?;
    match away.at.rename(place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let beside = place.with_ending(&format!(".picket-{}", record.id()))?;
            away.at.rename(&beside)?;
            tracing::warn!(
                "{} is taken; what lay there is beside it as {:?}",
                record.path,
                beside.name()
            );
        }
        other => other?,
    }
    if let Some(file) = file {
        record.attributes.lock(&file)?;
    }
    if let Some(aside) = &away.aside {
        aside.remove()?;
    }
    shelf.clear()
}
