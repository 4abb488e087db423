//! The transport: where the song stands, and what moves it.
//!
//! Places are kept in ticks and handed to the playback in flicks, so that a
//! transport that stands at bar 5 stands there after the tempo was changed.

use pulse_query::{content::tempo_map, source::SourceExt, stored::Stored};
use pulse_schemas::{
    command::{
        transport::{Place, PlayState, TransportState},
        types::TimeRange,
    },
    entity::{Marker, Section, SignaturePoint},
    id::ArrangementId,
    time::{Flicks, SignatureMap, TempoMap, Ticks},
};
use pulse_store::view::View;

use crate::{
    playback::{Playback, Roll, Rolling},
    refusal::Refusal,
};

/// The tempo and the bars of an arrangement.
pub struct SongTime {
    pub tempo: TempoMap,
    pub bars: SignatureMap,
}

impl SongTime {
    pub fn of(view: &View, arrangement: ArrangementId) -> SongTime {
        let source = Stored::new(view.clone());
        let mut points = source.members_of::<SignaturePoint>(arrangement.0);
        points.sort_by_key(|point| (point.at, point.id));
        let marks: Vec<_> = points.iter().map(Into::into).collect();
        SongTime { tempo: tempo_map(&source, arrangement), bars: SignatureMap::repaired(&marks).0 }
    }

    /// Where a place is; ticks before the start are refused.
    pub fn resolve(&self, view: &View, place: &Place) -> Result<Ticks, Refusal> {
        let at = if let Some(ticks) = place.ticks {
            ticks
        } else if let Some(flicks) = place.flicks {
            self.tempo.tick_at(flicks)
        } else if let Some(text) = &place.text {
            let parsed = self.bars.parse(text);
            parsed.map_err(|error| Refusal::range("payload.text", error.to_string()))?
        } else if let Some(id) = place.marker {
            let marker: Marker = view.get(id)?.ok_or_else(|| Refusal::not_found(id))?;
            self.tempo.ticks_of(marker.timebase, marker.at)
        } else if let Some(id) = place.section {
            let section: Section = view.get(id)?.ok_or_else(|| Refusal::not_found(id))?;
            section.start
        } else {
            return Err(Refusal::range("payload", "name a place to go to"));
        };
        if at.0 < 0 {
            return Err(Refusal::range(
                "payload",
                "the song starts at 0; there is nothing before it",
            ));
        }
        Ok(at.clamped())
    }
}

/// Settings and state beside the playback's own position.
#[derive(Clone, Debug)]
pub struct Transport {
    pub state: PlayState,
    /// Where it stands while it doesn't move.
    at: Ticks,
    /// Where play began: a second stop goes there.
    origin: Ticks,
    pub loop_enabled: bool,
    pub loop_range: Option<TimeRange>,
    pub punch_enabled: bool,
    pub punch_range: Option<TimeRange>,
    pub count_in: u8,
    pub pre_roll: Ticks,
    pub metronome: bool,
    pub metronome_db: f64,
}

impl Default for Transport {
    fn default() -> Transport {
        Transport {
            state: PlayState::Stopped,
            at: Ticks(0),
            origin: Ticks(0),
            loop_enabled: false,
            loop_range: None,
            punch_enabled: false,
            punch_range: None,
            count_in: 0,
            pre_roll: Ticks(0),
            metronome: false,
            metronome_db: 0.0,
        }
    }
}

impl Transport {
    pub fn is_moving(&self) -> bool {
        matches!(self.state, PlayState::Playing | PlayState::Recording)
    }

    pub fn position(&self, playback: &dyn Playback, time: &SongTime) -> Ticks {
        if self.is_moving() { time.tempo.tick_at(playback.position()) } else { self.at }
    }

    /// Plays, or with `record` rolls in as for a recording: count-in, pre-roll.
    pub fn play(
        &mut self,
        playback: &mut dyn Playback,
        time: &SongTime,
        from: Option<Ticks>,
        record: bool,
    ) {
        let at = from.unwrap_or_else(|| self.position(playback, time));
        self.apply_loop(playback, time);
        self.apply_punch(playback, time);
        playback.play(&self.roll(time, at, record));
        if !self.is_moving() || from.is_some() {
            self.origin = at;
        }
        self.at = at;
        self.state = PlayState::Playing;
    }

    fn roll(&self, time: &SongTime, at: Ticks, record: bool) -> Roll {
        let from = time.tempo.flicks_at(at);
        if !record {
            return Roll::from(from);
        }
        // Nothing lies before the start of the song.
        let first = Ticks((at.0 - self.pre_roll.0).max(0));
        let bar = time.bars.signature_at(first).bar().as_quarters();
        let bars = bar * f64::from(self.count_in);
        let seconds = bars * 60.0 / time.tempo.bpm_at(first).max(1.0);
        Roll {
            from,
            pre_roll: Flicks(from.0 - time.tempo.flicks_at(first).0),
            count_in: self.count_in,
            count_in_time: Flicks((seconds * 705_600_000.0) as i64),
            record,
        }
    }

    /// Stays where it is; from a stand, goes back to where play began.
    pub fn stop(&mut self, playback: &mut dyn Playback, time: &SongTime) {
        if self.state == PlayState::Stopped {
            self.at = self.origin;
            playback.seek(time.tempo.flicks_at(self.at));
        } else {
            self.at = self.position(playback, time);
            playback.halt(false);
        }
        self.state = PlayState::Stopped;
    }

    pub fn pause(&mut self, playback: &mut dyn Playback, time: &SongTime) {
        if self.is_moving() {
            self.at = self.position(playback, time);
            playback.halt(true);
            self.state = PlayState::Paused;
        }
    }

    pub fn seek(&mut self, playback: &mut dyn Playback, time: &SongTime, to: Ticks) {
        self.at = to;
        if !self.is_moving() {
            self.origin = to;
        }
        playback.seek(time.tempo.flicks_at(to));
    }

    /// Tells the playback which stretch repeats, at the tempo of now.
    pub fn apply_loop(&self, playback: &mut dyn Playback, time: &SongTime) {
        let flicks = |at: Ticks| -> Flicks { time.tempo.flicks_at(at) };
        let range = self.loop_range.filter(|_| self.loop_enabled);
        playback.set_loop(range.map(|range| (flicks(range.start), flicks(range.end))));
    }

    /// Tells the playback where recording begins and ends, at the tempo of now.
    pub fn apply_punch(&self, playback: &mut dyn Playback, time: &SongTime) {
        let flicks = |at: Ticks| -> Flicks { time.tempo.flicks_at(at) };
        let range = self.punch_range.filter(|_| self.punch_enabled);
        playback.set_punch(range.map(|range| (flicks(range.start), flicks(range.end))));
    }

    /// What it does, to the moment: a transport that plays may still be counting.
    fn doing(&self, playback: &dyn Playback) -> PlayState {
        if !self.is_moving() {
            return self.state;
        }
        match playback.rolling() {
            Rolling { counting: true, .. } => PlayState::CountingIn,
            Rolling { recording: true, .. } => PlayState::Recording,
            Rolling { .. } => PlayState::Playing,
        }
    }

    pub fn report(&self, playback: &dyn Playback, time: &SongTime) -> TransportState {
        let ticks = self.position(playback, time);
        TransportState {
            state: self.doing(playback),
            ticks,
            flicks: time.tempo.flicks_at(ticks),
            text: time.bars.format(ticks),
            bpm: time.tempo.bpm_at(ticks),
            loop_enabled: self.loop_enabled,
            loop_range: self.loop_range,
            punch_enabled: self.punch_enabled,
            punch_range: self.punch_range,
            count_in: self.count_in,
            pre_roll: self.pre_roll,
            metronome: self.metronome,
        }
    }
}
