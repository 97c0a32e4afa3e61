//! Everything that reads bytes which somebody else may have written, each behind one door: [`TARGETS`].
//!
//! `make fuzz` throws mutations of the seeds in `tests/fuzz/NAME/` at each; `tests/tests/fuzz.rs` gives it the seeds themselves with
//! every `make test`. A target panics where what was read breaks its promise; any bytes may be refused. A new parser is one entry
//! here and a seed of its own.

mod kept;
mod logs;
mod looked;
mod sent;

use std::cell::OnceCell;
use std::path::Path;
use tempfile::TempDir;

/// Something that reads.
#[derive(Debug)]
pub struct Target {
    /// What it reads; the folder of its seeds is called the same.
    pub name: &'static str,
    /// Reads.
    pub read: fn(&[u8]),
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "auth_line", read: logs::auth_line },
    Target { name: "journal_entry", read: logs::journal_entry },
    Target { name: "auditd", read: logs::auditd },
    Target { name: "ecs", read: logs::ecs },
    Target { name: "ring", read: logs::ring },
    Target { name: "proc", read: logs::proc },
    Target { name: "mail", read: looked::mail },
    Target { name: "magic", read: looked::magic },
    Target { name: "archive", read: looked::archive },
    Target { name: "scan", read: looked::scan },
    Target { name: "scan_message", read: sent::scan_message },
    Target { name: "batch", read: sent::batch },
    Target { name: "spool", read: kept::spool },
    Target { name: "ledger", read: kept::ledger },
    Target { name: "quarantine", read: kept::quarantine },
    Target { name: "settings", read: kept::settings },
    Target { name: "sigma", read: kept::sigma },
    Target { name: "indicators", read: kept::indicators },
];

/// Does something in a folder of this thread's own, that nothing of an earlier time is left in.
fn in_scratch(work: impl FnOnce(&Path)) {
    thread_local!(static SCRATCH: OnceCell<TempDir> = const { OnceCell::new() });
    SCRATCH.with(|scratch| {
        let scratch = scratch.get_or_init(|| tempfile::tempdir().expect("a folder for what is read"));
        let folder = scratch.path().join("once");
        std::fs::create_dir(&folder).expect("it is not there");
        work(&folder);
        std::fs::remove_dir_all(&folder).expect("it can be emptied");
    });
}
