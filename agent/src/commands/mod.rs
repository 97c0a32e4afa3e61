//! The subcommands of `picket`.
