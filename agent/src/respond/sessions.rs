//! Who was logged in from elsewhere before the agent looked: what no log that it reads may tell.

use crate::parse::sockets::{Socket, sockets};
use picket_common::time::Timestamp;
use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// How many sessions are looked at; nobody administers a host from more places at once.
const MOST: usize = 1000;
/// The unit of a process's start, the same on every Linux that Picket runs on.
const TICK: Duration = Duration::from_millis(10);

/// Somebody who is logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// From where.
    pub address: IpAddr,
    /// Since when.
    pub since: Timestamp,
}

impl Session {
    /// All that sshd and logind know of. What cannot be read is not there: this protects, it does not accuse.
    pub fn gather() -> Vec<Self> {
        let mut sessions = of_logind(Path::new("/run/systemd/sessions"));
        sessions.extend(of_sshd(Path::new("/proc")));
        sessions.truncate(MOST);
        sessions
    }
}

/// logind keeps a file of `KEY=VALUE` lines for each session.
fn of_logind(folder: &Path) -> Vec<Session> {
    let files = folder.read_dir().into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.filter_map(|text| logind_session(&text)).collect()
}

fn logind_session(text: &str) -> Option<Session> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    // A host is a name where sshd looks names up; then sshd's own sockets tell.
    let address: IpAddr = value("REMOTE_HOST=")?.parse().ok()?;
    let since = value("REALTIME=")?.parse().ok()?;
    Some(Session {
        address: address.to_canonical(),
        since: Timestamp::from_micros(since),
    })
}

/// Processes that sshd gave to somebody who had proven who they are, and that hold a connection to a port of root's.
fn of_sshd(proc: &Path) -> Vec<Session> {
    let peers = peers(proc);
    if peers.is_empty() {
        return Vec::new();
    }
    let booted = fs::read_to_string(proc.join("stat"))
        .ok()
        .and_then(|text| boot(&text));
    let processes = proc.read_dir().into_iter().flatten().flatten();
    let mut sessions = Vec::new();
    for process in processes.map(|process| process.path()) {
        let title = fs::read(process.join("cmdline")).unwrap_or_default();
        if !is_session(&String::from_utf8_lossy(&title)) {
            continue;
        }
        let since = booted
            .zip(
                fs::read_to_string(process.join("stat"))
                    .ok()
                    .as_deref()
                    .and_then(started),
            )
            .map(|(booted, span)| booted.plus(span));
        for address in held_by(&process, &peers) {
            // Without a time of its own it began as late as can be.
            let since = since.unwrap_or_else(|| jiff::Timestamp::now().into());
            sessions.push(Session { address, since });
        }
    }
    sessions
}

/// From where the processes with these pids are connected to: those that hold a connection to a port of root's.
pub(super) fn peers_of(proc: &Path, pids: &[u32]) -> Vec<IpAddr> {
    let peers = peers(proc);
    let held = |pid: &u32| held_by(&proc.join(pid.to_string()), &peers);
    pids.iter().flat_map(held).collect()
}

/// Who is connected to a port of root's, by the name of the socket.
fn peers(proc: &Path) -> HashMap<String, IpAddr> {
    let table = |name: &str| fs::read_to_string(proc.join("net").join(name)).unwrap_or_default();
    let (v4, v6) = (table("tcp"), table("tcp6"));
    let all: Vec<Socket<'_>> = sockets(&v4).chain(sockets(&v6)).collect();
    let is_roots = |port: &str| {
        all.iter()
            .any(|socket| socket.listens() && socket.port == port && socket.user == "0")
    };
    all.iter()
        .filter(|socket| socket.is_established() && is_roots(socket.port))
        .filter_map(|socket| Some((format!("socket:[{}]", socket.inode), socket.remote()?)))
        .collect()
}

fn held_by(process: &Path, peers: &HashMap<String, IpAddr>) -> Vec<IpAddr> {
    let open = process.join("fd").read_dir().into_iter().flatten().flatten();
    let links = open.filter_map(|file| fs::read_link(file.path()).ok());
    links
        .filter_map(|link| peers.get(link.to_str()?).copied())
        .collect()
}

/// Whether sshd's title says that it works for somebody: `sshd: alice@pts/0`. Before that it is `sshd: alice [net]`, where the
/// name is whatever the client says.
fn is_session(title: &str) -> bool {
    let title = title.trim_end_matches('\0');
    let name = title
        .strip_prefix("sshd: ")
        .or_else(|| title.strip_prefix("sshd-session: "));
    name.is_some_and(|name| name.contains('@') && !name.ends_with(']'))
}

/// When the host was started, from `/proc/stat`.
fn boot(text: &str) -> Option<Timestamp> {
    let seconds: i64 = text
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}

/// How long after that a process was, from its `stat`: the name, which may hold anything, ends with the last bracket.
fn started(text: &str) -> Option<Duration> {
    let (_, fields) = text.rsplit_once(')')?;
    let ticks: u32 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(TICK.saturating_mul(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_who_has_proven_who_they_are_has_a_session() {
        for title in [
            "sshd: alice@pts/0\0",
            "sshd: root@notty",
            "sshd-session: a@corp.example@pts/1",
        ] {
            assert!(is_session(title), "{title}");
        }
        for title in [
            "sshd: alice [priv]",
            "sshd: a@corp.example [net]",
            "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
            "vim sshd: a@b",
            "",
        ] {
            assert!(!is_session(title), "{title}");
        }
    }

    #[test]
    fn logind_names_remote_hosts() {
        let text = "# This is private data. Do not parse.\nUID=0\nREMOTE=1\nREMOTE_HOST=198.51.100.20\nREALTIME=1700000000000000\n";
        let session = Session {
            address: "198.51.100.20".parse().unwrap(),
            since: Timestamp::from_micros(1_700_000_000_000_000),
        };
        assert_eq!(logind_session(text), Some(session));
        assert_eq!(logind_session("REMOTE_HOST=a.example\nREALTIME=1\n"), None);
        assert_eq!(logind_session("UID=0\n"), None);
    }

    #[test]
    fn the_socket_of_a_session_tells_where_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        let process = |pid: &str, title: &str, inode: u32| {
            let own = proc.join(pid);
            fs::create_dir_all(own.join("fd")).unwrap();
            fs::write(own.join("cmdline"), title).unwrap();
            fs::write(
                own.join("stat"),
                "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0\n",
            )
            .unwrap();
            symlink(format!("socket:[{inode}]"), own.join("fd/3")).unwrap();
        };
        fs::create_dir(proc.join("net")).unwrap();
        let line = |remote: &str, state: &str, user: &str, inode: &str, port: &str| {
            format!(" 0: 016433C6:{port} {remote} {state} 0:0 0:0 0 {user} 0 {inode} 1\n")
        };
        let tcp = [
            "  sl\n".to_owned(),
            line("00000000:0000", "0A", "0", "1", "0016"),
            line("00000000:0000", "0A", "1000", "2", "1F90"),
            line("146433C6:9C40", "01", "0", "77", "0016"),
            line("096433C6:9C40", "01", "0", "78", "0016"),
            line("0A6433C6:9C40", "01", "1000", "79", "1F90"),
        ];
        fs::write(proc.join("net/tcp"), tcp.concat()).unwrap();
        fs::write(proc.join("stat"), "cpu 1\nbtime 1700000000\n").unwrap();
        process("100", "sshd: alice@pts/0", 77);
        process("101", "sshd: root [net]", 78);
        // Anybody can call a process so and listen on a port of their own.
        process("102", "sshd: forged@pts/0", 79);
        let session = Session {
            address: "198.51.100.20".parse().unwrap(),
            since: Timestamp::from_micros(1_700_000_005_000_000),
        };
        assert_eq!(of_sshd(proc), [session]);
    }
}
