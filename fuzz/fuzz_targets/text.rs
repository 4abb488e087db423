//! Any text as an id, a time, a hash, a revision: what is read is written the
//! same way again, or read again as the same.

#![no_main]

use std::{fmt::Display, str::FromStr};

use libfuzzer_sys::fuzz_target;
use pulse_schemas::{
    envelope::Timestamp,
    hash::Hash,
    id::{AnyId, TrackId},
    time::{BarBeatTick, MusicalLength},
};
use pulse_store::rev::Rev;

fn survives<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value), "{text:?}");
    }
}

fuzz_target!(|text: &str| {
    survives::<AnyId>(text);
    survives::<TrackId>(text);
    survives::<Hash>(text);
    survives::<BarBeatTick>(text);
    survives::<Timestamp>(text);
    survives::<MusicalLength>(text);
    survives::<Rev>(text);
});
