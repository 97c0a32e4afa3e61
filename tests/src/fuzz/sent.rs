//! What comes over sockets.

use picket_agent::scan;
use picket_collector::receive::read_batch;
use picket_common::wire::LARGEST_BATCH;

pub(super) fn scan_message(bytes: &[u8]) {
    if let Some(again) = scan::written_again(bytes) {
        assert_eq!(scan::written_again(&again).as_deref(), Some(&*again));
    }
}

/// The first byte says whether the rest is compressed.
pub(super) fn batch(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let Ok(lines) = read_batch(body, first % 2 == 1) else {
        return;
    };
    let mut length = 0;
    for line in &lines {
        length += line.text.len();
        if let Ok(item) = &line.item {
            let again = serde_json::to_string(item).expect("it can be kept");
            assert_eq!(serde_json::from_str(&again).ok().as_ref(), Some(item));
        }
    }
    assert!(length <= LARGEST_BATCH && lines.len() <= LARGEST_BATCH);
}
