//! Two network namespaces joined by a cable: a host, and whoever comes to it. Both end with the value.
//!
//! Addresses are those that RFC 5737 and RFC 3849 keep for documentation.

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The host's addresses.
pub const HOST: [&str; 2] = ["198.51.100.1", "2001:db8::1"];
/// The attacker's addresses.
pub const ATTACKER: [&str; 2] = ["198.51.100.9", "2001:db8::9"];
/// The addresses of somebody beside the attacker, who may log in.
pub const NEIGHBOUR: [&str; 2] = ["198.51.100.20", "2001:db8:0:0:1::20"];

/// See the module.
pub struct Network {
    /// The namespace of the host.
    pub host: String,
    /// The namespace of attacker and neighbour.
    pub attacker: String,
}

impl Network {
    /// Lays the cable.
    pub fn start() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let tag = format!(
            "pk{}n{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let network = Self {
            host: format!("{tag}h"),
            attacker: format!("{tag}a"),
        };
        let (host, attacker) = (&*network.host, &*network.attacker);
        for name in [host, attacker] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        let ends = [
            "eth0", "netns", host, "type", "veth", "peer", "name", "eth0", "netns", attacker,
        ];
        ip(&[&["link", "add"], ends.as_slice()].concat());
        for (name, addresses) in [(host, HOST), (attacker, ATTACKER), (attacker, NEIGHBOUR)] {
            let [v4, v6] = [format!("{}/24", addresses[0]), format!("{}/64", addresses[1])];
            ip(&["-n", name, "addr", "add", &v4, "dev", "eth0"]);
            ip(&["-n", name, "addr", "add", &v6, "dev", "eth0", "nodad"]);
        }
        for name in [host, attacker] {
            ip(&["-n", name, "link", "set", "eth0", "up"]);
        }
        network
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
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.host, &self.attacker] {
            // The test has its verdict by now; what cannot be removed is named by `ip` itself.
            drop(Command::new("ip").args(["netns", "del", name]).status());
        }
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}

/// Runs a command that must end well.
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
