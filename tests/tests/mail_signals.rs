//! Each signal by which mails are judged: a mail in which it is met, and one close by in which it is not.

use picket_agent::detect::mail::{Judgement, MailPolicy, SIGNALS, Verdict, judge};
use picket_agent::parse::eml::{self, Border};

const HOP: &str = "Received: from mail.lindenverlag-haus.de (mail.lindenverlag-haus.de [203.0.113.7])\n\tby mx.empfang-haus.com with ESMTPS id 1; \
                   Mon, 10 Mar 2025 10:00:05 +0000";
const AUTH: &str = "spf=pass smtp.mailfrom=lindenverlag-haus.de; dkim=pass header.d=lindenverlag-haus.de; dmarc=pass header.from=lindenverlag-haus.de";
const FROM: &str = "Linden Verlag <post@lindenverlag-haus.de>";
const PAGE: &str =
    "<p>A page with a few words in it.</p><a href=\"https://www.lindenverlag-haus.de/a\">Read more</a>";

/// An ordinary mail that a house writes.
fn base() -> String {
    format!(
        "Return-Path: <post@lindenverlag-haus.de>\nAuthentication-Results: mx.empfang-haus.com; {AUTH}\n{HOP}\n\
         Message-ID: <1@mail.lindenverlag-haus.de>\nDate: Mon, 10 Mar 2025 10:00:00 +0000\nFrom: {FROM}\nTo: reader@empfang-haus.com\n\
         Subject: News\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nA few words.\n--b\n\
         Content-Type: text/html; charset=utf-8\n\n{PAGE}\n--b\nContent-Type: image/png; name=p.png\nContent-Disposition: attachment\n\n\u{89}PNG\n--b--\n"
    )
}

type Change = &'static [(&'static str, &'static str)];

fn judged(change: Change, policy: &MailPolicy) -> Judgement {
    let mut mail = base();
    for (from, to) in change {
        assert!(mail.contains(from), "{from}");
        mail = mail.replace(from, to);
    }
    judge(&eml::read(mail.as_bytes(), false, &Border::default()), policy)
}

const LINK: &str = "https://www.lindenverlag-haus.de/a";
const TEXT: &str = "--b\nContent-Type: text/plain\n\nA few words.\n";
const PICTURE: &str = "Content-Type: image/png; name=p.png\nContent-Disposition: attachment\n\n\u{89}PNG";
const ID: &str = "<1@mail.lindenverlag-haus.de>";
const RESULTS: &str = "Authentication-Results: mx.empfang-haus.com; spf=pass smtp.mailfrom=lindenverlag-haus.de; dkim=pass header.d=lindenverlag-haus.de; \
                       dmarc=pass header.from=lindenverlag-haus.de";
const OTHERS: &str = "Authentication-Results: mx.empfang-haus.com; spf=pass smtp.mailfrom=versand-dienst.net; dkim=none; dmarc=none";
const NOBODY: &str = "Authentication-Results: mx.empfang-haus.com; spf=none smtp.mailfrom=lindenverlag-haus.de; dkim=none; dmarc=none";

/// A signal, what makes it fire, and what comes close.
const CASES: &[(&str, Change, Change)] = &[
    ("aligned", &[], &[(RESULTS, OTHERS)]),
    ("own-domain", &[("lindenverlag-haus.de", "example-bank.com")], &[]),
    ("own-links", &[], &[(LINK, "https://www.feder-museum.org/a")]),
    (
        "dmarc-fail",
        &[("dmarc=pass", "dmarc=fail")],
        &[("dmarc=pass", "dmarc=none")],
    ),
    (
        "dmarc-error",
        &[("dmarc=pass", "dmarc=permerror")],
        &[("dmarc=pass", "dmarc=temperror")],
    ),
    (
        "spf-fail",
        &[("spf=pass", "spf=fail")],
        &[("spf=pass", "spf=neutral")],
    ),
    (
        "spf-softfail",
        &[("spf=pass", "spf=softfail")],
        &[(RESULTS, "X-Authentication-Results: spf=softfail")],
    ),
    (
        "spf-error",
        &[("spf=pass", "spf=permerror")],
        &[("spf=pass", "spf=temperror")],
    ),
    (
        "dkim-fail",
        &[("dkim=pass", "dkim=fail")],
        &[(
            "; dmarc=pass",
            "; dkim=fail header.d=list.example.com; dmarc=pass",
        )],
    ),
    (
        "nobody-vouches",
        &[(RESULTS, NOBODY)],
        &[(RESULTS, "X-Note: nobody looked")],
    ),
    ("others-vouch", &[(RESULTS, OTHERS)], &[]),
    ("unsigned", &[("dkim=pass", "dkim=none")], &[]),
    ("dmarc-none", &[("dmarc=pass", "dmarc=bestguesspass")], &[]),
    (
        "from-missing",
        &[("From: Linden Verlag <post@lindenverlag-haus.de>\n", "")],
        &[("From: ", "from:")],
    ),
    (
        "from-impossible",
        &[(FROM, "Linden <post@linden>")],
        &[(FROM, "Linden <post@linden.museum>")],
    ),
    (
        "from-malformed",
        &[(FROM, "Linden, Verlag <post@lindenverlag-haus.de>")],
        &[(FROM, "\"Linden, Verlag\" <post@lindenverlag-haus.de>")],
    ),
    (
        "from-shared-host",
        &[("<post@lindenverlag-haus.de>", "<post@linden.web.app>")],
        &[("<post@lindenverlag-haus.de>", "<post@linden.app>")],
    ),
    (
        "from-random",
        &[("<post@", "<k4j7x2p9q1@")],
        &[("<post@", "<order2025@")],
    ),
    (
        "from-cheap",
        &[("<post@lindenverlag-haus.de>", "<post@lindenverlag.cfd>")],
        &[("<post@lindenverlag-haus.de>", "<post@cfd.de>")],
    ),
    (
        "from-recipient",
        &[(FROM, "reader@empfang-haus.com"), (RESULTS, NOBODY)],
        &[(FROM, "other@empfang-haus.com"), (RESULTS, NOBODY)],
    ),
    (
        "from-deep",
        &[("<post@", "<post@a.b.c.d.e.")],
        &[("<post@", "<post@a.b.c.d.")],
    ),
    (
        "name-is-address",
        &[(FROM, "service@bank-haus.com <post@lindenverlag-haus.de>")],
        &[(FROM, "post@lindenverlag-haus.de <post@lindenverlag-haus.de>")],
    ),
    (
        "name-is-domain",
        &[(FROM, "\"bank-haus.com\" <post@lindenverlag-haus.de>")],
        &[(FROM, "\"lindenverlag-haus.de\" <post@lindenverlag-haus.de>")],
    ),
    (
        "name-is-brand",
        &[(FROM, "PayPal <post@lindenverlag-haus.de>")],
        &[(FROM, "PayPal <service@paypal.de>")],
    ),
    (
        "name-unrelated",
        &[(FROM, "Northern Bank <post@lindenverlag-haus.de>")],
        &[(FROM, "V. Linden <post@lindenverlag-haus.de>")],
    ),
    (
        "name-decorated",
        &[(FROM, "=?utf-8?q?=E2=9A=A0_Linden?= <post@lindenverlag-haus.de>")],
        &[(FROM, "Linden & Co. <post@lindenverlag-haus.de>")],
    ),
    (
        "local-part-brand",
        &[("<post@", "<paypal@")],
        &[("<post@", "<paypals@")],
    ),
    (
        "domain-lookalike",
        &[("<post@lindenverlag-haus.de>", "<post@examp1e-bank.com>")],
        &[("<post@lindenverlag-haus.de>", "<post@exact-bank.com>")],
    ),
    (
        "domain-brand",
        &[("<post@lindenverlag-haus.de>", "<post@paypal-help.com>")],
        &[("<post@lindenverlag-haus.de>", "<post@paypal.com>")],
    ),
    (
        "reply-freemail",
        &[("Subject:", "Reply-To: linden@gmail.com\nSubject:")],
        &[("Subject:", "Reply-To: b@lindenverlag-haus.de\nSubject:")],
    ),
    (
        "reply-elsewhere",
        &[("Subject:", "Reply-To: linden@feder-museum.org\nSubject:")],
        &[("Subject:", "Reply-To: b@mail.lindenverlag-haus.de\nSubject:")],
    ),
    (
        "reply-only",
        &[
            ("Subject:", "Reply-To: linden@feder-museum.org\nSubject:"),
            ("<a href=\"https://www.lindenverlag-haus.de/a\">", "<a>"),
        ],
        &[("Subject:", "Reply-To: linden@feder-museum.org\nSubject:")],
    ),
    (
        "return-elsewhere",
        &[
            (
                "Return-Path: <post@lindenverlag-haus.de>",
                "Return-Path: <b@feder-museum.org>",
            ),
            (RESULTS, NOBODY),
        ],
        &[(
            "Return-Path: <post@lindenverlag-haus.de>",
            "Return-Path: <b@feder-museum.org>",
        )],
    ),
    (
        "return-impossible",
        &[(
            "Return-Path: <post@lindenverlag-haus.de>",
            "Return-Path: <root@vps1>",
        )],
        &[("Return-Path: <post@lindenverlag-haus.de>", "Return-Path: <>")],
    ),
    (
        "mixed-scripts",
        &[("Subject: News", "Subject: Nеws")],
        &[("Subject: News", "Subject: Новости News")],
    ),
    (
        "styled-letters",
        &[("Subject: News", "Subject: 𝐍𝐞𝐰𝐬")],
        &[("Subject: News", "Subject: Nëws")],
    ),
    (
        "direction",
        &[("Subject: News", "Subject: News \u{202e}fdp")],
        &[("Subject: News", "Subject: חדשות News")],
    ),
    (
        "invisible-subject",
        &[("Subject: News", "Subject: N\u{200b}ews")],
        &[("Subject: News", "Subject: News\u{200b}")],
    ),
    (
        "subject-recipient",
        &[("Subject: News", "Subject: News for reader@empfang-haus.com")],
        &[("Subject: News", "Subject: News for readers")],
    ),
    (
        "subject-hidden",
        &[("Subject: News", "Subject: =?utf-8?b?TmV3cw==?=")],
        &[("Subject: News", "Subject: =?utf-8?b?TsOkd3M=?=")],
    ),
    (
        "message-id-missing",
        &[("Message-ID: <1@mail.lindenverlag-haus.de>\n", "")],
        &[("Message-ID:", "message-id:")],
    ),
    (
        "message-id-received",
        &[(ID, "<1@mx.empfang-haus.com>")],
        &[(ID, "<1@mail.gmail.com>")],
    ),
    (
        "message-id-impossible",
        &[(ID, "<1@localhost>")],
        &[(ID, "<1@local.host>")],
    ),
    ("message-id-elsewhere", &[(ID, "<1@feder-museum.org>")], &[]),
    (
        "date-missing",
        &[("Date: Mon, 10 Mar 2025 10:00:00 +0000", "Date: soon")],
        &[(
            "Date: Mon, 10 Mar 2025 10:00:00 +0000",
            "Date: 10 Mar 2025 10:00:00 GMT",
        )],
    ),
    (
        "date-off",
        &[("Date: Mon, 10 Mar", "Date: Mon, 3 Mar")],
        &[("Date: Mon, 10 Mar", "Date: Sun, 9 Mar")],
    ),
    (
        "hops-backwards",
        &[(
            "Message-ID:",
            "Received: from a by b.example.com; Mon, 17 Mar 2025 10:00:00 +0000\nMessage-ID:",
        )],
        &[(
            "Message-ID:",
            "Received: from a by b.example.com; Mon, 10 Mar 2025 10:30:00 +0000\nMessage-ID:",
        )],
    ),
    (
        "helo-odd",
        &[(
            "from mail.lindenverlag-haus.de (mail.lindenverlag-haus.de [",
            "from WIN-PC (unknown [",
        )],
        &[("from mail.lindenverlag-haus.de (", "from WIN-PC (")],
    ),
    (
        "fields-repeated",
        &[("Subject: News", "Subject: News\nSubject: Old")],
        &[("Subject: News", "Subject: News\nComments: a\nComments: b")],
    ),
    (
        "header-broken",
        &[("Subject: News", "Subject: News\nno field")],
        &[("Subject: News", "Subject: News\n no field")],
    ),
    (
        "urgent",
        &[("Subject:", "X-Priority: 1 (Highest)\nSubject:")],
        &[("Subject:", "X-Priority: 3\nSubject:")],
    ),
    (
        "no-recipient",
        &[("To: reader@empfang-haus.com\n", "")],
        &[("To: reader", "Cc: reader")],
    ),
    ("internal", &[("[203.0.113.7]", "[10.0.0.7]")], &[]),
    (
        "bulk-reply",
        &[(
            "Subject:",
            "List-Unsubscribe: <https://x.de/>\nIn-Reply-To: <a@b.de>\nSubject:",
        )],
        &[(
            "Subject:",
            "List-Unsubscribe: <https://x.de/>\nList-Id: <a.b.de>\nIn-Reply-To: <a@b.de>\nSubject:",
        )],
    ),
    (
        "bulk",
        &[("Subject:", "List-Unsubscribe: <https://x.de/>\nSubject:")],
        &[
            ("Subject:", "List-Unsubscribe: <https://x.de/>\nSubject:"),
            (RESULTS, OTHERS),
        ],
    ),
    (
        "reply",
        &[("Subject:", "In-Reply-To: <a@b.de>\nSubject:")],
        &[("Subject:", "In-Reply-To: <a@b.de>\nSubject:"), (RESULTS, OTHERS)],
    ),
    (
        "link-address",
        &[(LINK, "https://0xcb007107/a")],
        &[(LINK, "https://203.0.113.7.lindenverlag-haus.de/a")],
    ),
    (
        "link-userinfo",
        &[(LINK, "https://www.bank.com@lindenverlag-haus.de/a")],
        &[(LINK, "https://lindenverlag-haus.de/@author")],
    ),
    ("link-code", &[(LINK, "data:text/html,x")], &[(LINK, "cid:data")]),
    (
        "link-lookalike",
        &[(LINK, "https://www.exarnple-bank.com/")],
        &[(LINK, "https://www.example-bank.com/")],
    ),
    (
        "link-punycode",
        &[(LINK, "https://xn--mnchen-3ya.de/")],
        &[(LINK, "https://muenchen.de/")],
    ),
    (
        "link-brand",
        &[(LINK, "https://paypal.linden-haus.com/")],
        &[(LINK, "https://www.paypal.com/")],
    ),
    (
        "link-text",
        &[
            ("Read more", "www.bank-haus.com"),
            (LINK, "https://feder-museum.org/"),
        ],
        &[("Read more", "shop.lindenverlag-haus.de")],
    ),
    (
        "link-tracked",
        &[
            ("Read more", "www.lindenverlag-haus.de"),
            (LINK, "https://t.feder-klicks.org/"),
        ],
        &[("Read more", "www.lindenverlag-haus.de")],
    ),
    (
        "link-shortener",
        &[(LINK, "https://bit.ly/a")],
        &[(LINK, "https://bitte.ly/a")],
    ),
    (
        "link-redirector",
        &[(LINK, "https://www.google.com/url?q=x")],
        &[(LINK, "https://www.google.com/maps?q=x")],
    ),
    (
        "link-shared-host",
        &[(LINK, "https://linden.web.app/")],
        &[(LINK, "https://linden.app/")],
    ),
    (
        "link-random",
        &[(LINK, "https://a1b2c3d4e5.com/")],
        &[(LINK, "https://route66-museum.com/")],
    ),
    (
        "link-cheap",
        &[(LINK, "https://linden.cfd/")],
        &[(LINK, "https://cfd.org/")],
    ),
    (
        "link-port",
        &[(LINK, "https://feder-museum.org:8443/")],
        &[(LINK, "https://feder-museum.org:443/")],
    ),
    (
        "link-deep",
        &[(LINK, "https://a.b.c.d.feder-museum.org/")],
        &[(LINK, "https://a.b.c.feder-museum.org/")],
    ),
    (
        "link-recipient",
        &[(LINK, "https://feder-museum.org/#reader@empfang-haus.com")],
        &[(LINK, "https://feder-museum.org/?u=reader@empfang-haus.com")],
    ),
    (
        "link-unencrypted",
        &[(LINK, "http://feder-museum.org/")],
        &[(LINK, "http://lindenverlag-haus.de/")],
    ),
    (
        "link-refresh",
        &[(
            "<p>A page",
            "<meta http-equiv=refresh content='0;url=https://feder-museum.org/'><p>A page",
        )],
        &[(
            "<p>A page",
            "<meta name=refresh content='0;url=https://x.de/'><p>A page",
        )],
    ),
    (
        "links-elsewhere",
        &[(LINK, "https://feder-museum.org/")],
        &[(LINK, "https://img.lindenverlag-haus.de/")],
    ),
    (
        "stranger",
        &[
            (LINK, "https://feder-museum.org/"),
            (FROM, "Northern Bank <post@lindenverlag-haus.de>"),
        ],
        &[(FROM, "Northern Bank <post@lindenverlag-haus.de>")],
    ),
    (
        "link-plain-elsewhere",
        &[
            ("A few words.", "See https://feder-museum.org/"),
            ("text/html; charset=utf-8", "text/plain"),
            ("<a href=\"https://www.lindenverlag-haus.de/a\">", ""),
        ],
        &[],
    ),
    (
        "link-same",
        &[
            (LINK, "https://feder-museum.org/"),
            ("</a>", "</a><a href=https://feder-museum.org/>Leave</a>"),
        ],
        &[
            (LINK, "https://feder-museum.org/"),
            ("</a>", "</a><a href=https://feder-museum.org/leave>Leave</a>"),
        ],
    ),
    ("html-only", &[(TEXT, "")], &[]),
    (
        "html-base64",
        &[
            (TEXT, ""),
            (
                "charset=utf-8\n\n",
                "charset=utf-8\nContent-Transfer-Encoding: base64\n\nPHA+QSBwYWdlIHdpdGggYSBmZXcgd29yZHM8L3A+\n--b\nContent-Type: text/html\n\n",
            ),
        ],
        &[
            (TEXT, ""),
            (
                "charset=utf-8\n\n",
                "charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n",
            ),
        ],
    ),
    (
        "plain",
        &[
            ("text/html; charset=utf-8", "text/plain"),
            ("<a href=\"https://www.lindenverlag-haus.de/a\">", ""),
            ("; name=p.png\nContent-Disposition: attachment", ""),
        ],
        &[],
    ),
    (
        "freemail-page",
        &[(FROM, "Linden <linden@gmail.com>"), (TEXT, "")],
        &[(FROM, "Linden <linden@gmail.com>")],
    ),
    (
        "bulk-unsaid",
        &[(
            "<p>A page",
            "<img src=a><img src=b><img src=c><img src=d><p>A page",
        )],
        &[(
            "<p>A page",
            "<img src=a width=1><img src=b><img src=c><img src=d><p>A page",
        )],
    ),
    (
        "picture-only",
        &[("Read more", "<img src=https://x.de/p.png>")],
        &[("Read more", "Read more <img src=https://x.de/p.png>")],
    ),
    (
        "hidden-text",
        &[("<p>A page", LONG_HIDDEN)],
        &[(
            "<p>A page",
            "<p style='display:none'>A short preview</p><p>A page",
        )],
    ),
    (
        "split-words",
        &[(
            "A page with",
            "A p<i style='font-size:0'>x</i>age w<i style='font-size:0'>x</i>ith wo&zwnj;rds",
        )],
        &[("A page with", "A page<i style='font-size:0'>x</i> with&zwnj;")],
    ),
    (
        "form",
        &[("<p>A page", "<form action=https://x.de/><p>A page")],
        &[("<p>A page", "<formula><p>A page")],
    ),
    (
        "password-field",
        &[("<p>A page", "<input type=PassWord><p>A page")],
        &[("<p>A page", "<input type=text name=password><p>A page")],
    ),
    (
        "script",
        &[("<p>A page", "<script>x()</script><p>A page")],
        &[("<p>A page", "<!-- <script>x()</script> --><p>A page")],
    ),
    (
        "frame",
        &[("<p>A page", "<iframe src=https://x.de/></iframe><p>A page")],
        &[("<p>A page", "<frameless><p>A page")],
    ),
    (
        "attached-program",
        &[("p.png", "p.exe")],
        &[("p.png", "p.exe.txt")],
    ),
    (
        "attached-two-endings",
        &[("p.png", "p.pdf.js")],
        &[("p.png", "p.js.pdf")],
    ),
    ("attached-html", &[("p.png", "p.html")], &[("p.png", "html.txt")]),
    (
        "attached-svg",
        &[("\u{89}PNG", "<svg xmlns='x'>")],
        &[("\u{89}PNG", "svg")],
    ),
    ("attached-disk", &[("p.png", "p.iso")], &[("p.png", "iso.png")]),
    ("attached-onenote", &[("p.png", "p.one")], &[("p.png", "one.png")]),
    (
        "attached-mismatch",
        &[("p.png", "p.pdf")],
        &[("\u{89}PNG", "GIF89a")],
    ),
    (
        "attached-only",
        &[
            ("p.png", "p.txt"),
            (RESULTS, OTHERS),
            ("A few words.", ""),
            (PAGE, "see"),
        ],
        &[("p.png", "p.txt"), (RESULTS, OTHERS)],
    ),
    (
        "attached-encrypted",
        &[(
            PICTURE,
            "Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\nUEsDBBQAAQAIAAAA",
        )],
        &[(
            PICTURE,
            "Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\nUEsDBBQAAAAIAAAA",
        )],
    ),
];

const LONG_HIDDEN: &str = concat!(
    "<p style='display: none'>",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "word word word word word word word word word word word word word word word word word word word word word word word word word word ",
    "</p><p>A page"
);

/// Signals that have their tests elsewhere: signatures in `mail_cli`, depth in `mail_faults`, zip files and macros below.
const ELSEWHERE: &[&str] = &[
    "dkim-verified",
    "dkim-broken",
    "folded",
    "attached-in-archive",
    "attached-macros",
];

#[test]
fn the_mail_that_all_others_are_made_of_is_clean() {
    let judgement = judged(&[], &MailPolicy::default());
    assert_eq!(
        (judgement.verdict, judgement.score),
        (Verdict::Clean, 0),
        "{judgement:?}"
    );
}

#[test]
fn each_signal_is_met_where_it_should_and_not_close_by() {
    let policy = MailPolicy {
        domains: vec!["example-bank.com".to_owned()],
    };
    let mut wrong = Vec::new();
    for (id, fires, near) in CASES {
        let has = |change: Change| {
            judged(change, &policy)
                .reasons
                .iter()
                .any(|reason| reason.id == *id)
        };
        if !has(fires) {
            wrong.push(format!("{id} is missed"));
        }
        // Where the mail itself is the near miss, or nothing comes close, the change is empty.
        let speaks_for = ["aligned", "own-links"].contains(id);
        if has(near) && !(near.is_empty() && speaks_for) {
            wrong.push(format!("{id} is met close by"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_signal_has_its_test_and_a_name_of_its_own() {
    let mut names: Vec<&str> = SIGNALS.iter().map(|signal| signal.id).collect();
    names.sort_unstable();
    let mut tested: Vec<&str> = CASES
        .iter()
        .map(|(id, ..)| *id)
        .chain(ELSEWHERE.iter().copied())
        .collect();
    tested.sort_unstable();
    assert_eq!(names, tested);
}

#[test]
fn programs_in_archives_and_macros_are_found() {
    let zip = |member: &str| {
        let length = [u8::try_from(member.len()).unwrap(), 0];
        let local = [
            &b"PK\x03\x04\x14\0\0\0\x08\0"[..],
            &[0; 16],
            &length,
            b"\0\0",
            member.as_bytes(),
        ]
        .concat();
        [
            &local[..],
            b"PK\x01\x02",
            &[0; 24],
            &length,
            &[0; 16],
            member.as_bytes(),
        ]
        .concat()
    };
    let ids = |name: &str, content: &[u8]| {
        let head = format!(
            "From: a@example.com\nContent-Type: application/octet-stream; name={name}\nContent-Transfer-Encoding: binary\n\n"
        );
        let mail = [head.as_bytes(), content].concat();
        let judgement = judge(
            &eml::read(&mail, false, &Border::default()),
            &MailPolicy::default(),
        );
        judgement
            .reasons
            .iter()
            .map(|reason| reason.id)
            .collect::<Vec<_>>()
    };
    assert!(ids("a.zip", &zip("invoice.js")).contains(&"attached-in-archive"));
    assert!(!ids("a.zip", &zip("invoice.pdf")).contains(&"attached-in-archive"));
    assert!(ids("a.docm", &zip("word/vbaProject.bin")).contains(&"attached-macros"));
    assert!(!ids("a.docx", &zip("word/document.xml")).contains(&"attached-macros"));
    let ole = |stream: &str| {
        [
            &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..],
            &stream.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>(),
        ]
        .concat()
    };
    assert!(ids("a.doc", &ole("_VBA_PROJECT")).contains(&"attached-macros"));
    assert!(ids("a.docx", &ole("EncryptedPackage")).contains(&"attached-encrypted"));
}

#[test]
fn links_are_named_in_their_order_and_the_same_ones_each_time() {
    let links = "<a href=\"https://w.example/\">a</a> <a href=\"https://a.example/\">b</a> <a href=\"https://m.example/\">c</a> \
                 <a href=\"https://b.example/\">d</a>";
    let mail = base().replace(PAGE, links);
    let mail = eml::read(mail.as_bytes(), false, &Border::default());
    for _ in 0..20 {
        let judgement = judge(&mail, &MailPolicy::default());
        let reason = judgement
            .reasons
            .iter()
            .find(|reason| reason.id == "links-elsewhere");
        let text = &reason.unwrap().text;
        assert!(
            text.ends_with(": w[.]example, a[.]example, m[.]example."),
            "{text}"
        );
    }
}
