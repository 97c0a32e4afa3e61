//! Throws mutations of seeds at one target, as long as libFuzzer is told to. Without one it lists the targets, a line each.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use picket_tests::fuzz::{TARGETS, Target};
use std::sync::OnceLock;

/// Names the target.
const CHOSEN: &str = "FUZZ_TARGET";

fn chosen() -> &'static Target {
    static CHOICE: OnceLock<&Target> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let name = std::env::var(CHOSEN).unwrap_or_default();
        TARGETS
            .iter()
            .find(|target| target.name == name)
            .unwrap_or_else(|| {
                TARGETS.iter().for_each(|target| println!("{}", target.name));
                std::process::exit(i32::from(!name.is_empty()));
            })
    })
}

fuzz_target!(
    init: {
        chosen();
    },
    |bytes: &[u8]| {
        // A stack that overflows leaves nobody time to say by what.
        drop(std::fs::write(std::env::temp_dir().join("last"), bytes));
        (chosen().read)(bytes);
    }
);

// libFuzzer's own mutations are small. Some part of the bytes many times over is what finds a parser that looks at everything again
// and again.
fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    let mut dice = fastrand::Rng::with_seed(seed.into());
    if size == 0 || dice.u8(..) != 0 {
        return fuzzer_mutate(bytes, size, most);
    }
    let from = dice.usize(..size);
    let length = dice.usize(1..=(size - from).min(64));
    let part = bytes[from..from + length].to_vec();
    let rest = bytes[from + length..size].to_vec();
    let end = most - most.min(rest.len());
    let times = dice.usize(..=(end.saturating_sub(from)) / length);
    let repeated = bytes[from..].chunks_exact_mut(length).take(times);
    repeated.for_each(|place| place.copy_from_slice(&part));
    let filled = from + times * length;
    let taken = rest.len().min(most.saturating_sub(filled));
    bytes[filled..filled + taken].copy_from_slice(&rest[..taken]);
    filled + taken
});
