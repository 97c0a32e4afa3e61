//! Who vouches for a mail: SPF, DKIM and DMARC as the own server saw them, and signatures verified here.

use super::signals::*;
use super::{Case, Reasons};
use crate::parse::eml::{DkimResult, Mail, Trust, organisation};

/// Who vouches.
#[derive(Default)]
pub(super) struct Vouching {
    /// A server that can be believed looked at it.
    pub(super) known: bool,
    /// The domains for which SPF or DKIM passed.
    pub(super) passed: Vec<String>,
    /// One of them is the writer's.
    pub(super) aligned: bool,
    /// A signature holds.
    pub(super) signed: bool,
    verified: bool,
    broken: bool,
    spf: String,
    dkim: Vec<String>,
    dmarc: String,
}

impl Vouching {
    pub(super) fn of(mail: &Mail, author: Option<&str>) -> Self {
        let mut vouching = Self::default();
        let is_author = |domain: &str| author == Some(organisation(domain));
        // Some servers write a field for each method, one above the other.
        let trusted = mail
            .authentication
            .iter()
            .filter(|results| results.trust != Trust::None);
        let mut server = None;
        for results in trusted {
            if server.get_or_insert(&results.server) != &&results.server {
                continue;
            }
            vouching.known |= !results.methods.is_empty();
            for method in &results.methods {
                match method.name.as_str() {
                    "spf" if vouching.spf.is_empty() => vouching.spf.clone_from(&method.result),
                    "dkim" => vouching.dkim.push(method.result.clone()),
                    "dmarc" if vouching.dmarc.is_empty() => vouching.dmarc.clone_from(&method.result),
                    _ => {}
                }
                let names_sender = matches!(method.name.as_str(), "spf" | "dkim");
                if method.result == "pass" && names_sender {
                    vouching.passed.extend(method.domain.clone());
                }
            }
        }
        for signature in &mail.dkim {
            vouching.broken |= signature.result == DkimResult::Fail;
            if signature.result == DkimResult::Pass {
                vouching.verified |= is_author(&signature.domain);
                vouching.passed.push(signature.domain.clone());
            }
        }
        vouching.signed = vouching.verified || vouching.dkim.iter().any(|result| result == "pass");
        vouching.aligned = author.is_some()
            && (vouching.dmarc == "pass" || vouching.passed.iter().any(|domain| is_author(domain)));
        vouching
    }
}

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    let vouching = &case.vouching;
    let author = case.author.as_deref().unwrap_or_default();
    if vouching.aligned {
        let own = case.is_own(author);
        reasons.add(if own { OWN_DOMAIN } else { ALIGNED }, author);
        let headers = &case.mail.headers;
        reasons.add_if(headers.bulk && vouching.signed, BULK);
        reasons.add_if(headers.reply && (!headers.bulk || headers.list), REPLY);
    }
    reasons.add_if(vouching.verified, DKIM_VERIFIED);
    reasons.add_if(vouching.broken, DKIM_BROKEN);
    if !vouching.known {
        return;
    }
    match vouching.dmarc.as_str() {
        "fail" | "reject" | "quarantine" => reasons.add(DMARC_FAIL, author),
        "permerror" => reasons.add(DMARC_ERROR, author),
        _ => {}
    }
    match vouching.spf.as_str() {
        "fail" | "hardfail" => reasons.add(SPF_FAIL, ""),
        "softfail" => reasons.add(SPF_SOFTFAIL, ""),
        "permerror" => reasons.add(SPF_ERROR, ""),
        _ => {}
    }
    let has_policy =
        !vouching.dmarc.is_empty() && !matches!(vouching.dmarc.as_str(), "none" | "bestguesspass");
    reasons.add_if(!has_policy, DMARC_NONE);
    let signatures =
        vouching.dkim.iter().any(|result| result != "none") || vouching.verified || vouching.broken;
    reasons.add_if(
        !vouching.signed && vouching.dkim.iter().any(|result| result == "fail"),
        DKIM_FAIL,
    );
    let passed = vouching.spf == "pass" || vouching.signed;
    if !passed && !vouching.aligned {
        reasons.add(NOBODY_VOUCHES, "");
    } else if !signatures {
        reasons.add(UNSIGNED, "");
    }
    if passed && !vouching.aligned {
        reasons.add(OTHERS_VOUCH, &vouching.passed.join(", "));
    }
}
