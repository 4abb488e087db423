//! The transport of an offline render: always playing, tempo from the map.

use std::sync::Arc;

use pulse_engine::transport::{Timeline, Transport};
use pulse_schemas::{
    entity::SignaturePoint,
    id::ArrangementId,
    time::{SignatureMap, SignatureMark, TempoMap, Ticks},
};

use crate::source::{Source, SourceExt};

/// Tempo and signatures at frames of one rate.
#[derive(Clone)]
pub struct SongTime {
    pub tempo: Arc<TempoMap>,
    pub signatures: Arc<SignatureMap>,
    pub rate: u32,
}

/// The signatures of an arrangement; of two at one place one is taken.
pub fn signature_map(source: &dyn Source, arrangement: ArrangementId) -> SignatureMap {
    let mut points = source.members_of::<SignaturePoint>(arrangement.0);
    points.sort_by_key(|point| (point.at, point.id));
    let marks: Vec<SignatureMark> = points.iter().map(Into::into).collect();
    SignatureMap::repaired(&marks).0
}

impl SongTime {
    pub fn of(source: &dyn Source, arrangement: ArrangementId, rate: u32) -> SongTime {
        let tempo = Arc::new(crate::content::tempo_map(source, arrangement));
        SongTime { tempo, signatures: Arc::new(signature_map(source, arrangement)), rate }
    }

    pub fn ticks_at(&self, frame: i64) -> Ticks {
        self.tempo.tick_at_frame(frame, self.rate)
    }
}

impl Timeline for SongTime {
    fn at(&self, frame: i64) -> Transport {
        let ticks = self.ticks_at(frame);
        let signature = self.signatures.signature_at(ticks);
        Transport {
            song_frame: frame,
            ticks: ticks.0 as f64,
            tempo: self.tempo.bpm_at(ticks),
            signature_numerator: signature.numerator,
            signature_denominator: signature.denominator,
            ..Transport::default()
        }
    }
}
