//! What is kept on the host beside what is sent.

mod findings;
mod last_good;
mod observable;
mod observables;
mod question;
mod recent;
mod sighting;

pub use findings::{Entry, Findings, Story};
pub use last_good::{Good, LastGood};
pub use observable::{Observable, Shown, each, subject};
pub use observables::{Observables, ObservablesError};
pub use question::{Question, QuestionError, Seen};
pub use recent::Recent;
pub use sighting::{Sighting, Sightings};
