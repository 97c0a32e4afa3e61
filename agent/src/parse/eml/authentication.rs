//! Authentication-Results (RFC 8601): what a receiver says of a mail's origin, and whether that receiver can be believed.
//!
//! Anybody can write the field. It counts when a named own server wrote it. Where no own server is named, it counts when it
//! stands above the line by which the mail came in, which the sender cannot reach, or when it names the organisation of the
//! server that took the mail in, which has to remove forged ones.

use super::domain::organisation;
use super::fields::Fields;
use super::received::Route;
use super::{Border, clip, values};
use serde::Serialize;

/// How many fields are kept.
const MOST: usize = 20;

/// An Authentication-Results field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuthenticationResults {
    /// Who says so. Some receivers leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What it says.
    pub methods: Vec<Method>,
    /// Whether it counts.
    pub trust: Trust,
}

/// What was found by one method.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Method {
    /// `spf`, `dkim`, `dmarc`, `arc` and others, in lower case.
    pub name: String,
    /// `pass`, `fail`, `none` and others, in lower case.
    pub result: String,
    /// The domain that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Whether a field counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A server named in the configuration wrote it.
    Configured,
    /// The server that took the mail in wrote it, as far as the header tells; no own server is named.
    Position,
    /// It may be the sender's own word.
    None,
}

/// Reads all results, the newest first.
pub(super) fn read(fields: &Fields<'_>, route: &Route, border: &Border) -> Vec<AuthenticationResults> {
    let entry = route
        .border
        .or(route.hops.len().checked_sub(1))
        .and_then(|at| route.hops.get(at));
    let taker = entry
        .and_then(|hop| hop.by.as_deref())
        .map(|by| organisation(by).to_ascii_lowercase());
    let mut all = Vec::new();
    for (place, value) in fields.all("authentication-results").take(MOST) {
        let mut read = results(&values::unfolded(value));
        let is_above = entry.is_some_and(|hop| place < hop.place);
        let is_named = match (&read.server, &taker) {
            (Some(server), Some(taker)) => organisation(&server.to_ascii_lowercase()) == taker,
            _ => false,
        };
        read.trust = match (border.servers.is_empty(), &read.server) {
            (false, Some(server)) if border.owns(server) => Trust::Configured,
            (true, _) if is_above || (is_named && all.is_empty()) => Trust::Position,
            _ => Trust::None,
        };
        all.push(read);
    }
    all
}

fn results(text: &str) -> AuthenticationResults {
    let text = uncommented(text);
    let mut statements = text.split(';').map(str::trim);
    // `mx.example.net 1; spf=pass …`; who leaves the name out begins with a result.
    let first = statements.next().unwrap_or_default();
    let server = first.split_whitespace().next().filter(|word| !word.contains('='));
    let first = Some(first).filter(|first| first.contains('='));
    let methods = first
        .into_iter()
        .chain(statements)
        .filter_map(method)
        .take(50)
        .collect();
    AuthenticationResults {
        server: server.map(|server| clip(server, 253).to_owned()),
        methods,
        trust: Trust::None,
    }
}

/// `dkim=pass header.d=example.com`.
fn method(statement: &str) -> Option<Method> {
    let mut pairs = statement
        .split_whitespace()
        .filter_map(|word| word.split_once('='));
    let (name, result) = pairs.next()?;
    let name = name.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let keys: &[&str] = match name.as_str() {
        "spf" => &["smtp.mailfrom", "smtp.helo"],
        "dkim" => &["header.d", "header.i"],
        "dmarc" => &["header.from"],
        _ => &[],
    };
    let pairs: Vec<(&str, &str)> = pairs.collect();
    let find = |key: &&str| pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    let domain = keys
        .iter()
        .find_map(find)
        .map(|(_, value)| value.trim_matches('"'));
    let domain = domain.map(|value| value.rsplit('@').next().unwrap_or_default().to_ascii_lowercase());
    Some(Method {
        name,
        result: result.to_ascii_lowercase(),
        domain: domain
            .filter(|domain| domain.contains('.'))
            .map(|domain| clip(&domain, 253).to_owned()),
    })
}

/// Without what stands in brackets, which may hold anything.
fn uncommented(text: &str) -> String {
    let (mut out, mut depth) = (String::with_capacity(text.len()), 0_usize);
    for sign in text.chars() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(sign),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::received;
    use super::*;

    fn trust(text: &str, own: &[&str]) -> Vec<Trust> {
        let border = Border {
            servers: own.iter().map(|name| (*name).to_owned()).collect(),
            ..Border::default()
        };
        let (fields, _) = Fields::read(text.as_bytes());
        let route = received::route(&fields, &border);
        read(&fields, &route, &border)
            .iter()
            .map(|results| results.trust)
            .collect()
    }

    const TAKEN: &str =
        "Received: from a.example.org ([203.0.113.7]) by mx.example.net; Fri, 8 Sep 2023 05:47:04 +0000\n";

    #[test]
    fn a_result_is_taken_apart() {
        let read = results(
            "mx.example.net (x; y) 1; spf=Pass (ok) smtp.mailfrom=a@b.example.com; dkim/1=fail header.i=@c.example.com; dmarc=none",
        );
        assert_eq!(read.server.as_deref(), Some("mx.example.net"));
        let method = |name: &str, result: &str, domain: Option<&str>| Method {
            name: name.to_owned(),
            result: result.to_owned(),
            domain: domain.map(str::to_owned),
        };
        assert_eq!(
            read.methods,
            [
                method("spf", "pass", Some("b.example.com")),
                method("dkim", "fail", Some("c.example.com")),
                method("dmarc", "none", None)
            ]
        );
        let nameless =
            results("spf=pass smtp.mailfrom=b.example.com;dmarc=pass action=none header.from=b.example.com");
        assert_eq!((nameless.server, nameless.methods.len()), (None, 2));
    }

    #[test]
    fn the_senders_own_word_does_not_count() {
        let above = format!("Authentication-Results: spf=pass\n{TAKEN}\n");
        assert_eq!(trust(&above, &[]), [Trust::Position]);
        let below = format!(
            "{TAKEN}Authentication-Results: mx.example.net; spf=pass\nAuthentication-Results: mx.example.net; spf=pass\n\n"
        );
        assert_eq!(trust(&below, &[]), [Trust::Position, Trust::None]);
        let forged = format!("{TAKEN}Authentication-Results: other.example.org; spf=pass\n\n");
        assert_eq!(trust(&forged, &[]), [Trust::None]);
        assert_eq!(trust(&below, &["example.com"]), [Trust::None, Trust::None]);
        assert_eq!(
            trust(&below, &["mx.example.net"]),
            [Trust::Configured, Trust::Configured]
        );
        assert_eq!(
            trust("Authentication-Results: mx.example.net; spf=pass\n\n", &[]),
            [Trust::None]
        );
    }
}
