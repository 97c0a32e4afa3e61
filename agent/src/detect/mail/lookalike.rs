//! What looks like something else: letters of other scripts, digits for letters, a letter more or less.

use super::names;
use crate::parse::eml::organisation;

/// What a domain looks like while it is something else: one of the protected domains, or a brand.
pub(super) fn of_domain(domain: &str, protected: &[String]) -> Option<String> {
    let readable = readable(domain);
    let registered = organisation(&readable);
    let (label, _) = registered.split_once('.').unwrap_or((registered, ""));
    let own = |own: &&String| organisation(own.as_str()) == organisation(domain);
    if protected.iter().any(|name| own(&name)) || names::is_brands_own(domain) {
        return None;
    }
    let bones = skeleton(label);
    for name in protected {
        let known = organisation(name);
        let (known_label, _) = known.split_once('.').unwrap_or((known, ""));
        let near = match known_label.len() {
            0..5 => 0,
            5..10 => 1,
            _ => 2,
        };
        if bones == skeleton(known_label) || strsim::osa_distance(label, known_label) <= near {
            return Some(known.to_owned());
        }
    }
    // A brand's label under another ending is no look-alike of letters, and named by another signal.
    let same = |known: &&str| bones == skeleton(known) && label != *known;
    let near = |known: &&str| known.len() >= 7 && strsim::osa_distance(label, known) == 1;
    names::brand_labels()
        .find(|known| same(known) || near(known))
        .map(str::to_owned)
}

/// A name with its `xn--` labels as they are shown.
pub(super) fn readable(domain: &str) -> String {
    let label = |label: &str| match label.strip_prefix("xn--").and_then(punycode) {
        Some(decoded) => decoded,
        None => label.to_owned(),
    };
    domain.split('.').map(label).collect::<Vec<_>>().join(".")
}

/// Whether one of the words has letters of two scripts that look alike.
pub(super) fn mixes_scripts(text: &str) -> bool {
    text.split(|sign: char| !sign.is_alphabetic()).any(|word| {
        let latin = word.chars().any(|sign| sign.is_ascii_alphabetic() || ('\u{c0}'..='\u{24f}').contains(&sign));
        let twin = word.chars().any(|sign| matches!(sign, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{530}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}'));
        // A single Greek letter beside Latin ones is physics or a unit.
        latin && twin && word.chars().count() > 2
    })
}

/// How a label looks: one of all the letters that look alike (Unicode's confusables, those that occur in names).
fn skeleton(label: &str) -> String {
    let folded: String = label.to_lowercase().chars().filter_map(twin).collect();
    folded.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

/// A letter without its accents.
pub(super) fn plain(sign: char) -> char {
    match sign {
        'i' | '|' => sign,
        '0'..='9' => sign,
        _ if sign.is_ascii() => sign,
        'ß' => 's',
        'ì'..='ï' | 'ī' | 'ı' => 'i',
        _ => twin(sign).unwrap_or(sign),
    }
}

fn twin(sign: char) -> Option<char> {
    Some(match sign {
        '\u{430}' | 'à'..='å' | 'ā' | 'ă' | 'ą' | 'ɑ' | 'α' | 'ạ' => 'a',
        'ƅ' | 'ь' => 'b',
        'с' | 'ç' | 'ć' | 'č' | 'ϲ' => 'c',
        'ԁ' | 'ď' | 'đ' => 'd',
        'е' | 'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' | 'ё' | 'ẹ' => 'e',
        'ɡ' | 'ğ' | 'ġ' => 'g',
        'һ' | 'ħ' => 'h',
        '0' | 'о' | 'ο' | 'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'օ' | 'ọ' => 'o',
        '1' | 'і' | 'ì'..='ï' | 'ī' | 'ı' | 'ι' | 'i' | 'ӏ' | 'ł' | 'ḷ' | '|' => 'l',
        'ј' => 'j',
        'κ' | 'к' | 'ķ' => 'k',
        'м' => 'm',
        'ñ' | 'ń' | 'ň' | 'ո' | 'п' => 'n',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' | 'ŕ' | 'ř' => 'r',
        'ѕ' | '5' | 'ś' | 'š' | 'ş' | 'ș' => 's',
        'т' | 'τ' | 'ť' | 'ţ' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' | 'ŵ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'ý' | 'ÿ' | 'γ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '-' => return None,
        other => other,
    })
}

/// A label without its `xn--`, decoded (RFC 3492).
fn punycode(text: &str) -> Option<String> {
    if text.len() > 63 {
        return None;
    }
    let (basic, rest) = text.rsplit_once('-').unwrap_or(("", text));
    let mut out: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = rest.bytes().peekable();
    while digits.peek().is_some() {
        let (start, mut weight) = (i, 1_u32);
        for k in (36_u32..).step_by(36) {
            let digit = match digits.next()? {
                byte @ b'a'..=b'z' => u32::from(byte - b'a'),
                byte @ b'A'..=b'Z' => u32::from(byte - b'A'),
                byte @ b'0'..=b'9' => u32::from(byte - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let t = k.saturating_sub(bias).clamp(1, 26);
            if digit < t {
                break;
            }
            weight = weight.checked_mul(36 - t)?;
        }
        let length = u32::try_from(out.len()).ok()? + 1;
        let mut delta = (i - start) / if start == 0 { 700 } else { 2 };
        delta += delta / length;
        let mut k = 0;
        while delta > 455 {
            delta /= 35;
            k += 36;
        }
        bias = k + 36 * delta / (delta + 38);
        n = n.checked_add(i / length)?;
        i %= length;
        out.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punycode_is_read() {
        assert_eq!(readable("xn--mnchen-3ya.example"), "münchen.example");
        assert_eq!(readable("xn--80ak6aa92e.com"), "аррӏе.com");
        assert_eq!(readable("xn--999999999999.com"), "xn--999999999999.com");
    }

    #[test]
    fn what_looks_alike_is_named_and_what_does_not_is_not() {
        let own = ["example-bank.com".to_owned(), "acme.org".to_owned()];
        for (domain, looks_like) in [
            ("exarnple-bank.com", "example-bank.com"),
            ("examp1e-bank.net", "example-bank.com"),
            ("exampel-bank.com", "example-bank.com"),
            ("acme.example", "acme.org"),
            ("xn--80ak6aa92e.com", "apple"),
            ("rnicrosoft.com", "microsoft"),
            ("paypa1.com", "paypal"),
            ("facebok.com", "facebook"),
        ] {
            assert_eq!(of_domain(domain, &own).as_deref(), Some(looks_like), "{domain}");
        }
        for honest in [
            "mail.example-bank.com",
            "acme.org",
            "acne.org",
            "microsoft.com",
            "appel.nl",
            "xn--mnchen-3ya.example",
            "pay.com",
        ] {
            assert_eq!(of_domain(honest, &own), None, "{honest}");
        }
    }

    #[test]
    fn scripts_are_mixed_within_a_word_or_not_at_all() {
        assert!(mixes_scripts("Pаypal"));
        assert!(!mixes_scripts("Привет from Москва, μm and 10 kΩ"));
    }
}
