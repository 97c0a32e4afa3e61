//! Who writes a mail, and whether names and addresses fit together.

use super::signals::*;
use super::{Case, Reasons, lookalike, names};
use crate::parse::eml::{Mailbox, is_address, organisation};

pub(super) fn look(case: &Case<'_>, reasons: &mut Reasons) {
    let headers = &case.mail.headers;
    from(case, reasons);
    if let Some(domain) = &case.domain {
        domain_of_writer(case, domain, reasons);
    }
    let name = headers.author_name();
    shown_name(case, name, reasons);
    for text in [name, &headers.subject] {
        letters(text, reasons);
        let lower = text.to_lowercase();
        let holds = |to: &&Mailbox| to.address.len() > 5 && lower.contains(&to.address.to_lowercase());
        if let Some(to) = headers.to.iter().find(holds) {
            reasons.add(SUBJECT_RECIPIENT, &to.address);
        }
    }
    reasons.add_if(headers.subject_hidden, SUBJECT_HIDDEN);
    answers(case, reasons);
}

fn from(case: &Case<'_>, reasons: &mut Reasons) {
    let from = &case.mail.headers.from;
    let addresses: Vec<&Mailbox> = from
        .iter()
        .filter(|mailbox| !mailbox.address.is_empty())
        .collect();
    let Some(first) = addresses.first() else {
        return reasons.add(FROM_MISSING, "");
    };
    if !addresses.iter().any(|mailbox| is_address(&mailbox.address)) {
        reasons.add(FROM_IMPOSSIBLE, &first.address);
    }
    if from.len() > 1 {
        let all: Vec<&str> = from
            .iter()
            .map(|mailbox| mailbox.name.as_deref().unwrap_or(&mailbox.address))
            .collect();
        reasons.add(FROM_MALFORMED, &all.join(", "));
    }
}

fn domain_of_writer(case: &Case<'_>, domain: &str, reasons: &mut Reasons) {
    let registered = organisation(domain);
    if names::is_cheap(domain) {
        reasons.add(FROM_CHEAP, domain);
    }
    let to = &case.mail.headers.to;
    let is_recipient = |author: &Mailbox| {
        to.iter()
            .any(|to| to.address.eq_ignore_ascii_case(&author.address))
    };
    reasons.add_if(
        !case.vouching.aligned && case.mail.headers.author().is_some_and(is_recipient),
        FROM_RECIPIENT,
    );
    if names::is_shared(domain) {
        reasons.add(FROM_SHARED_HOST, domain);
    }
    let label = registered.split('.').next().unwrap_or_default();
    let local = case
        .mail
        .headers
        .author()
        .and_then(|author| author.address.rsplit_once('@'))
        .map_or("", |(local, _)| local);
    if is_random(label) || is_random(local) || is_shuffled(local) {
        reasons.add(FROM_RANDOM, &format!("{local}@{domain}"));
    }
    let before = domain.strip_suffix(registered).unwrap_or_default();
    if before.matches('.').count() >= 5 {
        reasons.add(FROM_DEEP, domain);
    }
    if let Some(other) = lookalike::of_domain(domain, &case.policy.domains) {
        reasons.add(DOMAIN_LOOKALIKE, &format!("{domain} looks like {other}"));
    } else if let Some(brand) = names::brand_in_host(domain) {
        reasons.add(DOMAIN_BRAND, &format!("{domain} names {brand}"));
    }
    if let Some(brand) = names::foreign_brand(&local.to_lowercase(), Some(domain)) {
        reasons.add(LOCAL_PART_BRAND, &format!("{local} names {brand}"));
    }
}

fn shown_name(case: &Case<'_>, name: &str, reasons: &mut Reasons) {
    let author = case.author.as_deref();
    let bare = name.trim_matches(|sign: char| sign.is_whitespace() || "\"'<>[]()~*_-".contains(sign));
    let words: Vec<&str> = bare
        .split([' ', '<', '>', '(', ')', ',', ';', '"'])
        .filter(|word| !word.is_empty())
        .collect();
    for word in &words {
        let word = word.to_lowercase();
        if is_address(&word) {
            let domain = word.rsplit('@').next().unwrap_or_default();
            if author != Some(organisation(domain)) {
                reasons.add(NAME_IS_ADDRESS, &word);
            }
        } else if word.contains('.')
            && is_address(&format!("x@{word}"))
            && author != Some(organisation(&word))
        {
            reasons.add(NAME_IS_DOMAIN, &word);
        }
    }
    let plain: String = name
        .to_lowercase()
        .chars()
        .filter(|sign| !matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'))
        .collect();
    if let Some(brand) = names::foreign_brand(&plain, case.domain.as_deref()) {
        reasons.add(
            NAME_IS_BRAND,
            &format!("{brand}, {}", case.domain.as_deref().unwrap_or("and no domain")),
        );
    }
    if let Some(author) = case.mail.headers.author()
        && !name.is_empty()
        && !case.author.as_deref().is_some_and(names::is_freemail)
        && !is_related(&plain, &author.address.to_lowercase())
        && !headers_reply(case).any(|address| is_related(&plain, &address))
    {
        reasons.add(NAME_UNRELATED, &format!("{name}, {}", author.address));
    }
    let is_symbol = |sign: char| matches!(sign, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}' | '™' | '~' | '*' | '$' | '!' | '|' | '=' | '{');
    if name.contains(is_symbol) {
        reasons.add(NAME_DECORATED, name);
    }
}

fn headers_reply(case: &Case<'_>) -> impl Iterator<Item = String> {
    case.mail
        .headers
        .reply_to
        .iter()
        .map(|mailbox| mailbox.address.to_lowercase())
}

fn letters(text: &str, reasons: &mut Reasons) {
    if lookalike::mixes_scripts(text) {
        reasons.add(MIXED_SCRIPTS, text);
    }
    if text.contains(|sign: char| matches!(sign, '\u{1d400}'..='\u{1d7ff}' | '\u{ff21}'..='\u{ff5a}' | '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}')) {
        reasons.add(STYLED_LETTERS, text);
    }
    if text.contains([
        '\u{202a}', '\u{202b}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    ]) {
        reasons.add(DIRECTION, text);
    }
    let mut before = false;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        let hides = matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}');
        if hides && before && signs.peek().is_some_and(|next| next.is_ascii_alphabetic()) {
            reasons.add(INVISIBLE_SUBJECT, text);
        }
        before = sign.is_ascii_alphabetic();
    }
}

/// Where answers and failures go.
fn answers(case: &Case<'_>, reasons: &mut Reasons) {
    let headers = &case.mail.headers;
    let author = case.author.as_deref();
    let elsewhere = headers.reply_to.iter().filter_map(|mailbox| mailbox.domain());
    let elsewhere: Vec<String> = elsewhere
        .filter(|domain| author != Some(organisation(domain)))
        .collect();
    if let Some(domain) = elsewhere.first() {
        let is_free = elsewhere.iter().any(|domain| names::is_freemail(domain));
        let from_free = author.is_some_and(names::is_freemail);
        reasons.add(
            if is_free && !from_free {
                REPLY_FREEMAIL
            } else {
                REPLY_ELSEWHERE
            },
            domain,
        );
        let leads = case.mail.urls.iter().any(|link| link.url.is_web());
        reasons.add_if(!leads && !headers.bulk, REPLY_ONLY);
    }
    let Some(path) = headers.return_path.as_deref().filter(|path| !path.is_empty()) else {
        return;
    };
    let address = path.rsplit_once('@').map(|(_, domain)| format!("x@{domain}"));
    if !address.is_some_and(|address| is_address(&address)) {
        reasons.add(RETURN_IMPOSSIBLE, path);
    } else if let Some(domain) = headers.return_domain()
        && author != Some(organisation(&domain))
        && case.vouching.known
        && case.vouching.passed.is_empty()
    {
        reasons.add(RETURN_ELSEWHERE, &domain);
    }
}

/// Whether nobody would choose a name: digits among letters again and again, or letters that cannot be spoken.
pub(super) fn is_random(name: &str) -> bool {
    let name: Vec<char> = name
        .chars()
        .filter(|sign| sign.is_ascii_alphanumeric())
        .map(|sign| sign.to_ascii_lowercase())
        .collect();
    if name.len() < 6 {
        return false;
    }
    let changes = name
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit()))
        .count();
    // Long runs of consonants are words in many languages, but hardly with these among them.
    let rare = |sign: &char| "jqxz".contains(*sign);
    let is_consonant = |sign: &char| sign.is_ascii_alphabetic() && !"aeiouy".contains(*sign);
    let mut runs = name.split(|sign| !is_consonant(sign));
    let unspeakable = runs.any(|run| run.len() >= 6 && run.iter().any(rare));
    changes >= 4 || unspeakable || name.iter().filter(|sign| rare(sign)).count() >= 3
}

/// Whether capitals stand in the midst of a word again and again, as in no name.
fn is_shuffled(name: &str) -> bool {
    let signs: Vec<char> = name.chars().collect();
    let ups = signs
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .count();
    let downs = signs
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase()))
        .count();
    ups >= 2 && signs.len() <= 4 * (ups + downs.min(2))
}

/// Whether a name and an address have something in common: a word of three letters or more, or the first letters of the
/// words. Names in other scripts than the address's cannot be compared.
fn is_related(name: &str, address: &str) -> bool {
    let address: String = address.chars().filter(|sign| sign.is_alphanumeric()).collect();
    // `Jörg` writes himself `jorg` or `joerg`.
    let written = name
        .replace('ä', "ae")
        .replace('ö', "oe")
        .replace('ü', "ue")
        .replace('ß', "ss");
    let folded: String = format!("{name} {written}")
        .chars()
        .map(lookalike::plain)
        .collect();
    let words: Vec<&str> = folded
        .split(|sign: char| !sign.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let latin = words.iter().any(|word| word.len() >= 3 && word.is_ascii());
    let initials: String = words
        .iter()
        .take(words.len() / 2)
        .filter_map(|word| word.chars().next())
        .collect();
    !latin
        || words
            .iter()
            .any(|word| word.len() >= 3 && address.contains(word.get(..word.len().min(4)).unwrap_or(word)))
        || (initials.len() >= 2 && address.contains(&initials))
}

#[cfg(test)]
mod tests {
    use super::{is_random, is_related, is_shuffled};

    #[test]
    fn names_made_by_chance_are_told_from_words() {
        for random in ["yua1ekvi1o2", "kjzifmfxq", "0ysydx98k45", "lpfqbgbydcy"] {
            assert!(is_random(random), "{random}");
        }
        for chosen in [
            "newsletter",
            "info",
            "sparkasse",
            "deutschebahn",
            "web3forms",
            "order2024",
            "noreply",
            "shop4you",
            "angstschrei",
            "k8s",
        ] {
            assert!(!is_random(chosen), "{chosen}");
        }
        for shuffled in ["VsCmIld", "MbAtR"] {
            assert!(is_shuffled(shuffled), "{shuffled}");
        }
        for chosen in [
            "JohnSmith",
            "noReply",
            "iPhoneNews",
            "OReilly",
            "MacDonald.Ann",
            "HRTeam",
            "DoNotReply",
        ] {
            assert!(!is_shuffled(chosen), "{chosen}");
        }
    }

    #[test]
    fn a_name_and_an_address_have_something_in_common_or_not() {
        for (name, address) in [
            ("anna müller", "a.mueller@example.com"),
            ("anna müller", "am@example.com"),
            ("jörg weiß", "joerg@example.com"),
            ("example shop", "news@example-shop.example"),
            ("the morning letter", "letters@morning.example"),
            ("中文名字", "x@example.cn"),
            ("qa", "x@example.com"),
        ] {
            assert!(is_related(name, address), "{name}");
        }
        assert!(!is_related("celestial network", "info@feedshop.example"));
    }
}
