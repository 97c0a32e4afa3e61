//! How content is stored so that nothing runs it and no other scanner takes it for what it was.
//!
//! Each byte is XORed with a stream that a random key of the file's own gives; the key lies beside it, as this hides nothing
//! from whoever may read both. Nobody can foresee the key, so nobody can make a file whose masked form is a program. A whole
//! block of zeros stays one, so that what is sparse stays sparse.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// What is zero in whole is left out.
const BLOCK: usize = 4096;
/// How much is read at once.
const BUFFER: usize = 64 * BLOCK;

/// The key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Mask {
    key: [u64; 2],
}

/// Which side of a mask has the content that is hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hashed {
    /// What is read.
    Input,
    /// What comes of it.
    Output,
}

impl Mask {
    /// One that nobody foresees.
    pub(super) fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        if got < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (first, second) = bytes.split_at(8);
        let word = |half: &[u8]| {
            half.iter()
                .fold(0, |word: u64, byte| word << 8 | u64::from(*byte))
        };
        Ok(Self {
            key: [word(first), word(second)],
        })
    }

    /// Masks what lies `at` that offset, a multiple of eight; done twice it is as before.
    fn apply(&self, bytes: &mut [u8], at: u64) {
        let [first, second] = self.key;
        let mut word = at / 8;
        for part in bytes.chunks_mut(8) {
            // SplitMix64, with the second half of the key between its two rounds.
            word = word.wrapping_add(1);
            let mut mixed = first.wrapping_add(word.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ second;
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            for (byte, key) in part.iter_mut().zip(mixed.to_le_bytes()) {
                *byte ^= key;
            }
        }
    }
}

/// Reads a file of at most `most` bytes, masks or unmasks it, writes it into an empty file; each of the last two if asked for.
/// Gives the SHA-256, in lower-case hexadecimal digits, and the length.
pub(super) fn pour(
    from: &File,
    mask: Option<&Mask>,
    to: Option<&File>,
    hashed: Hashed,
    most: u64,
) -> io::Result<(String, u64)> {
    let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; BUFFER], 0_u64);
    loop {
        let read = fill(from, &mut buffer, at)?;
        for block in buffer.get_mut(..read).unwrap_or_default().chunks_mut(BLOCK) {
            // A shorter one could be zero by chance once it is masked.
            let hole = block.len() == BLOCK && block.iter().all(|byte| *byte == 0);
            if hashed == Hashed::Input {
                hash.update(&*block);
            }
            if let Some(mask) = mask
                && !hole
            {
                mask.apply(block, at);
            }
            if hashed == Hashed::Output {
                hash.update(&*block);
            }
            if let Some(to) = to
                && !hole
            {
                to.write_all_at(block, at)?;
            }
            at = at.saturating_add(block.len() as u64);
        }
        if at > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if read < buffer.len() {
            break;
        }
    }
    if let Some(to) = to {
        to.set_len(at)?;
    }
    let digest = hash.finalize();
    Ok((digest.iter().map(|byte| format!("{byte:02x}")).collect(), at))
}

/// Fills the buffer as far as the file goes.
fn fill(from: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read_at(rest, at.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::MetadataExt as _;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn what_is_masked_comes_back_and_shows_nothing() {
        let long: Vec<u8> = (0..BUFFER + 5000_usize)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        for content in [&b""[..], b"x", b"<?php system($_GET['c']); ?>", &[0; 5000], &long] {
            for _ in 0..300 {
                let mask = Mask::random().unwrap();
                let (stored, back) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
                let put = pour(&file(content), Some(&mask), Some(&stored), Hashed::Input, 1 << 20).unwrap();
                let got = pour(&stored, Some(&mask), Some(&back), Hashed::Output, 1 << 20).unwrap();
                assert_eq!((&put, put.1), (&got, content.len() as u64));
                let (mut plain, mut masked) = (Vec::new(), Vec::new());
                (&back).read_to_end(&mut plain).unwrap();
                (&stored).read_to_end(&mut masked).unwrap();
                assert_eq!(plain, content);
                assert!(content.len() < 28 || content[..28] == [0; 28] || masked[..28] != content[..28]);
                if content.len() > 5000 {
                    break;
                }
            }
        }
    }

    #[test]
    fn what_is_sparse_stays_sparse_and_what_is_too_long_is_not_read_to_its_end() {
        let sparse = file(b"begin");
        sparse.set_len(64 << 20).unwrap();
        let (mask, stored) = (Mask::random().unwrap(), tempfile::tempfile().unwrap());
        pour(&sparse, Some(&mask), Some(&stored), Hashed::Input, 64 << 20).unwrap();
        let data = stored.metadata().unwrap();
        assert_eq!(data.len(), 64 << 20);
        assert!(data.blocks() * 512 < 1 << 20, "{}", data.blocks());
        let error = pour(&sparse, None, None, Hashed::Input, 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
