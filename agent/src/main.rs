//! The doorbell: parse the command line, call the library, exit by name.

fn main() {}
