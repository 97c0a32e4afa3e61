//! Events and outcomes as sentences; what comes from logs is quoted and escaped in them.

use picket_common::action::{ActionKind, Decision};
use picket_common::event::{
    AuthAction, AuthEvent, Direction, Event, ExecEvent, ExitStatus, FileAction, Outcome, Payload, Program,
};
use picket_common::record;
use std::fmt::Write as _;
use std::time::Duration;

/// `sshd on web1: login failed for "root" from 198.51.100.9 by password`
pub(super) fn of_event(event: &Event) -> String {
    match &event.payload {
        Payload::Auth(auth) => of_login(auth),
        Payload::Exec(exec) => of_exec(exec),
        Payload::Exit(exit) => {
            let how = match exit.status {
                ExitStatus::Code(code) => format!("ended with exit status {code}"),
                ExitStatus::Signal(signal) => format!("was ended by signal {signal}"),
                ExitStatus::Unknown => "ended".to_owned(),
            };
            format!("{} {how}", program(&exit.program))
        }
        Payload::Connect(connect) => {
            let (who, remote) = (program(&connect.program), connect.remote);
            match connect.direction {
                Direction::Outbound => format!("{who} connected to {remote}"),
                Direction::Inbound => {
                    format!(
                        "{who} was connected to by {remote} on port {}",
                        connect.local.port()
                    )
                }
            }
        }
        Payload::Privilege(privilege) => {
            let who = program(&privilege.program);
            format!(
                "{who} has become root, and was user {} before",
                privilege.former_uid
            )
        }
        Payload::File(file) => {
            let what = match file.action {
                FileAction::Written => "was written",
                FileAction::Moved => "was moved into place",
                FileAction::Attributes => "had its mode or owner changed",
                FileAction::Found => "was found",
            };
            let by = file
                .writer
                .as_ref()
                .map(|writer| format!(" by {}", program(writer)));
            format!("{:?} {what}{}", file.path, by.unwrap_or_default())
        }
        Payload::Install(install) => {
            let who = install
                .manager
                .as_deref()
                .map_or_else(|| "somebody".to_owned(), program);
            let (files, named) = (install.files, install.packages.len());
            let unowned = install.unowned_files;
            format!("{who} wrote {files} files of {named} packages, and {unowned} that no package owns")
        }
        Payload::Signal(signal) => {
            let (who, whom) = (program(&signal.program), program(&signal.target));
            format!("{who} sent signal {} to {whom}", signal.signal)
        }
    }
}

/// `"/usr/bin/curl", process 17, of "root"`
fn program(program: &Program) -> String {
    let pid = program.process.pid;
    let mut text = match &program.executable {
        Some(executable) => format!("{executable:?}, process {pid}"),
        None => format!("process {pid}"),
    };
    if let Some(user) = &program.user {
        text += &format!(", of {user:?}");
    }
    text
}

/// `"/usr/bin/id" was started as "id -u" by "root", from "/bin/sh"`
fn of_exec(exec: &ExecEvent) -> String {
    let mut text = format!("{:?} was started as {:?}", exec.executable, exec.command_line());
    if let Some(user) = &exec.user {
        text += &format!(" by {user:?}");
    }
    if let Some(parent) = exec
        .ancestors
        .first()
        .and_then(|parent| parent.executable.as_deref())
    {
        text += &format!(", from {parent:?}");
    }
    text
}

fn of_login(auth: &AuthEvent) -> String {
    let mut text = auth.program.escape_debug().to_string();
    if let Some(host) = &auth.host {
        text += &format!(" on {}", host.escape_debug());
    }
    text += &format!(": {}{}", auth.action.as_str().replace('-', " "), ending(auth));
    let mut say = |word: &str, value: Option<&str>| {
        if let Some(value) = value {
            // Writing to a text cannot fail.
            let _ = write!(text, " {word} {value:?}");
        }
    };
    say("for", auth.user.as_deref());
    let becomes = matches!(auth.action, AuthAction::Sudo | AuthAction::Su);
    let target = auth.target_user.as_deref();
    say("to become", target.filter(|_| becomes));
    say("from", auth.source_domain.as_deref());
    if let Some(peer) = auth.source {
        text += &format!(" from {}", peer.ip);
    }
    if let Some(method) = auth.method {
        text += &format!(" by {}", method.as_str());
    }
    let mut say = |word: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = write!(text, ", {word} {value:?}");
        }
    };
    say("user", target.filter(|_| !becomes));
    say("group", auth.group.as_deref());
    say("key", auth.key.as_deref());
    say("command", auth.command.as_deref());
    say("because", auth.reason.as_deref());
    if let Some(times) = auth.repeated {
        text += &format!(", {times} times");
    }
    text
}

fn ending(auth: &AuthEvent) -> &'static str {
    use AuthAction::{
        AccountLocked, BadProtocol, ConnectionRefused, InvalidUser, Login, LoginTimeout, MaxAuthTries,
        NoCommonAlgorithm, PamFailure, PreauthClose, ReverseMappingMismatch, Su, Sudo, UserNotAllowed,
    };
    match (auth.outcome, auth.action) {
        (Outcome::Success, Login | Sudo | Su) => " succeeded",
        // Their names say it.
        (
            Outcome::Failure,
            AccountLocked
            | BadProtocol
            | ConnectionRefused
            | InvalidUser
            | LoginTimeout
            | MaxAuthTries
            | NoCommonAlgorithm
            | PamFailure
            | PreauthClose
            | ReverseMappingMismatch
            | UserNotAllowed,
        ) => "",
        (Outcome::Failure, _) => " failed",
        _ => "",
    }
}

/// `block_ip 198.51.100.9 was done, for 10m`, `kill process 17 was done: "/tmp/miner", process 17`
pub(super) fn of_outcome(outcome: &record::Outcome) -> String {
    let kind = outcome.action.target.kind();
    let target = &outcome.action.target;
    let span = match outcome.action.ttl {
        _ if !kind.lasts() => String::new(),
        Some(ttl) => format!(", for {}", span(ttl)),
        None => ", until undone".to_owned(),
    };
    let said = match &outcome.decision {
        Decision::Applied => format!("was done{span}"),
        Decision::Simulated => format!("would be done{span}: the agent only watches (respond.mode)"),
        Decision::Refused { because } => format!("was refused: {because}"),
        Decision::Failed { because } => format!("failed: {because}"),
        Decision::Undone if kind == ActionKind::Quarantine => "was put back".to_owned(),
        Decision::Expired if kind == ActionKind::Quarantine => "ended: the file was deleted".to_owned(),
        Decision::Undone => "was taken back".to_owned(),
        Decision::Expired => "ended: its time was over".to_owned(),
    };
    let hits = outcome
        .hits
        .as_deref()
        .map_or(String::new(), |hits| of_hits(kind, hits));
    format!("{} {target} {said}{hits}", kind.as_str())
}

/// `; hit: "/tmp/miner", process 17; spared: process 12, because …`
fn of_hits(kind: ActionKind, hits: &record::Hits) -> String {
    let word = match kind {
        ActionKind::DenyExec => "kept from it",
        ActionKind::BlockIp | ActionKind::Kill | ActionKind::Quarantine => "hit",
    };
    let name = |hit: &record::Hit| {
        let pid = hit.process.pid;
        match &hit.executable {
            Some(executable) => format!("{executable:?}, process {pid}"),
            None => format!("process {pid}"),
        }
    };
    let mut text = String::new();
    if !hits.hit.is_empty() {
        let all: Vec<String> = hits.hit.iter().map(name).collect();
        text += &format!("; {word}: {}", all.join("; "));
    }
    if hits.more > 0 {
        text += &format!("; and {} more", hits.more);
    }
    if hits.cut {
        text += "; some that they started may be left";
    }
    for spared in &hits.spared {
        let because = spared.because.as_deref().unwrap_or_default();
        text += &format!("; spared: {}, as {because}", name(spared));
    }
    text
}

fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let whole = units
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or(format!("{seconds}s"), |(unit, name)| {
        format!("{}{name}", seconds / unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{AuthMethod, Peer};
    use picket_common::ids::RecordId;
    use picket_common::time::Timestamp;

    #[test]
    fn a_kill_says_what_it_hit_and_old_outcomes_still_read() {
        let id = RecordId::derived(Timestamp::default(), &[]);
        let action = format!(
            r#"{{"id":"{id}","time":"2026-01-01T00:00:00Z","target":{{"action":"kill","target":{{"process":{{"pid":17,"start":4}},"scope":"tree"}}}},"ttl":null,"reason":"r","finding":null}}"#
        );
        let outcome = |hits: &str| {
            let text = format!(
                r#"{{"id":"{id}","time":"2026-01-01T00:00:00Z","action":{action},"decision":"applied"{hits}}}"#
            );
            of_outcome(&serde_json::from_str(&text).unwrap())
        };
        let tree = "kill process 17 and all that it started was done";
        assert_eq!(outcome(""), tree);
        let hits = r#","hits":{"hit":[{"process":{"pid":17,"start":4},"executable":"/tmp/a\"b"},{"process":{"pid":18,"start":5}}],"spared":[{"process":{"pid":19,"start":6},"because":"it is the agent"}],"more":2}"#;
        assert_eq!(
            outcome(hits),
            format!(
                r#"{tree}; hit: "/tmp/a\"b", process 17; process 18; and 2 more; spared: process 19, as it is the agent"#
            )
        );
    }

    #[test]
    fn events_read_as_sentences_and_steer_nothing() {
        let sentence = |auth: AuthEvent| {
            let time = Timestamp::default();
            of_event(&Event {
                id: RecordId::derived(time, &[]),
                time,
                observed: time,
                payload: Payload::Auth(auth.into()),
            })
        };
        let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
        auth.host = Some("web1".into());
        auth.user = Some("ro\"ot\u{1b}[2J".into());
        auth.source = Some(Peer::new("198.51.100.9".parse().unwrap(), Some(1)));
        auth.method = Some(AuthMethod::Password);
        auth.repeated = Some(2);
        assert_eq!(
            sentence(auth),
            r#"sshd on web1: login failed for "ro\"ot\u{1b}[2J" from 198.51.100.9 by password, 2 times"#
        );
        let mut auth = AuthEvent::new(AuthAction::UserAdded, Outcome::Success, "useradd");
        auth.target_user = Some("eve".into());
        assert_eq!(sentence(auth), r#"useradd: user added, user "eve""#);
        let mut auth = AuthEvent::new(AuthAction::Sudo, Outcome::Failure, "sudo");
        (auth.user, auth.target_user) = (Some("bob".into()), Some("root".into()));
        auth.command = Some("/bin/sh".into());
        assert_eq!(
            sentence(auth),
            r#"sudo: sudo failed for "bob" to become "root", command "/bin/sh""#
        );
    }
}
