//! Whether anything could be blocked.

use super::agent::Agent;
use super::report::{Check, some, unseen};
use crate::config::{FirewallKind, Mode, Respond};
use crate::sys::nft::{Nft, NftError};
use crate::sys::{Tool, ToolError};
use std::time::Duration;

const NAME: &str = "firewall";
/// Our own table, as `nft list tables` names it.
const OWN: &str = "inet picket";
const SLOWER: &str = "nothing has to be done; with nftables a block would be a hundred times faster";
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn checks(settings: &Respond, agent: &Agent) -> Vec<Check> {
    let tables = Nft::connect().tables();
    let mut checks = vec![match settings.mode {
        Mode::Monitor => monitor(&tables),
        Mode::Enforce => enforce(settings, agent, &tables),
    }];
    if let Ok(tables) = &tables {
        let others: Vec<&String> = tables.iter().filter(|table| *table != OWN).collect();
        let found = if others.is_empty() {
            "there are none of anybody else".to_owned()
        } else {
            format!(
                "{} of others, none of which Picket touches: {}",
                others.len(),
                some(&others)
            )
        };
        checks.push(Check::ok("firewall tables", found));
    }
    checks
}

fn monitor(tables: &Result<Vec<String>, NftError>) -> Check {
    if has_own(tables) {
        return Check::degraded(
            NAME,
            format!(
                "the agent only watches (respond.mode), but the table {OWN} of an earlier run is there and may still block"
            ),
            format!("if nothing is to be blocked any more: nft delete table {OWN}"),
        );
    }
    Check::ok(NAME, "none is needed: the agent only watches (respond.mode)")
}

fn enforce(settings: &Respond, agent: &Agent, tables: &Result<Vec<String>, NftError>) -> Check {
    if let Some(report) = agent.report() {
        let acting = &report.acting;
        if acting.contains("nothing") {
            return Check::failed(
                NAME,
                format!("the agent {acting}"),
                "install nftables, or ipset and iptables, and see that the agent has CAP_NET_ADMIN; the agent's log has the reason",
            );
        }
        if acting.contains("nftables") && tables.is_ok() && !has_own(tables) {
            return Check::degraded(
                NAME,
                format!("the agent {acting}, but the table is gone: somebody flushed it"),
                "it comes back within seconds while blocks are in force, and with the next block; find out who flushes it",
            );
        }
        if acting.contains("iptables") && settings.firewall == FirewallKind::Auto {
            return Check::degraded(
                NAME,
                format!("nftables cannot be used, so the agent {acting}"),
                SLOWER,
            );
        }
        return Check::ok(NAME, format!("the agent {acting}"));
    }
    match (settings.firewall, tables) {
        (FirewallKind::Auto | FirewallKind::Nftables, Ok(_)) => Check::ok(NAME, "nftables answers"),
        (_, Err(error @ NftError::Forbidden)) if !nix::unistd::geteuid().is_root() => unseen(NAME, error),
        (FirewallKind::Nftables, Err(error)) => Check::failed(
            NAME,
            error.to_string(),
            "give the agent CAP_NET_ADMIN or the kernel nf_tables, or set respond.firewall = \"auto\"",
        ),
        (FirewallKind::Auto, Err(nftables)) => match iptables() {
            Ok(()) => Check::degraded(
                NAME,
                format!(
                    "{nftables}: ipset and iptables would take its place, at the cost of a process for each block"
                ),
                SLOWER,
            ),
            Err(iptables) => Check::failed(
                NAME,
                format!("{nftables}; {iptables}: nothing can be blocked"),
                "install nftables, or ipset and iptables, and run the agent with CAP_NET_ADMIN",
            ),
        },
        (FirewallKind::Iptables, _) => match iptables() {
            Ok(()) => Check::ok(NAME, "ipset and iptables answer"),
            Err(error) => Check::failed(
                NAME,
                error.to_string(),
                "install ipset and iptables, or set respond.firewall = \"auto\"",
            ),
        },
    }
}

fn has_own(tables: &Result<Vec<String>, NftError>) -> bool {
    tables
        .as_ref()
        .is_ok_and(|tables| tables.iter().any(|table| table == OWN))
}

/// Whether what takes the place of nftables is there. Nothing is changed.
fn iptables() -> Result<(), ToolError> {
    Tool::find("ipset")?.run(&["list", "-name"], "", PATIENCE)?;
    Tool::find("iptables-legacy")
        .or_else(|_| Tool::find("iptables"))?
        .run(&["--version"], "", PATIENCE)?;
    Ok(())
}
