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
