//! How a mail's text is built.

use super::signals::*;
use super::{Case, Reasons, lookalike};
use crate::parse::eml::LinkKind;

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    let body = &case.mail.body;
    if body.html && !body.plain {
        reasons.add(HTML_ONLY, "");
        reasons.add_if(body.html_in_base64, HTML_BASE64);
    }
    let clicks = |kind: LinkKind| {
        case.mail
            .urls
            .iter()
            .any(|link| link.kind == kind && link.url.is_web())
    };
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
