//! Whether the host's addresses and routes changed, told by the kernel over a routing socket.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Addresses and routes of IPv4, then of IPv6: `RTMGRP_…` of `linux/rtnetlink.h`.
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// Hears of changes from when it is made.
#[derive(Debug)]
pub struct Changes {
    socket: OwnedFd,
}

impl Changes {
    /// Begins to listen. That takes no rights.
    pub fn listen() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            flags,
            SockProtocol::NetlinkRoute,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self { socket })
    }

    /// Whether anything changed since this was last asked. The kernel tells before whoever changed it is answered.
    pub fn happened(&self) -> bool {
        let mut happened = false;
        let mut message = [0; 4096];
        // What a message says is read elsewhere; more than a queue of them is as good as one.
        for _ in 0..10_000 {
            match recv(self.socket.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
                // Also when there were more than the socket holds.
                Ok(_) | Err(nix::errno::Errno::ENOBUFS) => happened = true,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return happened,
            }
        }
        happened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::process::Command;

    #[test]
    fn a_new_address_is_heard_of_at_once() {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            println!("skipped: no network namespace of its own: {error}");
            return;
        }
        let ip = |arguments: &[&str]| {
            let done = Command::new("ip").args(arguments).status().expect("ip starts");
            assert!(done.success());
        };
        ip(&["link", "set", "lo", "up"]);
        let changes = Changes::listen().unwrap();
        assert!(!changes.happened());
        ip(&["addr", "add", "198.51.100.1/32", "dev", "lo"]);
        assert!(changes.happened());
        assert!(!changes.happened());
        ip(&["-6", "route", "add", "2001:db8::/32", "dev", "lo"]);
        assert!(changes.happened());
    }
}
