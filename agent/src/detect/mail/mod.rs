//! Judging mails: a score in which every point has its reason.
//!
//! `signals` lists them; each other file looks at one side of a mail: `vouching` (SPF, DKIM, DMARC), `writer`, `way`, `links`,
//! `body`, `attachments`. `names` knows brands and hosts, `lookalike` what looks alike. Nothing here asks anybody anything.

mod attachments;
mod body;
mod links;
mod lookalike;
mod names;
mod signals;
mod vouching;
mod way;
mod writer;

pub use signals::{SIGNALS, Signal};

use crate::parse::eml::{Mail, organisation};
use serde::Serialize;
use vouching::Vouching;

/// From how many points on a mail is suspicious, and from how many it is phishing.
const SUSPICIOUS: i32 = 30;
const PHISHING: i32 = 60;

/// What an operator tells about the own side.
#[derive(Clone, Default, Debug)]
pub struct MailPolicy {
    /// Own domains and those of close partners: what others would imitate.
    pub domains: Vec<String>,
}

/// What a mail is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing much speaks against it.
    Clean,
    /// Somebody should look at it.
    Suspicious,
    /// It is built to deceive.
    Phishing,
}

/// A judgement and what it rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Judgement {
    /// What the mail is.
    pub verdict: Verdict,
    /// The sum of all points, 0 to 100.
    pub score: i32,
    /// What speaks against it and for it, the weightiest first.
    pub reasons: Vec<Reason>,
}

/// A reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reason {
    /// The signal's name.
    pub id: &'static str,
    /// Its points.
    pub points: i32,
    /// What was found.
    pub text: String,
}

/// Judges a mail. The same mail under the same policy is judged the same at any time.
pub fn judge(mail: &Mail, policy: &MailPolicy) -> Judgement {
    let case = Case::new(mail, policy);
    let mut reasons = Reasons::default();
    vouching::look(&case, &mut reasons);
    writer::look(&case, &mut reasons);
    way::look(&case, &mut reasons);
    links::look(&case, &mut reasons);
    body::look(&case, &mut reasons);
    // Each alone is common.
    let both = reasons.has(signals::NAME_UNRELATED) && reasons.has(signals::LINKS_ELSEWHERE);
    reasons.add_if(both, signals::STRANGER);
    attachments::look(&case, &mut reasons);
    let mut reasons = reasons.0;
    reasons.sort_by_key(|reason| (-reason.points.abs(), reason.id));
    let score = reasons
        .iter()
        .map(|reason| reason.points)
        .sum::<i32>()
        .clamp(0, 100);
    let verdict = match score {
        PHISHING.. => Verdict::Phishing,
        SUSPICIOUS.. => Verdict::Suspicious,
        _ => Verdict::Clean,
    };
    Judgement {
        verdict,
        score,
        reasons,
    }
}

/// A mail, and what all who look at it need to know.
struct Case<'a> {
    mail: &'a Mail,
    policy: &'a MailPolicy,
    /// The writer's domain and the part of it that somebody registered.
    domain: Option<String>,
    author: Option<String>,
    vouching: Vouching,
}

impl<'a> Case<'a> {
    fn new(mail: &'a Mail, policy: &'a MailPolicy) -> Self {
        let domain = mail.headers.author_domain();
        let author = domain.as_deref().map(|domain| organisation(domain).to_owned());
        let vouching = Vouching::of(mail, author.as_deref());
        Self {
            mail,
            policy,
            domain,
            author,
            vouching,
        }
    }

    /// Whether a domain has a part in the mail: the writer's, the sender's, or one that signs.
    fn takes_part(&self, site: &str) -> bool {
        let is = |domain: &str| organisation(domain) == site;
        let headers = &self.mail.headers;
        // Whoever takes readers off counts the clicks as well; and where nobody looked, what signs may be what it says.
        let is_unknown = !self.vouching.known;
        let keeps_list = (is_unknown || !self.vouching.passed.is_empty())
            && headers.unsubscribe.as_deref().is_some_and(is);
        self.author.as_deref() == Some(site)
            || keeps_list
            || (is_unknown && self.mail.dkim.iter().any(|signature| is(&signature.domain)))
            || headers.return_domain().as_deref().is_some_and(is)
            || headers
                .sender
                .as_ref()
                .and_then(|sender| sender.domain())
                .as_deref()
                .is_some_and(is)
            || self.vouching.passed.iter().any(|domain| is(domain))
    }

    /// Whether a domain belongs to the own side.
    fn is_own(&self, site: &str) -> bool {
        self.policy.domains.iter().any(|own| organisation(own) == site)
    }
}

/// The reasons so far, each signal once.
#[derive(Default)]
struct Reasons(Vec<Reason>);

impl Reasons {
    fn add(&mut self, signal: Signal, what: &str) {
        if self.has(signal) {
            return;
        }
        let text = if what.is_empty() {
            format!("{}.", signal.about)
        } else {
            let what: String = what.chars().take(200).collect();
            format!("{}: {what}.", signal.about)
        };
        self.0.push(Reason {
            id: signal.id,
            points: signal.points,
            text,
        });
    }

    fn has(&self, signal: Signal) -> bool {
        self.0.iter().any(|reason| reason.id == signal.id)
    }

    fn add_if(&mut self, holds: bool, signal: Signal) {
        if holds {
            self.add(signal, "");
        }
    }
}
