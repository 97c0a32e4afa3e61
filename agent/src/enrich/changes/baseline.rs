//! The files of a host as they are before anything changes.

use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Where most of them lie.
const FOLDERS: [&str; 6] = [
    "etc",
    "var/spool/cron",
    "run/systemd/system",
    "usr/lib/systemd",
    "usr/lib/udev/rules.d",
    "usr/local/lib/systemd",
];
/// Those in the folder of each user.
const IN_HOMES: [&str; 13] = [
    ".ssh/authorized_keys",
    ".ssh/authorized_keys2",
    ".ssh/rc",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".config/fish/config.fish",
];
/// So many entries of all folders are looked at.
const MOST: usize = 50_000;

/// Opens each file that may matter, by its path below `root` with links followed as a program that reads it would.
pub(super) fn each(root: &Path, file: &mut impl FnMut(&str, &OwnedFd)) {
    let mut open: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    let mut left = MOST;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if left == 0 {
                return;
            }
            left -= 1;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => look(root, &entry.path(), file),
                Err(_) => {}
            }
        }
    }
    for home in homes(root) {
        for name in IN_HOMES {
            look(root, &home.join(name), file);
        }
    }
}

fn look(root: &Path, path: &Path, file: &mut impl FnMut(&str, &OwnedFd)) {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(place) = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    // A FIFO or a device is not opened to be read.
    let is_file = rustix::fs::fstat(&place)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let below = path.strip_prefix(root).map(|below| Path::new("/").join(below));
    if is_file
        && let Ok(below) = below
        && let Ok(open) = rustix::fs::openat(CWD, path, flags, Mode::empty())
    {
        file(&below.to_string_lossy(), &open);
    }
}

/// The folders of the users that `/etc/passwd` names, and all in `/home`.
fn homes(root: &Path) -> Vec<PathBuf> {
    let accounts = fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let named = accounts.lines().filter_map(|line| line.split(':').nth(5));
    let named = named
        .filter_map(|home| home.strip_prefix('/'))
        .map(|home| root.join(home));
    let there = fs::read_dir(root.join("home")).into_iter().flatten().flatten();
    let mut homes: Vec<PathBuf> = named.chain(there.map(|entry| entry.path())).take(MOST).collect();
    homes.sort();
    homes.dedup();
    homes
}
