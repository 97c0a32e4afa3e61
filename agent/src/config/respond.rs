//! `[respond]`: what may be done.

use super::document::{Document, Section};
use super::quarantine::Quarantine;
use super::values::{ABSOLUTE, SPAN, path, set, size, span};
use picket_common::action::{Network, Scope};
use std::path::PathBuf;
use std::time::Duration;

/// What may be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Respond {
    /// Whether anything is done at all.
    pub mode: Mode,
    /// What drops packets.
    pub firewall: FirewallKind,
    /// Networks that are never blocked.
    pub protect: Vec<Network>,
    /// How long a first block holds.
    pub block: Duration,
    /// How long a returning address is blocked at most.
    pub longest_block: Duration,
    /// How many blocks live at once.
    pub max_blocks: usize,
    /// Programs that are never killed, never denied and never taken away, by their paths.
    pub protect_images: Vec<PathBuf>,
    /// `[respond.kill]`: what is killed.
    pub kill: Kill,
    /// How long a program is denied that a finding asks to deny.
    pub deny: Duration,
    /// `[respond.quarantine]`: which files are taken away.
    pub quarantine: Quarantine,
}

/// What is killed, beside what rules suggest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kill {
    /// Rules whose findings ask for it, by title or id, whatever they suggest themselves.
    pub rules: Vec<String>,
    /// How far it reaches where a rule does not say.
    pub scope: Scope,
    /// Units of systemd whose main process may be killed as well.
    pub units: Vec<String>,
    /// How many findings may kill within a minute; a rule that is wrong must not take the host down.
    pub max_per_minute: usize,
}

/// Watch, or act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Every action is decided and reported, none is done.
    Monitor,
    /// Actions are done.
    Enforce,
}

/// What drops packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirewallKind {
    /// nftables, or iptables where that is missing.
    Auto,
    /// nftables, or nothing.
    Nftables,
    /// ipset and iptables, or nothing.
    Iptables,
}

impl Default for Respond {
    fn default() -> Self {
        Self {
            mode: Mode::Monitor,
            firewall: FirewallKind::Auto,
            protect: Vec::new(),
            block: Duration::from_secs(600),
            longest_block: Duration::from_secs(7 * 86_400),
            max_blocks: 100_000,
            protect_images: Vec::new(),
            kill: Kill::default(),
            deny: Duration::from_secs(86_400),
            quarantine: Quarantine::default(),
        }
    }
}

impl Default for Kill {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            scope: Scope::Tree,
            units: Vec::new(),
            max_per_minute: 60,
        }
    }
}

impl Respond {
    /// Lays what a section sets over these settings.
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        let mode = section.text(document, "mode", r#""monitor" or "enforce""#, |text| match text {
            "monitor" => Ok(Mode::Monitor),
            "enforce" => Ok(Mode::Enforce),
            _ => Err(String::new()),
        });
        set(&mut self.mode, mode);
        let firewall = section.text(
            document,
            "firewall",
            r#""auto", "nftables" or "iptables""#,
            |text| match text {
                "auto" => Ok(FirewallKind::Auto),
                "nftables" => Ok(FirewallKind::Nftables),
                "iptables" => Ok(FirewallKind::Iptables),
                _ => Err(String::new()),
            },
        );
        set(&mut self.firewall, firewall);
        let network = |text: &str| {
            text.parse()
                .map_err(|error: picket_common::action::NetworkError| error.to_string())
        };
        set(
            &mut self.protect,
            section.texts(document, "protect", "an address or network", network),
        );
        set(&mut self.block, section.text(document, "block", SPAN, span));
        set(
            &mut self.longest_block,
            section.text(document, "longest_block", SPAN, span),
        );
        set(
            &mut self.max_blocks,
            section
                .number(document, "max_blocks", 1..=1_000_000)
                .and_then(size),
        );
        set(
            &mut self.protect_images,
            section.texts(document, "protect_images", ABSOLUTE, path),
        );
        set(&mut self.deny, section.text(document, "deny", SPAN, span));
        let kill = section.section(document, "kill");
        self.kill.overlay(document, kill);
        let quarantine = section.section(document, "quarantine");
        self.quarantine.overlay(document, quarantine);
        section.finish(document);
    }
}

impl Kill {
    fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        let named = |text: &str| match text.trim() {
            "" => Err(String::new()),
            _ => Ok(text.to_owned()),
        };
        set(
            &mut self.rules,
            section.texts(document, "rules", "the title or id of a rule", named),
        );
        let wanted = r#""process", "tree" or "session""#;
        let scope = section.text(document, "scope", wanted, |text| match text {
            "process" => Ok(Scope::Process),
            "tree" => Ok(Scope::Tree),
            "session" => Ok(Scope::Session),
            _ => Err(String::new()),
        });
        set(&mut self.scope, scope);
        let unit = |text: &str| match text.strip_suffix(".service") {
            Some(name) if !name.is_empty() && !name.contains('/') => Ok(text.to_owned()),
            _ => Err(String::new()),
        };
        let wanted = r#"the name of a unit, as "nginx.service""#;
        set(&mut self.units, section.texts(document, "units", wanted, unit));
        let most = section.number(document, "max_per_minute", 1..=100_000);
        set(&mut self.max_per_minute, most.and_then(size));
        section.finish(document);
    }
}
