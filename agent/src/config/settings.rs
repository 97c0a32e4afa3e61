//! Which settings there are, what each means, and its default.

use super::document::{Document, Section};
use super::files::Files;
use super::indicators::{History, Indicators};
use super::mail::MailSettings;
use super::process::Process;
use super::respond::Respond;
use super::values::{ABSOLUTE, path, quota, set, size};
use std::path::PathBuf;

/// All settings, checked. The default is what runs without any file: it watches and never acts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// `[agent]`: the agent itself.
    pub agent: Agent,
    /// `[auth]`: the logs to follow.
    pub auth: Auth,
    /// `[process]`: how programs are seen.
    pub process: Process,
    /// `[mail]`: how mails are judged.
    pub mail: MailSettings,
    /// `[files]`: which files are watched as they land.
    pub files: Files,
    /// `[detect]`: the rules to judge by.
    pub detect: Detect,
    /// `[indicators]`: lists of what is known to be bad.
    pub indicators: Indicators,
    /// `[history]`: what is remembered of what this host has seen.
    pub history: History,
    /// `[respond]`: what may be done.
    pub respond: Respond,
    /// `[spool]`: what is kept until the collector has it.
    pub spool: Spool,
    /// `[send]`: how it gets there.
    pub send: Send,
}

/// The agent itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent {
    /// The folder of what it must remember: its identity, its ledger.
    pub state: PathBuf,
    /// Where it can be asked and told.
    pub socket: PathBuf,
}

/// How records get to the collector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// The user that the courier runs as when the agent runs as root.
    pub user: String,
}

/// Which authentication logs are followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auth {
    /// Log files. One that does not exist yet is waited for.
    pub files: Vec<PathBuf>,
    /// Whether the journal is followed in place of the files.
    pub journal: Journal,
    /// Where a file that was never read before begins.
    pub start: Start,
}

/// Whether the journal is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Journal {
    /// When there is a journal and none of the files is there.
    Auto,
    /// The journal, and no file.
    Yes,
    /// The files, and no journal.
    No,
}

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With what is written from now on.
    End,
    /// With the first line.
    Beginning,
}

/// Which rules judge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detect {
    /// Folders of Sigma rules.
    pub rules: Vec<PathBuf>,
    /// The folder of exceptions.
    pub exceptions: PathBuf,
    /// How many groups (addresses, users) all counting rules keep at once.
    pub groups: usize,
}

/// What is kept until the collector has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spool {
    /// The folder.
    pub directory: PathBuf,
    /// How many bytes it may hold.
    pub quota: u64,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            state: "/var/lib/picket".into(),
            socket: "/run/picket/control.sock".into(),
        }
    }
}

impl Default for Send {
    fn default() -> Self {
        Self {
            user: "picket".to_owned(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        let files = ["/var/log/auth.log", "/var/log/secure"]
            .map(PathBuf::from)
            .to_vec();
        Self {
            files,
            journal: Journal::Auto,
            start: Start::End,
        }
    }
}

impl Default for Detect {
    fn default() -> Self {
        Self {
            rules: ["/usr/share/picket/rules", "/etc/picket/rules"]
                .map(PathBuf::from)
                .to_vec(),
            exceptions: "/etc/picket/exceptions".into(),
            groups: 100_000,
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            directory: "/var/lib/picket/spool".into(),
            quota: 256 << 20,
        }
    }
}

impl Settings {
    /// Lays what a document sets over these settings; what it leaves out, or gets wrong, stays as it was.
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut root: Section<'_>) {
        let mut section = root.section(document, "agent");
        set(
            &mut self.agent.state,
            section.text(document, "state", ABSOLUTE, path),
        );
        set(
            &mut self.agent.socket,
            section.text(document, "socket", ABSOLUTE, path),
        );
        section.finish(document);

        let mut section = root.section(document, "auth");
        set(
            &mut self.auth.files,
            section.texts(document, "files", ABSOLUTE, path),
        );
        let journal = section.text(
            document,
            "journal",
            r#""auto", "yes" or "no""#,
            |text| match text {
                "auto" => Ok(Journal::Auto),
                "yes" => Ok(Journal::Yes),
                "no" => Ok(Journal::No),
                _ => Err(String::new()),
            },
        );
        set(&mut self.auth.journal, journal);
        let start = section.text(document, "start", r#""end" or "beginning""#, |text| match text {
            "end" => Ok(Start::End),
            "beginning" => Ok(Start::Beginning),
            _ => Err(String::new()),
        });
        set(&mut self.auth.start, start);
        section.finish(document);

        let section = root.section(document, "process");
        self.process.overlay(document, section);

        let section = root.section(document, "mail");
        self.mail.overlay(document, section);
        let section = root.section(document, "files");
        self.files.overlay(document, section);

        let mut section = root.section(document, "detect");
        set(
            &mut self.detect.rules,
            section.texts(document, "rules", ABSOLUTE, path),
        );
        set(
            &mut self.detect.exceptions,
            section.text(document, "exceptions", ABSOLUTE, path),
        );
        set(
            &mut self.detect.groups,
            section
                .number(document, "groups", 100..=10_000_000)
                .and_then(size),
        );
        section.finish(document);

        let section = root.section(document, "indicators");
        self.indicators.overlay(document, section);
        let section = root.section(document, "history");
        self.history.overlay(document, section);

        let section = root.section(document, "respond");
        self.respond.overlay(document, section);

        let mut section = root.section(document, "spool");
        set(
            &mut self.spool.directory,
            section.text(document, "directory", ABSOLUTE, path),
        );
        set(
            &mut self.spool.quota,
            section.text(
                document,
                "quota",
                r#"a size such as "256MiB", at least 1MiB"#,
                quota,
            ),
        );
        section.finish(document);

        let mut section = root.section(document, "send");
        let user = section.text(document, "user", "the name of a user", |text| {
            let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            if plain && !text.is_empty() && text.len() <= 64 {
                Ok(text.to_owned())
            } else {
                Err(String::new())
            }
        });
        set(&mut self.send.user, user);
        section.finish(document);

        root.finish(document);
    }

    /// The file of the agent's identity.
    pub fn identity(&self) -> PathBuf {
        self.agent.state.join("identity.json")
    }

    /// The file of the addresses at which the collector was reached.
    pub fn reached(&self) -> PathBuf {
        self.agent.state.join("reached.json")
    }

    /// The file of what was done.
    pub fn ledger(&self) -> PathBuf {
        self.agent.state.join("ledger.ndjson")
    }

    /// The file of what this host has seen.
    pub fn observables(&self) -> PathBuf {
        self.agent.state.join("observables.sqlite")
    }

    /// The file of the last findings and what came of them.
    pub fn findings(&self) -> PathBuf {
        self.agent.state.join("history.ndjson")
    }

    /// The file of the last good versions of rules and exceptions.
    pub fn last_good(&self) -> PathBuf {
        self.agent.state.join("last-good.ndjson")
    }
}
