//! What lies in files: the agent's own, which a crash or a disk may have damaged, and those that operators write.

use super::in_scratch;
use picket_agent::config;
use picket_agent::detect::{self, Indicators, Loaded, Sources};
use picket_agent::history::LastGood;
use picket_agent::respond::{Ledger, Vault};
use picket_agent::spool::{Reader, Spool};
use picket_common::record::Lane;
use picket_common::time::Timestamp;
use std::fs;

const QUOTA: u64 = 64 << 20;

pub(super) fn spool(bytes: &[u8]) {
    in_scratch(|folder| {
        let lane = folder.join(Lane::Events.as_str());
        fs::create_dir(&lane).expect("a folder");
        fs::write(lane.join("0000000000000001.seg"), bytes).expect("a file");
        if let Ok((spool, _)) = Spool::open(folder, QUOTA) {
            drop(spool);
            let mut reader = Reader::open(folder, Lane::Events);
            let mut after = 0;
            while let Ok(Some(chunk)) = reader.next(after, 1 << 20) {
                assert!(chunk.last > after, "it goes on");
                after = chunk.last;
            }
            let (_, recovery) = Spool::open(folder, QUOTA).expect("what was mended is whole");
            assert_eq!(recovery.cut, 0, "it is mended once");
        }
    });
}

pub(super) fn ledger(bytes: &[u8]) {
    in_scratch(|folder| {
        let path = folder.join("ledger");
        fs::write(&path, bytes).expect("a file");
        if let Ok((ledger, _)) = Ledger::open(&path, 0) {
            let (again, _) = Ledger::open(&path, 0).expect("what was opened once can be opened again");
            assert_eq!((again.live(), again.last()), (ledger.live(), ledger.last()));
        }
    });
}

pub(super) fn quarantine(bytes: &[u8]) {
    in_scratch(|folder| {
        fs::write(folder.join("one.json"), bytes).expect("a file");
        let (records, problems) = Vault::new(folder, QUOTA)
            .records()
            .expect("a bad record hides no other");
        assert_eq!(records.len() + problems.len(), 1);
    });
}

pub(super) fn settings(bytes: &[u8]) {
    in_scratch(|folder| {
        let path = folder.join("picket.toml");
        fs::write(&path, bytes).expect("a file");
        for problem in config::load(&path).problems {
            assert!(!problem.to_string().is_empty());
        }
    });
}

pub(super) fn sigma(bytes: &[u8]) {
    in_scratch(|folder| {
        fs::write(folder.join("rule.yml"), bytes).expect("a file");
        load(&Sources {
            rules: &[folder.to_owned()],
            ..nothing()
        });
    });
}

pub(super) fn indicators(bytes: &[u8]) {
    in_scratch(|folder| {
        let lists = config::Indicators {
            files: vec![folder.join("list.csv")],
            ..config::Indicators::default()
        };
        fs::write(folder.join("list.csv"), bytes).expect("a file");
        let loaded = load(&Sources {
            indicators: Some(&lists),
            ..nothing()
        });
        // Of one line come no more than its cells.
        assert!(loaded.indicators.len() <= bytes.len());
    });
}

fn nothing() -> Sources<'static> {
    Sources {
        rules: &[],
        exceptions: None,
        groups: 100,
        indicators: None,
        indicators_before: Indicators::default(),
        before: &[],
    }
}

fn load(sources: &Sources<'_>) -> Loaded {
    let now = Timestamp::from_micros(1_704_067_200_000_000);
    let loaded = detect::load(sources, &mut LastGood::default(), now);
    for problem in &loaded.problems {
        assert!(!problem.to_string().is_empty());
    }
    loaded
}
