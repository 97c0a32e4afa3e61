//! How a mail's text is built.

use super::signals::*;
use super::{Case, Reasons, lookalike, names};
use crate::parse::eml::{LinkKind, organisation};

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    let body = &case.mail.body;
    if body.html && !body.plain {
        reasons.add(HTML_ONLY, "");
        let foreign = body.shown.chars().filter(|sign| !sign.is_ascii()).count();
        reasons.add_if(body.html_in_base64 && 20 * foreign < body.visible, HTML_BASE64);
        let is_free = case.author.as_deref().is_some_and(names::is_freemail);
        reasons.add_if(is_free && !case.mail.headers.reply, FREEMAIL_PAGE);
    }
    let clicks = |kind: LinkKind| {
        case.mail
            .urls
            .iter()
            .any(|link| link.kind == kind && link.url.is_web())
    };
    let headers = &case.mail.headers;
    let stays = headers.reply_to.iter().all(|mailbox| {
        mailbox
            .domain()
            .is_some_and(|domain| case.author.as_deref() == Some(organisation(&domain)))
    });
    reasons.add_if(
        !body.html
            && case.mail.urls.is_empty()
            && case.mail.attachments.iter().all(|file| file.name.is_none())
            && stays,
        PLAIN,
    );
    let leads = case
        .mail
        .urls
        .iter()
        .filter(|link| link.url.is_web() && link.kind != LinkKind::Fetched)
        .count();
    let is_full = leads >= 5 || body.pictures >= 4;
    reasons.add_if(
        body.html && is_full && !headers.bulk && !headers.reply,
        BULK_UNSAID,
    );
    let is_short = body.visible < 200;
    reasons.add_if(
        body.html && is_short && body.pictures > 0 && clicks(LinkKind::Picture),
        PICTURE_ONLY,
    );
    reasons.add_if(body.hidden > 1_000 && body.hidden > 2 * body.visible, HIDDEN_TEXT);
    if body.split_words >= 3 {
        reasons.add(SPLIT_WORDS, &format!("{} times", body.split_words));
    }
    if lookalike::mixes_scripts(&body.shown) {
        let mut words = body.shown.split_whitespace();
        reasons.add(
            MIXED_SCRIPTS,
            words
                .find(|word| lookalike::mixes_scripts(word))
                .unwrap_or_default(),
        );
    }
    reasons.add_if(body.forms > 0, FORM);
    reasons.add_if(body.password_fields > 0, PASSWORD_FIELD);
    reasons.add_if(body.scripts > 0, SCRIPT);
    reasons.add_if(body.frames > 0, FRAME);
    let is_folded = |limit: &&&str| limit.contains("nested") || limit.contains("parts");
    if let Some(limit) = case.mail.limits.iter().find(is_folded) {
        reasons.add(FOLDED, limit);
    }
}
