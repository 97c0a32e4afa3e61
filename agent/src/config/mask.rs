//! Patterns of what is secret on a command line.

/// What is masked when the settings name no other patterns: of each the last group that matches, or the whole where there is
/// none.
pub(super) const DEFAULT: &[&str] = &[
    // --password=SECRET, --api-key SECRET
    r#"(?i)(?:^|\s)--?[\w-]*(?:passwor[dt]|passwd|passphrase|secret|token|api-?key|access-?key)(?:=|\s+)["']?([^\s"']+)"#,
    // DB_PASSWORD=SECRET, ?token=SECRET
    r#"(?i)\b\w*(?:passwor[dt]|passwd|passphrase|secret|token|api_?key|access_?key)\w*=["']?([^\s"'&;|]+)"#,
    // Authorization: Bearer SECRET, X-Api-Key: SECRET
    r#"(?i)\b(?:proxy-)?authorization:\s*(?:(?:bearer|basic|digest|token)\s+)?([^\s"']+)"#,
    r#"(?i)\bx-[\w-]*(?:key|token|secret)[\w-]*:\s*([^\s"']+)"#,
    // https://user:SECRET@host
    r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"']*:([^\s/@"']+)@"#,
    // curl -u user:SECRET
    r#"\b(?:curl|wget)\b.*?\s(?:-u|--user)[ =]?["']?[^\s:"']+:([^\s"']+)"#,
    // mysql -pSECRET, sshpass -p SECRET
    r#"\b(?:mysql\w*|mariadb[\w-]*)\b.*?\s-p([^\s"']+)"#,
    r#"\bsshpass\s+-p\s*([^\s"']+)"#,
    // A token that says itself what it is.
    r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+",
];

/// Why a text is no pattern.
pub(super) fn check(pattern: &str) -> Result<String, String> {
    match regex::Regex::new(pattern) {
        // It would mask between any two letters.
        Ok(regex) if regex.is_match("") => Err("it matches an empty text".to_owned()),
        Ok(_) => Ok(pattern.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
