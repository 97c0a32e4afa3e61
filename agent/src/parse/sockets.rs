//! The kernel's table of TCP sockets, `/proc/net/tcp`.

use std::net::{IpAddr, SocketAddr};

/// One line: numbers stay as they are written.
pub struct Socket<'a> {
    /// The own port, in hexadecimal.
    pub port: &'a str,
    /// The other end; `None` where the address cannot be read.
    pub peer: Option<SocketAddr>,
    state: &'a str,
    /// Whose it is.
    pub user: &'a str,
    /// Its number, by which a process that holds it names it.
    pub inode: &'a str,
}

impl Socket<'_> {
    /// Whether it waits for connections.
    pub fn listens(&self) -> bool {
        self.state == "0A"
    }

    /// Where the other end is, if it is connected.
    pub fn remote(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip())
    }

    /// Whether it is connected.
    pub fn is_established(&self) -> bool {
        self.state == "01"
    }
}

/// All of a table.
pub fn sockets(table: &str) -> impl Iterator<Item = Socket<'_>> {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
        // Queues, timers and retransmissions stand in between.
        let user = words.nth(3).unwrap_or_default();
        Some(Socket {
            port: local.rsplit_once(':')?.1,
            peer: socket_address(remote),
            state,
            user,
            inode: words.nth(1).unwrap_or_default(),
        })
    })
}

/// Whether somebody at `address` holds a connection to a port that this host listens on.
pub fn is_connected(table: &str, address: IpAddr) -> bool {
    let listening: Vec<&str> = sockets(table)
        .filter(Socket::listens)
        .map(|socket| socket.port)
        .collect();
    sockets(table).any(|socket| {
        socket.is_established() && socket.remote() == Some(address) && listening.contains(&socket.port)
    })
}

/// Addresses are in hexadecimal, as they lie in memory; the port is as people read it.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (digits, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if digits.len() == 8 {
        let bits = u32::from_str_radix(digits, 16).ok()?;
        return Some(SocketAddr::new(IpAddr::from(bits.to_ne_bytes()), port));
    }
    let mut bytes = [0_u8; 16];
    for (at, place) in bytes.chunks_exact_mut(4).enumerate() {
        let word = u32::from_str_radix(digits.get(at * 8..at * 8 + 8)?, 16).ok()?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Some(SocketAddr::new(IpAddr::V6(bytes.into()).to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whoever_came_is_connected() {
        let tcp = "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0\n   1: 016433C6:0016 096433C6:9C40 01 0\n   2: 016433C6:9000 0A6433C6:0016 01 0\n";
        assert!(is_connected(tcp, "198.51.100.9".parse().unwrap()));
        // A connection that this host made itself tells of nobody who came.
        assert!(!is_connected(tcp, "198.51.100.10".parse().unwrap()));
        let tcp6 = "x\n 0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A\n 1: B80D0120000000000000000001000000:0016 B80D0120000000000000000009000000:9C40 01\n";
        assert!(is_connected(tcp6, "2001:db8::9".parse().unwrap()));
        // IPv4 at a port of IPv6.
        let mapped = "x\n 0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A\n 1: 0000000000000000FFFF0000016433C6:0016 0000000000000000FFFF0000096433C6:9C40 01\n";
        assert!(is_connected(mapped, "198.51.100.9".parse().unwrap()));
        let peer = sockets(mapped).nth(1).and_then(|socket| socket.peer);
        assert_eq!(peer, Some("198.51.100.9:40000".parse().unwrap()));
    }
}
