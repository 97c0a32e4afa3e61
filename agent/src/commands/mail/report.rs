//! A mail's report for people. Nothing in it steers a terminal, and no program makes links of what it shows.

use super::Report;
use crate::detect::mail::Verdict;
use crate::parse::eml::{Attachment, DkimResult, Hop, LinkKind, Mail, Mailbox, Trust};
use picket_common::terminal::Plain;
use std::io::{self, Write};

/// How many links, hops and attachments are shown; `--json` has all.
const SHOWN: usize = 30;

pub(super) fn write(output: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let (path, judgement, mail) = (report.path, report.judgement, report.mail);
    let verdict = match judgement.verdict {
        Verdict::Clean => "clean",
        Verdict::Suspicious => "suspicious",
        Verdict::Phishing => "phishing",
    };
    writeln!(output, "{}: {verdict}, {} of 100", Plain(path), judgement.score)?;
    for reason in &judgement.reasons {
        line(
            output,
            &format!("{:+}", reason.points),
            &format!("{} ({})", reason.text, reason.id),
        )?;
    }
    headers(output, mail)?;
    if let Some(asked) = &report.registration {
        let date = asked.registered.as_ref().map(|date| format!("registered {date}"));
        let date = date.or_else(|| {
            asked
                .unknown
                .as_ref()
                .map(|why| format!("not known when it was registered: {why}"))
        });
        line(
            output,
            "domain",
            &format!("{}, {}", asked.domain, date.unwrap_or_default()),
        )?;
    }
    for (at, hop) in mail.route.hops.iter().enumerate().take(SHOWN) {
        let border = if mail.route.border == Some(at) {
            ", taken in here"
        } else {
            ""
        };
        line(
            output,
            if at == 0 { "way" } else { "" },
            &format!("{}{border}", of_hop(hop)),
        )?;
    }
    if let Some(origin) = mail.route.origin {
        line(output, "origin", &origin.to_string())?;
    }
    if let Some(claimed) = mail
        .route
        .claimed_origin
        .filter(|ip| mail.route.origin != Some(*ip))
    {
        line(output, "", &format!("{claimed}, as the sender claims"))?;
    }
    authentication(output, mail)?;
    for (at, link) in mail.urls.iter().enumerate().take(SHOWN) {
        let shown = if link.shown.is_empty() {
            String::new()
        } else {
            format!(" <- {:?}", link.shown)
        };
        let kind = match link.kind {
            LinkKind::Text | LinkKind::Plain => "",
            LinkKind::Picture => " (a picture)",
            LinkKind::Form => " (a form)",
            LinkKind::Fetched => " (fetched to show the mail)",
            LinkKind::Refresh => " (goes there by itself)",
        };
        line(
            output,
            if at == 0 { "links" } else { "" },
            &format!("{}{kind}{shown}", link.url.defanged()),
        )?;
    }
    for (at, attachment) in mail.attachments.iter().enumerate().take(SHOWN) {
        line(
            output,
            if at == 0 { "attached" } else { "" },
            &of_attachment(attachment),
        )?;
    }
    let left_out = mail.urls.len().saturating_sub(SHOWN) + mail.attachments.len().saturating_sub(SHOWN);
    if left_out > 0 {
        line(
            output,
            "",
            &format!("{left_out} more links and attachments; --json has all"),
        )?;
    }
    for limit in &mail.limits {
        line(output, "not seen", limit)?;
    }
    writeln!(output)
}

/// A name in a column of its own, and a text that leads nowhere.
fn line(output: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    let text: String = text.chars().take(1_000).collect();
    let text = text
        .replace("http://", "hxxp://")
        .replace("https://", "hxxps://")
        .replace("www.", "www[.]");
    writeln!(output, "  {name:<12} {}", Plain(&text))
}

fn headers(output: &mut impl Write, mail: &Mail) -> io::Result<()> {
    let headers = &mail.headers;
    line(output, "from", &of_boxes(&headers.from))?;
    if !headers.reply_to.is_empty() {
        line(output, "reply to", &of_boxes(&headers.reply_to))?;
    }
    if let Some(path) = &headers.return_path {
        line(output, "return path", if path.is_empty() { "<>" } else { path })?;
    }
    let more = headers.recipients.saturating_sub(headers.to.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    line(
        output,
        "to",
        &format!("{}{more}", of_boxes(headers.to.get(..10).unwrap_or(&headers.to))),
    )?;
    line(output, "subject", &headers.subject)?;
    let date = headers
        .date
        .map_or_else(|| "none".to_owned(), |date| date.to_string());
    line(output, "date", &date)?;
    line(
        output,
        "message id",
        headers.message_id.as_deref().unwrap_or("none"),
    )
}

fn of_boxes(boxes: &[Mailbox]) -> String {
    let one = |mailbox: &Mailbox| match &mailbox.name {
        Some(name) => format!("{name:?} <{}>", mailbox.address),
        None => format!("<{}>", mailbox.address),
    };
    boxes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn of_hop(hop: &Hop) -> String {
    let named = [
        ("from ", hop.from.clone()),
        ("(", hop.ip.map(|ip| format!("{ip})"))),
        ("by ", hop.by.clone()),
        ("with ", hop.with.clone()),
        ("at ", hop.time.map(|time| time.to_string())),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}{value}")));
    named.collect::<Vec<_>>().join(" ")
}

fn authentication(output: &mut impl Write, mail: &Mail) -> io::Result<()> {
    for results in &mail.authentication {
        let trust = match results.trust {
            Trust::Configured => "an own server says",
            Trust::Position => {
                "the server that took it in says, as it seems; [mail] servers would make it certain"
            }
            Trust::None => "not trusted",
        };
        let methods = results.methods.iter().map(|method| {
            let domain = method
                .domain
                .as_ref()
                .map(|domain| format!(" ({domain})"))
                .unwrap_or_default();
            format!("{}={}{domain}", method.name, method.result)
        });
        let methods = methods.collect::<Vec<_>>().join(" ");
        let server = results.server.as_deref().unwrap_or("no name");
        line(output, "results", &format!("{methods}; {server}: {trust}"))?;
    }
    for signature in &mail.dkim {
        let result = match signature.result {
            DkimResult::Pass => "holds",
            DkimResult::Fail => "does not hold",
            DkimResult::Unverified => "was not verified",
        };
        let reason = signature
            .reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        line(
            output,
            "signature",
            &format!(
                "of {} ({}) {result}{reason}",
                signature.domain, signature.selector
            ),
        )?;
    }
    Ok(())
}

fn of_attachment(attachment: &Attachment) -> String {
    let name = attachment.name.as_deref().unwrap_or("without a name");
    let digest = attachment
        .digests
        .as_ref()
        .map_or("not seen to its end", |digests| digests.sha256.as_str());
    let size = attachment.size;
    format!(
        "{name:?} declared {}, is {:?}, {size} bytes, sha256 {digest}",
        attachment.declared, attachment.magic
    )
}
