//! How single values are written.

use std::path::PathBuf;
use std::time::Duration;

pub(super) const ABSOLUTE: &str = "a path from the root, such as \"/var/log/auth.log\"";
pub(super) const SPAN: &str = r#"a time such as "10m", "2h" or "7d", from one second to 365 days"#;

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() && !text.contains('\0') {
        Ok(path)
    } else {
        Err(String::new())
    }
}

/// Takes a value over where there is one.
pub(super) fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

pub(super) fn size(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}

pub(super) fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = quantity(text)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(format!("'{}' is no unit", unit.escape_debug())),
    };
    let seconds = number
        .checked_mul(seconds)
        .filter(|seconds| (1..=365 * 86_400).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "out of bounds".to_owned())
}

pub(super) fn quota(text: &str) -> Result<u64, String> {
    bytes(text)?
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| "out of bounds".to_owned())
}

pub(super) fn ring(text: &str) -> Result<u32, String> {
    bytes(text)?
        .filter(|bytes| bytes.is_power_of_two() && (64 << 10..=1 << 30).contains(bytes))
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| "out of bounds, or no power of two".to_owned())
}

/// `None` for more than can be counted.
fn bytes(text: &str) -> Result<Option<u64>, String> {
    let (number, unit) = quantity(text)?;
    let bytes = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(format!(
                "'{}' is no unit; use KiB, MiB or GiB",
                unit.escape_debug()
            ));
        }
    };
    Ok(number.checked_mul(bytes))
}

fn quantity(text: &str) -> Result<(u64, &str), String> {
    let end = text
        .find(|byte: char| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Ok((
        number
            .parse()
            .map_err(|_| "a number must come first".to_owned())?,
        unit.trim_start(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_a_power_of_two_within_bounds() {
        assert_eq!(ring("8MiB"), Ok(8 << 20));
        assert_eq!(ring("64 KiB"), Ok(64 << 10));
        assert_eq!(ring("1GiB"), Ok(1 << 30));
        for wrong in ["32KiB", "2GiB", "3MiB", "8", "MiB", "18446744073709551615GiB"] {
            assert!(ring(wrong).is_err(), "{wrong}");
        }
    }
}
