//! From a log message to a typed [`AuthEvent`]: one file per family of programs.
//!
//! The address in an event is what somebody may be blocked for, so it is taken only from where the attacker cannot
//! write: names of users, hosts and banners come before it or after it, never decide where it is.

mod accounts;
mod dropbear;
mod login;
mod pam;
mod sshd;
mod sudo;

use super::syslog::{self, Frame};
use picket_common::event::AuthEvent;

/// The event that a syslog frame tells of; `None` when it tells of no login and no account.
pub fn event(frame: &Frame<'_>) -> Option<AuthEvent> {
    let mut event = message(frame.program, frame.message)?;
    event.pid = frame.pid;
    event.host = frame.host.map(Into::into);
    Some(event)
}

/// The event that one whole line of a log file tells of.
pub fn line(line: &str) -> Option<AuthEvent> {
    syslog::frame(line).as_ref().and_then(event)
}

/// The event that `program` reports by `message`.
pub fn message(program: &str, message: &str) -> Option<AuthEvent> {
    // rsyslog and syslogd fold repetitions into one line.
    if let Some(rest) = message.strip_prefix("message repeated ") {
        let (times, rest) = rest.split_once(" times: [ ")?;
        let mut event = once(program, rest.strip_suffix(']')?)?;
        event.repeated = super::scan::number(times);
        return Some(event);
    }
    once(program, message)
}

fn once(program: &str, message: &str) -> Option<AuthEvent> {
    if message.starts_with("pam_") {
        return pam::module(program, message);
    }
    match program {
        "sshd" | "sshd-session" | "sshd-auth" => sshd::message(message),
        "sudo" => sudo::sudo(message),
        "su" | "su-l" => sudo::su(message),
        "login" => login::console(message),
        "systemd-logind" => login::logind(message),
        "dropbear" => dropbear::message(message),
        "useradd" | "usermod" | "userdel" | "groupadd" | "groupmod" | "groupdel" | "gpasswd" | "passwd"
        | "chage" | "chpasswd" => accounts::message(program, message),
        _ => pam::old_style(program, message),
    }
}

#[cfg(test)]
mod tests;
