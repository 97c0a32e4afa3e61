//! From a rule that fired to a finding.

use super::fields;
use super::meta::Meta;
use picket_common::event::{Direction, Event, FileIdentity, FileRef, Login, Payload, Program};
use picket_common::finding::Finding;
use picket_common::ids::RecordId;

/// The finding of a rule whose last event is this one.
pub(super) fn finding(
    meta: &Meta,
    event: &Event,
    group: Vec<(String, String)>,
    count: Option<usize>,
    events: Vec<RecordId>,
) -> Finding {
    let mut summary = meta.rule.title.clone();
    if let Some(count) = count {
        summary.push_str(&format!(", {count} times"));
    }
    summary.push_str(&about(event));
    let user = match &event.payload {
        Payload::Auth(auth) => auth.user.as_ref(),
        // Who logged in is to blame, whatever user the program runs as.
        _ => event.login().map(|login| &login.user).or(user(event)),
    };
    Finding {
        id: RecordId::derived(
            event.time,
            &[meta.rule.id.as_bytes(), event.id.to_string().as_bytes()],
        ),
        time: event.time,
        detected: event.observed,
        rule: meta.rule.clone(),
        severity: meta.severity,
        summary,
        group,
        count: count.map(|count| count as u64),
        source: fields::blamed(event),
        process: event.process(),
        file: file(event).map(Box::new),
        user: user.map(|user| user.as_str().to_owned()),
        events,
        suggests: meta.suggests.clone(),
    }
}

/// The file that an event is about. One that has no name is none that could be found again.
fn file(event: &Event) -> Option<FileRef> {
    match &event.payload {
        Payload::Exec(exec) => {
            let file = exec.file.filter(|file| !file.unlinked && !file.memfd);
            file.map(|file| FileRef {
                path: exec.executable.as_str().into(),
                identity: Some(FileIdentity {
                    device: file.device,
                    inode: file.inode,
                }),
                sha256: exec.sha256.clone(),
            })
        }
        Payload::File(file) => Some(FileRef {
            path: file.path.as_str().into(),
            identity: file.identity,
            // Of a file that was too large to be read whole there is none.
            sha256: file
                .content
                .as_ref()
                .map(|content| content.sha256.clone())
                .filter(|sha256| !sha256.is_empty()),
        }),
        Payload::Auth(_)
        | Payload::Exit(_)
        | Payload::Connect(_)
        | Payload::Privilege(_)
        | Payload::Signal(_)
        | Payload::Install(_) => None,
    }
}

/// Whom an event is about: ` by /usr/bin/nc to 198.51.100.9:4444 user www-data, logged in as bob from 203.0.113.9`
fn about(event: &Event) -> String {
    let mut text = String::new();
    let mut say = |word: &str, value: Option<String>| {
        text.extend(value.map(|value| format!("{word} {value}")));
    };
    let plain = |value: &compact_str::CompactString| value.escape_debug().to_string();
    match &event.payload {
        Payload::Auth(auth) => {
            say(" from", fields::blamed(event).map(|address| address.to_string()));
            say(
                " user",
                auth.user.as_ref().or(auth.target_user.as_ref()).map(plain),
            );
            return text;
        }
        Payload::Exec(exec) => say(" by", Some(plain(&exec.executable))),
        Payload::Exit(exit) => say(" by", Some(name(&exit.program))),
        Payload::Privilege(privilege) => say(" by", Some(name(&privilege.program))),
        Payload::Connect(connect) => {
            say(" by", Some(name(&connect.program)));
            let word = match connect.direction {
                Direction::Outbound => " to",
                Direction::Inbound => " from",
            };
            say(word, Some(connect.remote.to_string()));
        }
        Payload::Signal(signal) => {
            say(" by", Some(name(&signal.program)));
            say(" at", Some(name(&signal.target)));
        }
        Payload::Install(install) => say(" by", install.manager.as_deref().map(name)),
        Payload::File(file) => {
            say(" in", Some(plain(&file.path)));
            say(" by", file.writer.as_deref().map(name));
        }
    }
    say(" user", user(event).map(plain));
    if let Some(Login { user, source, .. }) = event.login() {
        say(", logged in as", Some(plain(user)));
        say(" from", source.map(|address| address.to_string()));
    }
    text
}

/// The user that a program runs as.
fn user(event: &Event) -> Option<&compact_str::CompactString> {
    match &event.payload {
        Payload::Auth(_) => None,
        Payload::Exec(exec) => exec.user.as_ref(),
        Payload::Exit(exit) => exit.program.user.as_ref(),
        Payload::Connect(connect) => connect.program.user.as_ref(),
        Payload::Privilege(privilege) => privilege.program.user.as_ref(),
        Payload::Signal(signal) => signal.program.user.as_ref(),
        Payload::File(file) => file.writer.as_ref().and_then(|writer| writer.user.as_ref()),
        Payload::Install(install) => install.manager.as_ref().and_then(|manager| manager.user.as_ref()),
    }
}

fn name(program: &Program) -> String {
    match &program.executable {
        Some(executable) => executable.escape_debug().to_string(),
        None => format!("process {}", program.process.pid),
    }
}
