//! Who writes: people, organisations and the services that send for them. The domains are invented.

use super::pick;
use crate::attack_log::Dice;

/// A language: what is written in it.
pub(super) struct Language {
    pub(super) sentences: &'static [&'static str],
    pub(super) subjects: &'static [&'static str],
    pub(super) button: &'static str,
    pub(super) unsubscribe: &'static str,
    /// The charset in which older programs write it.
    pub(super) charset: &'static str,
}

pub(super) const LANGUAGES: &[Language] = &[
    Language {
        sentences: &[
            "Thank you for being with us this month.",
            "The new opening hours begin on Monday.",
            "We have put together a short overview for you.",
            "Please let me know whether Thursday still suits you.",
            "The minutes of our last meeting are below.",
            "Your order is being packed and leaves our house tomorrow.",
            "I have attached the figures that you asked for.",
            "There is coffee and cake after the talk.",
            "Payment is due within thirty days.",
        ],
        subjects: &[
            "News of the month",
            "Your order",
            "Meeting on Thursday",
            "Minutes",
            "Invoice",
            "A question about the draft",
        ],
        button: "Read more",
        unsubscribe: "Unsubscribe",
        charset: "iso-8859-1",
    },
    Language {
        sentences: &[
            "vielen Dank für Ihre Bestellung.",
            "Wir haben die Unterlagen geprüft und melden uns nächste Woche.",
            "Die Führung durch den Garten beginnt um zehn Uhr.",
            "Anbei die Rechnung für den Monat März.",
            "Können wir den Termin auf Freitag verschieben?",
            "Die Größe ist zurzeit leider nicht lieferbar.",
            "Über Rückmeldungen freuen wir uns sehr.",
            "Mit freundlichen Grüßen aus dem Büro",
        ],
        subjects: &[
            "Ihre Bestellung",
            "Neues aus dem Garten",
            "Terminverschiebung",
            "Rechnung März",
            "Protokoll der Sitzung",
            "Rückfrage",
        ],
        button: "Weiterlesen",
        unsubscribe: "Abmelden",
        charset: "iso-8859-15",
    },
    Language {
        sentences: &[
            "nous vous remercions de votre fidélité.",
            "Votre commande a été expédiée ce matin.",
            "La réunion aura lieu à quatorze heures.",
            "Vous trouverez ci-joint le compte rendu.",
            "N'hésitez pas à nous écrire pour toute question.",
            "Les inscriptions sont ouvertes jusqu'à la fin du mois.",
        ],
        subjects: &[
            "La lettre du mois",
            "Votre commande",
            "Réunion de mardi",
            "Compte rendu",
            "Facture",
        ],
        button: "Lire la suite",
        unsubscribe: "Se désabonner",
        charset: "windows-1252",
    },
    Language {
        sentences: &[
            "gracias por su compra.",
            "La próxima reunión será el miércoles por la mañana.",
            "Adjunto el documento que me pidió.",
            "El envío llegará en dos días.",
            "Si tiene preguntas, escríbanos cuando quiera.",
            "Esperamos verle pronto por aquí.",
        ],
        subjects: &[
            "Boletín de primavera",
            "Su pedido",
            "Reunión del miércoles",
            "Factura",
            "El documento",
        ],
        button: "Leer más",
        unsubscribe: "Darse de baja",
        charset: "iso-8859-1",
    },
    Language {
        sentences: &[
            "Спасибо за ваш заказ.",
            "Встреча состоится в четверг в десять часов.",
            "Во вложении отчёт за прошлый месяц.",
            "Пожалуйста, сообщите, если дата вам не подходит.",
            "Новое расписание действует с понедельника.",
        ],
        subjects: &["Новости месяца", "Ваш заказ", "Встреча в четверг", "Отчёт"],
        button: "Подробнее",
        unsubscribe: "Отписаться",
        charset: "windows-1251",
    },
    Language {
        sentences: &[
            "いつもお世話になっております。",
            "ご注文ありがとうございます。",
            "会議は木曜日の十時からです。",
            "資料を添付いたしますのでご確認ください。",
            "よろしくお願いいたします。",
        ],
        subjects: &["今月のお知らせ", "ご注文の確認", "会議の件", "資料送付"],
        button: "続きを読む",
        unsubscribe: "配信停止",
        charset: "utf-8",
    },
    Language {
        sentences: &[
            "bedankt voor uw bestelling.",
            "De vergadering begint om negen uur.",
            "In de bijlage vindt u het verslag.",
            "Wij wensen u een fijne zomer.",
            "Laat ons weten of u erbij bent.",
        ],
        subjects: &[
            "Nieuwsbrief",
            "Uw bestelling",
            "Vergadering",
            "Verslag",
            "Factuur",
        ],
        button: "Lees verder",
        unsubscribe: "Uitschrijven",
        charset: "us-ascii",
    },
];

/// Somebody with a name.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) address: String,
}

/// An organisation with a domain.
#[derive(Clone)]
pub(super) struct House {
    pub(super) name: String,
    pub(super) domain: String,
}

/// A service that sends for others.
pub(super) struct Service {
    /// Where failures go, and whose SPF record counts.
    pub(super) bounces: &'static str,
    /// Where clicks are counted.
    pub(super) clicks: &'static str,
    pub(super) host: &'static str,
}

pub(super) const SERVICES: &[Service] = &[
    Service {
        bounces: "bounce.briefpost-versand.net",
        clicks: "click.briefpost-versand.net",
        host: "mta14.briefpost-versand.net",
    },
    Service {
        bounces: "em.lettercrane.com",
        clicks: "t.lettercrane.com",
        host: "o7.out.lettercrane.com",
    },
    Service {
        bounces: "mail118.postpigeonry.io",
        clicks: "track.pigeonry-links.com",
        host: "mail118.postpigeonry.io",
    },
];

const FIRST: &[&str] = &[
    "Anna", "Bernd", "Chloé", "Dmitri", "Elif", "Fátima", "George", "Hanako", "Ivo", "Jörg", "Karin", "Luís",
    "Marta", "Noor",
];
const LAST: &[&str] = &[
    "Almeida",
    "Brückner",
    "Castle",
    "Dubois",
    "Eriksen",
    "Fontaine",
    "Gärtner",
    "Hughes",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
];
const WORDS: &[&str] = &[
    "amber", "birken", "copper", "distel", "ember", "feder", "garten", "heron", "insel", "juniper",
    "kranich", "linden", "mill", "north",
];
const TRADES: &[&str] = &[
    "books", "verlag", "tools", "optik", "travel", "schule", "energy", "museum", "cycles", "pharma",
    "garden", "studio",
];
const ENDINGS: &[&str] = &[
    "com", "de", "org", "fr", "nl", "co.uk", "es", "net", "eu", "io", "shop", "online",
];

impl House {
    pub(super) fn any(dice: &mut Dice) -> Self {
        let (word, trade, ending) = (pick(dice, WORDS), pick(dice, TRADES), pick(dice, ENDINGS));
        let capital = |text: &str| text[..1].to_uppercase() + &text[1..];
        Self {
            name: format!("{} {}", capital(word), capital(trade)),
            domain: format!("{word}-{trade}haus.{ending}"),
        }
    }

    /// Somebody who works there.
    pub(super) fn person(&self, dice: &mut Dice) -> Person {
        let (first, last) = (*pick(dice, FIRST), *pick(dice, LAST));
        let (plain_first, plain_last) = (ascii(first), ascii(last));
        let local = match dice.below(4) {
            0 => format!("{plain_first}.{plain_last}"),
            1 => format!("{}{plain_last}", &plain_first[..1]),
            2 => plain_first,
            _ => format!("{}.{plain_last}", &plain_first[..1]),
        };
        Person {
            name: format!("{first} {last}"),
            address: format!("{local}@{}", self.domain),
        }
    }
}

/// Somebody at home, with a free mailbox; its name is not always that of its owner.
pub(super) fn private(dice: &mut Dice) -> Person {
    let house = House {
        name: String::new(),
        domain: (*pick(
            dice,
            &[
                "gmail.com",
                "gmx.de",
                "outlook.com",
                "web.de",
                "yahoo.fr",
                "icloud.com",
            ],
        ))
        .to_owned(),
    };
    let mut person = house.person(dice);
    let (local, domain) = person.address.split_once('@').expect("an address");
    person.address = match dice.below(5) {
        0 => format!(
            "{}{}@{domain}",
            pick(dice, &["sunflower", "bergziege", "blue.bicycle", "lesewurm"]),
            60 + dice.below(40)
        ),
        1 => format!("{local}{}@{domain}", 1950 + dice.below(60)),
        _ => person.address.clone(),
    };
    person
}

fn ascii(text: &str) -> String {
    let plain = text
        .to_lowercase()
        .replace('ü', "ue")
        .replace('ö', "oe")
        .replace('ä', "ae");
    plain.replace(['é', 'ê'], "e").replace('á', "a").replace('í', "i")
}
