//! Which file it is, and whether another is the same.

use crate::parse::mount_info;
use crate::sys::Pidfd;
use nix::sys::stat::makedev;
use picket_common::action::DeniedFile;
use picket_common::finding::Finding;
use picket_common::process::ProcessId;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// A longer file is known by its inode alone: whoever starts one must not wait for it to be read.
pub(super) const LONGEST: u64 = 64 << 20;

/// The program that a process runs, and where it says that it lies. As the process had not ended after it was opened, it is of
/// that process and no other.
pub(in crate::respond) fn open_program(process: ProcessId) -> Option<(File, PathBuf)> {
    let held = Pidfd::open(process).ok()?;
    let link = format!("/proc/{}/exe", process.pid);
    let path = fs::read_link(&link).ok()?;
    let file = File::open(&link).ok()?;
    (!held.has_ended()).then_some((file, path))
}

/// Whether the program of a process is the one that a finding has judged: a process that starts another program stays the same
/// process.
pub(super) fn is_judged(finding: &Finding, process: ProcessId, file: &File) -> bool {
    let judged = finding.file.as_ref().and_then(|file| file.identity);
    let (Some(judged), Ok(data)) = (judged, file.metadata()) else {
        return false;
    };
    judged.inode == data.ino()
        && (judged.device == data.dev() || Some(judged.device) == mounted_device(process, file))
}

/// The device of the mount that a process's file was opened on. A sensor in the kernel tells this one, while `stat` has numbers of
/// its own for the subvolumes of btrfs and the layers of an overlay.
fn mounted_device(process: ProcessId, file: &File) -> Option<u64> {
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let id = told.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    let id: u64 = id.trim().parse().ok()?;
    let mounts = fs::read(format!("/proc/{}/mountinfo", process.pid)).ok()?;
    let mounts = mount_info::mounts(&mounts);
    let (major, minor) = mounts
        .iter()
        .find(|mount| mount.id == id)?
        .device
        .split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// What is known of the file that a finding has judged; `path` is where its process's program lies.
pub(super) fn judged(finding: &Finding, path: &Path) -> DeniedFile {
    let file = finding.file.as_deref();
    let identity = file.and_then(|file| file.identity);
    let path = file.map_or(path, |file| file.path.as_path());
    DeniedFile {
        path: path.to_string_lossy().into_owned(),
        device: identity.map_or(0, |identity| identity.device),
        inode: identity.map_or(0, |identity| identity.inode),
        size: 0,
        changed: 0,
        sha256: file
            .and_then(|file| file.sha256.as_ref())
            .map(ToString::to_string),
        copies_start: false,
    }
}

/// Opens a file that is to be denied; one that is none would have to be waited for.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    File::open(path)
}

/// Looks at a file that is open; `path` is for people.
pub(super) fn identify(file: &File, path: &Path) -> io::Result<DeniedFile> {
    let data = file.metadata()?;
    let sha256 = match data.len() {
        0..=LONGEST => Some(sha256(file, || {})?),
        _ => None,
    };
    Ok(DeniedFile {
        path: path.to_string_lossy().into_owned(),
        device: data.dev(),
        inode: data.ino(),
        size: data.len(),
        changed: changed(&data),
        sha256,
        copies_start: false,
    })
}

/// Which of the denied files a file is, or has the content of. `alive` is told while it is read. Only a file as long as a
/// denied one is read at all.
pub(super) fn find<'a>(
    denied: &'a [DeniedFile],
    file: &File,
    alive: impl FnMut(),
) -> io::Result<Option<&'a DeniedFile>> {
    let data = file.metadata()?;
    let is_it = |denied: &&DeniedFile| {
        let same = (denied.device, denied.inode, denied.size) == (data.dev(), data.ino(), data.len());
        // What is too long to be read has no content that could be compared.
        same && (denied.changed == changed(&data) || denied.sha256.is_none())
    };
    if let Some(found) = denied.iter().find(is_it) {
        return Ok(Some(found));
    }
    let may_be = |denied: &&DeniedFile| {
        let own = (denied.device, denied.inode) == (data.dev(), data.ino());
        denied.size == data.len() && denied.sha256.is_some() && (own || !denied.copies_start)
    };
    let mut alike = denied.iter().filter(may_be).peekable();
    if alike.peek().is_none() || data.len() > LONGEST {
        return Ok(None);
    }
    let content = Some(sha256(file, alive)?);
    Ok(alike.find(|denied| denied.sha256 == content))
}

fn changed(data: &Metadata) -> i64 {
    data.ctime()
        .saturating_mul(1_000_000_000)
        .saturating_add(data.ctime_nsec())
}

pub(super) fn sha256(file: &File, mut alive: impl FnMut()) -> io::Result<String> {
    let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; 128 << 10], 0);
    // It may grow while it is read.
    while at <= LONGEST {
        alive();
        match file.read_at(&mut buffer, at) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(buffer.get(..read).unwrap_or_default());
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
