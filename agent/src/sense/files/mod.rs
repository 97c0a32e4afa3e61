//! What the sensors of files share: which paths matter, what is taken of a file at once, who wrote it, and looking for files
//! that may have been missed.

mod landed;
mod missed;
mod modes;
mod mounted;
mod observer;
mod pace;
mod scope;
mod sweep;
mod writer;

pub(super) use landed::{Landed, leads_to, path_of};
pub(super) use missed::Missed;
pub(super) use modes::Modes;
pub(super) use mounted::{Home, Mounted, home};
pub(super) use observer::{Observer, cursor, time_of};
pub(super) use pace::Pace;
pub(super) use scope::{Place, Scope};
pub(super) use writer::Writers;

use picket_common::time::Timestamp;

pub(super) fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
