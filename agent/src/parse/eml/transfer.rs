//! Content-Transfer-Encoding, undone in pieces, as lenient as mail programs are.

/// How much is handed on at once.
const PIECE: usize = 16 << 10;

/// How a part was made fit for the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// 7bit, 8bit, binary, and whatever nobody knows.
    Plain,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    pub(super) fn of(value: Option<&[u8]>) -> Self {
        let value = value.unwrap_or_default().trim_ascii();
        let word = value
            .split(|byte| b" \t;(\r\n".contains(byte))
            .next()
            .unwrap_or_default();
        if word.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if word.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Plain
        }
    }

    pub(super) fn is_plain(self) -> bool {
        self == Self::Plain
    }

    /// Decodes and hands on piece by piece, until `take` says that it has enough.
    pub(super) fn decode(self, content: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) {
        match self {
            Self::Plain => {
                let _ = content.chunks(PIECE).all(take);
            }
            Self::Base64 => base64(content, take),
            Self::QuotedPrintable => quoted_printable(content, take),
        }
    }

    /// The first so many bytes, and whether there are more.
    pub(super) fn first(self, content: &[u8], most: usize) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        self.decode(content, &mut |piece| {
            bytes.extend_from_slice(piece);
            bytes.len() <= most
        });
        let more = bytes.len() > most;
        bytes.truncate(most);
        (bytes, more)
    }
}

/// What is no digit is passed over; padding ends a group and not the text.
fn base64(content: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) {
    let mut piece = Vec::with_capacity(PIECE + 3);
    let (mut group, mut digits) = (0_u32, 0_u8);
    for byte in content {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                flush(&mut piece, group, digits);
                (group, digits) = (0, 0);
                continue;
            }
            _ => continue,
        };
        group = group << 6 | u32::from(digit);
        digits += 1;
        if digits == 4 {
            piece.extend_from_slice(group.to_be_bytes().get(1..).unwrap_or_default());
            (group, digits) = (0, 0);
            if piece.len() >= PIECE {
                if !take(&piece) {
                    return;
                }
                piece.clear();
            }
        }
    }
    flush(&mut piece, group, digits);
    take(&piece);
}

fn flush(piece: &mut Vec<u8>, group: u32, digits: u8) {
    let (group, bytes) = match digits {
        2 => (group << 12, 1),
        3 => (group << 6, 2),
        _ => return,
    };
    piece.extend_from_slice(group.to_be_bytes().get(1..=bytes).unwrap_or_default());
}

fn quoted_printable(content: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) {
    let mut piece = Vec::with_capacity(PIECE + 3);
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (before, after) = rest.split_at(at);
        piece.extend_from_slice(before);
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (hex(1), hex(2)) {
            (Some(high), Some(low)) => {
                piece.extend(u8::try_from(high << 4 | low));
                after.get(3..)
            }
            _ => match after.get(1) {
                Some(b'\n') => after.get(2..),
                Some(b'\r') if after.get(2) == Some(&b'\n') => after.get(3..),
                _ => {
                    piece.push(b'=');
                    after.get(1..)
                }
            },
        }
        .unwrap_or_default();
        if piece.len() >= PIECE {
            if !take(&piece) {
                return;
            }
            piece.clear();
        }
    }
    piece.extend_from_slice(rest);
    take(&piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back_also_when_it_is_untidy() {
        let base64 = |text: &str| Encoding::Base64.first(text.as_bytes(), 100).0;
        assert_eq!(base64("SGVs\r\nbG8="), b"Hello");
        assert_eq!(base64("SG!!Vs bG8=SGVsbG8"), b"HelloHello");
        let quoted = |text: &str| Encoding::QuotedPrintable.first(text.as_bytes(), 100).0;
        assert_eq!(quoted("a=3D=\r\nb=\nc=zz=C3=A9="), "a=bc=zzé=".as_bytes());
        assert_eq!(Encoding::of(Some(b" BASE64 ; x")), Encoding::Base64);
        assert_eq!(Encoding::Plain.first(b"12345", 3), (b"123".to_vec(), true));
    }
}
