//! The kernel's process connector: a netlink socket over which it tells of every process that begins, runs another program
//! or ends (`linux/cn_proc.h`). It tells only a listener in the host's own namespaces.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recvfrom, send, setsockopt, sockopt};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

/// `CN_IDX_PROC` and `CN_VAL_PROC`, also the number of the multicast group.
const PROC: u32 = 1;
const LISTEN: u32 = 1;
const HEADER: usize = 16;
const CONNECTOR: usize = 20;
/// Both and the wish, in bytes.
const REQUEST: u32 = 40;
/// `NLMSG_DONE`, which is what messages of connectors are.
const DONE: u16 = 3;
/// How much the kernel may keep for us, in bytes: some 20,000 messages.
const BUFFER: usize = 16 << 20;
/// `PROC_EVENT_…`.
const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;

/// Why it cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// Before Linux 6.6 that takes root, or `CAP_NET_ADMIN`.
    #[error("listening to the process connector is not permitted: the agent needs root, or CAP_NET_ADMIN")]
    Forbidden,
    /// The kernel says nothing to whoever is in a namespace of its own.
    #[error("the process connector speaks only to the host's own user, pid and network namespaces")]
    Elsewhere,
    /// Something else, such as a kernel without it.
    #[error("the process connector cannot be reached: {0}")]
    System(io::Error),
}

impl From<Errno> for ConnectorError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::EPERM | Errno::EACCES => Self::Forbidden,
            Errno::ECONNREFUSED => Self::Elsewhere,
            error => Self::System(error.into()),
        }
    }
}

/// Hears of processes from when it is made.
#[derive(Debug)]
pub struct ProcConnector {
    socket: OwnedFd,
    /// The number of the next message of each processor.
    expected: HashMap<u32, u32>,
}

/// What the kernel tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// When, by the monotonic clock, in nanoseconds.
    pub at: u64,
    /// What.
    pub what: ProcessTold,
    /// On which processor, and the number of the message there.
    place: (u32, u32),
}

/// What a process did. Threads are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessTold {
    /// It began as a copy of another.
    Forked {
        /// Whose copy it is.
        parent: u32,
        /// The new process.
        child: u32,
    },
    /// It became another program.
    Exec(u32),
    /// Its first thread ended, with this status, as `wait` has it.
    Exited(u32, u32),
    /// Something that nobody asked for.
    Other,
}

impl ProcConnector {
    /// Begins to listen.
    pub fn listen() -> Result<Self, ConnectorError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = (AddressFamily::NETLINK, SocketType::DGRAM);
        let socket = socket_with(kind.0, kind.1, flags, Some(netlink::CONNECTOR))
            .map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            // Without the right to force it as much as anybody may have.
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROC))?;
        send(socket.as_raw_fd(), &request(), MsgFlags::empty())?;
        let connector = Self {
            socket,
            expected: HashMap::new(),
        };
        // The answer is there before `send` returns, and it is the first message for whoever listens first.
        let mut buffer = [0; 256];
        for _ in 0..10_000 {
            match connector.next(&mut buffer) {
                Ok(Some(Heard::Answer(0))) => return Ok(connector),
                Ok(Some(Heard::Answer(error))) => {
                    return Err(Errno::from_raw(error.try_into().unwrap_or(0)).into());
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Err(ConnectorError::System(error)),
            }
        }
        Err(ConnectorError::Elsewhere)
    }

    /// Adds at most `most` messages that are there. Gives how many messages, of whatever kind, the kernel could not keep for us.
    pub fn take(&mut self, most: usize, told: &mut Vec<Told>) -> io::Result<u64> {
        let (mut lost, mut buffer) = (0, [0; 256]);
        for _ in 0..most {
            match self.next(&mut buffer)? {
                Some(Heard::Told(message)) => {
                    lost += self.missing(message.place);
                    if message.what != ProcessTold::Other {
                        told.push(message);
                    }
                }
                Some(Heard::Answer(_) | Heard::Noise) => {}
                None => break,
            }
        }
        Ok(lost)
    }

    /// How many messages of a processor are missing before the one of this number. Each counts for itself.
    fn missing(&mut self, (processor, number): (u32, u32)) -> u64 {
        let expected = *self.expected.get(&processor).unwrap_or(&number);
        let missing = number.wrapping_sub(expected);
        if missing > u32::MAX / 2 {
            // One that is older than the last was only late.
            return 0;
        }
        self.expected.insert(processor, number.wrapping_add(1));
        missing.into()
    }

    fn next(&self, buffer: &mut [u8]) -> io::Result<Option<Heard>> {
        loop {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), buffer) {
                Ok((length, from)) => {
                    let is_kernel = from.is_some_and(|from| from.pid() == 0);
                    let heard = buffer.get(..length).filter(|_| is_kernel).and_then(heard);
                    return Ok(Some(heard.unwrap_or(Heard::Noise)));
                }
                Err(Errno::EAGAIN) => return Ok(None),
                // What was lost shows in the numbers of what follows.
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for ProcConnector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[derive(PartialEq, Debug)]
enum Heard {
    Told(Told),
    /// To the request to listen: an error's number.
    Answer(u32),
    Noise,
}

/// A header of netlink, one of the connector, and the wish.
fn request() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend(DONE.to_ne_bytes());
    bytes.extend([0; 2 + 4 + 4]);
    bytes.extend([PROC, PROC, 0, 0].iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(4_u16.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

/// `struct proc_event` after both headers.
fn heard(bytes: &[u8]) -> Option<Heard> {
    let connector = |at: usize| word(bytes, HEADER + at);
    if (connector(0)?, connector(4)?) != (PROC, PROC) {
        return None;
    }
    let body = bytes.get(HEADER + CONNECTOR..)?;
    let data = |at: usize| word(body, 16 + at * 4);
    let what = match word(body, 0)? {
        0 => return Some(Heard::Answer(data(0)?)),
        // Thread and process: the same of a process's first thread.
        FORK if data(2)? == data(3)? => ProcessTold::Forked {
            parent: data(1)?,
            child: data(3)?,
        },
        EXEC => ProcessTold::Exec(data(1)?),
        EXIT if data(0)? == data(1)? => ProcessTold::Exited(data(1)?, data(2)?),
        _ => ProcessTold::Other,
    };
    let at = body.get(8..16)?.try_into().ok().map(u64::from_ne_bytes)?;
    let place = (word(body, 4)?, connector(8)?);
    Some(Heard::Told(Told { at, what, place }))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.get(..4)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, number: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for word in [PROC, PROC, number, 0, 0x28, what, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(77_u64.to_ne_bytes());
        bytes.extend(data.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn messages_are_read_and_halves_are_noise() {
        let told = |what, place| Some(Heard::Told(Told { at: 77, what, place }));
        let fork = message(FORK, 5, &[1, 2, 3, 3]);
        let forked = ProcessTold::Forked { parent: 2, child: 3 };
        assert_eq!(heard(&fork), told(forked, (1, 5)));
        let exec = message(EXEC, 6, &[3, 3]);
        assert_eq!(heard(&exec), told(ProcessTold::Exec(3), (1, 6)));
        let exit = message(EXIT, 7, &[3, 3, 256, 17]);
        assert_eq!(heard(&exit), told(ProcessTold::Exited(3, 256), (1, 7)));
        // Of a thread.
        for thread in [message(FORK, 8, &[1, 2, 4, 3]), message(EXIT, 8, &[4, 3, 0, 17])] {
            assert_eq!(heard(&thread), told(ProcessTold::Other, (1, 8)));
        }
        assert_eq!(heard(&message(0, 0, &[1])), Some(Heard::Answer(1)));
        for cut in 0..fork.len() {
            assert_eq!(heard(&fork[..cut]), None);
        }
    }

    #[test]
    fn what_the_kernel_could_not_keep_is_counted_to_the_last_message() {
        let mut connector = match ProcConnector::listen() {
            Ok(connector) => connector,
            Err(error) => {
                println!("skipped: {error}");
                return;
            }
        };
        let missing = |connector: &mut ProcConnector, number| connector.missing((99, number));
        assert_eq!(missing(&mut connector, u32::MAX), 0);
        assert_eq!(missing(&mut connector, 0), 0);
        assert_eq!(missing(&mut connector, 3), 2);
        // Late, and not lost.
        assert_eq!(missing(&mut connector, 2), 0);

        // Every processor has told something, so that what is missing later is known.
        let run = || {
            let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
            child.wait().unwrap();
            child.id()
        };
        let mut told = Vec::new();
        let processors = std::thread::available_parallelism().unwrap().get();
        for _ in 0..1000 {
            run();
            connector.take(1000, &mut told).unwrap();
            if connector.expected.len() > processors {
                break;
            }
        }
        // Room for a few, and many.
        setsockopt(&connector.socket, sockopt::RcvBuf, &2048).unwrap();
        let ended: Vec<u32> = (0..50).map(|_| run()).collect();
        told.clear();
        let mut lost = connector.take(1000, &mut told).unwrap();
        // What follows shows what was missing before it.
        setsockopt(&connector.socket, sockopt::RcvBuf, &(1 << 20)).unwrap();
        for _ in 0..50 {
            run();
            lost += connector.take(1000, &mut told).unwrap();
        }
        let is_one = |told: &&Told| matches!(told.what, ProcessTold::Exec(pid) if ended.contains(&pid));
        let execs = told.iter().filter(is_one).count();
        assert!(execs < 50, "there was room for all");
        assert!(lost >= 50 - execs as u64, "{lost} lost, {execs} told");
    }
}
