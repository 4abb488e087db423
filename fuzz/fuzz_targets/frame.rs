//! Any bytes, in any cutting, through the frame decoder.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_schemas::frame::{FrameDecoder, stream::StreamFrame};

const LIMIT: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else { return };
    let mut decoder = FrameDecoder::new(LIMIT);
    for chunk in bytes.chunks(usize::from(size) + 1) {
        decoder.push(chunk);
        loop {
            match decoder.next() {
                Ok(Some(body)) => drop(StreamFrame::read(body)),
                Ok(None) => break,
                Err(error) if error.is_fatal() => return,
                Err(_) => {}
            }
        }
        assert!(decoder.pending() <= LIMIT + 4 + chunk.len());
    }
});
