//! `[mail]`: how mails are judged.

use super::document::{Document, Section};
use super::values::{ABSOLUTE, path};
use std::path::PathBuf;

/// How mails are judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailSettings {
    /// Own domains and those of close partners: what others would imitate.
    pub domains: Vec<String>,
    /// Names of the servers that take mails in for the own side; those below them count as well.
    pub servers: Vec<String>,
    /// A folder of public keys of signatures, each a file named `SELECTOR._domainkey.DOMAIN`.
    pub dkim_keys: PathBuf,
    /// The server that is asked when a domain was registered, `HOST:PORT`; asked only with `--online`.
    pub whois: String,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            servers: Vec::new(),
            dkim_keys: "/etc/picket/dkim".into(),
            whois: "whois.iana.org:43".to_owned(),
        }
    }
}

impl MailSettings {
    /// Lays what a section sets over these settings.
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        let name = r#"a name such as "example.com""#;
        if let Some(domains) = section.texts(document, "domains", name, host) {
            self.domains = domains;
        }
        if let Some(servers) = section.texts(document, "servers", name, host) {
            self.servers = servers;
        }
        if let Some(keys) = section.text(document, "dkim_keys", ABSOLUTE, path) {
            self.dkim_keys = keys;
        }
        let whois = section.text(
            document,
            "whois",
            r#"a server and its port, such as "whois.iana.org:43""#,
            |text| {
                let (name, port) = text.rsplit_once(':').ok_or_else(String::new)?;
                port.parse::<u16>().map_err(|_| String::new())?;
                let name = name.trim_matches(['[', ']']);
                let is_host =
                    host(name).is_ok() || name.parse::<std::net::IpAddr>().is_ok() || name == "localhost";
                is_host.then(|| text.to_owned()).ok_or_else(String::new)
            },
        );
        if let Some(whois) = whois {
            self.whois = whois;
        }
        section.finish(document);
    }
}

fn host(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.len() <= 253 && text.contains('.') && text.split('.').all(is_label) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(String::new())
    }
}
