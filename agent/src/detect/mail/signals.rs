//! What a mail is judged by: each signal with its name, its points and its sentence, in one place.
//!
//! Signals are about how a mail is built, sent and linked, and not about what it says. Points below zero speak for it. One
//! signal counts once, however often it is met.

/// Something that speaks for or against a mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Its name, as `spf-fail`.
    pub id: &'static str,
    /// What it adds to the score.
    pub points: i32,
    /// What it means, as a sentence without its full stop.
    pub about: &'static str,
}

macro_rules! signals {
    ($($name:ident $id:literal $points:literal $about:literal)*) => {
        $(pub(super) const $name: Signal = Signal { id: $id, points: $points, about: $about };)*
        /// All signals.
        pub const SIGNALS: &[Signal] = &[$($name),*];
    };
}

signals! {
    // Who vouches for the mail.
    ALIGNED "aligned" -5 "The writer's own domain vouches for the mail"
    OWN_DOMAIN "own-domain" -30 "It comes from one of the own domains, which vouches for it"
    DKIM_VERIFIED "dkim-verified" -15 "A signature of the writer's domain was verified here"
    OWN_LINKS "own-links" -10 "Most of its links lead to the writer's own domain, which vouches for it and signs"
    DKIM_BROKEN "dkim-broken" 20 "A signature was verified here and does not hold"
    DMARC_FAIL "dmarc-fail" 30 "The writer's domain disowns it: DMARC failed"
    DMARC_ERROR "dmarc-error" 12 "The DMARC record of the writer's domain is wrong or cannot exist"
    SPF_FAIL "spf-fail" 12 "The sender's domain does not allow the address it came from: SPF failed"
    SPF_SOFTFAIL "spf-softfail" 8 "The sender's domain does not know the address it came from: SPF failed softly"
    SPF_ERROR "spf-error" 8 "The SPF record of the sender's domain is wrong"
    DKIM_FAIL "dkim-fail" 12 "A signature does not hold: DKIM failed"
    NOBODY_VOUCHES "nobody-vouches" 25 "No domain vouches for it: neither SPF nor DKIM passed"
    UNSIGNED "unsigned" 3 "Nobody signed it"
    DMARC_NONE "dmarc-none" 2 "The writer's domain says nothing about mails that others write in its name"
    OTHERS_VOUCH "others-vouch" 15 "Only another domain than the writer's vouches for it"

    // Who writes.
    FROM_MISSING "from-missing" 30 "It names no writer"
    FROM_IMPOSSIBLE "from-impossible" 30 "The writer's domain cannot exist"
    FROM_MALFORMED "from-malformed" 20 "Its From field holds something besides one name and one address"
    FROM_SHARED_HOST "from-shared-host" 15 "The writer's domain is one that a hosting service gives to anybody"
    FROM_RANDOM "from-random" 15 "The writer's domain or name seems to be made by chance"
    FROM_CHEAP "from-cheap" 3 "The writer's domain has an ending under which many throw-away domains are registered"
    FROM_RECIPIENT "from-recipient" 10 "It pretends to come from its recipient, whose domain does not vouch for it"
    FROM_DEEP "from-deep" 15 "The writer's domain has five or more names before the registered one"
    NAME_IS_ADDRESS "name-is-address" 35 "The writer's name is an address of another domain"
    NAME_IS_DOMAIN "name-is-domain" 25 "The writer's name is another domain than the writer's"
    NAME_IS_BRAND "name-is-brand" 40 "The writer's name is a brand that does not own the writer's domain"
    NAME_UNRELATED "name-unrelated" 17 "The writer's name has no word in common with the address"
    NAME_DECORATED "name-decorated" 10 "The writer's name is decorated with symbols"
    LOCAL_PART_BRAND "local-part-brand" 15 "The writer's address begins with a brand that does not own its domain"
    DOMAIN_LOOKALIKE "domain-lookalike" 45 "The writer's domain looks like another one"
    DOMAIN_BRAND "domain-brand" 25 "The writer's domain holds the name of a brand that does not own it"
    REPLY_FREEMAIL "reply-freemail" 15 "Answers go to a free mailbox elsewhere"
    REPLY_ELSEWHERE "reply-elsewhere" 17 "Answers go to another domain than the writer's"
    REPLY_ONLY "reply-only" 10 "All that it wants is an answer, and that goes elsewhere"
    RETURN_ELSEWHERE "return-elsewhere" 8 "Failures are reported to another domain, and no domain vouches for the mail"
    RETURN_IMPOSSIBLE "return-impossible" 12 "Failures are reported to a domain that cannot exist"
    MIXED_SCRIPTS "mixed-scripts" 25 "Words mix letters of several scripts that look alike"
    STYLED_LETTERS "styled-letters" 15 "Name or subject is written in mathematical or other styled letters"
    DIRECTION "direction" 25 "Marks that turn text round stand in a name or the subject"
    INVISIBLE_SUBJECT "invisible-subject" 15 "Signs without width stand in a word of the name or the subject"
    SUBJECT_RECIPIENT "subject-recipient" 15 "The recipient's address stands in the subject or in the writer's name, put there by a machine"
    SUBJECT_HIDDEN "subject-hidden" 4 "The subject is encoded although nothing in it needs that"

    // How it came.
    MESSAGE_ID_MISSING "message-id-missing" 20 "It has no Message-ID"
    MESSAGE_ID_RECEIVED "message-id-received" 20 "Its Message-ID was made by the receiver, so the sender gave none"
    MESSAGE_ID_IMPOSSIBLE "message-id-impossible" 8 "Its Message-ID names a host that cannot exist"
    MESSAGE_ID_ELSEWHERE "message-id-elsewhere" 8 "Its Message-ID names a host that has no part in the mail"
    DATE_MISSING "date-missing" 8 "It has no date, or none that can be read"
    DATE_OFF "date-off" 10 "Its date is more than two days off the time when it came in"
    HOPS_BACKWARDS "hops-backwards" 6 "The times of its way run backwards by more than a day"
    HELO_ODD "helo-odd" 8 "The sender's server introduced itself by no name of the internet"
    FIELDS_REPEATED "fields-repeated" 15 "Fields that must stand once stand several times"
    HEADER_BROKEN "header-broken" 6 "Lines of its header are no fields"
    URGENT "urgent" 4 "It calls itself urgent"
    NO_RECIPIENT "no-recipient" 10 "It names no recipient"
    INTERNAL "internal" -10 "It came from inside: no server on its way has a public address"
    BULK_REPLY "bulk-reply" 10 "It went to many and claims to be an answer, without being from a list"
    BULK "bulk" -5 "It says that it went to many, and how to be left out; and the writer's domain vouches for that"
    REPLY "reply" -8 "It is an answer, and the writer's domain vouches for it"

    // Where it leads.
    LINK_ADDRESS "link-address" 35 "A link leads to an address instead of a name"
    LINK_USERINFO "link-userinfo" 30 "A link hides its host behind an @"
    LINK_CODE "link-code" 35 "A link holds a page or a program itself"
    LINK_LOOKALIKE "link-lookalike" 35 "A link leads to a domain that looks like another one"
    LINK_PUNYCODE "link-punycode" 12 "A link leads to a name in another script than the writer's"
    LINK_BRAND "link-brand" 25 "A link's host holds the name of a brand that does not own it"
    LINK_TEXT "link-text" 25 "A link's text names another site than it leads to"
    LINK_TRACKED "link-tracked" 3 "A link's text names the writer's site and leads elsewhere, as click counters do"
    LINK_SHORTENER "link-shortener" 18 "A link hides its target behind a shortener"
    LINK_REDIRECTOR "link-redirector" 20 "A link goes through a well-known site that passes its visitors on to any other"
    LINK_SHARED_HOST "link-shared-host" 15 "A link leads to a host that a hosting service gives to anybody"
    LINK_RANDOM "link-random" 10 "A link's domain seems to be made by chance"
    LINK_CHEAP "link-cheap" 5 "A link's domain has an ending under which many throw-away domains are registered"
    LINK_PORT "link-port" 10 "A link leads to an unusual port"
    LINK_DEEP "link-deep" 8 "A link's host has four or more names before the registered one"
    LINK_RECIPIENT "link-recipient" 15 "A link carries the recipient's address where only the page itself sees it"
    LINK_UNENCRYPTED "link-unencrypted" 4 "Links lead to pages without encryption"
    LINK_REFRESH "link-refresh" 30 "It sends its reader on to a page by itself"
    LINKS_ELSEWHERE "links-elsewhere" 15 "None of its links leads to a domain that has a part in the mail"
    STRANGER "stranger" 10 "The writer's name fits neither the address nor any page that it leads to"
    LINK_PLAIN_ELSEWHERE "link-plain-elsewhere" 6 "The addresses in its text belong to nobody who has a part in the mail"
    LINK_SAME "link-same" 8 "All its links lead to the same page, which is none of the writer's"

    // What is in it.
    HTML_ONLY "html-only" 10 "It is HTML without a plain text"
    HTML_BASE64 "html-base64" 4 "It is nothing but HTML, encoded although hardly anything in it needs that"
    PLAIN "plain" -6 "It is plain text without links or attachments, and answers go to its writer"
    FREEMAIL_PAGE "freemail-page" 12 "A free mailbox sends a page without a plain text, as no program for people does"
    BULK_UNSAID "bulk-unsaid" 8 "It is a page full of links or pictures, and does not say how to be left out"
    PICTURE_ONLY "picture-only" 18 "It is a picture to click on, with hardly any text"
    HIDDEN_TEXT "hidden-text" 12 "It holds more hidden text than text to read"
    SPLIT_WORDS "split-words" 20 "Hidden signs split its words"
    FORM "form" 20 "It holds a form"
    PASSWORD_FIELD "password-field" 30 "It holds a field for a password"
    SCRIPT "script" 20 "It holds scripts"
    FRAME "frame" 10 "It holds frames or objects of other pages"
    FOLDED "folded" 20 "Its parts are so many or so deep that not all were looked at"

    // What is attached.
    ATTACHED_PROGRAM "attached-program" 50 "A program is attached"
    ATTACHED_IN_ARCHIVE "attached-in-archive" 40 "An attached archive holds a program"
    ATTACHED_TWO_ENDINGS "attached-two-endings" 35 "An attachment's name has a second ending that hides the first"
    ATTACHED_HTML "attached-html" 30 "A page of HTML is attached"
    ATTACHED_SVG "attached-svg" 25 "An SVG picture, which can hold scripts, is attached"
    ATTACHED_DISK "attached-disk" 35 "An image of a disk is attached"
    ATTACHED_ONENOTE "attached-onenote" 30 "A OneNote notebook, which can hold programs, is attached"
    ATTACHED_MACROS "attached-macros" 30 "An attached document holds macros"
    ATTACHED_ENCRYPTED "attached-encrypted" 20 "An attachment cannot be looked into without a password"
    ATTACHED_MISMATCH "attached-mismatch" 15 "An attachment is something else than its name says"
    ATTACHED_MAIL_ONLY "attached-only" 8 "It has an attachment and hardly any text"
}
