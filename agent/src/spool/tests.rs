//! The spool against a model, and against a full disk.

use super::*;
use crate::observation::Cursor;
use picket_common::ids::RecordId;
use picket_common::record::{Gap, Record};
use picket_common::time::Timestamp;
use picket_common::wire::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;

const PLENTY: u64 = 1 << 30;

/// Items that a source numbers: each a record, in the lane that its number says.
fn record(number: u64) -> Record {
    let time = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(number).unwrap());
    let id = RecordId::derived(time, &[&number.to_le_bytes()]);
    if number.is_multiple_of(5) {
        // Noise, so that it takes room.
        let (place, reason) = ("source".to_owned(), noise(fastrand::Rng::with_seed(number), 600));
        Record::Gap(Gap {
            id,
            time,
            place,
            lost: 1,
            reason,
        })
    } else {
        let event = picket_common::event::AuthEvent::new(
            picket_common::event::AuthAction::Login,
            picket_common::event::Outcome::Failure,
            "sshd",
        );
        Record::Event(picket_common::event::Event {
            id,
            time,
            observed: time,
            payload: picket_common::event::Payload::Auth(event.into()),
        })
    }
}

fn noise(mut dice: fastrand::Rng, length: usize) -> String {
    (0..length).map(|_| dice.alphanumeric()).collect()
}

fn cursor(number: u64) -> (Arc<str>, Cursor) {
    ("source".into(), Cursor::Number { number })
}

fn read_so_far(spool: &Spool) -> u64 {
    match spool.cursors().get("source") {
        Some(Cursor::Number { number }) => *number,
        _ => 0,
    }
}

/// A collector that keeps one of each.
#[derive(Default)]
struct Collector {
    kept: BTreeSet<RecordId>,
    lost: BTreeMap<RecordId, u64>,
    last: BTreeMap<&'static str, u64>,
}

impl Collector {
    fn take(&mut self, lane: Lane, chunk: &Chunk) {
        let text = zstd::stream::decode_all(chunk.payload.as_slice()).unwrap();
        let items: Vec<Item> = serde_json::Deserializer::from_slice(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(items.len() as u64, chunk.count);
        assert_eq!(items.first().unwrap().sequence, chunk.first);
        assert_eq!(items.last().unwrap().sequence, chunk.last);
        let last = self.last.entry(lane.as_str()).or_default();
        for item in items {
            assert!(item.sequence > *last, "{} after {last}", item.sequence);
            *last = item.sequence;
            match item.record {
                Record::Gap(gap) if gap.place.starts_with("spool.") => {
                    self.lost.insert(gap.id, gap.lost);
                }
                record => {
                    self.kept.insert(record.id());
                }
            }
        }
    }

    fn drain(&mut self, directory: &Path, spool: &mut Spool) {
        for lane in LANES {
            let mut reader = Reader::open(directory, lane);
            let mut after = spool.pending(lane).acknowledged;
            self.last.insert(lane.as_str(), after);
            while let Some(chunk) = reader.next(after, 1 << 16).unwrap() {
                self.take(lane, &chunk);
                after = chunk.last;
            }
            spool.acknowledge(lane, after).unwrap();
            assert_eq!(spool.pending(lane).records, 0);
        }
    }

    fn missing(&self, up_to: u64) -> u64 {
        (1..=up_to)
            .filter(|number| !self.kept.contains(&record(*number).id()))
            .count() as u64
    }

    fn lost(&self) -> u64 {
        self.lost.values().sum()
    }
}

#[test]
fn a_model_with_crashes_loses_nothing_and_counts_what_had_no_room() {
    for seed in 1..=4 {
        model(seed);
    }
}

fn model(seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    // Half of the runs have room for little: there what is missing must be counted.
    let quota = if seed.is_multiple_of(2) { 1 << 20 } else { PLENTY };
    let reads = if quota == PLENTY { 70..=89 } else { 70..=70 };
    let (mut spool, _) = Spool::open(directory, quota).unwrap();
    let mut collector = Collector::default();
    let mut greatest = 0;
    for _ in 0..200 {
        match dice.u32(..100) {
            0..=69 => {
                let from = read_so_far(&spool) + 1;
                let to = from + dice.u64(0..400);
                let records: Vec<Record> = (from..to).map(record).collect();
                spool.append(&records, &[cursor(to - 1)]).unwrap();
                greatest = greatest.max(to - 1);
            }
            step if reads.contains(&step) => {
                let lane = if dice.bool() { Lane::Events } else { Lane::Findings };
                let mut reader = Reader::open(directory, lane);
                let after = spool.pending(lane).acknowledged;
                collector.last.insert(lane.as_str(), after);
                if let Some(chunk) = reader.next(after, dice.usize(1..1 << 18)).unwrap() {
                    collector.take(lane, &chunk);
                    spool.acknowledge(lane, chunk.last).unwrap();
                }
            }
            71..=95 => spool.sync().unwrap(),
            _ => {
                // A power cut: the end of the open events' file, which was not synced, is gone or half there.
                let dirty = if spool.is_dirty() { dice.u64(0..5000) } else { 0 };
                let before = read_so_far(&spool);
                let synced = spool.pending(Lane::Findings);
                drop(spool);
                cut_newest(&directory.join("events"), dirty);
                let (again, recovery) = Spool::open(directory, quota).unwrap();
                spool = again;
                assert!(read_so_far(&spool) <= before, "seed {seed}");
                assert_eq!(recovery.gaps, [], "seed {seed}: a crash is no damage");
                assert_eq!(
                    spool.pending(Lane::Findings).records,
                    synced.records,
                    "seed {seed}"
                );
            }
        }
        assert!(directory_bytes(directory) <= quota + (1 << 20), "seed {seed}");
    }
    let from = read_so_far(&spool) + 1;
    for number in from..=greatest {
        spool.append(&[record(number)], &[cursor(number)]).unwrap();
    }
    collector.drain(directory, &mut spool);
    let (missing, lost) = (collector.missing(greatest), collector.lost());
    if quota == PLENTY {
        assert_eq!((missing, lost), (0, 0), "seed {seed}");
    } else {
        assert!(
            missing > 0 && missing <= lost,
            "seed {seed}: {missing} missing, {lost} counted"
        );
    }
}

fn cut_newest(folder: &Path, bytes: u64) {
    let newest = segments::numbers(folder).unwrap().into_iter().max().unwrap();
    let path = segments::path(folder, newest);
    let length = path.metadata().unwrap().len();
    // The frame that a file begins with is synced before anything else.
    let first = fs::read(&path)
        .map(|text| frame::Header::read(&text).unwrap().length())
        .unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length.saturating_sub(bytes).max(first as u64))
        .unwrap();
}

fn directory_bytes(directory: &Path) -> u64 {
    LANES
        .iter()
        .flat_map(|lane| fs::read_dir(directory.join(lane.as_str())).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn what_has_no_room_is_counted_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(folder.path(), 1 << 20).unwrap();
    let mut number = 0;
    for _ in 0..60 {
        let from = number + 1;
        number += 300;
        let records: Vec<Record> = (from..=number).map(record).collect();
        spool.append(&records, &[cursor(number)]).unwrap();
    }
    let mut collector = Collector::default();
    collector.drain(folder.path(), &mut spool);
    assert!(collector.lost() > 0);
    assert_eq!(collector.missing(number), collector.lost());
}

#[test]
fn damage_is_passed_over_and_counted() {
    let mut dice = fastrand::Rng::with_seed(11);
    for round in 0..80 {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(folder.path(), PLENTY).unwrap();
        for number in 1..=100 {
            spool.append(&[record(number)], &[cursor(number)]).unwrap();
        }
        drop(spool);
        let folders = ["events", "findings"].map(|lane| folder.path().join(lane));
        let path = segments::path(&folders[round % 2], 1);
        let mut bytes = fs::read(&path).unwrap();
        let place = dice.usize(..bytes.len());
        bytes[place] ^= 1 << dice.u32(..8);
        fs::write(&path, &bytes).unwrap();
        let (mut spool, recovery) = Spool::open(folder.path(), PLENTY).unwrap();
        let mut collector = Collector::default();
        collector.drain(folder.path(), &mut spool);
        let missing = collector.missing(100);
        let torn = recovery.cut > 0;
        let counted: u64 = recovery.gaps.iter().map(|gap| gap.lost).sum();
        assert!(missing <= 1, "one bit costs one frame, not {missing}");
        assert!(
            missing == counted || torn && missing == 1,
            "{missing} {counted} at {place}"
        );
    }
}

#[test]
fn nothing_in_a_file_makes_it_fail() {
    let mut dice = fastrand::Rng::with_seed(12);
    for _ in 0..200 {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("events")).unwrap();
        let mut bytes = vec![0; dice.usize(..4000)];
        dice.fill(&mut bytes);
        if dice.bool() {
            let mut start = b"PKF1".to_vec();
            start.append(&mut bytes);
            bytes = start;
        }
        fs::write(segments::path(&folder.path().join("events"), 3), &bytes).unwrap();
        let (mut spool, _) = Spool::open(folder.path(), PLENTY).unwrap();
        spool.append(&[record(1)], &[cursor(1)]).unwrap();
        let mut collector = Collector::default();
        collector.drain(folder.path(), &mut spool);
        assert_eq!(collector.missing(1), 0);
    }
}

#[test]
fn one_agent_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(folder.path(), PLENTY).unwrap();
    assert!(matches!(
        Spool::open(folder.path(), PLENTY),
        Err(SpoolError::InUse { holder, .. }) if holder == format!("process {}", std::process::id())
    ));
    let path = folder.path().to_owned();
    let next = std::thread::spawn(move || Spool::open(&path, PLENTY).is_ok());
    drop(spool);
    assert!(next.join().unwrap(), "what is let go in time is waited for");
}

#[test]
fn a_record_that_no_batch_can_hold_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(folder.path(), PLENTY).unwrap();
    let Record::Gap(mut long) = record(5) else {
        panic!()
    };
    long.reason = "x".repeat(2 << 20);
    spool
        .append(&[record(1), Record::Gap(long), record(10)], &[cursor(10)])
        .unwrap();
    let mut collector = Collector::default();
    collector.drain(folder.path(), &mut spool);
    assert_eq!((collector.kept.len(), collector.lost()), (2, 1));
}

#[test]
fn a_full_disk_keeps_what_is_there_and_takes_more_when_there_is_room() {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let private = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )
    });
    if let Err(error) = private {
        println!("skipped: no mounts of its own: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    mount(
        Some("tmpfs"),
        folder.path(),
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=1m"),
    )
    .unwrap();
    let directory = folder.path().join("spool");
    let (mut spool, _) = Spool::open(&directory, PLENTY).unwrap();
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![1; 600 << 10]).unwrap();

    let (mut number, mut refused) = (0, false);
    while !refused {
        let records: Vec<Record> = (number + 1..=number + 300)
            .map(record)
            .filter(|r| r.lane() == Lane::Events)
            .collect();
        match spool.append(&records, &[cursor(number + 300)]) {
            Ok(()) => number += 300,
            Err(error) => {
                assert!(error.is_full(), "{error}");
                refused = true;
            }
        }
    }
    assert_eq!(read_so_far(&spool), number);
    fs::remove_file(&ballast).unwrap();
    let from = number + 1;
    let records: Vec<Record> = (from..=from + 300).map(record).collect();
    spool.append(&records, &[cursor(from + 300)]).unwrap();
    drop(spool);
    let (mut spool, recovery) = Spool::open(&directory, PLENTY).unwrap();
    assert_eq!((recovery.cut, recovery.gaps.len()), (0, 0));
    assert_eq!(read_so_far(&spool), from + 300);
    let mut collector = Collector::default();
    collector.drain(&directory, &mut spool);
    let events = |range: std::ops::RangeInclusive<u64>| range.filter(|number| number % 5 != 0).count();
    assert_eq!(collector.kept.len(), events(1..=number) + 301);
}
