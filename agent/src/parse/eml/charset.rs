//! Bytes in some charset, as text.

use mail_parser::decoders::charsets::map::charset_decoder;

/// Decodes bytes. What is UTF-8 is UTF-8, whatever is declared: that is how mail programs guess as well. What no charset
/// explains becomes U+FFFD.
pub(super) fn text(bytes: Vec<u8>, charset: Option<&str>) -> String {
    let charset = charset.unwrap_or_default().trim().trim_matches(['"', '\'']);
    // These are ASCII to look at and mean something else.
    let hidden = ["utf-7", "utf7", "iso-2022", "hz-gb", "utf-16", "utf16"]
        .iter()
        .any(|name| {
            charset
                .get(..name.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(name))
        });
    match String::from_utf8(bytes) {
        Ok(text) if !hidden => text,
        Ok(text) => decoded(text.as_bytes(), charset),
        Err(error) => decoded(error.as_bytes(), charset),
    }
}

fn decoded(bytes: &[u8], charset: &str) -> String {
    match charset_decoder(charset.as_bytes()) {
        Some(decode) if !charset.is_empty() => decode(bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
