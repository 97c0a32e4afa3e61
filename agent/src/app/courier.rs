//! The thread that minds the courier.

use super::status::Status;
use super::{AppError, spawn};
use crate::config::Settings;
use crate::send::{Progress, Reached, Supervisor, Up, Watch};
use crate::spool::Spool;
use nix::unistd::{Gid, chown};
use picket_common::record::Lane;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Lets the courier's group read the spool, now and later: new files take the group of their folder.
pub(super) fn open_to(spool: &Path, (_, group): (u32, u32)) -> io::Result<()> {
    let mut folders = vec![spool.to_owned()];
    while let Some(folder) = folders.pop() {
        chown(&folder, None, Some(Gid::from_raw(group)))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o2750))?;
        for entry in folder.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                chown(&entry.path(), None, Some(Gid::from_raw(group)))?;
            }
        }
    }
    Ok(())
}

/// Keeps a courier running.
pub(super) fn start(
    settings: &Settings,
    user: Option<(u32, u32)>,
    watch: Arc<Watch>,
    spool: Arc<Mutex<Spool>>,
    status: Arc<Status>,
    reached: Arc<Reached>,
) -> Result<JoinHandle<()>, AppError> {
    let supervisor = Supervisor {
        spool: settings.spool.directory.clone(),
        identity: settings.identity(),
        user,
    };
    spawn("courier", move || {
        let progress = || {
            let spool = lock(&spool);
            Progress {
                findings: spool.pending(Lane::Findings).acknowledged,
                events: spool.pending(Lane::Events).acknowledged,
            }
        };
        supervisor.run(&watch, progress, |up| heard(&spool, &status, &reached, up));
    })
}

fn heard(spool: &Mutex<Spool>, status: &Status, reached: &Reached, up: Up) {
    status.heard(&up);
    match up {
        Up::Acknowledged { lane, sequence } => {
            if let Err(error) = lock(spool).acknowledge(lane, sequence) {
                tracing::warn!("{error}");
            }
        }
        Up::Refused { lane, count, reason } => {
            tracing::warn!(
                "the collector will not take {count} of {}: {reason}",
                lane.as_str()
            );
        }
        Up::Reached { address } => reached.note(address),
        Up::Trouble { reason } => tracing::warn!("{reason}"),
        Up::Renewed { .. } => tracing::info!("the certificate was renewed"),
    }
}

fn lock(spool: &Mutex<Spool>) -> MutexGuard<'_, Spool> {
    spool.lock().unwrap_or_else(PoisonError::into_inner)
}
