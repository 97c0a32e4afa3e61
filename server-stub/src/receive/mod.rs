//! Receiving: connections, requests, batches.

mod batch;
mod hosts;
mod request;
mod server;

pub use server::{ServeError, Server};
