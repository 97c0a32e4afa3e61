//! The records that fanotify writes, taken apart: `struct fanotify_event_metadata` of `linux/fanotify.h` and what follows it.
//!
//! The lengths in them come from the kernel, whose newer versions add kinds of records: what is not known is passed over, and
//! what does not fit into its event ends the event.

use super::handle::Fid;
use nix::sys::fanotify::MaskFlags;

/// `struct fanotify_event_metadata`: length, version, a reserved byte, its own length, mask, descriptor, pid.
const METADATA: usize = 24;
const VERSION: u8 = 3;
/// `struct fanotify_event_info_header`: kind, a byte of padding, length.
const HEADER: usize = 4;
/// `FAN_EVENT_INFO_TYPE_…`
const FID: u8 = 1;
const DFID_NAME: u8 = 2;
const DFID: u8 = 3;
const PIDFD: u8 = 4;

/// What happened, one or several things at once: the kernel puts together what was not read yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Happened(MaskFlags);

impl Happened {
    /// It was written to, and closed.
    pub const WRITTEN: Self = Self(MaskFlags::FAN_CLOSE_WRITE);
    /// It was moved here.
    pub const MOVED: Self = Self(MaskFlags::FAN_MOVED_TO);
    /// Its mode, owner, times or number of names changed.
    pub const ATTRIBUTES: Self = Self(MaskFlags::FAN_ATTRIB);
    /// It got this name.
    pub const NAMED: Self = Self(MaskFlags::FAN_CREATE);
    /// What it happened to is a directory.
    pub const DIRECTORY: Self = Self(MaskFlags::FAN_ONDIR);
    /// There was more than the kernel's queue holds.
    pub const OVERFLOW: Self = Self(MaskFlags::FAN_Q_OVERFLOW);

    /// Whether it is among it.
    pub fn has(self, other: Self) -> bool {
        self.0.contains(other.0)
    }
}

/// One notice, in the buffer that it was read into.
#[derive(Debug)]
pub struct Notice<'a> {
    /// What happened.
    pub happened: Happened,
    /// By which process; 0 where it is in no pid namespace of the agent's.
    pub pid: u32,
    /// In which directory.
    pub directory: Option<Fid<'a>>,
    /// Under which name there; `.` for the directory itself.
    pub name: Option<&'a [u8]>,
    /// To which file.
    pub target: Option<Fid<'a>>,
    /// The number of a descriptor of the process, that is now the reader's to close.
    pub(super) pidfd: Option<i32>,
}

/// Takes the first notice off a buffer. `None` at its end, and where what is left is none.
pub(super) fn next<'a>(buffer: &mut &'a [u8]) -> Option<Notice<'a>> {
    let length = usize::try_from(u32::from_ne_bytes(array(buffer, 0)?)).ok()?;
    let whole = buffer.get(..length).filter(|whole| whole.len() >= METADATA)?;
    let [version] = array(whole, 4)?;
    if version != VERSION {
        return None;
    }
    let start = usize::from(u16::from_ne_bytes(array(whole, 6)?));
    let mask = u64::from_ne_bytes(array(whole, 8)?);
    let pid = i32::from_ne_bytes(array(whole, 20)?);
    let mut notice = Notice {
        happened: Happened(MaskFlags::from_bits_retain(mask)),
        pid: u32::try_from(pid).unwrap_or(0),
        directory: None,
        name: None,
        target: None,
        pidfd: None,
    };
    let mut rest = whole.get(start..).unwrap_or_default();
    while let Some(taken) = information(rest, &mut notice) {
        rest = rest.get(taken..).unwrap_or_default();
    }
    *buffer = buffer.get(length..).unwrap_or_default();
    Some(notice)
}

/// Reads one record of a notice. Gives its length.
fn information<'a>(rest: &'a [u8], notice: &mut Notice<'a>) -> Option<usize> {
    let [kind] = array(rest, 0)?;
    let length = usize::from(u16::from_ne_bytes(array(rest, 2)?));
    let body = rest.get(HEADER..length)?;
    match kind {
        FID => notice.target = Fid::split(body).map(|(fid, _)| fid),
        DFID => notice.directory = Fid::split(body).map(|(fid, _)| fid),
        DFID_NAME => {
            if let Some((fid, name)) = Fid::split(body) {
                notice.directory = Some(fid);
                // Zero bytes fill it up.
                notice.name = name
                    .split(|byte| *byte == 0)
                    .next()
                    .filter(|name| !name.is_empty());
            }
        }
        PIDFD => notice.pidfd = array(body, 0).map(i32::from_ne_bytes).filter(|fd| *fd >= 0),
        _ => {}
    }
    Some(length)
}

/// Some bytes of a buffer.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + body.len()).unwrap();
        let mut record = vec![kind, 0];
        record.extend(length.to_ne_bytes());
        record.extend(body);
        record
    }

    fn handle(bytes: &[u8]) -> Vec<u8> {
        let mut fid = vec![7; 8];
        fid.extend(u32::try_from(bytes.len()).unwrap().to_ne_bytes());
        fid.extend(1_i32.to_ne_bytes());
        fid.extend(bytes);
        fid
    }

    fn event(mask: MaskFlags, records: &[Vec<u8>]) -> Vec<u8> {
        let records = records.concat();
        let mut event = u32::try_from(METADATA + records.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        event.extend([VERSION, 0]);
        event.extend(24_u16.to_ne_bytes());
        event.extend(mask.bits().to_ne_bytes());
        event.extend((-1_i32).to_ne_bytes());
        event.extend(42_i32.to_ne_bytes());
        event.extend(records);
        event
    }

    fn ordinary() -> Vec<u8> {
        let mut named = handle(&[1, 2, 3, 4, 5, 6, 7, 8]);
        named.extend(b"a\nb\xff\0\0\0");
        let records = [
            record(DFID_NAME, &named),
            record(FID, &handle(&[9; 12])),
            record(200, &[0; 4]),
            record(PIDFD, &5_i32.to_ne_bytes()),
        ];
        event(MaskFlags::FAN_CLOSE_WRITE | MaskFlags::FAN_ATTRIB, &records)
    }

    #[test]
    fn all_that_a_notice_says_is_read_and_what_is_unknown_passed_over() {
        let two = [ordinary(), event(MaskFlags::FAN_Q_OVERFLOW, &[])].concat();
        let mut buffer = two.as_slice();
        let first = next(&mut buffer).unwrap();
        assert!(first.happened.has(Happened::WRITTEN) && first.happened.has(Happened::ATTRIBUTES));
        assert!(!first.happened.has(Happened::MOVED));
        assert_eq!(first.pid, 42);
        assert_eq!(first.name, Some(&b"a\nb\xff"[..]));
        assert_eq!(first.directory.unwrap().key().len(), 8 + 8 + 8);
        assert_eq!(first.target.unwrap().key().len(), 8 + 8 + 12);
        assert_eq!(first.pidfd, Some(5));
        let second = next(&mut buffer).unwrap();
        assert!(second.happened.has(Happened::OVERFLOW) && second.directory.is_none());
        assert!(next(&mut buffer).is_none() && buffer.is_empty());
    }

    #[test]
    fn no_bytes_break_it_and_each_notice_ends() {
        let good = ordinary();
        for at in 0..good.len() {
            for value in [0, 1, 3, 23, 127, 255] {
                let mut bad = good.clone();
                bad[at] = value;
                let mut buffer = bad.as_slice();
                let mut count = 0;
                while next(&mut buffer).is_some() {
                    count += 1;
                }
                assert!(count <= 1, "{at} {value}");
            }
            let mut cut = &good[..at];
            assert!(next(&mut cut).is_none());
        }
        let mut noise = fastrand::Rng::with_seed(5);
        for _ in 0..10_000 {
            let bytes: Vec<u8> = (0..noise.usize(..256)).map(|_| noise.u8(..)).collect();
            let mut buffer = bytes.as_slice();
            while next(&mut buffer).is_some() {}
        }
    }
}
