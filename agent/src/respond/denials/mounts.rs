//! The file systems that hold programs: those that are mounted, and those that come.

use crate::parse::mount_info;
use crate::sys::ExecGate;
use nix::poll::{PollFd, PollFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

/// File systems that hold programs and that no server far away can make wait.
const KINDS: [&str; 21] = [
    "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs",
    "msdos", "ntfs3", "overlay", "ramfs", "reiserfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
];

/// See the module.
pub(super) struct Mounts {
    info: File,
    /// Where they are mounted: here or further down.
    pub(super) below: PathBuf,
    /// By their device: those that could not be watched, which is told once.
    unseen: BTreeSet<String>,
}

/// What became of the file systems.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// How many are watched.
    pub(super) seen: usize,
    /// Which are not, and why: those of which that was not told before.
    pub(super) unseen: Vec<(PathBuf, String)>,
}

impl Mounts {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            info: File::open("/proc/self/mountinfo")?,
            below: PathBuf::from("/"),
            unseen: BTreeSet::new(),
        })
    }

    /// To be polled for changes.
    pub(super) fn changes(&self) -> PollFd<'_> {
        PollFd::new(self.info.as_fd(), PollFlags::POLLPRI)
    }

    /// Puts the gate before all that are mounted now; the ones that it stands before it stands before still. A device's number
    /// may belong to another file system by now, so none is left out for having been seen before. `alive` is told between them.
    pub(super) fn watch(&mut self, gate: &ExecGate, mut alive: impl FnMut()) -> io::Result<Watched> {
        let mut text = Vec::new();
        self.info.rewind()?;
        self.info.read_to_end(&mut text)?;
        let (mut watched, mut seen) = (Watched::default(), BTreeSet::new());
        let mut failed = Vec::new();
        for mount in mount_info::mounts(&text) {
            let counts = KINDS.contains(&mount.kind.as_str()) && mount.point.starts_with(&self.below);
            if !counts || seen.contains(&mount.device) {
                continue;
            }
            alive();
            match gate.watch(&mount.point) {
                Ok(()) => {
                    seen.insert(mount.device);
                }
                Err(error) => failed.push((mount, error)),
            }
        }
        // It may be reached at another place where it is mounted as well.
        failed.retain(|(mount, _)| !seen.contains(&mount.device));
        let known = std::mem::take(&mut self.unseen);
        for (mount, error) in failed {
            if !known.contains(&mount.device) && self.unseen.insert(mount.device.clone()) {
                watched.unseen.push((mount.point, error.to_string()));
            } else {
                self.unseen.insert(mount.device);
            }
        }
        watched.seen = seen.len();
        Ok(watched)
    }
}
