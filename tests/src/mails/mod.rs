//! Ordinary mails, made up: what people and machines send one another every day.
//!
//! `letter` puts a mail together and gives it the header that a receiving server would write, `people` names who writes,
//! `kinds` says what they write. The same seed gives the same mails. They are not made to pass: click counters of third
//! parties, names that do not fit their address, missing signatures, forwarding that breaks SPF and pages without a plain
//! text are as frequent as they are.

mod kinds;
mod letter;
mod people;

use crate::attack_log::Dice;
pub use letter::Letter;

/// A mail and what it is.
pub struct Ordinary {
    /// Its kind, as `newsletter`.
    pub kind: &'static str,
    /// The mail as it lies in a mailbox.
    pub bytes: Vec<u8>,
}

/// So many ordinary mails, of each kind about as many.
pub fn ordinary(count: usize, seed: u64) -> Vec<Ordinary> {
    let mut dice = Dice::new(seed);
    let one = |at: usize| {
        let (kind, make) = kinds::KINDS[at % kinds::KINDS.len()];
        let bytes = make(&mut dice).sent(&mut dice);
        Ordinary { kind, bytes }
    };
    (0..count).map(one).collect()
}

/// One of several.
fn pick<'a, T>(dice: &mut Dice, from: &'a [T]) -> &'a T {
    let at = dice.below(u64::try_from(from.len()).expect("few"));
    &from[usize::try_from(at).expect("few")]
}

/// Whether it happens, in so many of a hundred cases.
fn chance(dice: &mut Dice, percent: u64) -> bool {
    dice.below(100) < percent
}
