//! Time inside an edit: which tempo map holds where, and from one timebase to
//! the other.

use std::{collections::BTreeMap, sync::Arc};

use pulse_schemas::{
    entity::{Clip, Lane, SignaturePoint, TempoPoint, Track},
    error::ErrorCode,
    id::{ArrangementId, LaneId},
    time::{Moment, SignatureMap, TempoMap, Ticks, Timebase},
};
use pulse_store::view::View;

use super::edit::Edit;
use crate::refusal::Refusal;

/// The tempo map of an arrangement. A merge may leave two tempos at one place;
/// the map takes one.
pub fn tempo_map(view: &View, arrangement: ArrangementId) -> Result<TempoMap, Refusal> {
    let points = view.members::<TempoPoint>(arrangement)?;
    let marks: Vec<_> = points.iter().map(Into::into).collect();
    Ok(TempoMap::repaired(&marks).0)
}

pub fn signature_map(view: &View, arrangement: ArrangementId) -> Result<SignatureMap, Refusal> {
    let points = view.members::<SignaturePoint>(arrangement)?;
    let marks: Vec<_> = points.iter().map(Into::into).collect();
    Ok(SignatureMap::repaired(&marks).0)
}

/// A moment of one timebase in another.
pub fn convert(tempo: &TempoMap, from: Timebase, moment: Moment, to: Timebase) -> Moment {
    match (from, to) {
        (Timebase::Musical, Timebase::Absolute) => tempo.flicks_at(moment.as_ticks()).into(),
        (Timebase::Absolute, Timebase::Musical) => tempo.tick_at(moment.as_flicks()).into(),
        _ => moment,
    }
}

/// A moment some ticks later. Musical moments need no tempo map.
pub fn later(tempo: &TempoMap, timebase: Timebase, moment: Moment, by: Ticks) -> Moment {
    let musical = convert(tempo, timebase, moment, Timebase::Musical);
    convert(tempo, Timebase::Musical, musical.saturating_add(by.into()), timebase)
}

/// The end of a clip, in its timebase.
pub fn end_of(clip: &Clip) -> Moment {
    clip.start.saturating_add(clip.length)
}

/// A place that can't be reached, as an error of the payload.
pub fn out_of_range(path: &str) -> Refusal {
    Refusal::new(ErrorCode::RangeInvalid, "that lies beyond what a project can hold")
        .with("path", path)
}

/// Tempo maps of the lanes that one edit touches, each read once.
#[derive(Default)]
pub struct Tempos {
    lanes: BTreeMap<LaneId, ArrangementId>,
    maps: BTreeMap<ArrangementId, Arc<TempoMap>>,
}

impl Tempos {
    pub fn of(&mut self, edit: &mut Edit<'_, '_>, lane: LaneId) -> Result<Arc<TempoMap>, Refusal> {
        let arrangement = match self.lanes.get(&lane) {
            Some(arrangement) => *arrangement,
            None => {
                let track = edit.get::<Lane>(lane)?.track;
                let arrangement = edit.get::<Track>(track)?.arrangement;
                self.lanes.insert(lane, arrangement);
                arrangement
            }
        };
        if let Some(map) = self.maps.get(&arrangement) {
            return Ok(Arc::clone(map));
        }
        let map = Arc::new(tempo_map(&edit.view()?, arrangement)?);
        self.maps.insert(arrangement, Arc::clone(&map));
        Ok(map)
    }
}
