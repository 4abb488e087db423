//! Notes and controllers of a track, as events at frames.

use pulse_schemas::{
    entity::{
        Clip, ClipContent, ExpressionDimension, ExpressionPoint, LaneKind, MidiEvent, MidiMessage,
        Note, Track,
    },
    graph::{SpecEvent, SpecEventBody},
    id::{AnyId, EntityId},
    time::{Ticks, Timebase},
};

use super::{
    Ctx,
    repeat::{Pass, passes},
    sorted_lanes, waits_in_slot,
};
use crate::source::SourceExt;

/// All events of a track, sorted by frame, rank and id.
pub fn track_events(ctx: &Ctx<'_>, track: &Track) -> Vec<SpecEvent> {
    let mut events = Vec::new();
    for lane in sorted_lanes(ctx.source, track) {
        if lane.lane_kind == LaneKind::Midi && !lane.mute {
            for clip in ctx.source.referring::<Clip>(lane.id) {
                let plays = clip.lane == lane.id && clip.content == ClipContent::Midi && !clip.mute;
                if plays && !waits_in_slot(ctx.source, &clip) {
                    clip_events(ctx, &clip, &mut events);
                }
            }
        }
    }
    events.sort_by_key(|event| (event.frame, event.body.rank(), event.id));
    events
}

fn clip_events(ctx: &Ctx<'_>, clip: &Clip, events: &mut Vec<SpecEvent>) {
    let place = Place::new(ctx, clip);
    let notes = ctx.source.members_of::<Note>(clip.id.0);
    let others = ctx.source.members_of::<MidiEvent>(clip.id.0);
    for pass in passes(ctx, clip, Timebase::Musical) {
        notes.iter().for_each(|note| place.note(note, &pass, events));
        others.iter().for_each(|other| place.other(other, &pass, events));
    }
}

fn inside(at: Ticks, pass: &Pass) -> bool {
    (pass.from..pass.to).contains(&at.0)
}

/// Whether a note sounds in a pass: its start lies inside, and its chance says
/// so. The chance is a function of the note and the pass, so that a render is
/// the same each time.
fn plays(note: &Note, pass: &Pass) -> bool {
    let certain = note.probability >= 1.0;
    !note.mute
        && inside(note.start, pass)
        && (certain || chance(note.id.0, pass.index) < note.probability)
}

fn chance(id: EntityId, pass: u32) -> f64 {
    let mut hasher = blake3::Hasher::new_derive_key("pulse note chance v1");
    hasher.update(&id.to_bytes());
    hasher.update(&pass.to_be_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

/// Where a clip puts what it holds.
pub(super) struct Place<'a> {
    ctx: &'a Ctx<'a>,
    clip: &'a Clip,
    pub start: Ticks,
}

impl<'a> Place<'a> {
    pub fn new(ctx: &'a Ctx<'a>, clip: &'a Clip) -> Place<'a> {
        Place { ctx, clip, start: ctx.tempo.ticks_of(clip.timebase, clip.start) }
    }
    /// Frame of a position after the start of the clip.
    fn frame(&self, after_start: i64) -> i64 {
        self.ctx.tempo.frame_at(self.start.saturating_add(Ticks(after_start)), self.ctx.rate)
    }

    /// What a pass says of a message, if anything.
    pub fn other(&self, other: &MidiEvent, pass: &Pass, events: &mut Vec<SpecEvent>) {
        if inside(other.at, pass) {
            let frame = self.frame(other.at.0 + pass.shift);
            let body = midi_body(other);
            events.extend(body.map(|body| SpecEvent { frame, id: other.id.any(), body }));
        }
    }

    /// What a pass says of a note, if it plays.
    pub fn note(&self, note: &Note, pass: &Pass, events: &mut Vec<SpecEvent>) {
        if !plays(note, pass) {
            return;
        }
        let id: AnyId = note.id.any();
        let on = self.frame(note.start.0 + pass.shift);
        let end = note.start.saturating_add(note.length).0.min(pass.to);
        let off = self.frame(end + pass.shift).max(on + 1);
        let transpose = self.clip.transpose;
        let key = (f64::from(note.pitch) + libm::rint(transpose)).clamp(0.0, 127.0) as u8;
        let pitch = f64::from(note.pitch) + transpose + note.tuning / 100.0;
        let (channel, velocity) = (note.channel, level(note.velocity));
        let body = SpecEventBody::NoteOn { channel, key, pitch, velocity };
        events.push(SpecEvent { frame: on, id, body });
        for point in &note.expression {
            let frame = self.frame(note.start.0 + pass.shift + point.at.0);
            if frame < off {
                events.push(SpecEvent { frame, id, body: expression(point) });
            }
        }
        let velocity = level(note.release_velocity);
        events.push(SpecEvent {
            frame: off,
            id,
            body: SpecEventBody::NoteOff { channel, key, velocity },
        });
    }
}

fn level(sixteen_bits: u16) -> f32 {
    f32::from(sixteen_bits) / 65_535.0
}

fn level32(bits: u32) -> f32 {
    (f64::from(bits) / f64::from(u32::MAX)) as f32
}

fn expression(point: &ExpressionPoint) -> SpecEventBody {
    match point.dimension {
        ExpressionDimension::Pitch => SpecEventBody::NoteTuning { semitones: point.value },
        ExpressionDimension::Pressure => SpecEventBody::NotePressure { value: point.value as f32 },
        ExpressionDimension::Timbre => SpecEventBody::NoteTimbre { value: point.value as f32 },
        ExpressionDimension::Gain => SpecEventBody::NoteGain { value: point.value as f32 },
        ExpressionDimension::Pan => SpecEventBody::NotePan { value: point.value as f32 },
    }
}

fn midi_body(event: &MidiEvent) -> Option<SpecEventBody> {
    let channel = event.channel;
    match event.message {
        MidiMessage::Controller { number, value } => {
            Some(SpecEventBody::Controller { channel, controller: number, value: level32(value) })
        }
        MidiMessage::PitchBend { value } => {
            Some(SpecEventBody::PitchBend { channel, value: value as f32 })
        }
        MidiMessage::ChannelPressure { value } => {
            Some(SpecEventBody::Pressure { channel, value: level32(value) })
        }
        MidiMessage::Program { number, .. } => {
            Some(SpecEventBody::Program { channel, program: number })
        }
        MidiMessage::PolyPressure { .. } | MidiMessage::SysEx { .. } | MidiMessage::AllNotesOff => {
            None
        }
    }
}
