//! The doorbell: parse the command line, call the library, exit by name.

use clap::Parser;
use picket_collector::commands::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    Command::parse().run()
}
