//! What is kept on the host beside what is sent.

mod last_good;

pub use last_good::{Good, LastGood};
