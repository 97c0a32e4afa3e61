//! The vocabulary of Picket: what was observed, what was judged, what was done, and how it travels.
//!
//! No input or output, no threads, no clock: everything here is a value.
#![forbid(unsafe_code)]

pub mod action;
pub mod ecs;
pub mod event;
pub mod finding;
pub mod ids;
pub mod ndjson;
pub mod process;
pub mod raw_text;
pub mod record;
pub mod terminal;
pub mod time;
pub mod wire;
