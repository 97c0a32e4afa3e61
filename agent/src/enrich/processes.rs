//! Which processes there are, what each runs, and who started it.

use super::image::{Image, Server};
use compact_str::CompactString;
use hashlink::LruCache;
use picket_common::event::{Ancestor, ExecEvent};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// So many processes are remembered.
const CAPACITY: usize = 65_536;
/// So many bytes of what they run; a program that many run counts once for each time that it was started.
const BYTES: usize = 16 << 20;
/// How long one that ended is remembered, for whoever it started, and what is told of it late.
const DEAD: Duration = Duration::from_secs(60);
/// So many of those.
const MOST_DEAD: usize = 16_384;
/// A longer command line or path is cut.
const LONGEST: usize = 4096;
/// So many ancestors are told.
const DEEPEST: usize = 8;

/// Remembers what each process became last, in bounded memory, by host and pid.
///
/// Where pids are all that is known, as in an audit log, a parent may have ended and its pid may be another's: then the
/// ancestors are those of whoever had it last. So they are good to judge by, and never to act on.
pub struct Processes {
    seen: LruCache<Key, Seen>,
    /// What ended, and when, the oldest first.
    dead: VecDeque<(Timestamp, Key, ProcessId)>,
    /// Of all images.
    bytes: usize,
    evicted: u64,
    hosts: RandomState,
}

/// A host's name, hashed with a seed of the table's own, and a pid.
type Key = (u64, u32);

/// What is known of a process.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) process: ProcessId,
    /// Who started it, though that may have ended since and another have taken its place.
    pub(super) parent: Option<ProcessId>,
    /// The process that let in whoever it belongs to: see [`super::logins`].
    pub(super) server: Option<Server>,
    /// Copies of a process run the same.
    pub(super) image: Arc<Image>,
    /// It is no copy of another any more.
    pub(super) has_run: bool,
    ended: bool,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            // The table alone bounds it: room for all is not taken before there are as many.
            seen: LruCache::new_unbounded(),
            dead: VecDeque::new(),
            bytes: 0,
            evicted: 0,
            hosts: RandomState::new(),
        }
    }
}

impl Processes {
    /// Adds what is known of the ancestors to an event, and remembers it for those that it starts.
    pub fn complete(&mut self, event: &mut ExecEvent) {
        let before = self.get(&event.host, event.process).cloned();
        // Another may have had the pid, where that is all that is known.
        let before = before.filter(|before| event.process.is_certain() && before.process == event.process);
        let started_by = before.as_ref().and_then(|before| before.parent);
        let told = event.ancestors.first().map(|parent| parent.process);
        // Of one whose parent ended meanwhile the sensor names whoever took its place.
        let told = started_by.is_none_or(|parent| told.is_some_and(|told| is_same(parent, told)));
        if !told {
            event.ancestors.clear();
        }
        let mut wanted = started_by.filter(|_| event.ancestors.is_empty());
        for ancestor in &mut event.ancestors {
            let Some(seen) = self.get(&event.host, ancestor.process) else {
                wanted = None;
                continue;
            };
            wanted = seen.parent;
            let known = Ancestor::from(seen);
            ancestor.process = surer(ancestor.process, seen);
            ancestor.executable = ancestor.executable.take().or(known.executable);
            ancestor.command_line = ancestor.command_line.take().or(known.command_line);
        }
        event
            .ancestors
            .reserve(DEEPEST.saturating_sub(event.ancestors.len()));
        while let Some(process) = wanted.filter(|_| event.ancestors.len() < DEEPEST) {
            let seen = self.get(&event.host, process);
            wanted = seen.and_then(|seen| seen.parent);
            let ancestor = seen.map(|seen| Ancestor {
                process: surer(process, seen),
                ..Ancestor::from(seen)
            });
            event.ancestors.push(ancestor.unwrap_or(Ancestor {
                process,
                executable: None,
                command_line: None,
            }));
        }
        let parent = event.ancestors.first().map(|parent| parent.process);
        let inherited = before
            .and_then(|before| before.server)
            .or_else(|| self.get(&event.host, parent?).and_then(|parent| parent.server));
        let image = Image {
            executable: cut(&event.executable, LONGEST),
            command_line: line(&event.args),
            credentials: event.credentials,
            container: event.container.clone(),
        };
        let process = event.process;
        let server = Server::of(process, &image).or(inherited);
        let seen = Seen {
            process,
            parent,
            server,
            image: Arc::new(image),
            has_run: true,
            ended: false,
        };
        self.bytes += seen.image.bytes();
        let key = self.key(&event.host, event.process.pid);
        self.insert(key, seen);
    }

    /// Remembers a copy of a process.
    pub(super) fn fork(&mut self, parent: ProcessId, child: ProcessId) {
        if self.get(&None, child).is_some_and(|seen| seen.process == child) {
            // It was told of late, and is something else already.
            return;
        }
        if let Some(seen) = self.get(&None, parent) {
            let copy = Seen {
                process: child,
                parent: Some(surer(parent, seen)),
                has_run: false,
                ended: false,
                ..seen.clone()
            };
            self.insert((0, child.pid), copy);
        }
    }

    /// What is known of a process of this host.
    pub(super) fn find(&mut self, process: ProcessId) -> Option<&Seen> {
        self.get(&None, process)
    }

    /// Those who started a process, the parent first.
    pub(super) fn ancestors(&mut self, process: ProcessId) -> Vec<Ancestor> {
        let mut ancestors = Vec::with_capacity(DEEPEST);
        let mut wanted = self.find(process).and_then(|seen| seen.parent);
        while let Some(process) = wanted.filter(|_| ancestors.len() < DEEPEST) {
            let seen = self.find(process);
            wanted = seen.and_then(|seen| seen.parent);
            ancestors.push(seen.map_or(
                Ancestor {
                    process,
                    executable: None,
                    command_line: None,
                },
                Ancestor::from,
            ));
        }
        ancestors
    }

    /// The processes of this host that are not known to have ended.
    pub(super) fn running(&self) -> Vec<Seen> {
        let running = self
            .seen
            .iter()
            .filter(|((host, _), seen)| *host == 0 && !seen.ended);
        running.map(|(_, seen)| seen.clone()).collect()
    }

    /// Notes that a process ended.
    pub(super) fn end(&mut self, process: ProcessId, time: Timestamp) {
        let key = (0, process.pid);
        if let Some(seen) = self.seen.get_mut(&key)
            && is_same(seen.process, process)
        {
            seen.ended = true;
            self.dead.push_back((time, key, seen.process));
        }
        while let Some((since, _, _)) = self.dead.front()
            && (time.since(*since) > DEAD || self.dead.len() > MOST_DEAD)
        {
            let Some((_, key, process)) = self.dead.pop_front() else {
                break;
            };
            if self
                .seen
                .peek(&key)
                .is_some_and(|seen| seen.ended && seen.process == process)
                && let Some(seen) = self.seen.remove(&key)
            {
                self.forget(&seen);
            }
        }
    }

    /// How many processes had to be forgotten to make room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn insert(&mut self, key: Key, seen: Seen) {
        if let Some(old) = self.seen.insert(key, seen) {
            self.forget(&old);
        }
        while (self.seen.len() > CAPACITY || self.bytes > BYTES)
            && let Some((_, oldest)) = self.seen.remove_lru()
        {
            self.evicted += 1;
            self.forget(&oldest);
        }
    }

    /// Gives back the bytes of an image that nobody runs any more.
    fn forget(&mut self, seen: &Seen) {
        if Arc::strong_count(&seen.image) == 1 {
            self.bytes = self.bytes.saturating_sub(seen.image.bytes());
        }
    }

    fn key(&self, host: &Option<CompactString>, pid: u32) -> Key {
        (host.as_ref().map_or(0, |host| self.hosts.hash_one(host)), pid)
    }

    fn get(&mut self, host: &Option<CompactString>, process: ProcessId) -> Option<&Seen> {
        let seen: &Seen = self.seen.get(&self.key(host, process.pid))?;
        is_same(seen.process, process).then_some(seen)
    }
}

impl From<&Seen> for Ancestor {
    fn from(seen: &Seen) -> Self {
        Self {
            process: seen.process,
            executable: Some(seen.image.executable.clone()),
            command_line: Some(seen.image.command_line.clone()),
        }
    }
}

fn cut(text: &str, longest: usize) -> CompactString {
    text.get(..text.floor_char_boundary(longest))
        .unwrap_or(text)
        .into()
}

/// [`ExecEvent::command_line`], cut before it is long.
fn line(args: &[CompactString]) -> CompactString {
    let length = args.iter().map(|arg| arg.len() + 1).sum::<usize>();
    let mut line = CompactString::with_capacity(length.min(LONGEST + 4));
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            line.push(' ');
        }
        let room = LONGEST.saturating_sub(line.len());
        line.push_str(arg.get(..arg.floor_char_boundary(room)).unwrap_or_default());
        if arg.len() > room {
            break;
        }
    }
    line.truncate(line.floor_char_boundary(LONGEST));
    line
}

/// Whether two of one pid may be one: where one of them does not say when it was started, they may.
fn is_same(one: ProcessId, other: ProcessId) -> bool {
    one.pid == other.pid && (!one.is_certain() || !other.is_certain() || one == other)
}

/// Of two names of one process the one that is certain.
fn surer(process: ProcessId, seen: &Seen) -> ProcessId {
    if seen.process.is_certain() {
        seen.process
    } else {
        process
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::Credentials;

    fn exec(pid: u32, parent: u32, start: u64, line: &str) -> ExecEvent {
        let process = |pid| ProcessId { pid, start };
        let executable = format!("/bin/{line}");
        ExecEvent {
            args: vec![line.into()],
            ancestors: vec![Ancestor {
                process: process(parent),
                executable: None,
                command_line: None,
            }],
            ..ExecEvent::new(process(pid), &executable, Credentials::default())
        }
    }

    /// The executables of the ancestors, `-` where unknown.
    fn ancestors(processes: &mut Processes, mut event: ExecEvent) -> Vec<String> {
        processes.complete(&mut event);
        let name = |ancestor: &Ancestor| ancestor.executable.as_deref().unwrap_or("-").to_owned();
        event.ancestors.iter().map(name).collect()
    }

    #[test]
    fn an_earlier_program_of_the_parent_is_told_with_its_own_ancestors() {
        let mut processes = Processes::default();
        assert_eq!(ancestors(&mut processes, exec(10, 1, 0, "sshd")), ["-"]);
        assert_eq!(
            ancestors(&mut processes, exec(11, 10, 0, "sh")),
            ["/bin/sshd", "-"]
        );
        // It became another program.
        assert_eq!(
            ancestors(&mut processes, exec(11, 10, 0, "bash")),
            ["/bin/sshd", "-"]
        );
        let mut id = exec(12, 11, 0, "id");
        processes.complete(&mut id);
        assert_eq!(id.ancestors[0].command_line.as_deref(), Some("bash"));
        assert_eq!(id.ancestors.len(), 3);
        // On another host the pid is another's.
        let mut there = exec(13, 11, 0, "id");
        there.host = Some("web2".into());
        assert_eq!(ancestors(&mut processes, there), ["-"]);
    }

    #[test]
    fn a_pid_with_another_start_is_another_process() {
        let mut processes = Processes::default();
        ancestors(&mut processes, exec(10, 1, 5, "sh"));
        assert_eq!(ancestors(&mut processes, exec(11, 10, 6, "id")), ["-"]);
        // Where one of two does not say, they may be the same, and what is certain stays so.
        let mut child = exec(12, 10, 0, "id");
        processes.complete(&mut child);
        assert_eq!(child.ancestors[0].process, ProcessId { pid: 10, start: 5 });
        processes.complete(&mut exec(10, 1, 0, "sh"));
        let mut child = exec(12, 10, 5, "id");
        processes.complete(&mut child);
        assert_eq!(child.ancestors[0].process, ProcessId { pid: 10, start: 5 });
    }

    #[test]
    fn circles_end_and_what_is_remembered_is_bounded() {
        let mut processes = Processes::default();
        ancestors(&mut processes, exec(10, 11, 0, "a"));
        ancestors(&mut processes, exec(11, 10, 0, "b"));
        assert_eq!(ancestors(&mut processes, exec(10, 11, 0, "c")).len(), DEEPEST);
        for pid in 0..70_000 {
            processes.complete(&mut exec(pid, 1, 0, "d"));
        }
        assert_eq!(
            (processes.seen.len(), processes.evicted()),
            (CAPACITY, 70_000 - 65_536)
        );
        let mut long = exec(1, 0, 0, &"é".repeat(5000));
        processes.complete(&mut long);
        let mut child = exec(2, 1, 0, "id");
        processes.complete(&mut child);
        assert_eq!(child.ancestors[0].command_line.as_ref().unwrap().len(), LONGEST);
    }

    #[test]
    fn a_copy_is_what_its_parent_was_and_keeps_it_as_its_parent() {
        let mut processes = Processes::default();
        let id = |pid| ProcessId { pid, start: 5 };
        processes.complete(&mut exec(10, 1, 5, "sh"));
        processes.fork(id(10), id(11));
        processes.fork(id(11), id(12));
        processes.end(id(11), Timestamp::from_micros(0));
        // By the time that it became another program, somebody else was its parent.
        let mut orphan = exec(12, 1, 5, "id");
        processes.complete(&mut orphan);
        let pids: Vec<u32> = orphan
            .ancestors
            .iter()
            .map(|ancestor| ancestor.process.pid)
            .collect();
        assert_eq!(pids, [11, 10, 1]);
        assert_eq!(orphan.ancestors[0].executable.as_deref(), Some("/bin/sh"));
        assert_eq!(processes.ancestors(id(12)), orphan.ancestors);
        // A fork that is told of after the program changes nothing.
        processes.fork(id(10), id(12));
        assert_eq!(
            processes.find(id(12)).unwrap().image.executable.as_str(),
            "/bin/id"
        );
    }

    #[test]
    fn the_dead_are_remembered_for_a_minute() {
        let mut processes = Processes::default();
        let id = |pid| ProcessId { pid, start: 5 };
        let second = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        for pid in 10..14 {
            processes.complete(&mut exec(pid, 1, 5, &"sh".repeat(50)));
        }
        processes.end(id(10), second(0));
        processes.end(id(11), second(0));
        // Its first thread ended, and another became a program under its pid.
        processes.complete(&mut exec(11, 1, 5, "id"));
        processes.end(id(12), second(60));
        assert!(processes.find(id(10)).is_some());
        processes.end(id(13), second(61));
        assert!(processes.find(id(10)).is_none());
        for pid in [11, 12, 13] {
            assert!(processes.find(id(pid)).is_some(), "{pid}");
        }
        processes.end(id(11), second(61));
        processes.complete(&mut exec(20, 1, 5, "x"));
        processes.end(id(20), second(200));
        assert_eq!((processes.seen.len(), processes.evicted()), (1, 0));
        processes.end(id(99), second(300));
        assert_eq!((processes.seen.len(), processes.bytes), (0, 0));
    }

    #[test]
    fn long_command_lines_of_many_have_an_end() {
        let mut processes = Processes::default();
        for pid in 0..20_000 {
            let mut long = exec(pid, 1, 5, &"x".repeat(8000));
            long.args.push("more".into());
            processes.complete(&mut long);
            // What many copies run counts once.
            let child = ProcessId {
                pid: pid + 100_000,
                start: 5,
            };
            processes.fork(long.process, child);
        }
        assert!(processes.bytes <= BYTES);
        assert!(processes.evicted() > 30_000);
        let images: std::collections::HashSet<*const Image> = processes
            .seen
            .iter()
            .map(|(_, seen)| Arc::as_ptr(&seen.image))
            .collect();
        assert!(images.len() * 2 * LONGEST <= BYTES && images.len() > 1000);
    }
}
