//! Receiving: connections, requests, batches.

mod batch;
mod hosts;
mod request;
mod server;

pub use batch::read as read_batch;
pub use server::{ServeError, Server};
