//! What is kept on the host beside what is sent.

mod findings;
mod last_good;
mod observable;
mod recent;

pub use findings::{Entry, Findings, Story};
pub use last_good::{Good, LastGood};
pub use observable::{Observable, Shown, each, subject};
pub use recent::Recent;
