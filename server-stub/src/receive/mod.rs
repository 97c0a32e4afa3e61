//! Receiving: connections, requests, batches.

mod batch;
mod request;
mod server;

pub use server::{ServeError, Server};
