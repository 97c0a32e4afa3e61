//! Through ipset and iptables, where nftables is missing: sets of our own, each matched by one rule.
//!
//! ```text
//! ipset create picket-v4 hash:ip family inet timeout 0        ipset create picket-v4net hash:net family inet timeout 0
//! iptables -t raw -I PREROUTING -m set --match-set picket-v4 src -j DROP …
//! ```
//! The same for IPv6. As in nftables, `PREROUTING` of `raw` comes before connections are tracked: local, forwarded and
//! established traffic are all cut. Every change is a process, so this is slower than speaking to nftables.

use super::{Firewall, FirewallError};
use crate::sys::{Tool, ToolError};
use picket_common::action::Network;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The longest time that a set knows, in seconds.
const LONGEST: u64 = 2_147_483;
/// Room for elements whose time is over for the agent but not yet for the kernel, which counts whole seconds.
const ROOM: usize = 1024;
/// How long a program may take: waiting for whoever else changes the firewall is in it, and 100,000 elements.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much longer an element may be there than the agent knows.
const ROUNDING: Duration = Duration::from_secs(2);

struct Set {
    name: &'static str,
    /// Under which it is filled before it takes the old one's place.
    fresh: &'static str,
    v6: bool,
    networks: bool,
}

const fn set(name: &'static str, fresh: &'static str, v6: bool, networks: bool) -> Set {
    Set {
        name,
        fresh,
        v6,
        networks,
    }
}

const SETS: [Set; 4] = [
    set("picket-v4", "picket-v4-new", false, false),
    set("picket-v4net", "picket-v4net-new", false, true),
    set("picket-v6", "picket-v6-new", true, false),
    set("picket-v6net", "picket-v6net-new", true, true),
];

impl Set {
    fn of(network: &Network) -> Option<&'static Self> {
        SETS.iter().find(|set| set.holds(network))
    }

    fn holds(&self, network: &Network) -> bool {
        network.address().is_ipv6() == self.v6 && network.is_single() != self.networks
    }

    /// The line that creates it under a name. It grows by itself, up to `most`.
    fn create(&self, name: &str, most: usize) -> String {
        let kind = if self.networks { "hash:net" } else { "hash:ip" };
        let family = if self.v6 { "inet6" } else { "inet" };
        format!("create {name} {kind} family {family} timeout 0 maxelem {most}\n")
    }

    /// What follows `-I PREROUTING` and `-D PREROUTING`.
    fn rule(&self) -> [&'static str; 7] {
        ["-m", "set", "--match-set", self.name, "src", "-j", "DROP"]
    }

    /// Whether `iptables -S` shows its rule.
    fn is_matched(&self, rules: &str) -> bool {
        let rule = format!("-A PREROUTING {}", self.rule().join(" "));
        rules.lines().any(|line| line.trim() == rule)
    }
}

pub(super) struct Iptables {
    ipset: Tool,
    v4: Tool,
    /// A host may do without IPv6: then why.
    v6: Result<Tool, String>,
    most: usize,
    /// What should be in the sets, and until when.
    held: BTreeMap<Network, Option<Instant>>,
    /// When elements that should stay for longer than a set knows must be put in again.
    renewal: Option<Instant>,
}

impl Iptables {
    /// Makes sets and rules. `most` is how many blocks there can be.
    pub(super) fn open(most: usize) -> Result<Self, ToolError> {
        let mut iptables = Self {
            ipset: Tool::find("ipset")?,
            v4: variant(["iptables-legacy", "iptables"])?,
            v6: variant(["ip6tables-legacy", "ip6tables"]).map_err(|error| error.to_string()),
            most: most.saturating_add(ROOM),
            held: BTreeMap::new(),
            renewal: None,
        };
        iptables.create()?;
        if let Err(error) = iptables.match_sets(true) {
            tracing::warn!("nothing from IPv6 can be blocked: {error}");
            iptables.v6 = Err(error.to_string());
        }
        Ok(iptables)
    }

    /// Removes what an agent left that spoke to iptables, where there may be such a thing; gives whether there was.
    pub(super) fn remove() -> Result<bool, ToolError> {
        let Ok(ipset) = Tool::find("ipset") else {
            return Ok(false);
        };
        let names = ipset.run(&["list", "-name"], "", PATIENCE)?;
        let left = || SETS.iter().filter(|set| has(&names, set.name));
        for set in left() {
            let plain = if set.v6 { "ip6tables" } else { "iptables" };
            let legacy = if set.v6 {
                "ip6tables-legacy"
            } else {
                "iptables-legacy"
            };
            for tool in [legacy, plain]
                .into_iter()
                .filter_map(|name| Tool::find(name).ok())
            {
                if set.is_matched(&rules(&tool)?) {
                    change(&tool, "-D", set)?;
                }
            }
        }
        let fresh = SETS.iter().map(|set| set.fresh).filter(|name| has(&names, name));
        let script: String = left()
            .map(|set| set.name)
            .chain(fresh)
            .map(|name| format!("destroy {name}\n"))
            .collect();
        ipset.run(&["restore"], &script, PATIENCE)?;
        Ok(!script.is_empty())
    }

    /// Makes whatever is missing of the sets, and the rules of IPv4.
    fn create(&self) -> Result<(), ToolError> {
        let names = self.ipset.run(&["list", "-name"], "", PATIENCE)?;
        let missing = SETS.iter().filter(|set| !has(&names, set.name));
        let script: String = missing.map(|set| set.create(set.name, self.most)).collect();
        self.ipset.run(&["-exist", "restore"], &script, PATIENCE)?;
        self.match_sets(false)
    }

    /// Makes the rules of one family that are missing.
    fn match_sets(&self, v6: bool) -> Result<(), ToolError> {
        let tool = self.tool(v6)?;
        let rules = rules(tool)?;
        let of_family = SETS.iter().filter(|set| set.v6 == v6);
        for set in of_family.filter(|set| !set.is_matched(&rules)) {
            change(tool, "-I", set)?;
        }
        Ok(())
    }

    fn tool(&self, v6: bool) -> Result<&Tool, ToolError> {
        if !v6 {
            return Ok(&self.v4);
        }
        self.v6.as_ref().map_err(|reason| ToolError::Failed {
            name: "ip6tables",
            complaint: reason.clone(),
        })
    }

    /// Changes an element, where need be after sets and rules were made again.
    fn change(&self, verb: &str, network: Network, more: &[&str]) -> Result<(), ToolError> {
        let Some(set) = Set::of(&network) else {
            return Ok(());
        };
        let text = network.to_string();
        let arguments = [&["-exist", verb, set.name, &text], more].concat();
        self.ipset.run(&arguments, "", PATIENCE).map(|_| ())
    }

    /// Takes many out of the sets with one process.
    fn delete(&self, unwanted: &[&Network]) -> Result<(), ToolError> {
        let lines = unwanted.iter().filter_map(|network| {
            let set = Set::of(network)?;
            Some(format!("del {} {network}\n", set.name))
        });
        let script: String = lines.collect();
        self.ipset
            .run(&["-exist", "restore"], &script, PATIENCE)
            .map(|_| ())
    }

    fn hold(&mut self, network: Network, ttl: Option<Duration>) {
        let now = Instant::now();
        self.held.insert(network, ttl.map(|ttl| now + ttl));
        if ttl.is_some_and(|ttl| ttl.as_secs() >= LONGEST) {
            self.renewal.get_or_insert(now + Duration::from_secs(LONGEST / 2));
        }
    }

    /// Whether a set holds fewer elements than it should.
    fn is_short(&self, set: &Set, listed: &str) -> bool {
        let Some(count) = entries(listed, set.name) else {
            return true;
        };
        let soon = Instant::now() + ROUNDING;
        let of_set = self.held.iter().filter(|(network, _)| set.holds(network));
        let wanted = of_set.filter(|(_, until)| until.is_none_or(|until| until > soon));
        wanted.count() > count
    }
}

impl Firewall for Iptables {
    fn describe(&self) -> &'static str {
        "blocks addresses in ipsets that iptables matches, at the cost of a process for each block"
    }

    fn block(
        &mut self,
        network: Network,
        ttl: Option<Duration>,
        replaces: &[Network],
    ) -> Result<(), FirewallError> {
        let v6 = network.address().is_ipv6();
        // Without a rule that matches it, an element blocks nobody.
        self.tool(v6)?;
        let timeout = timeout(ttl).to_string();
        let more = ["timeout", &timeout];
        match self.change("add", network, &more) {
            Err(error) if is_absent(&error) => {
                // Somebody destroyed our sets; the others come back with the next reconciliation.
                self.create()?;
                self.match_sets(v6)?;
                self.change("add", network, &more)?;
            }
            done => done?,
        }
        self.hold(network, ttl);
        let narrower: Vec<_> = replaces.iter().filter(|other| **other != network).collect();
        if narrower.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.delete(&narrower) {
            tracing::warn!("what lies in {network} stays in the sets for its own time: {error}");
        }
        for other in narrower {
            self.held.remove(other);
        }
        Ok(())
    }

    fn release(&mut self, network: Network) -> Result<(), FirewallError> {
        match self.change("del", network, &[]) {
            Err(error) if !is_absent(&error) => return Err(error.into()),
            _ => {}
        }
        self.held.remove(&network);
        Ok(())
    }

    fn reconcile(&mut self, wanted: &[(Network, Option<Duration>)]) -> Result<(), FirewallError> {
        let names = self.ipset.run(&["list", "-name"], "", PATIENCE)?;
        let mut script = String::new();
        for set in &SETS {
            let (name, fresh) = (set.name, set.fresh);
            if has(&names, fresh) {
                script.push_str(&format!("destroy {fresh}\n"));
            }
            if !has(&names, name) {
                script.push_str(&set.create(name, self.most));
            }
            script.push_str(&set.create(fresh, self.most));
            for (network, ttl) in wanted.iter().filter(|(network, _)| set.holds(network)) {
                script.push_str(&format!("add {fresh} {network} timeout {}\n", timeout(*ttl)));
            }
            // Packets see the set before or after, never half of it.
            script.push_str(&format!("swap {fresh} {name}\ndestroy {fresh}\n"));
        }
        self.ipset.run(&["-exist", "restore"], &script, PATIENCE)?;
        self.held.clear();
        self.renewal = None;
        for (network, ttl) in wanted {
            self.hold(*network, *ttl);
        }
        self.match_sets(false)?;
        if self.v6.is_ok() {
            self.match_sets(true)?;
        }
        Ok(())
    }

    fn is_disturbed(&mut self) -> Result<bool, FirewallError> {
        let now = Instant::now();
        self.held.retain(|_, until| until.is_none_or(|until| until > now));
        if self.renewal.is_some_and(|renewal| renewal <= now) {
            return Ok(true);
        }
        let listed = self.ipset.run(&["list", "-terse"], "", PATIENCE)?;
        if SETS.iter().any(|set| self.is_short(set, &listed)) {
            return Ok(true);
        }
        for v6 in [false, true] {
            let Ok(tool) = self.tool(v6) else { continue };
            let rules = rules(tool)?;
            let mut of_family = SETS.iter().filter(|set| set.v6 == v6);
            if of_family.any(|set| !set.is_matched(&rules)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The first of several programs for the same that is there and that this kernel understands: one of them speaks to nftables.
fn variant(names: [&'static str; 2]) -> Result<Tool, ToolError> {
    let mut reason = ToolError::Missing(names[1]);
    for name in names {
        match Tool::find(name).and_then(|tool| rules(&tool).map(|_| tool)) {
            Ok(tool) => return Ok(tool),
            Err(ToolError::Missing(_)) => {}
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn rules(tool: &Tool) -> Result<String, ToolError> {
    tool.run(&["-w", "5", "-t", "raw", "-S", "PREROUTING"], "", PATIENCE)
}

fn change(tool: &Tool, verb: &str, set: &Set) -> Result<(), ToolError> {
    let arguments = [
        &["-w", "5", "-t", "raw", verb, "PREROUTING"],
        set.rule().as_slice(),
    ]
    .concat();
    tool.run(&arguments, "", PATIENCE).map(|_| ())
}

/// In whole seconds, never too short; 0 is without an end.
fn timeout(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| {
        (ttl + Duration::from_millis(999)).as_secs().clamp(1, LONGEST)
    })
}

fn has(names: &str, name: &str) -> bool {
    names.lines().any(|line| line.trim() == name)
}

/// How many elements `ipset list -terse` says a set has; `None` when there is no such set.
fn entries(listed: &str, name: &str) -> Option<usize> {
    let (_, rest) = listed.split_once(&format!("Name: {name}\n"))?;
    let (own, _) = rest.split_once("\nName: ").unwrap_or((rest, ""));
    // Old versions do not say it.
    let count = own
        .lines()
        .find_map(|line| line.strip_prefix("Number of entries: "));
    Some(count.map_or(usize::MAX, |count| count.trim().parse().unwrap_or(usize::MAX)))
}

fn is_absent(error: &ToolError) -> bool {
    matches!(error, ToolError::Failed { complaint, .. } if complaint.contains("does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print_is_read() {
        let listed = "Name: picket-v4net\nType: hash:net\nNumber of entries: 7\n\nName: picket-v4\nType: hash:ip\nReferences: 1\nNumber of entries: 12\n\nName: other\nNumber of entries: 9\n";
        assert_eq!(entries(listed, "picket-v4"), Some(12));
        assert_eq!(entries(listed, "picket-v4net"), Some(7));
        assert_eq!(entries(listed, "picket-v6"), None);
        assert_eq!(
            entries("Name: picket-v6\nType: x\n", "picket-v6"),
            Some(usize::MAX)
        );
        let rules = "-P PREROUTING ACCEPT\n-A PREROUTING -m set --match-set picket-v4net src -j DROP\n-A PREROUTING -m set ! --match-set picket-v4 src -j DROP\n";
        let matched: Vec<_> = SETS.iter().filter(|set| set.is_matched(rules)).collect();
        assert_eq!(matched.len(), 1);
        assert_eq!(matched[0].name, "picket-v4net");
    }

    #[test]
    fn times_are_whole_seconds_within_what_a_set_knows() {
        let spans = [0, 1, 999, 1000, 1001, 2_147_483_000, u64::MAX].map(Duration::from_millis);
        assert_eq!(
            spans.map(|span| timeout(Some(span))),
            [1, 1, 1, 1, 2, LONGEST, LONGEST]
        );
        assert_eq!(timeout(None), 0);
    }
}
