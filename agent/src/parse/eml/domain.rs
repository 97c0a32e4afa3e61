//! Names of hosts and the domains that somebody registered.

/// The part of a name that somebody registered, by the public suffix list: `example.co.uk` of `mail.example.co.uk`. A name
/// without one is its own.
pub fn organisation(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

/// Whether a name could be that of a mail's domain: registered under a public suffix that is known.
pub(super) fn is_registered(host: &str) -> bool {
    psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known()) && psl::domain_str(host).is_some()
}

/// Whether a text is one address and nothing else, `name@domain`.
pub fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        let plain = |text: &str| !text.is_empty() && !text.contains([' ', '@', '<', '>', '"']);
        plain(local) && plain(domain) && domain.contains('.') && is_registered(&domain.to_ascii_lowercase())
    })
}
