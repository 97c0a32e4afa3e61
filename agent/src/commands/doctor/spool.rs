//! Whether there is room: for what the collector does not have yet, and for what is done.

use super::agent::Agent;
use super::report::{Check, unseen};
use crate::config::Settings;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use std::io;
use std::path::Path;

const NAME: &str = "spool";
/// A spool that is this full, in percent, is about to drop what is oldest.
const FULL: u64 = 80;
/// The ledger, the last good rules and the last findings together take less.
const STATE: u64 = 64 << 20;
/// With less the ledger cannot go on for long.
const LEAST: u64 = 1 << 20;

pub(super) fn checks(settings: &Settings, agent: &Agent) -> Vec<Check> {
    let folder = &settings.spool.directory;
    let mut checks = vec![match room(folder) {
        Ok((used, free)) => judge(folder, used, free, settings.spool.quota),
        Err(error) => closed(NAME, folder, &error),
    }];
    checks.push(state(&settings.agent.state));
    if let Some(report) = agent.report() {
        checks.push(if report.lost == 0 {
            Check::ok("gaps", "nothing was lost since the agent started")
        } else {
            Check::degraded(
                "gaps",
                format!("{} records were lost since the agent started", report.lost),
                "`picket-collector findings` shows where and why; a larger spool.quota holds more while the collector is away",
            )
        });
    }
    checks
}

/// The bytes that the spool holds, and those that its file system has left for whoever may write there.
fn room(folder: &Path) -> io::Result<(u64, u64)> {
    let mut used = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir()? {
            let entry = entry?;
            match entry.metadata() {
                Ok(data) if data.is_dir() => open.push(entry.path()),
                Ok(data) => used += data.len(),
                // The agent frees files all the time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok((used, free(folder)?))
}

/// The bytes that a folder's file system has left for whoever may write there.
fn free(folder: &Path) -> io::Result<u64> {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK)?;
    // For root `access` says nothing of how it is mounted.
    let system = statvfs(folder)?;
    if system.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
        return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
    }
    Ok(system.blocks_available().saturating_mul(system.fragment_size()))
}

/// The folder of the ledger: what cannot be written down there is not done.
fn state(folder: &Path) -> Check {
    const NAME: &str = "state";
    match free(folder) {
        Ok(free) if free >= STATE => Check::ok(NAME, format!("{}: {} free", folder.display(), mib(free))),
        Ok(free) => {
            let check = if free < LEAST {
                Check::failed
            } else {
                Check::degraded
            };
            check(
                NAME,
                format!("{}: only {} free", folder.display(), mib(free)),
                "make room: nothing can be blocked while the ledger cannot be written",
            )
        }
        Err(error) => closed(NAME, folder, &error),
    }
}

/// What a folder comes to that cannot be written to.
fn closed(check: &str, folder: &Path, error: &io::Error) -> Check {
    match error.kind() {
        io::ErrorKind::NotFound => Check::degraded(
            check,
            format!("{} is not there yet", folder.display()),
            "the agent makes it when it starts",
        ),
        io::ErrorKind::PermissionDenied => unseen(check, error),
        _ => Check::failed(
            check,
            format!("{}: {error}", folder.display()),
            "the agent must be able to write there: see to the folder, its file system and its owner",
        ),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

fn judge(folder: &Path, used: u64, free: u64, quota: u64) -> Check {
    let percent = used.saturating_mul(100) / quota.max(1);
    let found = format!(
        "{}: {} of {} ({percent} %), {} free on its file system",
        folder.display(),
        mib(used),
        mib(quota),
        mib(free)
    );
    if free < quota.saturating_sub(used) {
        return Check::degraded(
            NAME,
            format!("{found}: less than the quota may still need"),
            "make room, or set spool.quota to what the disk can give",
        );
    }
    if percent >= FULL {
        return Check::degraded(
            NAME,
            format!("{found}: the oldest events are dropped soon"),
            "see why the collector does not take them, or raise spool.quota",
        );
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;
    use std::fs;

    #[test]
    fn a_full_spool_and_a_full_disk_are_named() {
        let folder = Path::new("/spool");
        assert_eq!(judge(folder, 10, 1000, 100).state, State::Ok);
        let full = judge(folder, 85, 1000, 100);
        assert!(
            full.state == State::Degraded && full.found.contains("85 %"),
            "{full:?}"
        );
        let disk = judge(folder, 10, 50, 100);
        assert!(
            disk.state == State::Degraded && disk.found.contains("quota may still need"),
            "{disk:?}"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("events")).unwrap();
        fs::write(folder.path().join("events/1"), [0; 100]).unwrap();
        let (used, free) = room(folder.path()).unwrap();
        assert!(used == 100 && free > 0, "{used} {free}");
        assert!(room(&folder.path().join("missing")).is_err());
        assert_eq!(state(&folder.path().join("missing")).state, State::Degraded);
    }
}
