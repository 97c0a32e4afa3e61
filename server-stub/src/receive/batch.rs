//! A batch as it comes over the wire: zstd frames of NDJSON, from a host that may be an attacker's.

use crate::store::Line;
use picket_common::wire::{LARGEST_BATCH, LONGEST_ITEM};
use std::io::Read as _;

/// What a batch says, line by line. An error says why it is none.
pub fn read(body: &[u8], compressed: bool) -> Result<Vec<Line>, String> {
    let mut text = Vec::new();
    if compressed {
        let decoder = zstd::stream::Decoder::new(body).map_err(|error| error.to_string())?;
        decoder
            .take(LARGEST_BATCH as u64 + 1)
            .read_to_end(&mut text)
            .map_err(|error| format!("the body is no zstd: {error}"))?;
    } else {
        text.extend_from_slice(body);
    }
    if text.len() > LARGEST_BATCH {
        return Err(format!("the batch is longer than {LARGEST_BATCH} bytes"));
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(item).collect())
}

fn item(line: &[u8]) -> Line {
    let nothing = |reason| Line {
        text: String::new(),
        item: Err(reason),
    };
    if line.len() > LONGEST_ITEM {
        return nothing(format!("the record is longer than {LONGEST_ITEM} bytes"));
    }
    match std::str::from_utf8(line) {
        Ok(text) => Line {
            text: text.to_owned(),
            item: serde_json::from_str(text).map_err(|error| error.to_string()),
        },
        Err(error) => nothing(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_and_nonsense_are_refused_in_bounded_memory() {
        let bomb = zstd::bulk::compress(&vec![b'\n'; 64 << 20], 3).unwrap();
        assert!(bomb.len() < 1 << 16);
        assert!(read(&bomb, true).err().unwrap().contains("longer than"));
        assert!(read(b"nonsense", true).is_err());
        let half = zstd::bulk::compress(&b"{}\n".repeat(1000), 3).unwrap();
        assert!(read(&half[..half.len() / 2], true).is_err());
        let long = read(&vec![b'x'; 2 << 20], false).unwrap();
        assert!(long[0].item.as_ref().unwrap_err().contains("longer than"));
        let lines = read(b"{}\n\xff\n\n{\"sequence\":1}\n", false).unwrap();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.item.is_err()));
    }
}
