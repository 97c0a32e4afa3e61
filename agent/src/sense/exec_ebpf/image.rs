//! From what the kernel tells of a program to the vocabulary.

use super::record::{Exec, Flags, Identity, Process};
use crate::sys::proc;
use compact_str::CompactString;
use picket_common::event::{Ancestor, Credentials, ExecEvent, ExecutedFile, FileVersion, Namespaces};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;

/// As much of arguments is kept, and as much of the environment looked at.
const MOST: usize = 32 << 10;
/// So many arguments are kept: each takes some bytes of its own, also when it is empty.
const MOST_ARGS: usize = 8192;
/// What the kernel calls files of `memfd_create`.
const MEMFD: &[u8] = b"memfd:";
const SET_UID: u32 = 0o4000;
/// There is none.
const NONE: u32 = u32::MAX;

/// The event of a program that starts, with those variables of its environment that are wanted.
pub(super) fn event(exec: &Exec<'_>, wanted: &[CompactString]) -> ExecEvent {
    let process = id(exec.process);
    let cwd = (!exec.flags.has(Flags::CWD_UNSURE)).then(|| path(exec.cwd));
    let executable = executable(exec, cwd.as_deref().unwrap_or_default());
    let mut event = ExecEvent::new(process, "", credentials(&exec.identity));
    event.executable = text(&executable);
    let name_of_none = exec.flags.has(Flags::PATH_NONE);
    event.file = (exec.inode != 0).then(|| ExecutedFile {
        device: device(exec.device),
        inode: exec.inode,
        unlinked: exec.links == 0,
        memfd: name_of_none && exec.path.starts_with(MEMFD),
    });
    event.version = (exec.changed.0 != 0).then(|| version(exec));
    event.working_directory = cwd.map(|cwd| text(&cwd));
    if !exec.flags.has(Flags::EXCLUDED) {
        arguments(exec, &mut event);
        environment(exec, wanted, &mut event);
    }
    event.tty = (!exec.tty.is_empty()).then(|| terminal(exec.tty));
    event.cgroup = (exec.cgroup != 0).then_some(exec.cgroup);
    event.namespaces = (exec.mount_namespace != 0).then_some(Namespaces {
        mount: exec.mount_namespace,
        pid: exec.pid_namespace,
    });
    let ancestors = exec.ancestors().map(|ancestor| Ancestor {
        process: id(ancestor),
        executable: None,
        command_line: None,
    });
    event.ancestors = ancestors.collect();
    event
}

/// Which content its file has.
fn version(exec: &Exec<'_>) -> FileVersion {
    let (seconds, nanoseconds) = exec.changed;
    let micros = seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(nanoseconds / 1000));
    FileVersion {
        changed: Timestamp::from_micros(micros),
        size: exec.file_size,
    }
}

/// The arguments of what runs already, which the kernel did not tell.
pub(super) fn add_arguments(event: &mut ExecEvent) {
    if let Ok(args) = proc::Process::find(event.process).and_then(|process| process.arguments(MOST)) {
        event.args_cut = args.len() >= MOST;
        event.args = pieces(&args).take(MOST_ARGS).map(text).collect();
        event.args_cut |= event.args.len() == MOST_ARGS;
    }
}

/// Whether root's rights came with the file.
pub(super) fn is_set_uid(exec: &Exec<'_>) -> bool {
    exec.mode & SET_UID != 0 && exec.owner == 0
}

pub(super) fn id(process: Process) -> ProcessId {
    ProcessId {
        pid: process.pid,
        start: process.start,
    }
}

pub(super) fn credentials(identity: &Identity) -> Credentials {
    let login_uid = (identity.login_uid != NONE).then_some(identity.login_uid);
    Credentials {
        uid: identity.uid,
        effective_uid: identity.euid,
        gid: identity.gid,
        effective_gid: identity.egid,
        login_uid,
        session: login_uid.and((identity.session != NONE).then_some(identity.session)),
    }
}

/// The kernel keeps 12 bits and 20 of a device's number together; `stat` spreads them as this does.
fn device(within: u32) -> u64 {
    let (major, minor) = (u64::from(within >> 20), u64::from(within & 0xf_ffff));
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// The path of the file that runs, with all links followed; where that is not to be had, what it was called by.
fn executable(exec: &Exec<'_>, cwd: &[u8]) -> Vec<u8> {
    let of_descriptor = exec.name.starts_with(b"/dev/fd/") || exec.name.is_empty();
    let unsure = exec.flags.has(Flags::PATH_CUT) || exec.flags.has(Flags::PATH_LOOSE);
    if !unsure || of_descriptor {
        return path(exec.path);
    }
    if exec.name.starts_with(b"/") || cwd.is_empty() {
        return exec.name.to_vec();
    }
    let name = exec.name.strip_prefix(b"./").unwrap_or(exec.name);
    [cwd.strip_suffix(b"/").unwrap_or(cwd), name].join(&b'/')
}

/// Names from the last one up to the root, put the right way round.
fn path(names: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(names.len() + 1);
    let names = names.strip_suffix(b"\0").unwrap_or(names);
    for name in names.rsplit(|byte| *byte == 0) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

fn arguments(exec: &Exec<'_>, event: &mut ExecEvent) {
    if exec.flags.has(Flags::ARGS_UNREAD) {
        // They were not in memory just then; perhaps they are now.
        add_arguments(event);
        event.args_cut |= event.args.is_empty();
        return;
    }
    event.args = pieces(exec.args).take(MOST_ARGS).map(text).collect();
    let all = usize::try_from(exec.args_size) == Ok(exec.args.len());
    event.args_cut = !all || usize::try_from(exec.argc).is_ok_and(|argc| event.args.len() < argc);
}

fn environment(exec: &Exec<'_>, wanted: &[CompactString], event: &mut ExecEvent) {
    if wanted.is_empty() {
        return;
    }
    let all = usize::try_from(exec.env_size) == Ok(exec.env.len());
    // Who has more of it than the kernel hands over may hide something behind.
    let whole = (!all)
        .then(|| proc::Process::find(event.process).and_then(|process| process.environment(MOST * 64)))
        .and_then(Result::ok)
        .filter(|whole| whole.len() > exec.env.len());
    event.environment = proc::chosen(whole.as_deref().unwrap_or(exec.env), wanted);
}

/// What ends in zeros; the last may have been cut.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        let (piece, more) = rest.split_at(end);
        rest = more.get(1..).unwrap_or_default();
        Some(piece)
    })
}

/// The kernel calls `pts/3` pts3.
fn terminal(name: &[u8]) -> CompactString {
    match name.strip_prefix(b"pts") {
        Some(number) if number.first().is_some_and(u8::is_ascii_digit) => {
            CompactString::from(format!("pts/{}", String::from_utf8_lossy(number)))
        }
        _ => text(name),
    }
}

fn text(bytes: &[u8]) -> CompactString {
    CompactString::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_in_zeros_and_empty_ones_count() {
        let of = |bytes: &'static [u8]| pieces(bytes).collect::<Vec<_>>();
        assert_eq!(of(b""), [b""; 0]);
        assert_eq!(of(b"\0"), [b""]);
        assert_eq!(of(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
        assert_eq!(of(b"a\0cut"), [&b"a"[..], b"cut"]);
    }

    #[test]
    fn paths_are_put_the_right_way_round() {
        assert_eq!(path(b""), b"/");
        assert_eq!(path(b"sh\0bin\0usr\0"), b"/usr/bin/sh");
        assert_eq!(path(b"memfd:x\0"), b"/memfd:x");
    }

    #[test]
    fn devices_have_the_numbers_that_stat_gives() {
        // major 8, minor 1; and a minor that needs more than eight bits.
        assert_eq!(device(8 << 20 | 1), 0x801);
        assert_eq!(device(259 << 20 | 0x1_2345), 0x1230_0000 | 259 << 8 | 0x45);
    }

    #[test]
    fn a_terminal_goes_by_its_name_in_dev() {
        assert_eq!(terminal(b"pts12"), "pts/12");
        assert_eq!(terminal(b"tty1"), "tty1");
        assert_eq!(terminal(b"pts"), "pts");
    }
}
