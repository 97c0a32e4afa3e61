//! The program in the kernel (`agent/ebpf`): loading it, reading what it tells, and what of it was lost.

mod error;

pub use error::BpfError;

use crate::sys::Stop;
use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::{BtfTracePoint, Iter, ProgramFd};
use aya::{Btf, Ebpf, EbpfLoader, include_bytes_aligned};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/picket.bpf.o"));

/// What begins each record: a time, its size, its kind, flags.
pub const HEADER: usize = 16;
/// How many kinds of record there are.
pub const KINDS: usize = 9;
/// The inode of the first namespace of pids: `PROC_PID_INIT_INO` of the kernel.
const FIRST_PIDS: u32 = 0xEFFF_FFFC;
/// The CPUs that there may ever be, as ranges.
const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";
/// No record is longer.
const LONGEST: usize = 128 << 10;

/// What the programs are told before they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Bytes of the ring: a power of two, at least a page.
    pub ring: u32,
    /// Whether the environment is taken with each program that starts.
    pub environment: bool,
    /// Whether images may be excluded.
    pub images: bool,
    /// Whether cgroups may be excluded.
    pub cgroups: bool,
}

/// The programs, by what they see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// Programs that start.
    Exec,
    /// Processes that begin.
    Fork,
    /// Processes that end.
    Exit,
    /// TCP connections.
    Connection,
    /// Signals.
    Signal,
    /// What ran before.
    Processes,
    /// Who listened before.
    Listeners,
}

impl Program {
    const TRACEPOINTS: [(Self, &'static str, &'static str); 5] = [
        (Self::Exec, "on_exec", "sched_process_exec"),
        (Self::Fork, "on_fork", "sched_process_fork"),
        (Self::Exit, "on_exit", "sched_process_exit"),
        (Self::Connection, "on_connection", "inet_sock_set_state"),
        (Self::Signal, "on_signal", "signal_generate"),
    ];
    const ITERATORS: [(Self, &'static str, &'static str); 2] = [
        (Self::Processes, "seed_processes", "task"),
        (Self::Listeners, "seed_listeners", "task_file"),
    ];

    /// What is missing without it.
    pub fn without(self) -> &'static str {
        match self {
            Self::Exec => "programs that start are not seen",
            Self::Fork => "a process is known only once it starts a program",
            Self::Exit => "the end of processes is not seen",
            Self::Connection => "TCP connections are not seen",
            Self::Signal => "signals are not seen",
            Self::Processes => "what ran before the agent is not known",
            Self::Listeners => "accepted connections are seen only of whoever begins to listen from now on",
        }
    }
}

/// How deep the reader sleeps; the numbers are those of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleep {
    /// Whatever is urgent wakes it.
    Light = 1,
    /// Only a ring that fills up wakes it before the time is over.
    Nap = 2,
}

/// A file, as the kernel has it within.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its inode.
    pub inode: u64,
    /// The device's number: 12 bits and 20.
    pub device: u32,
    /// Tells files apart that had one inode after the other.
    pub generation: u32,
}

/// The loaded programs. They see from the moment they are loaded; what they tell waits in the ring.
pub struct Bpf {
    ebpf: Ebpf,
    links: Vec<(Program, BtfTracePointLink, ProgramFd)>,
    ring: RingBuf<MapData>,
    reader: Array<MapData, u32>,
    lost: PerCpuArray<MapData, u64>,
    images: HashMap<MapData, [u64; 2], u8>,
    cgroups: HashMap<MapData, u64, u8>,
    missing: Vec<(Program, BpfError)>,
    missed: u64,
}

impl Bpf {
    /// Loads and attaches all that this kernel takes. Without the one that sees programs start there is no use in the others.
    pub fn open(wanted: Wanted) -> Result<Self, BpfError> {
        if let Some(error) = BpfError::foreseen() {
            return Err(error);
        }
        if error::version(&error::release()).is_some_and(|version| version < (5, 11)) {
            // Before, maps count as locked memory, of which there is little. Where it stays so, loading says it.
            let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        }
        let types = Btf::from_sys_fs().map_err(|error| BpfError::of_types(&error))?;
        let cpus = places_of_cpus().map_err(|error| BpfError::System(POSSIBLE_CPUS, error))?;
        let pids = namespace("pid", FIRST_PIDS);
        // Where it has all processes it has those of all networks.
        let net = if pids == 0 { 0 } else { namespace("net", 0) };
        let much = u64::from(wanted.ring / 4);
        let [environment, images, cgroups] =
            [wanted.environment, wanted.images, wanted.cgroups].map(u32::from);
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&types))
            .override_global("take_environment", &environment, true)
            .override_global("exclude_images", &images, true)
            .override_global("exclude_cgroups", &cgroups, true)
            .override_global("pid_space", &pids, true)
            .override_global("net_space", &net, true)
            .override_global("much", &much, true)
            .map_max_entries("ring", wanted.ring)
            .map_max_entries("scratch", cpus)
            .load(OBJECT)
            .map_err(|error| BpfError::of_load(&error))?;

        let (mut links, mut missing) = (Vec::new(), Vec::new());
        for (program, name, iterated) in Program::ITERATORS {
            if let Err(error) = prepare(&mut ebpf, name, iterated, &types) {
                missing.push((program, error));
            }
        }
        // The last first: whoever is seen to begin is also seen to end.
        for (program, name, tracepoint) in Program::TRACEPOINTS.into_iter().rev() {
            match attach(&mut ebpf, name, tracepoint, &types) {
                Ok((link, fd)) => links.push((program, link, fd)),
                Err(error) if program == Program::Exec => return Err(error),
                Err(error) => missing.push((program, error)),
            }
        }
        let mut map = |name: &'static str| {
            ebpf.take_map(name).ok_or_else(|| BpfError::Refused {
                what: format!("the map {name}"),
                why: "the object has none of that name".to_owned(),
            })
        };
        let of_map = |error| BpfError::of_map(&error);
        Ok(Self {
            ring: RingBuf::try_from(map("ring")?).map_err(of_map)?,
            reader: Array::try_from(map("reader")?).map_err(of_map)?,
            lost: PerCpuArray::try_from(map("lost")?).map_err(of_map)?,
            images: HashMap::try_from(map("images")?).map_err(of_map)?,
            cgroups: HashMap::try_from(map("cgroups")?).map_err(of_map)?,
            ebpf,
            links,
            missing,
            missed: 0,
        })
    }

    /// What this kernel does not take, and why.
    pub fn missing(&self) -> &[(Program, BpfError)] {
        &self.missing
    }

    /// Hands over what lies in the ring, in its order, at most `most` records. Gives how many.
    pub fn drain<E>(
        &mut self,
        most: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        for taken in 0..most {
            let Some(record) = self.ring.next() else {
                return Ok(taken);
            };
            take(&record)?;
        }
        Ok(most)
    }

    /// Sleeps for at most `span`, or until `stop` is raised. Returns at once when there is something in the ring.
    pub fn rest(&mut self, sleep: Sleep, stop: &Stop, span: Duration) -> Result<(), BpfError> {
        self.reader
            .set(0, sleep as u32, 0)
            .map_err(|error| BpfError::of_map(&error))?;
        // First that it sleeps, then the look into the ring, with which waiting begins: the program does it the other way round.
        fence(Ordering::SeqCst);
        stop.wait_for_at_most(self.ring.as_fd(), span)
            .map_err(|error| BpfError::System("poll", error))
    }

    /// Tells of what there is already, record by record: of processes, or of those who listen.
    pub fn seed(&mut self, program: Program, mut take: impl FnMut(&[u8])) -> Result<(), BpfError> {
        let Some((_, name, _)) = Program::ITERATORS.into_iter().find(|(is, ..)| *is == program) else {
            return Ok(());
        };
        if self.missing.iter().any(|(missing, _)| *missing == program) {
            return Ok(());
        }
        let refused = |error| BpfError::of_program(name, &error);
        let iterator: &mut Iter = self
            .ebpf
            .program_mut(name)
            .ok_or_else(|| BpfError::Refused {
                what: name.to_owned(),
                why: "the object has none of that name".to_owned(),
            })?
            .try_into()
            .map_err(refused)?;
        let link = iterator.attach().map_err(refused)?;
        let link = iterator.take_link(link).map_err(refused)?;
        let file = link
            .into_file()
            .map_err(|error| BpfError::of(name.to_owned(), &error))?;
        each_record(file, &mut take).map_err(|error| BpfError::System(name, error))
    }

    /// Leaves out what a program that runs this file tells of itself, from now on.
    pub fn exclude_image(&mut self, image: Image) -> Result<(), BpfError> {
        let key = u64::from(image.device) | u64::from(image.generation) << 32;
        self.images
            .insert([image.inode, key], 1, 0)
            .map_err(|error| BpfError::of_map(&error))
    }

    /// Leaves out the cgroup of this number, and those in it.
    pub fn exclude_cgroup(&mut self, id: u64) -> Result<(), BpfError> {
        self.cgroups
            .insert(id, 1, 0)
            .map_err(|error| BpfError::of_map(&error))
    }

    /// How many records of each kind found no room in the ring, from the beginning on.
    pub fn lost(&self) -> Result<[u64; KINDS], BpfError> {
        let mut sums = [0; KINDS];
        for (kind, sum) in (0_u32..).zip(&mut sums) {
            let counts = self
                .lost
                .get(&kind, 0)
                .map_err(|error| BpfError::of_map(&error))?;
            *sum = counts.iter().sum();
        }
        Ok(sums)
    }

    /// How often the kernel passed over a program, as it does when that would interrupt itself, from the beginning on.
    pub fn missed(&mut self) -> u64 {
        let now = self.links.iter().map(|(_, _, fd)| misses(fd)).sum();
        // Programs that were taken off count as before.
        self.missed = self.missed.max(now);
        self.missed
    }

    /// Takes the programs off: from now on nothing comes into the ring.
    pub fn detach(&mut self) {
        self.missed();
        self.links.clear();
    }
}

fn attach(
    ebpf: &mut Ebpf,
    name: &'static str,
    tracepoint: &str,
    types: &Btf,
) -> Result<(BtfTracePointLink, ProgramFd), BpfError> {
    let refused = |error| BpfError::of_program(name, &error);
    let program = ebpf.program_mut(name).ok_or_else(|| BpfError::Refused {
        what: name.to_owned(),
        why: "the object has none of that name".to_owned(),
    })?;
    let program: &mut BtfTracePoint = program.try_into().map_err(refused)?;
    program.load(tracepoint, types).map_err(refused)?;
    let link = program.attach().map_err(refused)?;
    let link = program.take_link(link).map_err(refused)?;
    let fd = program.fd().and_then(|fd| Ok(fd.try_clone()?)).map_err(refused)?;
    Ok((link, fd))
}

fn prepare(ebpf: &mut Ebpf, name: &'static str, iterated: &str, types: &Btf) -> Result<(), BpfError> {
    let refused = |error| BpfError::of_program(name, &error);
    let program = ebpf.program_mut(name).ok_or_else(|| BpfError::Refused {
        what: name.to_owned(),
        why: "the object has none of that name".to_owned(),
    })?;
    let program: &mut Iter = program.try_into().map_err(refused)?;
    program.load(iterated, types).map_err(refused)
}

/// The inode of the agent's own namespace of a kind; 0 for the first of all.
fn namespace(kind: &str, first: u32) -> u32 {
    let inode = fs::metadata(format!("/proc/self/ns/{kind}")).map(|data| data.ino());
    let inode = inode.ok().and_then(|inode| u32::try_from(inode).ok());
    inode.filter(|inode| *inode != first).unwrap_or(0)
}

/// How many places there are for something of each CPU, by its number: the numbers may have holes.
fn places_of_cpus() -> io::Result<u32> {
    let text = fs::read_to_string(POSSIBLE_CPUS)?;
    let last = text.trim().rsplit(['-', ',']).next().unwrap_or_default();
    let last: u32 = last.parse().map_err(io::Error::other)?;
    Ok(last.saturating_add(1))
}

/// The kernel counts them since 5.12 and tells so beside the descriptor.
fn misses(fd: &ProgramFd) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// Cuts what an iterator writes into records, each of which says how long it is.
fn each_record(mut file: impl Read, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut part = vec![0; 64 << 10];
    loop {
        let got = match file.read(&mut part) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        buffer.extend_from_slice(part.get(..got).unwrap_or_default());
        let mut taken = 0;
        while let Some(record) = whole(buffer.get(taken..).unwrap_or_default())? {
            take(record);
            taken += record.len();
        }
        buffer.drain(..taken);
        if got == 0 {
            return Ok(());
        }
    }
}

/// The record that some bytes begin with, once all of it is there.
fn whole(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some(size) = bytes.get(8..12).and_then(|size| size.try_into().ok()) else {
        return Ok(None);
    };
    match usize::try_from(u32::from_ne_bytes(size)) {
        Ok(size) if (HEADER..=LONGEST).contains(&size) => Ok(bytes.get(..size)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a record of no size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size: u32) -> Vec<u8> {
        let mut record = vec![7; usize::try_from(size).unwrap().max(16)];
        record[8..12].copy_from_slice(&size.to_ne_bytes());
        record
    }

    /// Gives what it has a few bytes at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = to.len().min(5).min(self.0.len());
            let (now, later) = self.0.split_at(count);
            to[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[test]
    fn what_an_iterator_writes_is_cut_where_its_records_end() {
        let bytes = [record(16), record(40), record(17)].concat();
        let mut sizes = Vec::new();
        each_record(Dribble(&bytes), &mut |record| sizes.push(record.len())).unwrap();
        assert_eq!(sizes, [16, 40, 17]);
    }

    #[test]
    fn a_size_that_cannot_be_is_an_error_and_no_endless_loop() {
        for size in [0, 15, u32::MAX] {
            let mut bytes = record(16);
            bytes[8..12].copy_from_slice(&size.to_ne_bytes());
            assert!(each_record(&bytes[..], &mut |_| ()).is_err(), "{size}");
        }
    }
}
