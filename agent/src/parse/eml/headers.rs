//! Who wrote a mail, to whom, when and about what: as the mail itself says.

use super::fields::Fields;
use super::values::{self, Mailbox};
use super::{Url, clip, domain};
use picket_common::time::Timestamp;
use serde::Serialize;

/// How many recipients are kept.
const RECIPIENTS: usize = 100;

/// A mail's header fields. Nothing here was checked by anybody.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Headers {
    /// `From`. A mail has one; attackers write several.
    pub from: Vec<Mailbox>,
    /// `Sender`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Mailbox>,
    /// `To` and `Cc`, the first 100.
    pub to: Vec<Mailbox>,
    /// How many recipients there are; `to` holds no more than 100.
    pub recipients: usize,
    /// `Reply-To`
    pub reply_to: Vec<Mailbox>,
    /// `Return-Path`; the text is empty for mails that want no answer, such as bounces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_path: Option<String>,
    /// `Subject`, decoded.
    pub subject: String,
    /// The subject's words are encoded although they are ASCII.
    #[serde(skip)]
    pub subject_hidden: bool,
    /// `Date`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// `Message-ID`, without its angles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `List-Unsubscribe`, `List-Id` or `Precedence: bulk`: it says that it went to many.
    pub bulk: bool,
    /// The host at which `List-Unsubscribe` takes readers off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<String>,
    /// `List-Id` or `List-Post`: it says that it is from a list that people write to.
    pub list: bool,
    /// `In-Reply-To` or `References`: it says that it is an answer.
    pub reply: bool,
    /// `X-Priority: 1`, `Importance: high` and their like.
    pub urgent: bool,
    /// Fields that must stand once and stand several times.
    pub repeated: Vec<&'static str>,
    /// Lines of the header that are no fields.
    pub broken: usize,
}

pub(super) fn read(fields: &Fields<'_>) -> Headers {
    let boxes = |name: &str| {
        fields
            .first(name)
            .map(|value| values::mailboxes(value).0)
            .unwrap_or_default()
    };
    let mut to = Vec::new();
    let mut recipients = 0;
    for (_, value) in fields.all("to").chain(fields.all("cc")) {
        let (read, more) = values::mailboxes(value);
        recipients += read.len();
        if more {
            // Each of the rest has an `@`.
            let rest = value.get(64 << 10..).unwrap_or_default();
            recipients += memchr::memchr_iter(b'@', rest).count();
        }
        to.extend(read.into_iter().take(RECIPIENTS.saturating_sub(to.len())));
    }
    let subject = fields.first("subject").unwrap_or_default();
    let decoded = values::text(subject);
    let is_urgent = |name: &str, words: &[&str]| {
        let value = fields
            .first(name)
            .map(values::unfolded)
            .unwrap_or_default()
            .to_ascii_lowercase();
        words.iter().any(|word| value.trim_start().starts_with(word))
    };
    let once = [
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "subject",
        "date",
        "message-id",
        "content-type",
    ];
    let is_list = fields.first("list-id").is_some() || fields.first("list-post").is_some();
    Headers {
        from: fields
            .all("from")
            .flat_map(|(_, value)| values::mailboxes(value).0)
            .take(20)
            .collect(),
        sender: boxes("sender").into_iter().next(),
        to,
        recipients,
        reply_to: boxes("reply-to").into_iter().take(20).collect(),
        return_path: fields.first("return-path").map(return_path),
        subject_hidden: decoded.is_ascii()
            && subject.windows(2).any(|pair| pair == b"=?")
            && !decoded.trim().is_empty(),
        subject: clip(&decoded, 2_000).to_owned(),
        date: fields.first("date").and_then(values::date),
        message_id: fields.first("message-id").map(id),
        bulk: fields.first("list-unsubscribe").is_some()
            || is_list
            || is_urgent("precedence", &["bulk", "list"]),
        unsubscribe: fields.first("list-unsubscribe").and_then(unsubscribe),
        list: is_list,
        reply: fields.first("in-reply-to").is_some() || fields.first("references").is_some(),
        urgent: is_urgent("x-priority", &["1", "2"])
            || is_urgent("importance", &["high"])
            || is_urgent("x-msmail-priority", &["high"]),
        repeated: once
            .into_iter()
            .filter(|name| fields.all(name).nth(1).is_some())
            .collect(),
        broken: fields.broken,
    }
}

fn unsubscribe(value: &[u8]) -> Option<String> {
    let text = values::unfolded(value);
    let mut targets = text
        .split(['<', '>', ','])
        .filter_map(|target| Url::read(target.trim()));
    targets.find_map(|url| url.name().map(|name| clip(name, 253).to_owned()))
}

fn return_path(value: &[u8]) -> String {
    let text = values::unfolded(value);
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    clip(text, 1_000).to_owned()
}

fn id(value: &[u8]) -> String {
    let text = values::unfolded(value);
    let text = text.trim();
    let inside = text
        .split_once('<')
        .map_or(text, |(_, rest)| rest.rsplit_once('>').map_or(rest, |(id, _)| id));
    clip(inside, 1_000).to_owned()
}

impl Headers {
    /// The one who is shown as the writer: the first with an address, as broken fields hold names without one.
    pub fn author(&self) -> Option<&Mailbox> {
        let mut with_address = self.from.iter().filter(|mailbox| mailbox.address.contains('@'));
        with_address.next().or(self.from.first())
    }

    /// The first name that is shown for the writer.
    pub fn author_name(&self) -> &str {
        let mut names = self.from.iter().filter_map(|mailbox| mailbox.name.as_deref());
        names.next().unwrap_or_default()
    }

    /// The domain of the one who is shown as the writer, when it can exist.
    pub fn author_domain(&self) -> Option<String> {
        self.author()?.domain().filter(|name| domain::is_registered(name))
    }

    /// The domain of `Return-Path`.
    pub fn return_domain(&self) -> Option<String> {
        let address = self.return_path.clone()?;
        Mailbox { name: None, address }.domain()
    }
}
