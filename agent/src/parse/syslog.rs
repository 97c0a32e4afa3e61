//! The frame around a log message: RFC 3164 as daemons write it, RFC 5424, and the ISO 8601 form of newer rsyslog.

use super::scan::number;
use super::stamp::{self, Stamp};

/// One line, taken apart. All text borrows from the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// When, as far as the line says.
    pub stamp: Option<Stamp>,
    /// The host's own name for itself.
    pub host: Option<&'a str>,
    /// The program, without path and pid: `sshd`.
    pub program: &'a str,
    /// Its process id.
    pub pid: Option<u32>,
    /// What it said.
    pub message: &'a str,
}

/// Takes a line apart; `None` when it has no frame of syslog.
pub fn frame(line: &str) -> Option<Frame<'_>> {
    let line = line.trim_end_matches(['\r', '\n']);
    let rest = match line.strip_prefix('<') {
        None => line,
        Some(rest) => {
            let (priority, rest) = rest.split_once('>')?;
            number::<u8>(priority).filter(|priority| *priority <= 191)?;
            if let Some(body) = rest.strip_prefix("1 ") {
                return rfc5424(body);
            }
            rest
        }
    };
    let (stamp, rest) = stamp::yearless(rest).or_else(|| stamp::exact(rest))?;
    // The host may be missing (journalctl --no-hostname, some relays): then the tag comes at once.
    if let Some((program, pid, message)) = tag(rest) {
        return Some(Frame {
            stamp: Some(stamp),
            host: None,
            program,
            pid,
            message,
        });
    }
    let (host, rest) = rest.split_once(' ')?;
    let rest = without_facility(rest.trim_start_matches(' '));
    let (program, pid, message) = tag(rest)?;
    Some(Frame {
        stamp: Some(stamp),
        host: Some(host),
        program,
        pid,
        message,
    })
}

/// `sshd[123]: text`, `sudo: text`, `sshd(pam_unix)[7]: text`
fn tag(text: &str) -> Option<(&str, Option<u32>, &str)> {
    let end = text
        .bytes()
        .take(128)
        .position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    let (name, rest) = text.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    let (pid, rest) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (pid, rest) = rest.split_once(']')?;
            (Some(number(pid)?), rest)
        }
        None => (None, rest),
    };
    let message = rest.strip_prefix(':')?;
    Some((
        program_name(name),
        pid,
        message.strip_prefix(' ').unwrap_or(message),
    ))
}

/// BusyBox writes `auth.info dropbear[1]: …`.
fn without_facility(text: &str) -> &str {
    match text.split_once(' ') {
        Some((word, rest)) if !word.contains([':', '[']) && word.contains('.') => rest,
        _ => text,
    }
}

fn program_name(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}

/// `TIMESTAMP HOST APP PROCID MSGID SD MSG`, after the version.
fn rfc5424(body: &str) -> Option<Frame<'_>> {
    let (stamp, rest) = match body.strip_prefix("- ") {
        Some(rest) => (None, rest),
        None => {
            let (stamp, rest) = stamp::exact(body)?;
            (Some(stamp), rest)
        }
    };
    let mut words = rest.splitn(5, ' ');
    let (host, program, pid, _id) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let message = after_structured_data(words.next()?)?;
    Some(Frame {
        stamp,
        host: (host != "-").then_some(host),
        program: program_name(program),
        pid: number(pid),
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
    })
}

/// Skips `-` or `[id name="value"]…`, where a value may hold escaped quotes and brackets.
fn after_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest.strip_prefix(' ').unwrap_or(rest));
    }
    let mut bytes = text.bytes().enumerate();
    let (mut inside, mut quoted) = (false, false);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quoted => drop(bytes.next()),
            b'"' if inside => quoted = !quoted,
            b'[' if !inside => inside = true,
            b']' if inside && !quoted => inside = false,
            _ if inside => {}
            b' ' if at > 0 => return text.get(at + 1..),
            _ => return None,
        }
    }
    (!inside).then_some("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> Option<(Option<&str>, &str, Option<u32>, &str)> {
        frame(line).map(|frame| (frame.host, frame.program, frame.pid, frame.message))
    }

    #[test]
    fn every_real_form_comes_apart() {
        let cases = [
            (
                "Dec 10 06:55:46 LabSZ sshd[24200]: hi",
                (Some("LabSZ"), "sshd", Some(24200), "hi"),
            ),
            (
                "Nov 2 15:40:14 box sudo:   bob : x",
                (Some("box"), "sudo", None, "  bob : x"),
            ),
            (
                "<38>Dec 10 06:55:46 box su[1]: hi\r\n",
                (Some("box"), "su", Some(1), "hi"),
            ),
            (
                "2023-11-14T00:20:42.738197+01:00 box sshd[7]: hi",
                (Some("box"), "sshd", Some(7), "hi"),
            ),
            (
                "Jun 14 15:16:01 combo sshd(pam_unix)[9]: hi",
                (Some("combo"), "sshd(pam_unix)", Some(9), "hi"),
            ),
            (
                "Jan  1 00:00:01 ap authpriv.info dropbear[3]: hi",
                (Some("ap"), "dropbear", Some(3), "hi"),
            ),
            ("Jan  1 00:00:01 sshd[3]: hi", (None, "sshd", Some(3), "hi")),
            (
                "<38>1 2022-01-19T14:23:57+00:00 OPN sshd 14281 - [m s=\"1\\]\"][b] hi",
                (Some("OPN"), "sshd", Some(14281), "hi"),
            ),
            (
                "<38>1 - - /usr/sbin/sshd - - - \u{feff}hi",
                (None, "sshd", None, "hi"),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parts(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_has_no_frame_is_refused() {
        for bad in [
            "",
            " ",
            "hello world",
            "<999>Dec 10 06:55:46 h sshd: x",
            "Dec 10 06:55:46",
            "Dec 10 06:55:46 h",
            "Dec 10 06:55:46 h sshd[12: x",
            "<38>1 2022-01-19T14:23:57Z h sshd 1 - [a=\"x hi",
            "Dec 10 06:55:4\u{e9} h x: y",
        ] {
            assert_eq!(frame(bad), None, "{bad}");
        }
    }
}
