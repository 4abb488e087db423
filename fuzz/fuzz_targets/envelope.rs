//! Any bytes as an envelope; what is read has to survive being written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_schemas::codec::{self, Encoding};

fuzz_target!(|data: &[u8]| {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let Ok(envelope) = codec::decode(encoding, data) else { continue };
        let mut again = Vec::new();
        codec::encode(encoding, &envelope, &mut again).expect("what was read can be written");
        assert_eq!(codec::decode(encoding, &again).as_ref(), Ok(&envelope));
    }
});
