//! How a mail came: its Message-ID, its date, its hops, and the form of its header.

use super::signals::*;
use super::{Case, Reasons, names};
use crate::parse::eml::{is_address, is_public, organisation};
use picket_common::time::Timestamp;

const DAY: i64 = 86_400;

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    let headers = &case.mail.headers;
    message_id(case, reasons);
    times(case, reasons);
    let entry = case.mail.route.border.and_then(|at| case.mail.route.hops.get(at));
    if let Some(hop) = entry {
        // An address or a bare word where RFC 5321 asks for a name.
        let from = hop.from.as_deref().unwrap_or_default();
        let is_odd = !from.contains('.')
            || from.parse::<std::net::IpAddr>().is_ok()
            || from.eq_ignore_ascii_case("localhost.localdomain");
        if is_odd && hop.reverse.is_none() {
            reasons.add(HELO_ODD, from);
        }
    }
    let hops = &case.mail.route.hops;
    let is_inside = !hops.is_empty() && hops.iter().all(|hop| hop.ip.is_some_and(|ip| !is_public(ip)));
    reasons.add_if(is_inside, INTERNAL);
    if !headers.repeated.is_empty() {
        reasons.add(FIELDS_REPEATED, &headers.repeated.join(", "));
    }
    reasons.add_if(headers.broken > 0, HEADER_BROKEN);
    reasons.add_if(headers.urgent, URGENT);
    reasons.add_if(headers.bulk && headers.reply && !headers.list, BULK_REPLY);
    reasons.add_if(headers.to.is_empty(), NO_RECIPIENT);
}

fn message_id(case: &Case<'_>, reasons: &mut Reasons) {
    let mail = case.mail;
    let Some(id) = mail.headers.message_id.as_deref().filter(|id| !id.is_empty()) else {
        return reasons.add(MESSAGE_ID_MISSING, "");
    };
    let host = id
        .rsplit_once('@')
        .map(|(_, host)| host.trim_end_matches('.').to_ascii_lowercase());
    let Some(host) = host.filter(|host| is_address(&format!("x@{host}"))) else {
        return reasons.add(MESSAGE_ID_IMPOSSIBLE, id);
    };
    let site = organisation(&host);
    let hops = &mail.route.hops;
    let is_of = |name: &Option<String>| {
        name.as_deref()
            .is_some_and(|name| organisation(&name.to_ascii_lowercase()) == site)
    };
    // Above the border, the border itself included, all is the receiver's.
    let (receivers, senders) = match mail.route.border {
        Some(at) => hops.split_at_checked(at + 1).unwrap_or((hops, &[])),
        None => (&[][..], &hops[..]),
    };
    let by_sender = case.takes_part(site)
        || senders.iter().any(|hop| is_of(&hop.by) || is_of(&hop.from))
        || mail
            .dkim
            .iter()
            .any(|signature| organisation(&signature.domain) == site)
        || receivers
            .last()
            .is_some_and(|hop| is_of(&hop.from) || is_of(&hop.reverse));
    // Large houses of mailboxes name themselves, whoever writes.
    if by_sender || names::is_mailbox_house(site) && !receivers.iter().any(|hop| is_of(&hop.by)) {
        return;
    }
    if receivers.iter().any(|hop| is_of(&hop.by)) {
        reasons.add(MESSAGE_ID_RECEIVED, &host);
    } else {
        reasons.add(MESSAGE_ID_ELSEWHERE, &host);
    }
}

fn times(case: &Case<'_>, reasons: &mut Reasons) {
    let route = &case.mail.route;
    let Some(date) = case.mail.headers.date.map(Timestamp::as_secs) else {
        return reasons.add(DATE_MISSING, "");
    };
    let entry = route
        .border
        .and_then(|at| route.hops.get(at))
        .or(route.hops.first());
    if let Some(time) = entry.and_then(|hop| hop.time).map(Timestamp::as_secs)
        && (date - time).abs() > 2 * DAY
    {
        reasons.add(DATE_OFF, &format!("{} hours", (date - time) / 3_600));
    }
    let times: Vec<i64> = route
        .hops
        .iter()
        .filter_map(|hop| hop.time)
        .map(Timestamp::as_secs)
        .collect();
    let backwards = times
        .windows(2)
        .any(|pair| matches!(pair, [newer, older] if older - newer > DAY));
    reasons.add_if(backwards, HOPS_BACKWARDS);
}
