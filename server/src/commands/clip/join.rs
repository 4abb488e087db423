//! Several clips made one.
//!
//! MIDI clips are unrolled: what sounds, in the order in which it sounds, becomes
//! the content of the first one. Audio is not rendered here, so audio clips have
//! to be parts of one recording that follow each other.

use pulse_schemas::{
    command::clip::{Merge, Merged},
    entity::{
        AudioRegion, AutomationEnvelope, AutomationPoint, Clip, ClipContent, EnvelopeOwner,
        MidiEvent, Note,
    },
    error::ErrorCode,
    id::{AutomationEnvelopeId, AutomationPointId, ClipId, MidiEventId, NoteId},
    time::{Moment, Ticks, Timebase},
};

use super::content::envelopes_of;
use crate::{
    commands::{
        edit::{Edit, reply},
        time::end_of,
        words::counted,
    },
    refusal::{Refusal, Reply},
};

/// Most passes of a loop that are unrolled.
const PASSES_MAX: usize = 10_000;

/// What lies in `from..to` of the content sounds `shift` later in the joined clip.
struct Pass {
    from: i64,
    to: i64,
    shift: i64,
}

pub fn join(edit: &mut Edit<'_, '_>, payload: &Merge) -> Reply {
    let mut clips = Vec::new();
    for id in &payload.clips {
        clips.push(edit.get::<Clip>(*id)?);
    }
    clips.sort_by_key(|clip| (clip.start, clip.id));
    clips.dedup_by_key(|clip| clip.id);
    edit.label(format!("Join {}", counted(clips.len(), "clip")));
    let Some((first, rest)) = clips.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(Refusal::range("payload.clips", "two clips or more can be joined"));
    };
    for clip in rest {
        let alike = clip.lane == first.lane
            && clip.timebase == first.timebase
            && clip.content == first.content;
        if !alike {
            return Err(apart(clip.id, "it has another lane, timebase or kind than the first"));
        }
    }
    let end = clips.iter().map(end_of).max().unwrap_or(first.start);
    let mut joined = match first.content {
        ClipContent::Midi => join_midi(edit, first, rest)?,
        _ => join_audio(edit, first, rest)?,
    };
    joined.length = end.saturating_sub(joined.start);
    if let Some(name) = &payload.name {
        joined.name.clone_from(name);
    }
    let id = joined.id;
    edit.put(joined)?;
    edit.delete(rest.iter().map(|clip| clip.id))?;
    reply(Merged { clip: id })
}

fn apart(clip: ClipId, why: &str) -> Refusal {
    let text =
        format!("the clips can't be joined: {why}; `rendering.bounce` makes new audio of them");
    Refusal::new(ErrorCode::EntityInvalid, text).with("entity", clip.any().to_string())
}

fn join_audio(edit: &mut Edit<'_, '_>, first: &Clip, rest: &[Clip]) -> Result<Clip, Refusal> {
    let source = regions(edit, first.id)?;
    let mut joined = first.clone();
    for clip in rest {
        let goes_on = clip.slip.0 - first.slip.0 == clip.start.0 - first.start.0
            && clip.start == end_of(&joined)
            && clip.loop_length.is_none()
            && first.loop_length.is_none();
        let sounds_alike = clip.gain_db == first.gain_db
            && clip.pan == first.pan
            && clip.mute == first.mute
            && clip.stretch == first.stretch
            && clip.reverse == first.reverse
            && clip.transpose == first.transpose;
        if !goes_on || regions(edit, clip.id)? != source {
            return Err(apart(clip.id, "it does not go on where the one before it ends"));
        }
        if !sounds_alike {
            return Err(apart(clip.id, "its gain, pan, stretch or transposition is another one"));
        }
        joined.length = end_of(clip).saturating_sub(first.start);
        joined.fade_out = clip.fade_out.clone();
    }
    Ok(joined)
}

/// The regions of a clip, apart from whose they are.
fn regions(edit: &mut Edit<'_, '_>, clip: ClipId) -> Result<Vec<AudioRegion>, Refusal> {
    let mut regions = edit.members::<AudioRegion>(clip)?;
    for region in &mut regions {
        (region.id, region.clip) = Default::default();
    }
    Ok(regions)
}

fn join_midi(edit: &mut Edit<'_, '_>, first: &Clip, rest: &[Clip]) -> Result<Clip, Refusal> {
    if first.timebase == Timebase::Absolute {
        return Err(apart(first.id, "MIDI clips in absolute time have no common raster"));
    }
    let mut all = vec![first];
    all.extend(rest);
    for clip in all {
        let shift = clip.start.0 - first.start.0;
        let passes = passes(clip, shift);
        let pitch = clip.transpose - first.transpose;
        if pitch.fract() != 0.0 {
            return Err(apart(clip.id, "it is transposed by parts of a semitone"));
        }
        move_notes(edit, clip, first.id, &passes, pitch as i16)?;
        move_events(edit, clip, first.id, &passes)?;
        move_envelopes(edit, clip, first.id, &passes)?;
    }
    Ok(Clip {
        slip: Moment::ZERO,
        loop_start: Moment::ZERO,
        loop_length: None,
        mute: false,
        ..first.clone()
    })
}

fn passes(clip: &Clip, shift: i64) -> Vec<Pass> {
    let (slip, length) = (clip.slip.0, clip.length.0);
    let size = clip.loop_length.map_or(0, |length| length.0);
    let end = clip.loop_start.0 + size;
    if size <= 0 || slip >= end {
        return vec![Pass { from: slip, to: slip + length, shift: shift - slip }];
    }
    let (mut found, mut from, mut at) = (Vec::new(), slip, 0);
    while at < length && found.len() < PASSES_MAX {
        let to = end.min(from + (length - at));
        found.push(Pass { from, to, shift: shift + at - from });
        at += to - from;
        from = clip.loop_start.0;
    }
    found
}

fn move_notes(
    edit: &mut Edit<'_, '_>,
    clip: &Clip,
    to: ClipId,
    passes: &[Pass],
    pitch: i16,
) -> Result<(), Refusal> {
    let notes = edit.members::<Note>(clip.id)?;
    for note in &notes {
        edit.tx.remove_owned(clip.id.0, note.id)?;
    }
    for (turn, pass) in passes.iter().enumerate() {
        for note in notes.iter().filter(|note| (pass.from..pass.to).contains(&note.start.0)) {
            // What sounds once in the first clip is the note that it was.
            let keeps = clip.id == to && turn == 0;
            let id = if keeps { note.id } else { NoteId(edit.id()) };
            let end = note.start.saturating_add(note.length).0.min(pass.to);
            edit.put(Note {
                id,
                clip: to,
                pitch: (i16::from(note.pitch) + pitch).clamp(0, 127) as u8,
                start: Ticks(note.start.0 + pass.shift).clamped(),
                length: Ticks((end - note.start.0).max(1)),
                mute: note.mute || clip.mute,
                ..note.clone()
            })?;
        }
    }
    Ok(())
}

fn move_events(
    edit: &mut Edit<'_, '_>,
    clip: &Clip,
    to: ClipId,
    passes: &[Pass],
) -> Result<(), Refusal> {
    let events = edit.members::<MidiEvent>(clip.id)?;
    for event in &events {
        edit.tx.remove_owned(clip.id.0, event.id)?;
    }
    for pass in passes {
        for event in events.iter().filter(|event| (pass.from..pass.to).contains(&event.at.0)) {
            let id = MidiEventId(edit.id());
            let at = Ticks(event.at.0 + pass.shift).clamped();
            edit.put(MidiEvent { id, clip: to, at, ..event.clone() })?;
        }
    }
    Ok(())
}

/// Curves of one parameter become one curve.
fn move_envelopes(
    edit: &mut Edit<'_, '_>,
    clip: &Clip,
    to: ClipId,
    passes: &[Pass],
) -> Result<(), Refusal> {
    for envelope in envelopes_of(&edit.view()?, clip.id)? {
        let points = edit.members::<AutomationPoint>(envelope.id)?;
        for point in &points {
            edit.tx.remove_owned(envelope.id.0, point.id)?;
        }
        let target = envelope_in(edit, &envelope, to)?;
        for pass in passes {
            for point in points.iter().filter(|point| (pass.from..=pass.to).contains(&point.at.0)) {
                let id = AutomationPointId(edit.id());
                let at = Moment((point.at.0 + pass.shift).max(0));
                edit.put(AutomationPoint { id, envelope: target, at, ..point.clone() })?;
            }
        }
    }
    Ok(())
}

fn envelope_in(
    edit: &mut Edit<'_, '_>,
    like: &AutomationEnvelope,
    clip: ClipId,
) -> Result<AutomationEnvelopeId, Refusal> {
    let known = envelopes_of(&edit.view()?, clip)?.into_iter().find(|envelope| {
        envelope.target == like.target
            && envelope.parameter == like.parameter
            && envelope.timebase == like.timebase
    });
    if let Some(known) = known {
        return Ok(known.id);
    }
    let id = AutomationEnvelopeId(edit.id());
    let owner = EnvelopeOwner::Clip { clip };
    edit.put(AutomationEnvelope { id, owner, ..like.clone() })?;
    Ok(id)
}
