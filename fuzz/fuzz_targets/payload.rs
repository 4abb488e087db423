//! Any JSON as the payload of any command; the first two bytes choose which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_schemas::command;

fuzz_target!(|data: &[u8]| {
    let Some((choice, json)) = data.split_first_chunk::<2>() else { return };
    let Ok(payload) = serde_json::from_slice(json) else { return };
    let which = usize::from(u16::from_be_bytes(*choice)) % command::all().count();
    let Some(spec) = command::all().nth(which) else { return };
    if let Ok(typed) = spec.decode(&payload) {
        let again = typed.value.payload().expect("what was read can be written");
        assert_eq!(spec.decode(&again).expect("and read again").value, typed.value);
    }
});
