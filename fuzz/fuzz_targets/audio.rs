//! Any bytes as an audio file: a typed error, or frames until the file breaks.
//!
//! A panic in a decoder of another library is caught and taken for damage; the
//! hook that would end the run there is taken out, an uncaught one still ends it.

#![no_main]

use std::{io::Cursor, sync::Once};

use libfuzzer_sys::fuzz_target;
use pulse_engine::decode::Decoder;

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Ok(mut decoder) = Decoder::open(Box::new(Cursor::new(data.to_vec())), None) else { return };
    let middle = decoder.info().frames / 2;
    if let Ok(whole) = decoder.decode_all(4 << 20) {
        assert!(whole.audio.planes().into_iter().flatten().all(|s| s.is_finite()));
    }
    if decoder.seek(middle).is_ok() {
        let _ = decoder.content_id();
    }
});
