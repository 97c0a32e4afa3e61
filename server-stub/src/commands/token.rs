//! `picket-collector token`.

use super::{Data, Failure};
use crate::authority::Authority;
use crate::registry::Registry;
use clap::Subcommand;
use picket_common::ndjson;
use std::io::{self, Write as _};
use std::time::Duration;

/// What to do with tokens.
#[derive(Subcommand)]
pub enum Token {
    /// Make a token and print it. It is a secret: hand it to `picket enroll --token-file`, never on a command line.
    Create {
        #[command(flatten)]
        data: Data,
        /// How many hosts it lets in.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
        /// For how many minutes.
        #[arg(long, value_name = "MINUTES", default_value_t = 60)]
        minutes: u32,
    },
    /// Show the tokens that there are, without their secrets.
    List {
        #[command(flatten)]
        data: Data,
        /// A line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Take a token back.
    Revoke {
        #[command(flatten)]
        data: Data,
        /// The token's second part.
        id: String,
    },
}

impl Token {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        match self {
            Self::Create { data, uses, minutes } => {
                let authority = Authority::open(&data.data)?;
                let life = Duration::from_secs(u64::from(minutes) * 60);
                let token = Registry::open(&data.data)?.create_token(uses, life, authority.pin())?;
                writeln!(output, "{token}")?;
            }
            Self::List { data, json } => {
                for token in Registry::open(&data.data)?.tokens()? {
                    if json {
                        ndjson::write(&mut output, &token)?;
                    } else {
                        writeln!(
                            output,
                            "{}  {} left, until {}",
                            token.id, token.uses, token.expires
                        )?;
                    }
                }
            }
            Self::Revoke { data, id } => Registry::open(&data.data)?.revoke_token(&id)?,
        }
        Ok(())
    }
}
