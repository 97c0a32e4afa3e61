//! Sending: what is in the spool, to the collector, over mutual TLS.
//!
//! All of it runs in a child process, `picket courier`, which holds no rights: it reads the spool and the identity that
//! its parent hands it, and tells the parent what the collector has acknowledged. The parent, `supervise`, opens no
//! network socket.

mod backoff;
mod courier;
mod dial;
mod enroll;
mod identity;
mod protocol;
mod reached;
mod supervise;

pub use courier::{CourierError, courier};
pub use dial::{DialError, Endpoint};
pub use enroll::{EnrollError, Token, TokenError, enroll};
pub use identity::{Identity, IdentityError};
pub use protocol::{Progress, Up};
pub use reached::Reached;
pub use supervise::{Supervisor, Watch};
