//! Time: two units of whole numbers, and the maps between them.
//!
//! Positions are never samples of a project rate: a project has no rate, a
//! render has one. Musical positions are [`Ticks`] and follow the tempo map;
//! absolute ones are [`Flicks`] and do not.

mod amount;
mod frames;
mod groove;
mod length;
mod meter;
mod position;
pub mod tempo;
mod timeline;

pub use amount::{Flicks, Moment, POSITION_LIMIT, Ticks, Timebase};
pub use groove::{Groove, Quantise};
pub use length::{MusicalLength, ParseLengthError};
pub use meter::{
    MeterViolation, PositionError, Signature, SignatureMap, SignatureMark, SignatureViolation,
};
pub use position::{BarBeatTick, ParsePositionError};
pub use tempo::{BpmViolation, TempoMap, TempoMark, TempoShape, TempoViolation};
pub use timeline::{PointViolation, Timeline};

/// `short` cases of a property test, or a thousand times as many under `PULSE_SOAK`.
#[cfg(test)]
fn cases(short: u32) -> proptest::prelude::ProptestConfig {
    let soak = std::env::var_os("PULSE_SOAK").is_some_and(|value| value != "0");
    proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::with_cases(if soak { short * 1000 } else { short })
    }
}
