//! The login that a process belongs to.
//!
//! Each process inherits its *server*, the nearest program up the line that lets people in. The kernel knows whom that
//! served: the audit session that it was given, and the far end of its socket; both only root can set. The log says how
//! somebody proved who they are, but whoever may write to the log may say anything, so it counts only where it does not
//! contradict the kernel. What a process has in its environment is its own word, and is not asked.

use super::image::Server;
use super::processes::Seen;
use super::users::Users;
use crate::parse::sockets::{Socket, sockets};
use crate::sys::{Clocks, Process};
use compact_str::{CompactString, ToCompactString as _};
use hashlink::LruCache;
use picket_common::event::{AuthAction, AuthEvent, Login, Outcome, Peer};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// So many logins are remembered.
const MOST: usize = 4096;
/// By how much the times of a log and of a process's start may differ: some logs know whole seconds.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Remembers who logged in, by the process that serves them.
pub(super) struct Logins {
    logged: LruCache<u32, Logged>,
    known: LruCache<ProcessId, Known>,
}

/// What a log said.
#[derive(Clone)]
struct Logged {
    time: Timestamp,
    user: Option<CompactString>,
    source: Option<Peer>,
    method: Option<CompactString>,
}

struct Known {
    /// The other end of the server's socket.
    peer: Option<Peer>,
    /// Whether the log was heard.
    is_logged: bool,
    login: Option<Arc<Login>>,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            logged: LruCache::new(MOST),
            known: LruCache::new(MOST),
        }
    }
}

impl Logins {
    /// Takes note of what a log says.
    pub(super) fn note(&mut self, time: Timestamp, auth: &AuthEvent) {
        let granted = auth.action == AuthAction::Login && auth.outcome == Outcome::Success;
        let Some(pid) = auth.pid.filter(|_| granted) else {
            return;
        };
        let first = self.logged.peek(&pid);
        // The first counts, as a later one may be the work of whoever was let in.
        if first.is_none_or(|first| time.since(first.time) > TOLERANCE && !self.is_known(pid)) {
            let logged = Logged {
                time,
                user: auth.user.clone(),
                source: auth.source,
                method: auth.method.map(|method| method.as_str().into()),
            };
            self.logged.insert(pid, logged);
        }
    }

    /// The login that a process belongs to, as far as it is known by now.
    pub(super) fn of(&mut self, seen: &Seen, users: &Users, clocks: &Clocks) -> Option<Arc<Login>> {
        let credentials = &seen.image.credentials;
        let id = match seen.server {
            // The server itself serves nobody yet.
            Some(_) if Server::of(seen.process, &seen.image).is_some() => return None,
            Some(server) => server.process,
            // Nobody is known to have let it in, but the kernel says who it is. No server is without its start.
            None => ProcessId::uncertain(credentials.session?),
        };
        let logged = self.logged(id, clocks);
        let known = self.known.get(&id);
        if let Some(known) = known.filter(|known| known.is_logged || logged.is_none())
            && known.login.is_some()
        {
            return known.login.clone();
        }
        let peer = match known {
            Some(known) => known.peer,
            None => seen.server.and_then(|server| peer(server.process)),
        };
        let logged = logged.filter(|logged| agrees(logged, peer));
        let said = logged.as_ref();
        // Somebody who has not proven yet who they are has a connection, and neither of these.
        let user = credentials
            .login_uid
            .map(|uid| users.name(uid).unwrap_or_else(|| uid.to_compact_string()))
            .or_else(|| said.and_then(|logged| logged.user.clone()));
        let source = peer.or_else(|| said.and_then(|logged| logged.source));
        let login = user.map(|user| {
            Arc::new(Login {
                user,
                source: source.map(|peer| peer.ip),
                port: source.and_then(|peer| peer.port),
                program: seen.server.map(|server| server.name.into()),
                method: said.and_then(|logged| logged.method.clone()),
                time: said.map(|logged| logged.time),
                pid: seen.server.map(|server| server.process.pid),
            })
        });
        let known = Known {
            peer,
            is_logged: said.is_some(),
            login: login.clone(),
        };
        self.known.insert(id, known);
        login
    }

    /// What the log said of a server since that began.
    fn logged(&mut self, server: ProcessId, clocks: &Clocks) -> Option<Logged> {
        let logged = self.logged.get(&server.pid).filter(|_| server.is_certain())?;
        let is_older = logged.time.plus(TOLERANCE) < clocks.began(server.start);
        (!is_older).then(|| logged.clone())
    }

    fn is_known(&self, pid: u32) -> bool {
        self.known
            .iter()
            .any(|(server, known)| server.pid == pid && known.is_logged)
    }
}

fn agrees(logged: &Logged, peer: Option<Peer>) -> bool {
    match (logged.source, peer) {
        (Some(logged), Some(peer)) => {
            logged.ip == peer.ip && (logged.port.is_none() || logged.port == peer.port)
        }
        _ => true,
    }
}

/// The other end of a server's connection. Looked up once for each.
fn peer(server: ProcessId) -> Option<Peer> {
    let process = Process::open(server.pid).ok()?;
    let mine = process.sockets().ok()?;
    // Only now is it sure that these were its own.
    if process.stat().ok()?.process != server {
        return None;
    }
    let tables = ["net/tcp", "net/tcp6"].map(|name| process.table(name).unwrap_or_default());
    let all: Vec<Socket<'_>> = tables.iter().flat_map(|table| sockets(table)).collect();
    let ports: HashSet<&str> = all
        .iter()
        .filter(|socket| socket.listens())
        .map(|socket| socket.port)
        .collect();
    // What it forwards came later, and lies behind its own connection.
    let connected = mine.iter().find_map(|inode| {
        all.iter()
            .find(|socket| socket.is_established() && socket.inode == inode && ports.contains(socket.port))
    });
    let peer = connected?.peer?;
    Some(Peer::new(peer.ip(), Some(peer.port())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::processes::Processes;
    use picket_common::event::{Ancestor, AuthMethod, Credentials, ExecEvent};

    fn id(pid: u32) -> ProcessId {
        // Above all that this machine has, so that nothing is found in its /proc.
        ProcessId {
            pid: pid + 5_000_000,
            start: 100,
        }
    }

    struct Host {
        processes: Processes,
        logins: Logins,
        users: Users,
        clocks: Clocks,
    }

    impl Host {
        fn new() -> Self {
            let mut users = Users::new("/etc/passwd");
            users.look(Timestamp::from_micros(0));
            Self {
                processes: Processes::default(),
                logins: Logins::default(),
                users,
                clocks: Clocks::read().unwrap(),
            }
        }

        /// A program with its parent. Gives its login.
        fn run(&mut self, pid: u32, parent: u32, path: &str, credentials: Credentials) -> Option<Login> {
            let mut exec = ExecEvent::new(id(pid), path, credentials);
            exec.ancestors.push(Ancestor {
                process: id(parent),
                executable: None,
                command_line: None,
            });
            self.processes.complete(&mut exec);
            let seen = self.processes.find(exec.process).unwrap();
            let login = self.logins.of(seen, &self.users, &self.clocks);
            login.map(|login| login.as_ref().clone())
        }

        fn log(&mut self, pid: u32, user: &str, source: &str, later: u64) {
            let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Success, "sshd");
            auth.pid = Some(id(pid).pid);
            auth.user = Some(user.into());
            auth.source = Some(Peer::new(source.parse().unwrap(), Some(4711)));
            auth.method = Some(AuthMethod::Password);
            let began = self.clocks.began(id(pid).start);
            self.logins.note(began.plus(Duration::from_secs(later)), &auth);
        }
    }

    const ROOT: Credentials = Credentials {
        uid: 0,
        effective_uid: 0,
        gid: 0,
        effective_gid: 0,
        login_uid: None,
        session: None,
    };

    fn alice(login_uid: Option<u32>) -> Credentials {
        Credentials {
            uid: 4242,
            effective_uid: 4242,
            login_uid,
            session: login_uid,
            ..ROOT
        }
    }

    #[test]
    fn a_process_belongs_to_whoever_its_server_let_in_and_nobody_can_say_otherwise() {
        let mut host = Host::new();
        assert_eq!(host.run(1, 0, "/usr/sbin/sshd", ROOT), None);
        // Before anybody has proven anything, its helpers belong to nobody.
        assert_eq!(host.run(2, 1, "/usr/sbin/unix_chkpwd", ROOT), None);
        assert_eq!(host.run(3, 1, "/bin/sh", alice(None)), None, "the log is late");
        host.log(1, "alice", "198.51.100.9", 3);
        // A later one may be the work of whoever was let in.
        host.log(1, "bob", "203.0.113.5", 4);
        let login = host.run(4, 3, "/usr/bin/id", alice(None)).unwrap();
        assert_eq!(login.user, "alice");
        assert_eq!(login.source, Some("198.51.100.9".parse().unwrap()));
        assert_eq!(
            (login.port, login.method.as_deref()),
            (Some(4711), Some("password"))
        );
        assert_eq!(
            (login.program.as_deref(), login.pid),
            (Some("sshd"), Some(id(1).pid))
        );
        host.log(1, "bob", "203.0.113.5", 60);
        let sudo = host.run(5, 4, "/usr/bin/sudo", ROOT).unwrap();
        assert_eq!(sudo, login, "whoever they become, it is their login");
        // Somebody's own program of that name lets nobody in.
        host.run(6, 4, "/tmp/sshd", alice(None));
        host.log(6, "root", "203.0.113.5", 5);
        assert_eq!(host.run(7, 6, "/bin/sh", alice(None)), Some(login));
    }

    #[test]
    fn whom_the_kernel_names_is_who_it_is_and_a_log_of_before_counts_for_nothing() {
        let mut host = Host::new();
        host.run(1, 0, "/usr/lib/openssh/sshd-session", ROOT);
        host.log(1, "bob", "203.0.113.5", 1);
        let login = host.run(2, 1, "/bin/sh", alice(Some(4242))).unwrap();
        assert_eq!(
            (login.user.as_str(), login.program.as_deref()),
            ("4242", Some("sshd"))
        );
        // Without a server that anybody knows of, and with one that asks for nothing.
        let login = host.run(3, 0, "/bin/sh", alice(Some(0))).unwrap();
        assert_eq!(
            (login.user.as_str(), login.program, login.source),
            ("root", None, None)
        );
        host.run(4, 0, "/usr/sbin/cron", ROOT);
        let login = host.run(5, 4, "/bin/sh", alice(Some(0))).unwrap();
        assert_eq!(login.program.as_deref(), Some("cron"));
        assert_eq!(host.run(6, 0, "/usr/bin/daemon", ROOT), None);

        // Whoever had the pid before was another.
        let mut later = id(7);
        later.start = 1_000_000;
        host.log(7, "bob", "203.0.113.5", 1);
        assert!(host.logins.logged(later, &host.clocks).is_none());
        assert!(host.logins.logged(id(7), &host.clocks).is_some());
    }
}
