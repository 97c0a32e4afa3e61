//! Whether programs could be kept from starting, and which never can be.

use super::agent::Agent;
use super::report::{Check, unseen};
use crate::config::{Mode, Respond};
use crate::sys::ExecGate;
use picket_common::action::ActionKind;
use std::fs;
use std::io;

const NAME: &str = "denials";
/// What no gate before files sees.
const BLIND: &str = "not seen are programs that exist only in memory (memfd), scripts given to a shell, programs on file systems of \
    the network and of other programs (nfs, cifs, fuse and the like) or that only containers and other views have mounted, copies of \
    files over 64 MiB, and what is written through a map into a file that was let start before";

pub(super) fn check(settings: &Respond, agent: &Agent) -> Check {
    if settings.mode == Mode::Monitor {
        return Check::ok(NAME, "none is needed: the agent only watches (respond.mode)");
    }
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if line
        .split_ascii_whitespace()
        .any(|word| word == "picket.deny=off")
    {
        return Check::degraded(
            NAME,
            "the host was started with picket.deny=off, so every program starts",
            "start it without, once it is mended",
        );
    }
    let off = agent.report().and_then(|report| {
        let mut off = report.off.iter();
        off.find(|(kind, _)| *kind == ActionKind::DenyExec)
    });
    if let Some((_, why)) = off {
        return Check::degraded(
            NAME,
            format!("every program starts: {why}"),
            "see `picket findings`; mend the rules that are named, then start the agent again",
        );
    }
    match ExecGate::open() {
        Ok(_) => Check::ok(NAME, format!("programs can be kept from starting; {BLIND}")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unseen(NAME, &error),
        Err(error) => Check::degraded(
            NAME,
            format!("no program can be kept from starting: {error}"),
            "rules can kill all the same; it takes Linux 5.0 with CONFIG_FANOTIFY_ACCESS_PERMISSIONS",
        ),
    }
}
