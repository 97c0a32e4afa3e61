//! Brands that mails pretend to come from, and hosts that are given to anybody.
//!
//! The brands are those that reports about phishing name again and again, and large ones of their kind in several countries.
//! Hosts under which anybody gets a name are the private part of the public suffix list, which their owners fill themselves.

use crate::parse::eml::organisation;
use psl::{Psl as _, Type};

/// A brand: how it is written in a name, and the labels of the domains that it owns.
struct Brand {
    names: &'static [&'static str],
    labels: &'static [&'static str],
}

const fn brand(names: &'static [&'static str], labels: &'static [&'static str]) -> Brand {
    Brand { names, labels }
}

/// Names that are also everyday words or people's names are left out: a false alarm costs more than a miss.
const BRANDS: &[Brand] = &[
    brand(
        &[
            "microsoft",
            "office 365",
            "office365",
            "outlook team",
            "onedrive",
            "sharepoint",
        ],
        &[
            "microsoft",
            "office",
            "office365",
            "outlook",
            "live",
            "hotmail",
            "microsoftonline",
            "sharepoint",
            "sharepointonline",
            "onmicrosoft",
            "onedrive",
        ],
    ),
    brand(
        &["google", "gmail", "youtube"],
        &["google", "gmail", "youtube", "googlemail"],
    ),
    brand(
        &["icloud", "apple id", "apple support", "itunes", "apple pay"],
        &["apple", "icloud", "itunes"],
    ),
    brand(
        &["amazon", "amazon prime"],
        &["amazon", "amazonses", "amazonaws", "primevideo"],
    ),
    brand(&["paypal"], &["paypal"]),
    brand(&["netflix"], &["netflix"]),
    brand(&["disney", "disney plus"], &["disney", "disneyplus"]),
    brand(&["spotify"], &["spotify"]),
    brand(&["facebook"], &["facebook", "facebookmail", "meta", "fb"]),
    brand(&["instagram"], &["instagram", "facebookmail", "facebook"]),
    brand(&["whatsapp"], &["whatsapp", "facebookmail", "meta"]),
    brand(&["linkedin"], &["linkedin"]),
    brand(&["docusign"], &["docusign"]),
    brand(&["dropbox"], &["dropbox", "dropboxmail"]),
    brand(&["wetransfer"], &["wetransfer"]),
    brand(&["adobe"], &["adobe", "adobesign"]),
    brand(&["mcafee"], &["mcafee"]),
    brand(
        &["norton", "norton lifelock"],
        &["norton", "nortonlifelock", "lifelock", "gen"],
    ),
    brand(&["dhl"], &["dhl", "deutschepost", "dpdhl"]),
    brand(&["fedex"], &["fedex"]),
    brand(&["usps"], &["usps"]),
    brand(&["ups", "united parcel service"], &["ups"]),
    brand(&["dpd"], &["dpd", "dpdgroup"]),
    brand(&["royal mail"], &["royalmail"]),
    brand(
        &["chronopost", "colissimo"],
        &["chronopost", "colissimo", "laposte"],
    ),
    brand(&["postnl"], &["postnl"]),
    brand(&["correios"], &["correios"]),
    brand(&["ebay"], &["ebay"]),
    brand(&["aliexpress", "alibaba"], &["aliexpress", "alibaba"]),
    brand(&["shein"], &["shein"]),
    brand(&["temu"], &["temu", "temuemail"]),
    brand(&["walmart"], &["walmart"]),
    brand(&["costco"], &["costco"]),
    brand(&["lowes", "lowe's"], &["lowes"]),
    brand(&["home depot"], &["homedepot"]),
    brand(&["ikea"], &["ikea"]),
    brand(&["lidl"], &["lidl"]),
    brand(&["aldi"], &["aldi"]),
    brand(&["booking.com"], &["booking"]),
    brand(&["airbnb"], &["airbnb"]),
    brand(&["coinbase"], &["coinbase"]),
    brand(&["binance"], &["binance"]),
    brand(&["kraken"], &["kraken"]),
    brand(&["metamask"], &["metamask", "consensys"]),
    brand(&["ledger", "ledger live"], &["ledger"]),
    brand(&["trezor"], &["trezor"]),
    brand(&["trust wallet"], &["trustwallet"]),
    brand(&["bank of america"], &["bankofamerica", "bofa"]),
    brand(&["wells fargo"], &["wellsfargo"]),
    brand(&["citibank"], &["citi", "citibank"]),
    brand(&["american express", "amex"], &["americanexpress", "aexp"]),
    brand(&["mastercard"], &["mastercard"]),
    brand(&["capital one"], &["capitalone"]),
    brand(&["hsbc"], &["hsbc"]),
    brand(&["barclays", "barclaycard"], &["barclays", "barclaycard"]),
    brand(&["santander"], &["santander", "gruposantander"]),
    brand(&["bbva"], &["bbva"]),
    brand(&["caixabank"], &["caixabank"]),
    brand(&["bradesco"], &["bradesco"]),
    brand(&["banco do brasil"], &["bb", "bancodobrasil"]),
    brand(&["itau", "itaú"], &["itau", "itau-unibanco"]),
    brand(&["nubank"], &["nubank"]),
    brand(&["sparkasse"], &["sparkasse"]),
    brand(&["commerzbank"], &["commerzbank"]),
    brand(
        &["deutsche bank", "postbank"],
        &["deutsche-bank", "db", "postbank"],
    ),
    brand(
        &["credit agricole", "crédit agricole"],
        &["credit-agricole", "ca"],
    ),
    brand(&["rabobank"], &["rabobank"]),
    brand(&["revolut"], &["revolut"]),
    brand(&["klarna"], &["klarna"]),
    brand(&["western union"], &["westernunion"]),
    brand(&["vodafone"], &["vodafone"]),
    brand(&["t-mobile", "telekom"], &["t-mobile", "telekom", "t-online"]),
    brand(&["verizon"], &["verizon", "verizonwireless"]),
    brand(&["receita federal"], &["receita", "fazenda"]),
];

/// The brand that a text names while the domain is none of its own: its name.
pub(super) fn foreign_brand(text: &str, domain: Option<&str>) -> Option<&'static str> {
    // Blanks around each word, so that a name is found as whole words.
    let words: String = text
        .chars()
        .map(|sign| {
            if sign.is_alphanumeric() || "'.".contains(sign) {
                sign
            } else {
                ' '
            }
        })
        .collect();
    let words = format!(
        " {} ",
        words
            .split_whitespace()
            .map(|word| word.trim_matches('.'))
            .collect::<Vec<_>>()
            .join(" ")
    );
    named(domain, |name| {
        words.contains(&format!(" {} ", name.replace('-', " ")))
    })
}

/// The brand whose name is a part of a host, between dots and hyphens, while the host is none of its own.
pub(super) fn brand_in_host(host: &str) -> Option<&'static str> {
    let parts: Vec<&str> = host.split(['.', '-', '_']).collect();
    named(Some(host), |name| {
        !name.contains([' ', '.']) && name.len() > 3 && parts.contains(&name)
    })
}

fn named(domain: Option<&str>, is_named: impl Fn(&str) -> bool) -> Option<&'static str> {
    let named = |brand: &&Brand| brand.names.iter().any(|name| is_named(name));
    let brand = BRANDS
        .iter()
        .filter(named)
        .find(|brand| !domain.is_some_and(|domain| owns(brand, domain)))?;
    // Two brands may share a word; whoever owns the domain is the one that is meant.
    let is_owned = domain.is_some_and(|domain| BRANDS.iter().filter(named).any(|brand| owns(brand, domain)));
    (!is_owned).then(|| brand.names.first().copied())?
}

/// Whether a brand owns a domain: one of its labels, or a top-level domain of its own. Brands have their labels under the
/// common endings and those of countries; under others anybody may have them.
fn owns(brand: &Brand, domain: &str) -> bool {
    let registered = organisation(domain);
    let (label, suffix) = registered.split_once('.').unwrap_or((registered, ""));
    let is_common = matches!(suffix, "com" | "net" | "org" | "io" | "app" | "me")
        || suffix.rsplit('.').next().is_some_and(|end| end.len() == 2);
    brand.labels.contains(&label) && is_common || brand.labels.contains(&suffix)
}

/// Labels that belong to brands, for what looks like them.
pub(super) fn brand_labels() -> impl Iterator<Item = &'static str> {
    BRANDS
        .iter()
        .flat_map(|brand| brand.labels)
        .copied()
        .filter(|label| label.len() > 4)
}

/// Whether a domain is a label of a brand and the brand's own.
pub(super) fn is_brands_own(domain: &str) -> bool {
    BRANDS.iter().any(|brand| owns(brand, domain))
}

/// Whether anybody gets a name under the domain in which a host lies.
pub(super) fn is_shared(host: &str) -> bool {
    let mut labels = host.rsplit('.').map(str::as_bytes);
    let info = psl::List.find(&mut labels);
    info.typ == Some(Type::Private) && host.len() > info.len
}

/// Whether a domain gives mailboxes to anybody for nothing.
pub(super) fn is_freemail(domain: &str) -> bool {
    const FREE: &[&str] = &[
        "126.com",
        "163.com",
        "aliyun.com",
        "aol.com",
        "bol.com.br",
        "fastmail.com",
        "free.fr",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "icloud.com",
        "inbox.ru",
        "laposte.net",
        "libero.it",
        "live.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "outlook.de",
        "outlook.fr",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rambler.ru",
        "seznam.cz",
        "sina.com",
        "t-online.de",
        "tutanota.com",
        "uol.com.br",
        "web.de",
        "wp.pl",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.com.br",
        "yahoo.de",
        "yahoo.es",
        "yahoo.fr",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    ];
    FREE.binary_search(&domain).is_ok()
}

/// Whether a domain is that of a house that keeps the mailboxes of others' domains or sends for them.
pub(super) fn is_mailbox_house(domain: &str) -> bool {
    const HOUSES: &[&str] = &[
        "amazonses.com",
        "apple.com",
        "gmail.com",
        "google.com",
        "icloud.com",
        "office365.com",
        "outlook.com",
        "yahoo.com",
        "zoho.com",
    ];
    HOUSES.binary_search(&domain).is_ok() || is_freemail(domain)
}

/// Whether a name has one of the endings under which domains cost next to nothing: those that studies of phishing and
/// blocklists name year after year for the share of their domains that is abused.
pub(super) fn is_cheap(host: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "bond", "buzz", "cam", "cf", "cfd", "click", "club", "cyou", "fun", "ga", "gq", "help", "hair",
        "icu", "life", "live", "lol", "makeup", "ml", "mom", "monster", "online", "pics", "pro", "quest",
        "rest", "sbs", "shop", "site", "skin", "space", "store", "support", "tk", "today", "top", "vip",
        "website", "win", "world", "xyz",
    ];
    host.rsplit('.')
        .next()
        .is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Whether a host makes short links for anybody.
pub(super) fn is_shortener(host: &str) -> bool {
    const SHORT: &[&str] = &[
        "amzn.to",
        "bit.do",
        "bit.ly",
        "bitly.com",
        "bl.ink",
        "buff.ly",
        "cutt.ly",
        "dlvr.it",
        "goo.gl",
        "goo.su",
        "is.gd",
        "j.mp",
        "l.ead.me",
        "lnkd.in",
        "ow.ly",
        "qrco.de",
        "rb.gy",
        "rebrand.ly",
        "s.id",
        "short.gy",
        "shorturl.at",
        "t.co",
        "t.ly",
        "tiny.cc",
        "tiny.one",
        "tinyurl.com",
        "u.to",
        "urlz.fr",
        "v.gd",
    ];
    SHORT
        .binary_search(&host.strip_prefix("www.").unwrap_or(host))
        .is_ok()
}

/// Whether a link goes to a page of a search engine or a network that passes on to any other page.
pub(super) fn is_redirector(host: &str, rest: &str) -> bool {
    // The site's label, and how the page's path begins.
    const PAGES: &[(&str, &str)] = &[
        ("google", "/url?"),
        ("google", "/amp/s/"),
        ("bing", "/ck/a"),
        ("baidu", "/link?"),
        ("yahoo", "/rd/"),
        ("duckduckgo", "/l/?"),
        ("youtube", "/redirect?"),
        ("facebook", "/l.php?"),
        ("linkedin", "/slink?"),
        ("linkedin", "/redir/"),
        ("doubleclick", "/pcs/click"),
        ("doubleclick", "/ddm/"),
        ("googleadservices", "/pagead/aclk"),
    ];
    let label = organisation(host).split('.').next().unwrap_or_default();
    PAGES
        .iter()
        .any(|(site, page)| label == *site && rest.starts_with(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_foreign_where_it_does_not_own_the_domain() {
        assert_eq!(
            foreign_brand("PayPal Service".to_lowercase().as_str(), Some("example.com")),
            Some("paypal")
        );
        assert_eq!(foreign_brand("paypal", Some("mail.paypal.de")), None);
        assert_eq!(
            foreign_brand("paypal", Some("paypal.example.com")),
            Some("paypal")
        );
        assert_eq!(foreign_brand("paypal", Some("paypal.top")), Some("paypal"));
        assert_eq!(foreign_brand("my paypals", Some("example.com")), None);
        assert_eq!(
            foreign_brand("amazon.de", Some("example.com")),
            None,
            "a domain, not a name"
        );
        assert_eq!(
            foreign_brand("booking.com", Some("example.com")),
            Some("booking.com")
        );
        assert_eq!(brand_in_host("login-paypal.example.com"), Some("paypal"));
        assert_eq!(brand_in_host("www.paypal.com"), None);
    }

    #[test]
    fn shared_hosts_are_told_from_those_of_one_owner() {
        for shared in ["x.github.io", "y.firebaseapp.com", "z.duckdns.org"] {
            assert!(is_shared(shared), "{shared}");
        }
        for owned in ["github.io", "www.example.com", "example.co.uk"] {
            assert!(!is_shared(owned), "{owned}");
        }
        assert!(
            is_freemail("gmail.com")
                && is_freemail("zoho.com")
                && is_freemail("126.com")
                && !is_freemail("example.com")
        );
        assert!(is_shortener("bit.ly") && is_shortener("www.v.gd") && !is_shortener("example.com"));
    }
}
