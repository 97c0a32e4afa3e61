//! Picket's agent: sense, enrich, detect, respond, spool, send.

pub mod commands;
pub mod config;
pub mod detect;
pub mod enrich;
pub mod observation;
pub mod parse;
pub mod queue;
pub mod send;
pub mod sense;
pub mod spool;
pub mod sys;
