//! Settings: what an operator writes in TOML, read with every mistake named at once.
//!
//! `document` walks the text and remembers where everything stood, `settings` says which keys there are and what they
//! mean, `values` how they are written, `load` finds the files and puts them together.

mod document;
mod files;
mod glob;
mod indicators;
mod load;
mod mail;
mod mask;
mod process;
mod quarantine;
mod respond;
mod settings;
mod values;

pub use document::Problem;
pub(crate) use document::{Document, Placed, Section};
pub use files::{Files, FilesSensor};
pub use glob::Glob;
pub use indicators::{History, Indicators};
pub use load::{Loaded, load};
pub(crate) use load::{drop_ins, read};
pub use mail::MailSettings;
pub use process::{Keep, Process, ProcessSensor};
pub use quarantine::Quarantine;
pub use respond::{FirewallKind, Kill, Mode, Respond};
pub use settings::{Agent, Auth, Detect, Journal, Send, Settings, Spool, Start};
