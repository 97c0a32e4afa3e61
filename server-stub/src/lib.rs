//! Picket's collector: receive, store, show.
#![forbid(unsafe_code)]

pub mod authority;
pub mod commands;
pub mod receive;
pub mod registry;
pub mod store;
