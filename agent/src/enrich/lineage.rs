//! Who started a program, as far as the programs that started before tell.

use compact_str::CompactString;
use hashlink::LruCache;
use picket_common::event::{Ancestor, ExecEvent};
use picket_common::process::ProcessId;

/// So many processes are remembered.
const CAPACITY: usize = 16_384;
/// A longer command line or path is cut.
const LONGEST: usize = 4096;
/// A longer name of a host is cut: no host has one.
const LONGEST_HOST: usize = 255;
/// So many ancestors are told.
const DEEPEST: usize = 8;

/// Remembers what each process became last, in bounded memory, by host and pid.
///
/// Where pids are all that is known, as in an audit log, a parent may have ended and its pid may be another's: then the
/// ancestors are those of whoever had it last. So they are good to judge by, and never to act on.
pub struct Lineage {
    seen: LruCache<(Option<CompactString>, u32), Seen>,
    evicted: u64,
}

struct Seen {
    process: ProcessId,
    executable: CompactString,
    command_line: CompactString,
    parent: Option<ProcessId>,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            seen: LruCache::new(CAPACITY),
            evicted: 0,
        }
    }
}

impl Lineage {
    /// Adds what is known of the ancestors to an event, and remembers it for those that it starts.
    pub fn complete(&mut self, event: &mut ExecEvent) {
        if let [parent] = event.ancestors.as_mut_slice() {
            let mut wanted = None;
            if let Some(seen) = self.get(&event.host, parent.process) {
                parent.process = surer(parent.process, seen);
                parent.executable.get_or_insert_with(|| seen.executable.clone());
                parent
                    .command_line
                    .get_or_insert_with(|| seen.command_line.clone());
                wanted = seen.parent;
            }
            while let Some(process) = wanted.filter(|_| event.ancestors.len() < DEEPEST) {
                let seen = self.get(&event.host, process);
                event.ancestors.push(Ancestor {
                    process: seen.map_or(process, |seen| surer(process, seen)),
                    executable: seen.map(|seen| seen.executable.clone()),
                    command_line: seen.map(|seen| seen.command_line.clone()),
                });
                wanted = seen.and_then(|seen| seen.parent);
            }
        }
        let seen = Seen {
            process: event.process,
            executable: cut(&event.executable, LONGEST),
            command_line: cut(&event.command_line(), LONGEST),
            parent: event.ancestors.first().map(|parent| parent.process),
        };
        let key = key(&event.host, event.process.pid);
        let full = self.seen.len() >= self.seen.capacity() && !self.seen.contains_key(&key);
        self.evicted += u64::from(full);
        self.seen.insert(key, seen);
    }

    /// How many processes had to be forgotten to make room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn get(&mut self, host: &Option<CompactString>, process: ProcessId) -> Option<&Seen> {
        let seen: &Seen = self.seen.get(&key(host, process.pid))?;
        let other = process.is_certain() && seen.process.is_certain() && process != seen.process;
        (!other).then_some(seen)
    }
}

fn key(host: &Option<CompactString>, pid: u32) -> (Option<CompactString>, u32) {
    (host.as_ref().map(|host| cut(host, LONGEST_HOST)), pid)
}

fn cut(text: &str, longest: usize) -> CompactString {
    text.get(..text.floor_char_boundary(longest))
        .unwrap_or(text)
        .into()
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
    fn ancestors(lineage: &mut Lineage, mut event: ExecEvent) -> Vec<String> {
        lineage.complete(&mut event);
        let name = |ancestor: &Ancestor| ancestor.executable.as_deref().unwrap_or("-").to_owned();
        event.ancestors.iter().map(name).collect()
    }

    #[test]
    fn an_earlier_program_of_the_parent_is_told_with_its_own_ancestors() {
        let mut lineage = Lineage::default();
        assert_eq!(ancestors(&mut lineage, exec(10, 1, 0, "sshd")), ["-"]);
        assert_eq!(ancestors(&mut lineage, exec(11, 10, 0, "sh")), ["/bin/sshd", "-"]);
        // It became another program.
        assert_eq!(
            ancestors(&mut lineage, exec(11, 10, 0, "bash")),
            ["/bin/sshd", "-"]
        );
        let mut id = exec(12, 11, 0, "id");
        lineage.complete(&mut id);
        assert_eq!(id.ancestors[0].command_line.as_deref(), Some("bash"));
        assert_eq!(id.ancestors.len(), 3);
        // On another host the pid is another's.
        let mut there = exec(13, 11, 0, "id");
        there.host = Some("web2".into());
        assert_eq!(ancestors(&mut lineage, there), ["-"]);
    }

    #[test]
    fn a_pid_with_another_start_is_another_process() {
        let mut lineage = Lineage::default();
        ancestors(&mut lineage, exec(10, 1, 5, "sh"));
        assert_eq!(ancestors(&mut lineage, exec(11, 10, 6, "id")), ["-"]);
        // Where one of two does not say, they may be the same, and what is certain stays so.
        let mut child = exec(12, 10, 0, "id");
        lineage.complete(&mut child);
        assert_eq!(child.ancestors[0].process, ProcessId { pid: 10, start: 5 });
        lineage.complete(&mut exec(10, 1, 0, "sh"));
        let mut child = exec(12, 10, 5, "id");
        lineage.complete(&mut child);
        assert_eq!(child.ancestors[0].process, ProcessId { pid: 10, start: 5 });
    }

    #[test]
    fn circles_end_and_what_is_remembered_is_bounded() {
        let mut lineage = Lineage::default();
        ancestors(&mut lineage, exec(10, 11, 0, "a"));
        ancestors(&mut lineage, exec(11, 10, 0, "b"));
        assert_eq!(ancestors(&mut lineage, exec(10, 11, 0, "c")).len(), DEEPEST);
        for pid in 0..20_000 {
            lineage.complete(&mut exec(pid, 1, 0, "d"));
        }
        assert_eq!(
            (lineage.seen.len(), lineage.evicted()),
            (CAPACITY, 20_000 - 16_384)
        );
        let mut long = exec(1, 0, 0, &"é".repeat(5000));
        lineage.complete(&mut long);
        let mut child = exec(2, 1, 0, "id");
        lineage.complete(&mut child);
        assert_eq!(child.ancestors[0].command_line.as_ref().unwrap().len(), LONGEST);
    }
}
