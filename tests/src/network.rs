//! Two hosts joined by a cable: a network namespace each, gone with the value.
//!
//! The addresses are those that RFC 5737 and RFC 3849 keep for documentation.

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The host's addresses.
pub const HOST: [&str; 2] = ["198.51.100.1", "2001:db8::1"];
/// The attacker's addresses.
pub const ATTACKER: [&str; 2] = ["198.51.100.9", "2001:db8::9"];
/// The addresses of somebody beside the attacker, who may log in.
pub const NEIGHBOUR: [&str; 2] = ["198.51.100.20", "2001:db8::1:0:0:20"];
/// The one account that can log in by password, and its password.
pub const ACCOUNT: (&str, &str) = ("alice", "a long word for the laboratory");

/// See the module.
pub struct Network {
    name: String,
    /// The namespace of the host.
    pub host: String,
    /// The namespace of attacker and neighbour.
    pub attacker: String,
}

impl Network {
    /// Makes both namespaces and the cable.
    pub fn start() -> Self {
        let name = unique();
        let network = Self {
            host: format!("{name}h"),
            attacker: format!("{name}a"),
            name,
        };
        let (host, attacker) = (network.host.as_str(), network.attacker.as_str());
        for name in [host, attacker] {
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
        }
        ip(&format!(
            "link add eth0 netns {host} type veth peer name eth0 netns {attacker}"
        ));
        for (name, addresses) in [(host, HOST), (attacker, ATTACKER), (attacker, NEIGHBOUR)] {
            ip(&format!("-n {name} addr add {}/24 dev eth0", addresses[0]));
            ip(&format!("-n {name} addr add {}/64 dev eth0 nodad", addresses[1]));
            ip(&format!("-n {name} link set eth0 up"));
        }
        network
    }

    /// Ends what still runs in the namespaces of the network of that name, and removes them.
    pub(crate) fn remove(name: &str) {
        for end in ["h", "a"] {
            let namespace = format!("{name}{end}");
            let left = Command::new("ip").args(["netns", "pids", &namespace]).output();
            let left = left.map(|left| left.stdout).unwrap_or_default();
            for pid in String::from_utf8_lossy(&left).split_ascii_whitespace() {
                drop(Command::new("kill").args(["-s", "KILL", pid]).status());
            }
            // The test has its verdict by now; what cannot be removed is named by `ip` itself.
            drop(Command::new("ip").args(["netns", "del", &namespace]).status());
        }
    }

    /// What both namespaces' names begin with; no other network on this machine has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does something on a thread in a namespace. Sockets that it makes stay there.
    pub fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let namespace = File::open(format!("/run/netns/{namespace}")).expect("a namespace");
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may");
                work()
            });
            inside.join().expect("it works")
        })
    }

    /// A connection from one of the attacker's or neighbour's addresses; one that is only begun when nobody answers yet.
    pub fn connect(&self, source: &str, to: SocketAddr) -> TcpStream {
        Self::within(&self.attacker, || {
            let source = SocketAddr::new(source.parse().expect("an address"), 0);
            let family = if to.is_ipv4() {
                AddressFamily::Inet
            } else {
                AddressFamily::Inet6
            };
            let stream = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).expect("a socket");
            bind(stream.as_raw_fd(), &SockaddrStorage::from(source)).expect("an own address");
            match connect(stream.as_raw_fd(), &SockaddrStorage::from(to)) {
                Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => TcpStream::from(stream),
                Err(error) => panic!("{source} to {to}: {}", io::Error::from(error)),
            }
        })
    }

    /// A program at the attacker's.
    pub fn attacker(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.attacker]).arg(program);
        command
    }

    /// One login over SSH from `source` with one password.
    pub fn login(&self, source: &str, host: &str, user: &str, password: &str) -> Output {
        self.ssh(source, host, user, password)
            .arg("true")
            .stdin(Stdio::null())
            .output()
            .expect("ssh starts")
    }

    /// A login that lasts.
    pub fn session(&self, source: &str, host: &str, user: &str, password: &str) -> Session {
        let mut child = self
            .ssh(source, host, user, password)
            .arg("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ssh starts");
        Session {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
        }
    }

    /// A client at `source`, which runs on the host what it is given as an argument.
    pub fn ssh(&self, source: &str, host: &str, user: &str, password: &str) -> Command {
        let options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectTimeout=3",
            // Whoever is cut off in the middle gives up as well.
            "ServerAliveInterval=1",
            "ServerAliveCountMax=3",
            "PreferredAuthentications=password",
            "NumberOfPasswordPrompts=1",
        ];
        let mut command = self.attacker("sshpass");
        command
            .args(["-p", password, "ssh", "-F", "none", "-b", source, "-l", user])
            .args(options.iter().flat_map(|option| ["-o", option]))
            .arg(host);
        command
    }
}

/// A shell on the host.
pub struct Session {
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Session {
    /// Gives a command, and waits for the line that it prints.
    pub fn say(&mut self, command: &str) -> String {
        let input = self.input.as_mut().expect("it is open");
        writeln!(input, "{command}").expect("it reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints");
        assert!(!line.is_empty(), "the login failed");
        line
    }

    /// Logs out.
    pub fn end(mut self) {
        self.input = None;
        self.child.wait().expect("it ends");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It has ended by itself, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        Self::remove(&self.name);
    }
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("pk{}-{count}", std::process::id())
}

/// The first of some programs that this machine lacks.
pub(crate) fn lacks(programs: &[&str]) -> Option<String> {
    programs
        .iter()
        .find(|program| {
            Command::new("sh")
                .args(["-c", "command -v \"$0\"", program])
                .output()
                .is_ok_and(|found| !found.status.success())
        })
        .map(|program| format!("needs {program}"))
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
