//! From the records of one event to the program that was started.

use super::{Record, value};
use crate::parse::scan;
use picket_common::event::{Ancestor, Credentials, ExecEvent, ExecutedFile};
use picket_common::process::ProcessId;

/// More arguments are not kept.
const MOST_ARGUMENTS: usize = 4096;
/// More bytes of arguments are not kept: as much as one may be long.
const MOST_BYTES: usize = 128 * 1024;
/// As the kernel has it: no path is longer.
const LONGEST_PATH: usize = 4096;
/// "None" in `auid=` and `ses=`.
const NONE: u32 = u32::MAX;

/// What is known so far.
#[derive(Default)]
pub(super) struct Parts {
    call: Option<Call>,
    arguments: Option<Arguments>,
    directory: Option<String>,
    path: Option<Path>,
}

/// Of the record `SYSCALL`.
struct Call {
    succeeded: bool,
    pid: u32,
    parent: Option<u32>,
    credentials: Credentials,
    user: Option<String>,
    tty: Option<String>,
    image: Option<String>,
}

/// Of the records `EXECVE`.
#[derive(Default)]
struct Arguments {
    announced: usize,
    kept: Vec<Vec<u8>>,
    bytes: usize,
    cut: bool,
}

/// Of the record `PATH` of item 0, which is what was started.
struct Path {
    name: Option<String>,
    device: Option<u64>,
    inode: Option<u64>,
}

impl Parts {
    /// Adds a record of the event; the first of a kind counts, but arguments may go on in a next one.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        match record.kind {
            "SYSCALL" if self.call.is_none() => self.call = call(record),
            "EXECVE" => self.arguments.get_or_insert_default().add(record),
            "CWD" if self.directory.is_none() => self.directory = path(record, "cwd"),
            "PATH" if self.path.is_none() && record.raw("item") == Some("0") => {
                self.path = Some(Path {
                    name: path(record, "name"),
                    device: record.raw("dev").and_then(device),
                    inode: record.number("inode"),
                });
            }
            _ => {}
        }
    }

    /// The program; `None` when the event is of something else, or it was not started.
    pub(super) fn event(self, node: Option<String>) -> Option<ExecEvent> {
        let (call, arguments) = (self.call?, self.arguments?);
        if !call.succeeded {
            return None;
        }
        let image = call.image.as_deref();
        let memfd = image.is_some_and(|image| image.starts_with("/memfd:"));
        let unlinked = image.is_some_and(|image| image.ends_with(" (deleted)"));
        let name = self.path.as_ref().and_then(|path| path.name.as_deref());
        let started = name.and_then(|name| absolute(name, self.directory.as_deref()));
        let executable = match (image, started) {
            // Its name is that of a descriptor, or one that is gone.
            (Some(image), _) if memfd || unlinked => image.to_owned(),
            (_, Some(started)) => started,
            (Some(image), None) => image.to_owned(),
            (None, None) => return None,
        };
        let file = self.path.and_then(|path| {
            Some(ExecutedFile {
                device: path.device?,
                inode: path.inode?,
                unlinked,
                memfd,
            })
        });
        let parent = call.parent.map(|pid| Ancestor {
            process: ProcessId::uncertain(pid),
            executable: None,
            command_line: None,
        });
        Some(ExecEvent {
            args_cut: arguments.cut || arguments.announced > arguments.kept.len(),
            args: arguments
                .kept
                .iter()
                .map(|argument| String::from_utf8_lossy(argument).into())
                .collect(),
            working_directory: self.directory.map(Into::into),
            tty: call.tty.map(Into::into),
            file,
            ancestors: parent.into_iter().collect(),
            user: call.user.map(Into::into),
            host: node.map(Into::into),
            ..ExecEvent::new(ProcessId::uncertain(call.pid), &executable, call.credentials)
        })
    }
}

fn call(record: &Record<'_>) -> Option<Call> {
    let (uid, gid) = (record.number("uid")?, record.number("gid")?);
    let effective_uid = record.number("euid").unwrap_or(uid);
    let some = |name| record.number(name).filter(|number| *number != NONE);
    let name = record.name("EUID").map(str::to_owned);
    Some(Call {
        succeeded: record.raw("success") != Some("no"),
        pid: record.number("pid")?,
        parent: record.number("ppid"),
        credentials: Credentials {
            uid,
            effective_uid,
            gid,
            effective_gid: record.number("egid").unwrap_or(gid),
            login_uid: some("auid"),
            session: some("ses"),
        },
        // The one number that has the same name everywhere.
        user: name.or_else(|| (effective_uid == 0).then(|| "root".to_owned())),
        tty: record.raw("tty").map(terminal),
        image: path(record, "exe"),
    })
}

/// `pts0` is `pts/0` everywhere else.
fn terminal(name: &str) -> String {
    match name.strip_prefix("pts").and_then(scan::number::<u32>) {
        Some(number) => format!("pts/{number}"),
        None => name.to_owned(),
    }
}

impl Arguments {
    fn add(&mut self, record: &Record<'_>) {
        for (key, text) in record.fields() {
            if key == "argc" {
                self.announced = scan::number(text).unwrap_or(0);
                continue;
            }
            // `a1_len` says how long the parts `a1[0]`, `a1[1]`, … are together: they are taken as they come.
            let Some(key) = key.strip_prefix('a') else {
                continue;
            };
            let (number, part) = match key.split_once('[') {
                Some((number, part)) => (number, part.strip_suffix(']').and_then(scan::number::<u32>)),
                None => (key, Some(0)),
            };
            if let (Some(number), Some(part)) = (scan::number::<usize>(number), part) {
                self.put(number, part, &value(text));
            }
        }
    }

    fn put(&mut self, number: usize, part: u32, bytes: &[u8]) {
        if number >= MOST_ARGUMENTS || self.bytes.saturating_add(bytes.len()) > MOST_BYTES {
            self.cut = true;
            return;
        }
        // A record in between was lost.
        self.cut |= number > self.kept.len() || (part > 0 && number >= self.kept.len());
        if number >= self.kept.len() {
            self.kept.resize(number + 1, Vec::new());
        }
        if let Some(slot) = self.kept.get_mut(number)
            && (part > 0 || slot.is_empty())
        {
            slot.extend_from_slice(bytes);
            self.bytes += bytes.len();
        }
    }
}

fn path(record: &Record<'_>, name: &str) -> Option<String> {
    record.text(name).filter(|path| path.len() <= LONGEST_PATH)
}

/// `08:01`, in hexadecimal digits, as `stat` gives it.
fn device(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    let number = |text| u32::from_str_radix(text, 16).ok().map(u64::from);
    let (major, minor) = (number(major)?, number(minor)?);
    Some((major & !0xfff) << 32 | (major & 0xfff) << 8 | (minor & !0xff) << 12 | minor & 0xff)
}

/// The path by which it was started, from the root, without `.` and `..`.
fn absolute(name: &str, directory: Option<&str>) -> Option<String> {
    let start = if name.starts_with('/') { "" } else { directory? };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}
