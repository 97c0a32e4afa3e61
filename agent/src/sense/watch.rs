//! Which folders must be watched to notice everything that happens to some files.
//!
//! Folders, not files: a file that is renamed, removed or not there yet says nothing itself.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

pub(super) struct Watch {
    inotify: Inotify,
    files: Vec<PathBuf>,
    /// The beginnings of names that matter: those of the files, and so of their rotated forms.
    names: Vec<OsString>,
}

const CHANGES: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

impl Watch {
    pub(super) fn new(files: &[PathBuf]) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watch = Self {
            inotify,
            files: files.to_vec(),
            names: Vec::new(),
        };
        watch.renew();
        Ok(watch)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Takes what happened. Whether any of it may concern the files.
    pub(super) fn take(&mut self) -> io::Result<bool> {
        let (mut concerns, mut moved) = (false, false);
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in events {
                let modified = event.mask.contains(AddWatchFlags::IN_MODIFY);
                moved |= !modified;
                concerns |= !modified
                    || event.name.as_ref().is_none_or(|name| {
                        let bytes = name.as_encoded_bytes();
                        self.names
                            .iter()
                            .any(|known| bytes.starts_with(known.as_encoded_bytes()))
                    });
            }
        }
        if moved {
            self.renew();
        }
        Ok(concerns)
    }

    /// Watches the folders that there are now. A folder that is watched already stays so.
    fn renew(&mut self) {
        self.names.clear();
        for file in self.files.clone() {
            self.follow(&file);
            // What a symbolic link leads to changes somewhere else.
            if let Ok(target) = file.canonicalize()
                && target != file
            {
                self.follow(&target);
            }
        }
    }

    fn follow(&mut self, file: &Path) {
        self.names.extend(file.file_name().map(OsString::from));
        // Each folder that appears while this is done asks for another look; one that cannot be watched must not ask for ever.
        for _ in file.ancestors() {
            let watched = file
                .ancestors()
                .skip(1)
                .find(|folder| self.inotify.add_watch(*folder, CHANGES).is_ok());
            let Some(folder) = watched else { return };
            let below = file.strip_prefix(folder).ok().and_then(|rest| rest.iter().next());
            if file.parent() == Some(folder) || below.is_none_or(|name| !folder.join(name).is_dir()) {
                return;
            }
        }
    }
}
