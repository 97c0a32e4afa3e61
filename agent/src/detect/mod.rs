//! Judging events: rules in, events in, findings out.
//!
//! A detector does no input or output and never looks at the clock: time is the event's own, so the same events give the
//! same findings, live or in a replay of a log of last year.

mod about;
mod candidates;
mod correlation;
mod cost;
mod definition;
mod exception_files;
mod exceptions;
mod fields;
mod found;
mod grouping;
mod indicators;
mod literals;
mod load;
pub mod mail;
mod meta;
mod needed;
mod proof;
mod rule_files;
mod rules;
mod sigma;
mod signature;
mod threshold;
mod topic;
mod unknown;
mod witness;
mod words;
mod yara;

pub use about::About;
pub use cost::{Cost, Watch};
pub use exceptions::Exception;
pub use indicators::{Indicators, Listed, Match};
pub use load::{Loaded, Sources, load};
pub use proof::Proof;
pub use rule_files::Problem;
pub use sigma::Sigma;
pub use threshold::Counters;
pub use yara::Yara;

use picket_common::event::Event;
use picket_common::finding::Finding;

/// What looking at events came to.
#[derive(Default, Debug)]
pub struct Findings {
    /// What was found.
    pub found: Vec<Finding>,
    /// Something that counts has counted one: it may be behind a finding of a later event.
    pub counted: bool,
}

/// Something that judges events.
pub trait Detector {
    /// Its name in settings, counters and logs.
    fn name(&self) -> &'static str;

    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// Looks at one event and adds what it finds. Events come in the order in which they were read; their times may step
    /// backwards.
    fn inspect(&mut self, event: &Event, findings: &mut Findings);
}
