//! `picket-collector serve`.

use super::{Data, Failure};
use crate::receive::Server;
use clap::Args;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};

/// Receives from agents until it gets SIGTERM or SIGINT.
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where to listen. Port 0 lets the kernel choose; the line that is printed says which.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:7443")]
    listen: SocketAddr,
    /// A name or address by which agents know this collector; may be given several times.
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(
            nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok()),
        );
        names.extend(self.name);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (mut terminate, mut interrupt) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let server = Server::open(&self.data.data, self.listen, &names).await?;
            writeln!(io::stdout(), "picket-collector listens on {}", server.address()?)?;
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            server.serve(stop).await;
            Ok(())
        })
    }
}
