//! Picket's agent: sense, enrich, detect, respond, spool, send.

pub mod app;
pub mod commands;
pub mod config;
pub mod detect;
pub mod enrich;
pub mod history;
pub mod logging;
pub mod observation;
pub mod parse;
pub mod plugs;
pub mod queue;
pub mod respond;
pub mod scan;
pub mod send;
pub mod sense;
pub mod spool;
pub mod sys;
