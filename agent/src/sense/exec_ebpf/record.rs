//! The records of the program in the kernel, as `agent/ebpf/picket.h` lays them out.

use crate::sys::bpf::HEADER;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How many processes further up an exec names.
const ANCESTORS: usize = 8;
const TTY: usize = 16;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// One of the kernel's nanosecond clocks, in what `/proc` counts: there are 100 to a second for all who ask.
const NANOSECONDS_A_TICK: u64 = 10_000_000;

/// What a record says, borrowed from it.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Record<'a> {
    Nudge,
    Exec(Exec<'a>),
    Running(Exec<'a>),
    Fork {
        parent: Process,
        child: Process,
        identity: Identity,
    },
    Exit {
        process: Process,
        status: u32,
    },
    Connect {
        process: Process,
        identity: Identity,
        ends: Ends,
    },
    Accept(Ends),
    Listen {
        /// `None`: what it does is not to be seen.
        process: Option<Process>,
        ends: Ends,
    },
    Signal {
        sender: Process,
        target: Process,
        number: i32,
    },
}

/// Which process; `start` in ticks since the boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) start: u64,
}

/// Whom a process runs as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) suid: u32,
    pub(super) gid: u32,
    pub(super) egid: u32,
    pub(super) login_uid: u32,
    pub(super) session: u32,
}

/// The two ends of a connection, or of what waits for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    /// The inode of the network namespace.
    pub(super) network: u32,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// A program that starts, or runs already.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Exec<'a> {
    pub(super) process: Process,
    pub(super) identity: Identity,
    pub(super) flags: Flags,
    pub(super) inode: u64,
    pub(super) cgroup: u64,
    /// The length of the file, and when it was last changed: seconds since 1970, and nanoseconds; 0 where that is not known.
    pub(super) file_size: u64,
    pub(super) changed: (i64, u32),
    /// As the kernel has it within.
    pub(super) device: u32,
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) links: u32,
    /// Tells files apart that had one inode after the other; 0 where the file system has none.
    pub(super) generation: u32,
    pub(super) mount_namespace: u32,
    pub(super) pid_namespace: u32,
    pub(super) argc: u32,
    /// How many bytes there are, of which fewer may be here.
    pub(super) args_size: u32,
    pub(super) env_size: u32,
    /// Names from the file up to the root, each with a zero at its end.
    pub(super) path: &'a [u8],
    pub(super) cwd: &'a [u8],
    /// By which it was started.
    pub(super) name: &'a [u8],
    pub(super) args: &'a [u8],
    pub(super) env: &'a [u8],
    pub(super) tty: &'a [u8],
    ancestors: [Process; ANCESTORS],
}

impl Exec<'_> {
    /// The parent first, up to the first that is not there.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Process> {
        self.ancestors
            .iter()
            .copied()
            .take_while(|ancestor| ancestor.pid != 0)
    }
}

/// What else there is to know of an exec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Flags(u16);

impl Flags {
    pub(super) const PATH_CUT: Self = Self(1);
    pub(super) const PATH_LOOSE: Self = Self(2);
    pub(super) const PATH_NONE: Self = Self(4);
    pub(super) const CWD_UNSURE: Self = Self(8);
    pub(super) const ARGS_UNREAD: Self = Self(16);
    pub(super) const EXCLUDED: Self = Self(32);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// When a record was made, in nanoseconds since the boot, and what it says; `None` for what is no record.
pub(super) fn read(bytes: &[u8]) -> Option<(u64, Record<'_>)> {
    let mut rest = Rest(bytes);
    let (time, size, kind, flags) = (rest.u64()?, rest.u32()?, rest.u16()?, Flags(rest.u16()?));
    debug_assert_eq!(bytes.len() - rest.0.len(), HEADER);
    if usize::try_from(size) != Ok(bytes.len()) {
        return None;
    }
    let record = match kind {
        0 => Record::Nudge,
        1 => Record::Exec(rest.exec(flags)?),
        2 => Record::Fork {
            parent: rest.process()?,
            child: rest.process()?,
            identity: rest.identity()?,
        },
        3 => {
            let process = rest.process()?;
            let (status, _) = (rest.u32()?, rest.u32()?);
            Record::Exit { process, status }
        }
        4..=6 => {
            let (process, identity, ends) = (rest.process()?, rest.identity()?, rest.ends()?);
            match kind {
                4 => Record::Connect {
                    process,
                    identity,
                    ends,
                },
                5 => Record::Accept(ends),
                _ => Record::Listen {
                    process: (!flags.has(Flags::EXCLUDED)).then_some(process),
                    ends,
                },
            }
        }
        7 => {
            let (sender, target) = (rest.process()?, rest.process()?);
            let (number, _) = (rest.u32()?, rest.u32()?);
            Record::Signal {
                sender,
                target,
                number: i32::try_from(number).ok()?,
            }
        }
        8 => Record::Running(rest.exec(flags)?),
        _ => return None,
    };
    rest.0.is_empty().then_some((time, record))
}

/// What of a record is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn process(&mut self) -> Option<Process> {
        let (start, pid, _) = (self.u64()?, self.u32()?, self.u32()?);
        let start = start / NANOSECONDS_A_TICK;
        Some(Process { pid, start })
    }

    fn identity(&mut self) -> Option<Identity> {
        let identity = Identity {
            uid: self.u32()?,
            euid: self.u32()?,
            suid: self.u32()?,
            gid: self.u32()?,
            egid: self.u32()?,
            login_uid: self.u32()?,
            session: self.u32()?,
        };
        self.u32()?;
        Some(identity)
    }

    fn ends(&mut self) -> Option<Ends> {
        let (network, family) = (self.u32()?, self.u16()?);
        let (local_port, remote_port) = (self.u16()?, self.u16()?);
        self.u16()?;
        let [local_v4, remote_v4] = [self.array::<4>()?, self.array::<4>()?].map(Ipv4Addr::from);
        self.u32()?;
        let [local_v6, remote_v6] = [self.array::<16>()?, self.array::<16>()?].map(Ipv6Addr::from);
        let (local, remote): (IpAddr, IpAddr) = match family {
            AF_INET => (local_v4.into(), remote_v4.into()),
            // A socket of IPv6 that speaks IPv4 has its own address at first in the other place alone.
            AF_INET6 if remote_v6.to_ipv4_mapped().is_some() => (local_v4.into(), remote_v4.into()),
            AF_INET6 => (local_v6.to_canonical(), remote_v6.to_canonical()),
            _ => return None,
        };
        Some(Ends {
            network,
            local: SocketAddr::new(local, local_port),
            remote: SocketAddr::new(remote, remote_port),
        })
    }

    fn exec(&mut self, flags: Flags) -> Option<Exec<'a>> {
        let (process, identity) = (self.process()?, self.identity()?);
        let (inode, cgroup) = (self.u64()?, self.u64()?);
        let (file_size, changed) = (self.u64()?, self.u64()?.cast_signed());
        let (device, mode, owner, links) = (self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        let generation = self.u32()?;
        let (mount_namespace, pid_namespace) = (self.u32()?, self.u32()?);
        let (argc, args_size, env_size) = (self.u32()?, self.u32()?, self.u32()?);
        let mut lengths = [0; 5];
        for length in &mut lengths {
            *length = usize::try_from(self.u32()?).ok()?;
        }
        let changed = (changed, self.u32()?);
        let [path, cwd, name, args, env] = lengths;
        let tty = self.take(TTY)?;
        let mut ancestors = [Process { pid: 0, start: 0 }; ANCESTORS];
        for ancestor in &mut ancestors {
            *ancestor = self.process()?;
        }
        Some(Exec {
            process,
            identity,
            flags,
            inode,
            cgroup,
            file_size,
            changed,
            device,
            mode,
            owner,
            links,
            generation,
            mount_namespace,
            pid_namespace,
            argc,
            args_size,
            env_size,
            path: self.take(path)?,
            cwd: self.take(cwd)?,
            name: until_zero(self.take(name)?),
            args: self.take(args)?,
            env: self.take(env)?,
            tty: until_zero(tty),
            ancestors,
        })
    }
}

/// A text of C's.
fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with its head, as the program writes it.
    fn record(kind: u16, flags: u16, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let size = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = 5_u64.to_ne_bytes().to_vec();
        bytes.extend(size.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    fn process(pid: u32, start: u64) -> Vec<u8> {
        [&start.to_ne_bytes()[..], &pid.to_ne_bytes(), &[0; 4]].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn exec() -> Vec<u8> {
        record(
            1,
            4,
            &[
                &process(7, 25_000_000),
                &[0; 32],
                &99_u64.to_ne_bytes(),
                &3_u64.to_ne_bytes(),
                &4096_u64.to_ne_bytes(),
                &1_700_000_000_i64.to_ne_bytes(),
                &words(&[1, 2, 3, 4, 9, 5, 6, 2, 70, 80, 3, 2, 4, 5, 0, 7000]),
                b"pts3\0\0\0\0\0\0\0\0\0\0\0\0",
                &process(6, 10_000_000),
                &[0; 112],
                b"ls\0",
                b"/\0",
                b"l\0zz",
                b"a\0b\0\0",
            ],
        )
    }

    #[test]
    fn an_exec_is_read_with_its_tail() {
        let bytes = exec();
        assert_eq!(bytes.len(), 304 + 14, "the fixed part is as long as in picket.h");
        let Some((5, Record::Exec(exec))) = read(&bytes) else {
            panic!("{:?}", read(&bytes));
        };
        assert_eq!(exec.process, Process { pid: 7, start: 2 });
        assert_eq!(
            exec.ancestors().collect::<Vec<_>>(),
            [Process { pid: 6, start: 1 }]
        );
        assert_eq!(
            (exec.inode, exec.device, exec.generation, exec.argc),
            (99, 1, 9, 2)
        );
        assert_eq!(
            (exec.path, exec.cwd, exec.name),
            (&b"ls\0"[..], &b"/\0"[..], &b"l"[..])
        );
        assert_eq!(
            (exec.args, exec.env, exec.tty),
            (&b"a\0b\0\0"[..], &b""[..], &b"pts3"[..])
        );
        assert_eq!((exec.file_size, exec.changed), (4096, (1_700_000_000, 7000)));
        assert!(exec.flags.has(Flags::PATH_NONE) && !exec.flags.has(Flags::PATH_CUT));
    }

    #[test]
    fn a_socket_of_ipv6_that_speaks_ipv4_has_addresses_of_ipv4() {
        let ends = [
            &words(&[4026531840])[..],
            &10_u16.to_ne_bytes(),
            &0_u16.to_ne_bytes(),
            &443_u16.to_ne_bytes(),
            &[0; 2],
            &[127, 0, 0, 1, 198, 51, 100, 7],
            &[0; 4],
            &[0; 16],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 7],
        ]
        .concat();
        let bytes = record(4, 0, &[&process(7, 0), &[0; 32], &ends]);
        assert_eq!(bytes.len(), 120);
        let Some((_, Record::Connect { ends, .. })) = read(&bytes) else {
            panic!("{:?}", read(&bytes));
        };
        assert_eq!(ends.remote, "198.51.100.7:443".parse().unwrap());
        assert_eq!(ends.local, "127.0.0.1:0".parse().unwrap());
    }

    #[test]
    fn the_small_ones_are_as_long_as_in_the_header() {
        let fork = record(2, 0, &[&process(1, 0), &process(2, 0), &[0; 32]]);
        let exit = record(3, 0, &[&process(1, 0), &words(&[9, 0])]);
        let signal = record(7, 0, &[&process(1, 0), &process(2, 0), &words(&[15, 0])]);
        assert_eq!((fork.len(), exit.len(), signal.len()), (80, 40, 56));
        assert!(matches!(read(&fork), Some((5, Record::Fork { .. }))));
        assert!(matches!(read(&exit), Some((5, Record::Exit { status: 9, .. }))));
        assert!(matches!(
            read(&signal),
            Some((5, Record::Signal { number: 15, .. }))
        ));
        assert!(matches!(read(&record(0, 0, &[])), Some((5, Record::Nudge))));
    }

    #[test]
    fn what_is_no_record_is_none_and_nothing_panics() {
        let good = exec();
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), None, "{length}");
        }
        // A length that says more than there is, whichever it is.
        for at in 16..good.len() - 3 {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&[255; 4]);
            let _ = read(&bytes);
        }
        assert_eq!(read(&record(9, 0, &[])), None);
        let long = [&exec()[..], b"x"].concat();
        assert_eq!(read(&long), None);
    }
}
