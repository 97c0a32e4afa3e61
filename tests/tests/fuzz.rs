//! What fuzzing begins with and what it once found, read again with every `make test`.

use picket_tests::fuzz::TARGETS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

#[test]
fn every_target_reads_its_seeds_and_what_is_like_them() {
    for target in TARGETS {
        let folder = seeds().join(target.name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut read = 0;
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            let bytes = fs::read(path).unwrap();
            (target.read)(&bytes);
            // Cut off anywhere, and with a byte changed.
            let mut dice = fastrand::Rng::with_seed(1);
            for _ in 0..16.min(bytes.len()) {
                (target.read)(&bytes[..dice.usize(..bytes.len())]);
                let mut changed = bytes.clone();
                changed[dice.usize(..bytes.len())] = dice.u8(..);
                (target.read)(&changed);
            }
            read += 1;
        }
        assert!(read > 0, "{} has no seed", target.name);
    }
}

#[test]
fn every_folder_of_seeds_has_its_target() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "no name is there twice");
    let folders = fs::read_dir(seeds()).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<_> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, names);
}
