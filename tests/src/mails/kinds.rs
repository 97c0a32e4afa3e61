//! What is sent every day, a function for each kind.

use super::letter::{Letter, word};
use super::people::{House, LANGUAGES, Language, Person, SERVICES, private};
use super::{chance, pick};
use crate::attack_log::Dice;

type Kind = (&'static str, fn(&mut Dice) -> Letter);

pub(super) const KINDS: &[Kind] = &[
    ("newsletter", newsletter),
    ("marketing through a service", marketing),
    (
        "marketing through a service that signs for itself",
        unsigned_marketing,
    ),
    ("receipt", receipt),
    ("shop", shop),
    ("answer", answer),
    ("forward", forward),
    ("mailing list", list),
    ("bounce", bounce),
    ("invitation", invitation),
    ("password reset", reset),
    ("monitoring", monitoring),
    ("personal with attachments", personal_files),
    ("personal", personal),
    ("parcel of a known carrier", parcel),
    ("contact form", contact_form),
    ("ticket", ticket),
    ("shared document", shared),
    ("code hosting", code_hosting),
    ("passed on by another mailbox", passed_on),
    ("invoice through a service", invoice),
    ("school", school),
];

fn text(dice: &mut Dice, language: &Language, count: usize) -> String {
    (0..count)
        .map(|_| *pick(dice, language.sentences))
        .collect::<Vec<_>>()
        .join("\n")
}

fn person_field(person: &Person, dice: &mut Dice) -> String {
    let name = if person.name.is_ascii() && chance(dice, 50) {
        format!("\"{}\"", person.name)
    } else {
        word(&person.name, dice)
    };
    format!("{name} <{}>", person.address)
}

fn reader(dice: &mut Dice) -> String {
    let person = House {
        name: String::new(),
        domain: "empfang-haus.de".to_owned(),
    };
    let person = person.person(dice);
    if chance(dice, 60) {
        person_field(&person, dice)
    } else {
        person.address
    }
}

fn plain(text: String) -> (String, String, Vec<u8>) {
    ("text/plain".to_owned(), String::new(), text.into_bytes())
}

fn html(text: String) -> (String, String, Vec<u8>) {
    ("text/html".to_owned(), String::new(), text.into_bytes())
}

/// A letter from a house's own servers, signed as most are.
fn from_house(house: &House, from: String, dice: &mut Dice) -> Letter {
    let local = pick(dice, &["bounces", "noreply", "mailer", "return"]);
    Letter {
        from,
        to: reader(dice),
        return_path: format!("{local}@{}", house.domain),
        host: format!("mail.{}", house.domain),
        id_host: if chance(dice, 70) {
            format!("mail.{}", house.domain)
        } else {
            house.domain.clone()
        },
        signers: if chance(dice, 85) {
            vec![house.domain.clone()]
        } else {
            Vec::new()
        },
        alternative: true,
        charset: "utf-8",
        ..Letter::default()
    }
}

/// A page as newsletters are: a hidden first line, a logo, articles, links to networks, a way out, a dot that counts readers.
fn page(
    dice: &mut Dice,
    language: &Language,
    house: &House,
    link: &dyn Fn(&str) -> String,
    shows_address: bool,
) -> String {
    let mut page = format!(
        "<!DOCTYPE html><html><head><meta charset=utf-8><style>.a{{color:#333}}</style></head><body>\
         <div style=\"display:none;max-height:0;overflow:hidden\">{}{}</div>\
         <a href=\"{}\"><img src=\"https://img.{}/logo.png\" width=200 alt=\"{}\"></a>",
        pick(dice, language.sentences),
        "&zwnj;&nbsp;".repeat(60),
        link(&format!("https://www.{}/", house.domain)),
        house.domain,
        house.name
    );
    for at in 0..3 + dice.below(4) {
        page += &format!(
            "<h2>{}</h2><p>{}</p><a href=\"{}\" style=\"background:#06c\">{}</a>",
            pick(dice, language.subjects),
            text(dice, language, 4).replace('\n', " "),
            link(&format!(
                "https://www.{}/article/{at}?utm_source=mail",
                house.domain
            )),
            language.button
        );
    }
    if shows_address {
        page += &format!(
            "<p><a href=\"{}\">www.{}</a></p>",
            link(&format!("https://www.{}/", house.domain)),
            house.domain
        );
    }
    for network in [
        "https://www.facebook.com/",
        "https://www.instagram.com/",
        "https://www.linkedin.com/company/",
    ] {
        page += &format!(
            "<a href=\"{}\"><img src=\"https://img.{}/n.png\" width=24></a>",
            link(network),
            house.domain
        );
    }
    let out = link(&format!("https://www.{}/out", house.domain));
    page += &format!(
        "<p style=\"font-size:10px\"><a href=\"{out}\">{}</a></p><img src=\"{}\" width=1 height=1></body></html>",
        language.unsubscribe,
        link("open")
    );
    page
}

fn newsletter(dice: &mut Dice) -> Letter {
    let (house, language) = (House::any(dice), pick(dice, LANGUAGES));
    let mut letter = from_house(
        &house,
        format!("{} <newsletter@{}>", house.name, house.domain),
        dice,
    );
    letter.subject = format!(
        "{} {}",
        pick(dice, &["🌷", "", "", "✨"]),
        pick(dice, language.subjects)
    )
    .trim()
    .to_owned();
    let page = page(dice, language, &house, &|target| target.to_owned(), true);
    if chance(dice, 70) {
        letter.parts.push(plain(text(dice, language, 6)));
    }
    letter.parts.push(html(page));
    letter.fields = format!(
        "List-Unsubscribe: <https://www.{}/out>\nPrecedence: bulk\n",
        house.domain
    );
    letter
}

fn marketing(dice: &mut Dice) -> Letter {
    let (house, language, service) = (House::any(dice), pick(dice, LANGUAGES), pick(dice, SERVICES));
    let mut letter = from_house(
        &house,
        format!(
            "\"{}\" <hello@{}{}>",
            house.name,
            pick(dice, &["", "news.", "mail."]),
            house.domain
        ),
        dice,
    );
    let number = dice.below(1 << 50);
    let own_clicks = chance(dice, 40);
    let clicks = if own_clicks {
        format!("links.{}", house.domain)
    } else {
        service.clicks.to_owned()
    };
    let link = |target: &str| {
        format!(
            "https://{clicks}/f/a/{number:x}~~/AAQRxRA~/{:x}?u={}",
            target.len(),
            target.len() * 7919
        )
    };
    letter.parts = vec![
        plain(text(dice, language, 5)),
        html(page(dice, language, &house, &link, true)),
    ];
    if chance(dice, 25) {
        letter.parts.remove(0);
    }
    letter.subject = (*pick(dice, language.subjects)).to_owned();
    letter.return_path = format!("bounce+{number:x}-reader=empfang-haus.de@{}", service.bounces);
    letter.host = service.host.to_owned();
    letter.id_host = if chance(dice, 50) {
        service.host.to_owned()
    } else {
        house.domain.clone()
    };
    letter.signers = vec![house.domain.clone(), service.bounces.to_owned()];
    letter.fields = format!(
        "List-Unsubscribe: <https://{clicks}/out/{number:x}>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n"
    );
    if chance(dice, 40) {
        letter.fields += &format!("Reply-To: service@{}\n", house.domain);
    }
    letter
}

/// The house never set up a signature: only the service vouches.
fn unsigned_marketing(dice: &mut Dice) -> Letter {
    let mut letter = marketing(dice);
    letter.signers.remove(0);
    letter
}

fn receipt(dice: &mut Dice) -> Letter {
    let (house, language) = (House::any(dice), pick(dice, LANGUAGES));
    let mut letter = from_house(
        &house,
        format!("{} <receipts@{}>", house.name, house.domain),
        dice,
    );
    letter.subject = format!("{} #{}", pick(dice, language.subjects), dice.below(100_000));
    let rows: String = (0..3)
        .map(|at| format!("<tr><td>{at}</td><td>{}.90</td></tr>", dice.below(90)))
        .collect();
    letter.parts = vec![html(format!(
        "<html><body><p>{}</p><table>{rows}</table><a href=\"https://{}/account/orders\">{}</a></body></html>",
        text(dice, language, 3),
        house.domain,
        language.button
    ))];
    letter
}

fn shop(dice: &mut Dice) -> Letter {
    let mut letter = receipt(dice);
    let pdf = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n".to_vec();
    letter
        .parts
        .push(("application/pdf".to_owned(), "invoice.pdf".to_owned(), pdf));
    letter.alternative = false;
    letter
}

fn conversation(dice: &mut Dice, language: &Language) -> Letter {
    let house = House::any(dice);
    let person = house.person(dice);
    let from = person_field(&person, dice);
    let mut letter = from_house(&house, from, dice);
    letter.return_path = person.address;
    // Many houses have their mailboxes with one of the large ones, whose hosts are then in the Message-ID.
    (letter.host, letter.id_host) = match dice.below(3) {
        0 => ("mail-ej1-f49.google.com".to_owned(), "mail.gmail.com".to_owned()),
        1 => (
            "mail-am0eur02on2101.outbound.protection.outlook.com".to_owned(),
            "AM0PR04MB5555.eurprd04.prod.outlook.com".to_owned(),
        ),
        _ => (letter.host, letter.id_host),
    };
    letter.subject = (*pick(dice, language.subjects)).to_owned();
    letter.charset = if chance(dice, 40) {
        language.charset
    } else {
        "utf-8"
    };
    letter
}

fn answer(dice: &mut Dice) -> Letter {
    let language = pick(dice, LANGUAGES);
    let mut letter = conversation(dice, language);
    letter.subject = format!("{} {}", pick(dice, &["Re:", "AW:", "RE:"]), letter.subject);
    let quoted = text(dice, language, 4).replace('\n', "\n> ");
    let written = format!(
        "{}\n\n> {quoted}\n> https://www.wegweiser-karten.org/map?x=1\n",
        text(dice, language, 2)
    );
    letter.parts = vec![plain(written.clone())];
    if chance(dice, 60) {
        letter.parts.push(html(format!(
            "<html><body><p>{}</p><blockquote>{quoted}</blockquote></body></html>",
            text(dice, language, 2)
        )));
    }
    letter.fields = "In-Reply-To: <abc@empfang-haus.de>\nReferences: <abc@empfang-haus.de>\n".to_owned();
    letter
}

fn forward(dice: &mut Dice) -> Letter {
    let language = pick(dice, LANGUAGES);
    let mut letter = conversation(dice, language);
    letter.subject = format!("{} {}", pick(dice, &["Fwd:", "WG:", "TR:"]), letter.subject);
    let inner = newsletter(dice).sent(dice);
    let page = String::from_utf8_lossy(&inner).into_owned();
    letter.alternative = false;
    letter.parts = vec![plain(text(dice, language, 2))];
    if chance(dice, 50) {
        letter
            .parts
            .push(("message/rfc822".to_owned(), String::new(), inner));
    } else {
        let head: String = page
            .lines()
            .filter(|line| line.starts_with("From:") || line.starts_with("Subject:"))
            .map(|line| format!("> {line}\n"))
            .collect();
        letter.parts[0]
            .2
            .extend(format!("\n-------- \n{head}\nhttps://www.feder-verlaghaus.de/article/1\n").bytes());
        letter.parts.truncate(1);
    }
    letter
}

fn list(dice: &mut Dice) -> Letter {
    let language = pick(dice, LANGUAGES);
    let mut letter = conversation(dice, language);
    letter.parts = vec![plain(format!(
        "{}\n\n_______________________________________________\nusers mailing list\nhttps://lists.freie-werkzeuge.org/listinfo/users\n",
        text(dice, language, 4)
    ))];
    letter.subject = format!("{}[users] {}", pick(dice, &["", "Re: "]), letter.subject);
    letter.to = "users@lists.freie-werkzeuge.org".to_owned();
    letter.return_path = "users-bounces@lists.freie-werkzeuge.org".to_owned();
    letter.host = "lists.freie-werkzeuge.org".to_owned();
    // The list's footer breaks the writer's signature; most lists sign anew.
    letter.signers = if chance(dice, 70) {
        vec!["lists.freie-werkzeuge.org".to_owned()]
    } else {
        Vec::new()
    };
    letter.fields =
        "List-Id: <users.lists.freie-werkzeuge.org>\nList-Post: <mailto:users@lists.freie-werkzeuge.org>\n\
                     List-Unsubscribe: <https://lists.freie-werkzeuge.org/out>\nPrecedence: list\n"
            .to_owned();
    letter
}

fn bounce(dice: &mut Dice) -> Letter {
    let house = House::any(dice);
    let mut letter = from_house(
        &house,
        format!("Mail Delivery System <MAILER-DAEMON@mail.{}>", house.domain),
        dice,
    );
    letter.return_path = String::new();
    letter.signers.clear();
    letter.subject = "Undelivered Mail Returned to Sender".to_owned();
    letter.alternative = false;
    let status = format!(
        "Reporting-MTA: dns; mail.{}\n\nFinal-Recipient: rfc822; nobody@{}\nAction: failed\nStatus: 5.1.1\n",
        house.domain, house.domain
    );
    letter.parts = vec![
        plain(format!(
            "This is the mail system at host mail.{}.\n\nYour message could not be delivered.",
            house.domain
        )),
        (
            "message/delivery-status".to_owned(),
            String::new(),
            status.into_bytes(),
        ),
        (
            "text/rfc822-headers".to_owned(),
            String::new(),
            b"From: a@empfang-haus.de\nSubject: Hello\n".to_vec(),
        ),
    ];
    letter.fields = "Auto-Submitted: auto-replied\n".to_owned();
    letter
}

fn invitation(dice: &mut Dice) -> Letter {
    let language = pick(dice, LANGUAGES);
    let mut letter = conversation(dice, language);
    let meeting = format!(
        "https://{}/j/{}",
        pick(
            dice,
            &["us02web.zoom.us", "meet.google.com", "teams.microsoft.com"]
        ),
        dice.below(1 << 40)
    );
    let calendar = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:{}\r\nLOCATION:{meeting}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        letter.subject
    );
    letter.alternative = false;
    letter.parts = vec![
        plain(format!("{}\n{meeting}\n", text(dice, language, 2))),
        (
            "text/calendar; method=REQUEST".to_owned(),
            "invite.ics".to_owned(),
            calendar.into_bytes(),
        ),
    ];
    letter
}

fn reset(dice: &mut Dice) -> Letter {
    let (house, language) = (House::any(dice), pick(dice, LANGUAGES));
    let from = if chance(dice, 30) {
        format!("noreply@{}", house.domain)
    } else {
        format!("{} <noreply@{}>", house.name, house.domain)
    };
    let mut letter = from_house(&house, from, dice);
    let link = format!(
        "https://app.{}/reset?token={:x}{:x}",
        house.domain,
        dice.below(1 << 60),
        dice.below(1 << 60)
    );
    letter.subject = format!("Reset your {} password", house.name);
    letter.parts = vec![html(format!(
        "<html><body><p>{}</p><p><a href=\"{link}\">{link}</a></p></body></html>",
        text(dice, language, 2)
    ))];
    if chance(dice, 50) {
        letter
            .parts
            .insert(0, plain(format!("{}\n{link}\n", text(dice, language, 2))));
    }
    if chance(dice, 50) {
        // Sent through a service that signs for the house.
        letter.return_path = format!("010001{:x}-000000@{}", dice.below(1 << 50), SERVICES[1].bounces);
        letter.host = SERVICES[1].host.to_owned();
        letter.id_host = SERVICES[1].bounces.to_owned();
        letter.signers = vec![house.domain.clone(), SERVICES[1].bounces.to_owned()];
    }
    letter
}

fn monitoring(dice: &mut Dice) -> Letter {
    let house = House::any(dice);
    let host = format!("db{}.{}", dice.below(9), house.domain);
    let from = pick(dice, &["root", "nagios", "cron", "alertmanager"]);
    let full = if chance(dice, 50) {
        format!("(Cron Daemon) <{from}@{host}>")
    } else {
        format!("{from}@{host}")
    };
    let mut letter = from_house(&house, full, dice);
    letter.return_path = format!("{from}@{host}");
    letter.host = host.clone();
    letter.id_host = if chance(dice, 30) {
        "localhost".to_owned()
    } else {
        host.clone()
    };
    letter.signers.clear();
    letter.internal = chance(dice, 60);
    letter.subject = format!("** PROBLEM ** {host}/disk is CRITICAL");
    letter.parts = vec![plain(format!(
        "Service: disk\nHost: {host}\nState: CRITICAL\n\nhttp://monitor.{}:3000/d/disk\n",
        house.domain
    ))];
    letter.fields = pick(
        dice,
        &[
            "Auto-Submitted: auto-generated\n",
            "X-Priority: 1\nImportance: high\n",
            "",
        ],
    )
    .to_string();
    letter
}

fn personal(dice: &mut Dice) -> Letter {
    let language = pick(dice, LANGUAGES);
    let person = private(dice);
    let domain = person.address.rsplit('@').next().expect("an address").to_owned();
    let link = pick(
        dice,
        &[
            "",
            "https://www.youtube.com/watch?v=abcdefghijk",
            "https://maps.app.goo.gl/AbCdEf",
            "https://www.kochbuch-der-kueche.de/suppe",
        ],
    );
    Letter {
        from: person_field(&person, dice),
        to: reader(dice),
        subject: pick(dice, language.subjects).to_string(),
        return_path: person.address.clone(),
        host: format!("mout.{domain}"),
        id_host: match domain.as_str() {
            "gmail.com" => "mail.gmail.com".to_owned(),
            "outlook.com" => "AM0PR04MB5555.eurprd04.prod.outlook.com".to_owned(),
            other => other.to_owned(),
        },
        signers: vec![domain],
        charset: if chance(dice, 30) {
            language.charset
        } else {
            "utf-8"
        },
        parts: vec![plain(format!("{}\n{link}\n", text(dice, language, 3)))],
        ..Letter::default()
    }
}

fn personal_files(dice: &mut Dice) -> Letter {
    let mut letter = personal(dice);
    let docx = [
        &b"PK\x03\x04\x14\0\0\0\x08\0"[..],
        b"[Content_Types].xml",
        &[0; 40],
        b"PK\x01\x02",
        &[0; 24],
        b"\x13\0",
        &[0; 16],
        b"[Content_Types].xml",
    ]
    .concat();
    let zip = [
        &b"PK\x03\x04\x14\0\0\0\x08\0"[..],
        b"photos/1.jpg",
        &[0; 40],
        b"PK\x01\x02",
        &[0; 24],
        b"\x0c\0",
        &[0; 16],
        b"photos/1.jpg",
    ]
    .concat();
    let files: &[(&str, &str, Vec<u8>)] = &[
        (
            "image/jpeg",
            "holiday.jpg",
            b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(),
        ),
        (
            "application/pdf",
            "Report 2025.v2.pdf",
            b"%PDF-1.7\n%%EOF\n".to_vec(),
        ),
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "letter.docx",
            docx,
        ),
        ("application/zip", "photos.zip", zip),
        ("text/csv", "numbers.csv", b"a;b\n1;2\n".to_vec()),
    ];
    for _ in 0..1 + dice.below(3) {
        let (kind, name, content) = pick(dice, files);
        letter
            .parts
            .push((kind.to_string(), name.to_string(), content.clone()));
    }
    letter
}

/// Those whose name is borrowed most, writing themselves.
fn parcel(dice: &mut Dice) -> Letter {
    let (name, domain) = *pick(
        dice,
        &[
            ("DHL Paket", "dhl.de"),
            ("UPS", "ups.com"),
            ("PayPal", "paypal.de"),
            ("Amazon.de", "amazon.de"),
            ("Booking.com", "booking.com"),
        ],
    );
    let house = House {
        name: name.to_owned(),
        domain: domain.to_owned(),
    };
    let language = pick(dice, LANGUAGES);
    let mut letter = from_house(&house, format!("\"{name}\" <noreply@mail.{domain}>"), dice);
    letter.signers = vec![domain.to_owned()];
    letter.subject = pick(dice, language.subjects).to_string();
    letter.parts = vec![
        plain(text(dice, language, 3)),
        html(page(dice, language, &house, &|target| target.to_owned(), true)),
    ];
    letter
}

fn contact_form(dice: &mut Dice) -> Letter {
    let (house, language, visitor) = (House::any(dice), pick(dice, LANGUAGES), private(dice));
    let mut letter = from_house(
        &house,
        format!("{} <wordpress@{}>", house.name, house.domain),
        dice,
    );
    letter.subject = format!("[{}] {}", house.name, pick(dice, language.subjects));
    letter.fields = format!("Reply-To: {}\n", visitor.address);
    letter.parts = vec![plain(format!(
        "{}\n\n{}\n",
        visitor.address,
        text(dice, language, 3)
    ))];
    letter
}

fn ticket(dice: &mut Dice) -> Letter {
    let (house, language) = (House::any(dice), pick(dice, LANGUAGES));
    let clerk = house.person(dice);
    let first = clerk.name.split(' ').next().expect("a name").to_owned();
    let mut letter = from_house(
        &house,
        format!(
            "{} <support@{}>",
            word(&format!("{first} ({})", house.name), dice),
            house.domain
        ),
        dice,
    );
    letter.subject = format!(
        "[Ticket#{}] {}",
        dice.below(1_000_000),
        pick(dice, language.subjects)
    );
    letter.fields = "In-Reply-To: <q@empfang-haus.de>\nReferences: <q@empfang-haus.de>\n".to_owned();
    letter.parts = vec![
        plain(text(dice, language, 3)),
        html(format!(
            "<p>{}</p><p><a href=\"https://support.{}/t/1\">{}</a></p>",
            text(dice, language, 3),
            house.domain,
            language.button
        )),
    ];
    letter
}

fn shared(dice: &mut Dice) -> Letter {
    let (language, person) = (pick(dice, LANGUAGES), private(dice));
    let house = House {
        name: "Ablage".to_owned(),
        domain: "ablage-und-teilen.com".to_owned(),
    };
    let from = word(&format!("{} via Ablage", person.name), dice);
    let mut letter = from_house(&house, format!("{from} <no-reply@ablage-und-teilen.com>"), dice);
    letter.signers = vec![house.domain.clone()];
    letter.subject = format!("{}: {}", person.name, pick(dice, language.subjects));
    letter.fields = format!("Reply-To: {}\n", person.address);
    letter.parts = vec![html(format!(
        "<html><body><img src=\"https://cdn.ablage-und-teilen.com/logo.png\"><p>{}</p><a href=\"https://www.ablage-und-teilen.com/s/x\">{}</a></body></html>",
        text(dice, language, 2),
        language.button
    ))];
    letter
}

fn code_hosting(dice: &mut Dice) -> Letter {
    let language = pick(dice, LANGUAGES);
    let house = House {
        name: "Quellhof".to_owned(),
        domain: "quellhof.org".to_owned(),
    };
    let mut letter = from_house(
        &house,
        format!(
            "{} <notifications@quellhof.org>",
            pick(dice, &["bergziege42", "k-lindqvist", "mergebot[bot]"])
        ),
        dice,
    );
    letter.subject = format!(
        "Re: [feder/tools] {} (#{})",
        pick(dice, language.subjects),
        dice.below(900)
    );
    letter.to = "feder/tools <tools@noreply.quellhof.org>".to_owned();
    letter.fields = "In-Reply-To: <feder/tools/pull/7@quellhof.org>\nReferences: <feder/tools/pull/7@quellhof.org>\nPrecedence: list\n\
                     List-ID: feder/tools <tools.feder.quellhof.org>\nList-Unsubscribe: <https://quellhof.org/out>\n"
        .to_owned();
    letter.parts = vec![
        plain(format!(
            "{}\n\nhttps://quellhof.org/feder/tools/pull/7\n",
            text(dice, language, 2)
        )),
        html(format!(
            "<p>{}</p><p><a href=\"https://quellhof.org/feder/tools/pull/7\">View it</a></p>",
            text(dice, language, 2)
        )),
    ];
    letter
}

/// The writer's server is not the one that hands it over: SPF fails softly, and the signature holds or was never there.
fn passed_on(dice: &mut Dice) -> Letter {
    let mut letter = conversation(dice, &LANGUAGES[0]);
    letter.parts = vec![plain(text(dice, &LANGUAGES[0], 5))];
    letter.forwarded = true;
    letter.host = "mail.alumni-verteiler.org".to_owned();
    letter
}

fn invoice(dice: &mut Dice) -> Letter {
    let (house, language, service) = (House::any(dice), pick(dice, LANGUAGES), pick(dice, SERVICES));
    let mut letter = from_house(
        &house,
        format!("{} <invoices@rechnungswerk-online.com>", house.name),
        dice,
    );
    letter.return_path = format!("b{:x}@{}", dice.below(1 << 40), service.bounces);
    letter.host = service.host.to_owned();
    letter.id_host = "rechnungswerk-online.com".to_owned();
    letter.signers = vec!["rechnungswerk-online.com".to_owned()];
    letter.subject = format!("{} {}", pick(dice, language.subjects), dice.below(9_999));
    letter.fields = format!("Reply-To: accounts@{}\n", house.domain);
    letter.alternative = false;
    letter.parts = vec![
        html(format!(
            "<p>{}</p><a href=\"https://app.rechnungswerk-online.com/i/{:x}\">{}</a>",
            text(dice, language, 2),
            dice.below(1 << 40),
            language.button
        )),
        (
            "application/pdf".to_owned(),
            "invoice.pdf".to_owned(),
            b"%PDF-1.4\n%%EOF\n".to_vec(),
        ),
    ];
    letter
}

/// From a small server that signs nothing, as one page of HTML, with a form elsewhere.
fn school(dice: &mut Dice) -> Letter {
    let (house, language) = (House::any(dice), pick(dice, LANGUAGES));
    let person = house.person(dice);
    let from = person_field(&person, dice);
    let mut letter = from_house(&house, from, dice);
    letter.return_path = person.address;
    letter.signers.clear();
    letter.subject = pick(dice, language.subjects).to_string();
    let form = pick(
        dice,
        &[
            "https://docs.google.com/forms/d/e/1FAIp/viewform",
            "https://forms.office.com/r/Ab3",
            "https://umfrage-bogen.de/s/4",
        ],
    );
    letter.parts = vec![html(format!(
        "<html><body><p>{}</p><p><a href=\"{form}\">{}</a></p></body></html>",
        text(dice, language, 5),
        language.button
    ))];
    letter
}
