//! Where a mail leads its reader.

use super::signals::*;
use super::{Case, Reasons, lookalike, names, writer};
use crate::parse::eml::{Host, Link, LinkKind, organisation};
use hashlink::LinkedHashSet;
use std::collections::HashSet;

/// How many links are looked at one by one.
const MOST: usize = 1_000;

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    // In their order in the mail, so that the same ones are named each time.
    let mut sites = LinkedHashSet::new();
    let mut targets = HashSet::new();
    let (mut leads, mut writers) = (0_usize, 0_usize);
    for link in case.mail.urls.iter().take(MOST) {
        if link.kind == LinkKind::Fetched {
            if let Some(Host::Address(_)) = link.url.host {
                reasons.add(LINK_ADDRESS, &link.url.defanged());
            }
            continue;
        }
        let is_code = matches!(
            link.url.scheme.as_str(),
            "data" | "javascript" | "vbscript" | "blob" | "file"
        );
        if is_code {
            reasons.add(LINK_CODE, &link.url.defanged());
        }
        if !link.url.is_web() {
            continue;
        }
        if link.kind == LinkKind::Refresh {
            reasons.add(LINK_REFRESH, &link.url.defanged());
        }
        leads += 1;
        let site = link.url.site();
        writers += usize::from(site.is_some() && site == case.author);
        // Plain text beside the HTML repeats its links, often with the writer's own site in it.
        sites.extend(site);
        targets.insert((&link.url.host, link.url.rest.split(['?', '#']).next()));
        target(case, link, reasons);
        text(case, link, reasons);
    }
    reasons.add_if(
        case.vouching.aligned && case.vouching.signed && writers > 0 && 2 * writers >= leads,
        OWN_LINKS,
    );
    let knows_writer = case.author.is_some() || !case.vouching.passed.is_empty();
    if leads > 0
        && knows_writer
        && !sites
            .iter()
            .any(|site| case.takes_part(site) || case.is_own(site))
    {
        let some: Vec<String> = sites
            .iter()
            .take(3)
            .map(|site| site.replace('.', "[.]"))
            .collect();
        // People tell one another addresses; pages ask for a click.
        let is_page = case
            .mail
            .urls
            .iter()
            .any(|link| matches!(link.kind, LinkKind::Text | LinkKind::Picture | LinkKind::Form));
        reasons.add(
            if is_page {
                LINKS_ELSEWHERE
            } else {
                LINK_PLAIN_ELSEWHERE
            },
            &some.join(", "),
        );
        reasons.add_if(leads >= 2 && targets.len() == 1, LINK_SAME);
    }
}

fn target(case: &Case<'_>, link: &Link, reasons: &mut Reasons) {
    let url = &link.url;
    let shown = url.defanged();
    if url
        .userinfo
        .as_ref()
        .is_some_and(|info| info.contains('.') || info.len() > 3)
    {
        reasons.add(LINK_USERINFO, &shown);
    }
    let is_writers = case.author.is_some() && url.site() == case.author;
    if url.port.is_some_and(|port| !matches!(port, 80 | 443)) && !is_writers {
        reasons.add(LINK_PORT, &shown);
    }
    if url.scheme == "http" && !is_writers {
        reasons.add(LINK_UNENCRYPTED, &shown);
    }
    let fragment = url
        .rest
        .split_once('#')
        .map(|(_, fragment)| fragment.to_ascii_lowercase());
    let carries = |fragment: &str| {
        case.mail
            .headers
            .to
            .iter()
            .any(|to| to.address.len() > 5 && fragment.contains(&to.address.to_ascii_lowercase()))
    };
    if fragment.is_some_and(|fragment| carries(&fragment)) {
        reasons.add(LINK_RECIPIENT, &shown);
    }
    let name = match &url.host {
        Some(Host::Name(name)) => name,
        Some(Host::Address(_)) => return reasons.add(LINK_ADDRESS, &shown),
        None => return,
    };
    let site = organisation(name);
    if writer::is_random(site.split('.').next().unwrap_or_default()) && !is_writers {
        reasons.add(LINK_RANDOM, &shown);
    }
    if names::is_cheap(name) && !is_writers {
        reasons.add(LINK_CHEAP, &shown);
    }
    if names::is_shortener(name) {
        reasons.add(LINK_SHORTENER, &shown);
    }
    if names::is_redirector(name, &url.rest) {
        reasons.add(LINK_REDIRECTOR, &shown);
    }
    if names::is_shared(name) && !is_writers {
        reasons.add(LINK_SHARED_HOST, &shown);
    }
    if name.strip_suffix(site).unwrap_or_default().matches('.').count() >= 4 {
        reasons.add(LINK_DEEP, &shown);
    }
    if let Some(other) = lookalike::of_domain(name, &case.policy.domains) {
        reasons.add(
            LINK_LOOKALIKE,
            &format!("{shown} looks like {}", other.replace('.', "[.]")),
        );
    } else if let Some(brand) = names::brand_in_host(name)
        && !(is_writers && case.vouching.aligned)
    {
        reasons.add(LINK_BRAND, &format!("{shown} names {brand}"));
    }
    if (name.contains("xn--") || !name.is_ascii()) && !is_writers {
        reasons.add(LINK_PUNYCODE, &shown);
    }
}

/// What a link's text says of its target.
fn text(case: &Case<'_>, link: &Link, reasons: &mut Reasons) {
    let (Some(claimed), Some(site)) = (link.claimed_host(), link.url.site()) else {
        return;
    };
    let claimed = organisation(&claimed);
    if claimed == site {
        return;
    }
    let is_writers = case.author.as_deref() == Some(claimed);
    let is_counted = is_writers && (case.vouching.aligned || case.takes_part(&site));
    // Who vouches for the mail counts the clicks on all links, also on those to others.
    let counts_all = case.vouching.aligned && case.takes_part(&site);
    let signal = if is_counted || counts_all {
        LINK_TRACKED
    } else {
        LINK_TEXT
    };
    reasons.add(
        signal,
        &format!("{}, {}", claimed.replace('.', "[.]"), link.url.defanged()),
    );
}
