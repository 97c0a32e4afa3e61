//! What is mounted, and which of it can be watched.

use crate::parse::mount_info::{self, Mount};
use crate::sense::SenseError;
use nix::poll::{PollFd, PollFlags};
use std::fs::{self, File};
use std::os::fd::AsFd as _;

/// Of the thread, which may be in a mount namespace of its own.
const MOUNT_INFO: &str = "/proc/thread-self/mountinfo";
/// File systems that hold no files that somebody brought: views of the kernel's own state.
const KERNEL: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];
/// File systems that lie elsewhere: what others write to them is not told here, and opening a file may take for ever.
const REMOTE: [&str; 13] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
];

/// Where a file system has its files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sense) enum Home {
    /// Here.
    Local,
    /// On another machine, or in another program.
    Remote,
    /// Nowhere: the kernel makes them up.
    Kernel,
}

/// Where a file system of this type has its files.
pub(in crate::sense) fn home(kind: &str) -> Home {
    if KERNEL.contains(&kind) {
        Home::Kernel
    } else if REMOTE.contains(&kind) || kind.starts_with("fuse.") {
        Home::Remote
    } else {
        Home::Local
    }
}

/// What is mounted, and the kernel's word when that changes.
#[derive(Debug)]
pub(in crate::sense) struct Mounted(File);

impl Mounted {
    pub(in crate::sense) fn open() -> Result<Self, SenseError> {
        let file = File::open(MOUNT_INFO).map_err(|error| SenseError::System(MOUNT_INFO, error))?;
        Ok(Self(file))
    }

    /// To be polled for changes. The kernel tells of each change once, whoever polls.
    pub(in crate::sense) fn changes(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLPRI)
    }

    /// What is mounted now.
    pub(in crate::sense) fn now() -> Result<Vec<Mount>, SenseError> {
        let text = fs::read(MOUNT_INFO).map_err(|error| SenseError::System(MOUNT_INFO, error))?;
        Ok(mount_info::mounts(&text))
    }
}
