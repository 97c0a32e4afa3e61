//! What processes did, with what the host knows of them.

use super::containers::Containers;
use super::hashes::{Hash, Hashes};
use super::inquiry::Inquiries;
use super::installers::Installing;
use super::logins::Logins;
use super::processes::{Processes, Seen};
use super::users::Users;
use crate::observation::{EXEC_EBPF, FileKey, Hashed, ProcessSeen, Sighting};
use crate::sys::{Clocks, Process, version};
use compact_str::CompactString;
use nix::sys::stat::stat;
use picket_common::event::{
    Ancestor, AuthEvent, ConnectEvent, Event, ExecEvent, ExecutedFile, ExitEvent, FileEvent, FileVersion,
    Payload, PrivilegeEvent, Program, SignalEvent,
};
use picket_common::ids::RecordId;
use picket_common::process::ProcessId;
use picket_common::record::Amend;
use picket_common::time::Timestamp;
use std::time::Duration;

/// How often it is asked whether packages came or went, while programs start at all.
const PACKAGES: Duration = Duration::from_secs(2);
/// How often the host's name and clocks are looked at.
const HOST: Duration = Duration::from_secs(1);
/// How often it is said that processes had to be forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Makes events of sightings. One boot of one host.
pub(super) struct Programs {
    boot: String,
    /// The mount namespace in which the host's first process is.
    mount: Option<u32>,
    host: Option<CompactString>,
    clocks: Option<Clocks>,
    processes: Processes,
    users: Users,
    logins: Logins,
    containers: Containers,
    hashes: Hashes,
    inquiries: Option<Inquiries>,
    looked: Option<Timestamp>,
    packages: Option<Timestamp>,
    forgotten: (Option<Timestamp>, u64),
    installing: Installing,
    amended: Vec<Amended>,
}

/// An event of which more became known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Amended {
    /// With what is known now. Rules have judged it without that.
    pub event: Event,
    /// What travels.
    pub record: Amend,
}

impl Programs {
    pub(super) fn new(inquiries: Option<Inquiries>) -> Self {
        Self {
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            mount: Process::open(1)
                .ok()
                .and_then(|init| init.namespaces())
                .map(|spaces| spaces.mount),
            host: None,
            clocks: None,
            processes: Processes::default(),
            users: Users::new("/etc/passwd"),
            logins: Logins::default(),
            containers: Containers::new(),
            hashes: Hashes::default(),
            inquiries,
            looked: None,
            packages: None,
            forgotten: (None, 0),
            installing: Installing::default(),
            amended: Vec::new(),
        }
    }

    /// Takes note of what a log says of logins.
    pub(super) fn note(&mut self, time: Timestamp, auth: &AuthEvent) {
        self.logins.note(time, auth);
    }

    /// Adds the event that a sighting is, if it is one.
    pub(super) fn enrich(
        &mut self,
        source: &str,
        sighting: Sighting,
        observed: Timestamp,
        events: &mut Vec<Event>,
    ) {
        self.look(observed);
        let Sighting { time, number, what } = sighting;
        let (process, payload) = match what {
            ProcessSeen::Running(mut exec) => {
                if self.processes.find(exec.process).is_none() {
                    exec.container = self.containers.of(&exec, false, time);
                    self.processes.complete(&mut exec);
                }
                return;
            }
            ProcessSeen::Forked { parent, child } => return self.processes.fork(parent, child),
            ProcessSeen::Exec(mut exec) => {
                let awaited = self.exec(&mut exec, time, source == EXEC_EBPF);
                self.installing
                    .saw(&exec.executable, exec.credentials.effective_uid, time);
                let process = exec.process;
                let event = self.event(source, (time, number, observed), process, Payload::Exec(exec));
                if let Some(file) = awaited {
                    self.hashes.wait(file, &event);
                }
                events.push(event);
                return;
            }
            ProcessSeen::Exited { process, status } => {
                let program = self.program(process);
                if let (Some(path), Some(user)) = (&program.executable, program.effective_uid) {
                    self.installing.saw(path, user, time);
                }
                let began = self.clocks.filter(|_| program.process.is_certain());
                let ran = began.map(|clocks| time.since(clocks.began(program.process.start)));
                self.processes.end(process, time);
                (process, Payload::Exit(ExitEvent { program, status, ran }.into()))
            }
            ProcessSeen::Connected {
                process,
                direction,
                local,
                remote,
            } => {
                let program = self.program(process);
                let connect = ConnectEvent {
                    program,
                    direction,
                    local,
                    remote,
                };
                (process, Payload::Connect(connect.into()))
            }
            ProcessSeen::Raised {
                process,
                former_uid,
                credentials,
            } => {
                let mut program = self.program(process);
                program.effective_uid = Some(credentials.effective_uid);
                program.user = self.users.name(credentials.effective_uid);
                (
                    process,
                    Payload::Privilege(PrivilegeEvent { program, former_uid }.into()),
                )
            }
            ProcessSeen::Signalled {
                process,
                signal,
                target,
            } => {
                let (program, target) = (self.program(process), self.program(target));
                let event = SignalEvent {
                    program,
                    signal,
                    target,
                };
                (process, Payload::Signal(event.into()))
            }
        };
        events.push(self.event(source, (time, number, observed), process, payload));
    }

    /// Takes what was found out of a file.
    pub(super) fn learn(&mut self, hashed: Hashed, observed: Timestamp) {
        let sha256 = hashed.sha256.clone();
        for mut event in self.hashes.learn(hashed) {
            if let Payload::Exec(exec) = &mut event.payload
                && sha256.is_some()
            {
                exec.sha256.clone_from(&sha256);
                let record = Amend {
                    id: RecordId::derived(observed, &[b"amend", &event.id.to_bytes()]),
                    time: observed,
                    event: event.id,
                    sha256: sha256.clone(),
                };
                self.amended.push(Amended { event, record });
            }
        }
    }

    /// Takes the events of which more became known.
    pub(super) fn take_amended(&mut self) -> Vec<Amended> {
        std::mem::take(&mut self.amended)
    }

    /// Adds what is known of a program that starts. Gives its file, when its hash is awaited.
    /// `tells_all`: the source leaves none out, so that it is known whether a copy has run something before.
    fn exec(&mut self, exec: &mut ExecEvent, time: Timestamp, tells_all: bool) -> Option<FileKey> {
        let seen = self.processes.find(exec.process);
        let is_copy = tells_all && seen.is_some_and(|seen| !seen.has_run);
        exec.container = self.containers.of(exec, is_copy, time);
        exec.user = self.users.name(exec.credentials.effective_uid);
        self.processes.complete(exec);
        exec.host.clone_from(&self.host);
        let seen = self.processes.find(exec.process);
        let clocks = self.clocks.as_ref();
        if let Some((seen, clocks)) = seen.zip(clocks) {
            let login = self.logins.of(seen, &self.users, clocks);
            exec.login = login.map(|login| login.as_ref().clone().into());
        }
        let inquiries = self.inquiries.as_ref()?;
        let file = exec.file?;
        // The same path leads to another file where another root is, as in a container.
        let is_here = exec
            .namespaces
            .is_some_and(|spaces| Some(spaces.mount) == self.mount)
            || is_at(&exec.executable, file).is_some();
        if is_here && !file.unlinked && !file.memfd {
            exec.package = inquiries.owner(&exec.executable);
        }
        let file = FileKey {
            device: file.device,
            inode: file.inode,
            version: exec.version.or_else(|| looked_up(exec))?,
        };
        match self.hashes.of(&file) {
            Hash::Known(sha256) => {
                exec.sha256 = sha256;
                None
            }
            Hash::Awaited => Some(file),
            Hash::Unknown => {
                let asked = self.hashes.has_room() && inquiries.hash(exec.process, &exec.executable, file);
                asked.then_some(file)
            }
        }
    }

    /// What is known of a process.
    fn program(&mut self, process: ProcessId) -> Program {
        let Some(seen) = self.processes.find(process) else {
            return Program::unknown(process);
        };
        let seen = seen.clone();
        let ancestors = self.processes.ancestors(seen.process);
        self.described(&seen, ancestors)
    }

    /// Adds the owner of a file that landed, and the package that it belongs to.
    pub(super) fn owner(&mut self, file: &mut FileEvent, observed: Timestamp) {
        self.look(observed);
        file.owner = file.uid.and_then(|uid| self.users.name(uid));
        file.package = self
            .inquiries
            .as_ref()
            .and_then(|inquiries| inquiries.owner(&file.path));
    }

    /// Asks whose files are; whether that was possible.
    pub(super) fn ask_owners(&self, paths: Vec<CompactString>) -> bool {
        self.inquiries
            .as_ref()
            .is_some_and(|inquiries| inquiries.ask_owners(paths))
    }

    /// Whether something runs that installs packages.
    pub(super) fn installs(&self) -> bool {
        let mut running = self.processes.running().into_iter();
        running.any(|seen| Installing::is(&seen.image.executable, seen.image.credentials.effective_uid))
    }

    /// Whether something that installs packages ran at a time, or had just ended.
    pub(super) fn installs_at(&self, time: Timestamp) -> bool {
        self.installing.at(time)
    }

    /// Adds what is known of who wrote a file. What the sensor read while it wrote stays: it may be another program by now.
    pub(super) fn complete(&mut self, file: &mut FileEvent, observed: Timestamp) {
        self.look(observed);
        file.host.clone_from(&self.host);
        let Some(writer) = &mut file.writer else {
            return;
        };
        let mut known = self.program(writer.process);
        // Of a writer that was gone only the pid is known: who has it now may be another, that began later.
        let began = self.clocks.map(|clocks| clocks.began(known.process.start));
        if !writer.process.is_certain() && began.is_none_or(|began| began > observed) {
            known = Program::unknown(writer.process);
        }
        known.executable = writer.executable.take().or(known.executable);
        known.command_line = writer.command_line.take().or(known.command_line);
        known.effective_uid = writer.effective_uid.or(known.effective_uid);
        known.user = known
            .effective_uid
            .and_then(|uid| self.users.name(uid))
            .or(known.user);
        **writer = known;
    }

    /// All that run, as far as is known, in no order. Of the ancestors only the parent is named, and that by its number alone.
    pub(super) fn running(&mut self) -> Vec<Program> {
        let running = self.processes.running();
        let describe = |seen: &Seen| {
            let parent = seen.parent.map(|process| Ancestor {
                process,
                executable: None,
                command_line: None,
            });
            self.described(seen, parent.into_iter().collect())
        };
        running.iter().map(describe).collect()
    }

    fn described(&mut self, seen: &Seen, ancestors: Vec<Ancestor>) -> Program {
        let login = self
            .clocks
            .and_then(|clocks| self.logins.of(seen, &self.users, &clocks));
        Program {
            process: seen.process,
            executable: Some(seen.image.executable.clone()),
            command_line: Some(seen.image.command_line.clone()),
            effective_uid: Some(seen.image.credentials.effective_uid),
            user: self.users.name(seen.image.credentials.effective_uid),
            ancestors,
            login: login.map(|login| login.as_ref().clone().into()),
            container: seen.image.container.clone(),
        }
    }

    fn event(
        &self,
        source: &str,
        (time, number, observed): (Timestamp, u64, Timestamp),
        process: ProcessId,
        payload: Payload,
    ) -> Event {
        let (number, pid) = (number.to_le_bytes(), process.pid.to_le_bytes());
        let parts: [&[u8]; 4] = [source.as_bytes(), self.boot.as_bytes(), &number, &pid];
        Event {
            id: RecordId::derived(time, &parts),
            time,
            observed,
            payload,
        }
    }

    /// Looks at what may have changed, now and then.
    fn look(&mut self, now: Timestamp) {
        let due = |last: Option<Timestamp>, between| {
            // Also when the clock was set back.
            last.is_none_or(|last| now < last || now.since(last) >= between)
        };
        if !due(self.looked, HOST) {
            return;
        }
        self.looked = Some(now);
        self.users.look(now);
        self.installing.runs = self.installs();
        self.clocks = Clocks::read().ok().or(self.clocks);
        self.host = nix::unistd::gethostname()
            .ok()
            .map(|name| CompactString::from(name.to_string_lossy()));
        if due(self.packages, PACKAGES) {
            self.packages = Some(now);
            if let Some(inquiries) = &self.inquiries {
                inquiries.look_at_packages();
            }
        }
        let (said, before) = self.forgotten;
        let evicted = self.processes.evicted();
        if evicted > before && due(said, FORGOTTEN) {
            self.forgotten = (Some(now), evicted);
            let more = evicted - before;
            tracing::warn!(
                "{more} processes had to be forgotten to make room for others; what they start has no ancestors"
            );
        }
    }
}

/// Which content a file has that the sensor did not look at; `None` where its path leads elsewhere by now.
fn looked_up(exec: &ExecEvent) -> Option<FileVersion> {
    let running = format!("/proc/{}/exe", exec.process.pid);
    let file = exec.file?;
    is_at(&running, file).or_else(|| is_at(&exec.executable, file))
}

/// Whether a path leads to a file. Gives its content.
fn is_at(path: &str, file: ExecutedFile) -> Option<FileVersion> {
    let data = stat(path).ok()?;
    ((data.st_dev, data.st_ino) == (file.device, file.inode)).then(|| version(&data))
}
