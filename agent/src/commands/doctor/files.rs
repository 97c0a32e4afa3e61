//! Whether files that land can be seen, and what of them cannot.

use super::report::{Check, some, unseen};
use crate::config::{Files, FilesSensor};
use crate::sense::{FilesFanotify, Refused};
use nix::unistd::geteuid;
use std::fs;

const NAME: &str = "files";
/// What no sensor of files sees.
const BLIND: &str = "what is written through a mapping after the file was closed, what lies on file systems of containers that this host does not mount, and what other machines write are not seen";

pub(super) fn check(files: &Files) -> Check {
    match files.sensor {
        FilesSensor::None => return Check::ok(NAME, "not watched, as files.sensor is \"none\""),
        FilesSensor::Inotify => return by_inotify("files.sensor is \"inotify\""),
        FilesSensor::Auto | FilesSensor::Fanotify => {}
    }
    if files.paths.is_empty() {
        return Check::degraded(
            NAME,
            "files.paths is empty: nothing is watched",
            "name folders in it, or set files.sensor = \"none\"",
        );
    }
    match FilesFanotify::probe(files) {
        Ok((grants, refused)) => {
            let mut found = "fanotify hears of all that lands on this host's file systems".to_owned();
            if !grants.pidfd {
                found +=
                    "; before Linux 5.15 writers are known by their pid alone, and nothing is done to them";
            }
            if !grants.target {
                found += "; before Linux 5.17 a file that is moved is opened by its name";
            }
            let (remote, local): (Vec<Refused>, Vec<Refused>) =
                refused.into_iter().partition(Refused::is_remote);
            if !remote.is_empty() {
                found += &format!("; {}", some(&remote));
            }
            if local.is_empty() {
                return Check::ok(NAME, format!("{found}; {BLIND}"));
            }
            let other = match files.sensor {
                FilesSensor::Auto => "inotify watches there folder by folder and does not see who writes",
                _ => "set files.sensor = \"auto\", so that inotify watches there",
            };
            Check::degraded(NAME, format!("{}; {found}; {BLIND}", some(&local)), other)
        }
        Err(error) if !geteuid().is_root() => unseen(NAME, &error),
        Err(error) if files.sensor == FilesSensor::Auto => by_inotify(&error.to_string()),
        Err(error) => Check::failed(
            NAME,
            format!("fanotify does not work here, and files.sensor wants no other: {error}"),
            "give the agent CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, or set files.sensor = \"auto\"",
        ),
    }
}

fn by_inotify(why: &str) -> Check {
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
    Check::degraded(
        NAME,
        format!(
            "inotify watches folder by folder, at most {} of them, as {why}: who writes is not known, and what is written into a new \
             folder and removed at once is missed; {BLIND}",
            most.trim()
        ),
        "give the agent CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, and set files.sensor = \"auto\"",
    )
}
