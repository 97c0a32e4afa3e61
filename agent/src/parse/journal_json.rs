//! One entry of `journalctl -o json`.

use picket_common::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The fields of a journal entry that matter for authentication.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The position to resume after.
    pub cursor: String,
    /// When the journal took it in, by the host's clock.
    pub time: Timestamp,
    /// The host's name.
    pub host: Option<String>,
    /// `SYSLOG_IDENTIFIER`, else the command's name.
    pub program: String,
    /// The sender's process id: as the kernel vouches for it, else as it claims.
    pub pid: Option<u32>,
    /// Who sent it, as the kernel vouches.
    pub uid: Option<u32>,
    /// The text; bytes that are no UTF-8 are replaced.
    pub message: String,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    realtime: String,
    #[serde(rename = "_HOSTNAME")]
    host: Option<Value>,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Value>,
    #[serde(rename = "_COMM")]
    command: Option<Value>,
    #[serde(rename = "SYSLOG_PID")]
    claimed_pid: Option<Value>,
    #[serde(rename = "_PID")]
    pid: Option<Value>,
    #[serde(rename = "_UID")]
    uid: Option<Value>,
    #[serde(rename = "MESSAGE")]
    message: Option<Value>,
}

/// Reads one line. `None` when it is no journal entry, or one without a message or a program.
pub fn entry(line: &[u8]) -> Option<Entry> {
    let raw: Raw = serde_json::from_slice(line).ok()?;
    let pid = raw
        .pid
        .as_ref()
        .or(raw.claimed_pid.as_ref())
        .and_then(text)
        .and_then(|pid| pid.parse().ok());
    Some(Entry {
        time: Timestamp::from_micros(raw.realtime.parse().ok()?),
        host: raw.host.as_ref().and_then(text),
        program: raw.identifier.as_ref().or(raw.command.as_ref()).and_then(text)?,
        pid,
        uid: raw.uid.as_ref().and_then(text).and_then(|uid| uid.parse().ok()),
        message: raw.message.as_ref().and_then(text)?,
        cursor: raw.cursor,
    })
}

/// A field is a string, an array of bytes when it is no UTF-8, or an array of either when it was given twice.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            let bytes: Option<Vec<u8>> = items
                .iter()
                .map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        Value::Array(items) => items
            .first()
            .filter(|first| !first.is_array() || items.len() < 64)
            .and_then(|first| {
                if first.is_string()
                    || first
                        .as_array()
                        .is_some_and(|inner| inner.iter().all(Value::is_number))
                {
                    text(first)
                } else {
                    None
                }
            }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_their_bytes() {
        let line = br#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1699917642738197","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"sshd","_PID":"77","SYSLOG_PID":"1","MESSAGE":[104,105,255],"PRIORITY":"6"}"#;
        let entry = entry(line).unwrap();
        assert_eq!(entry.time.to_string(), "2023-11-13T23:20:42.738197Z");
        assert_eq!(
            (entry.program.as_str(), entry.pid, entry.message.as_str()),
            ("sshd", Some(77), "hi\u{fffd}")
        );
        assert_eq!(
            (entry.cursor.as_str(), entry.host.as_deref()),
            ("s=1;i=2", Some("web1"))
        );
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let bad: [&[u8]; 6] = [
            b"",
            b"{}",
            b"[1]",
            b"-- No entries --",
            br#"{"__CURSOR":"c","__REALTIME_TIMESTAMP":"x","SYSLOG_IDENTIFIER":"a","MESSAGE":"b"}"#,
            br#"{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","SYSLOG_IDENTIFIER":"a","MESSAGE":null}"#,
        ];
        for line in bad {
            assert_eq!(entry(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}
