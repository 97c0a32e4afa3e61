//! `picket enroll`: a token in, an identity out.

use super::Failure;
use super::run::load;
use crate::send::{self, Endpoint, Identity, IdentityError, Token};
use clap::Args;
use picket_common::terminal::Plain;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

/// Makes this host known to a collector.
#[derive(Args)]
pub struct Enroll {
    /// The collector, as https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    collector: String,
    /// A file with the token of `picket-collector token create`; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The name that people know this host by.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Take the place of the identity that this host has.
    #[arg(long)]
    again: bool,
    /// The agent's configuration.
    #[arg(long, default_value = "/etc/picket/picket.toml")]
    config: PathBuf,
}

impl Enroll {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = load(&self.config)?.identity();
        match Identity::read(&file) {
            Ok(identity) if !self.again => return Err(Failure::Enrolled(identity.agent)),
            Ok(_) | Err(IdentityError::Missing) => {}
            Err(_) if self.again => {}
            Err(error) => return Err(error.into()),
        }
        let token: Token = self.token()?.parse()?;
        let endpoint: Endpoint = self.collector.parse()?;
        let host = self.host.unwrap_or_else(|| {
            let name = nix::unistd::gethostname().unwrap_or_default();
            name.to_string_lossy().into_owned()
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let identity = runtime.block_on(send::enroll(&endpoint, &token, &host))?;
        identity.write(&file)?;
        writeln!(
            io::stdout(),
            "enrolled at {endpoint} as {}",
            Plain(&identity.agent)
        )?;
        Ok(())
    }

    fn token(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let input = |error| Failure::Input {
            path: self.token_file.display().to_string(),
            error,
        };
        if self.token_file.as_os_str() == "-" {
            io::stdin().take(1024).read_to_string(&mut text).map_err(input)?;
        } else {
            File::open(&self.token_file)
                .and_then(|file| file.take(1024).read_to_string(&mut text))
                .map_err(input)?;
        }
        Ok(text)
    }
}
