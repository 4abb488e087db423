//! Notes and events of MIDI clips.
//!
//! Every command reads the notes it is about once and writes each at most once,
//! by owner, so that thousands of them cost one pass.

mod feel;
mod shape;

pub use feel::Pull;
pub use shape::times;

use pulse_schemas::{
    command::note::{
        Add, AddEvents, Added, Command, Delete, DeleteEvents, Duplicate, Duplicated, EventsAdded,
        List, Move, NewNote, NoteChange, Notes, Update, UpdateEvent,
    },
    entity::{Clip, ClipContent, MidiEvent, Note},
    error::ErrorCode,
    id::{ClipId, MidiEventId, NoteId},
    time::Ticks,
};

use super::{
    edit::{Edit, done, reply},
    page::cut,
    time::out_of_range,
    words::counted,
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

/// Velocity of notes that say none.
const USUAL_VELOCITY: u16 = 51_200;

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Add(payload) => add(edit, payload),
        Command::Update(payload) => update(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Quantise(payload) => feel::quantise(edit, payload),
        Command::Humanise(payload) => feel::humanise(edit, payload),
        Command::Scale(payload) => shape::scale(edit, payload),
        Command::Legato(payload) => shape::legato(edit, payload),
        Command::Split(payload) => shape::split(edit, payload),
        Command::AddEvents(payload) => add_events(edit, payload),
        Command::UpdateEvent(payload) => update_event(edit, payload),
        Command::DeleteEvents(payload) => delete_events(edit, payload),
        Command::ExtractGroove(payload) => feel::extract_groove(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// The clip, if it can hold notes.
fn midi_clip(edit: &mut Edit<'_, '_>, id: ClipId) -> Result<Clip, Refusal> {
    let clip: Clip = edit.get(id)?;
    if clip.content == ClipContent::Midi {
        return Ok(clip);
    }
    let text = "notes and events lie in MIDI clips; this one holds something else";
    Err(Refusal::new(ErrorCode::EntityInvalid, text).with("entity", id.any().to_string()))
}

fn note(edit: &mut Edit<'_, '_>, clip: ClipId, id: NoteId) -> Result<Note, Refusal> {
    edit.tx.get_owned::<Note>(clip.0, id)?.ok_or_else(|| Refusal::not_found(id))
}

/// The named notes of a clip, or all of them, in order of their starts.
fn chosen(edit: &mut Edit<'_, '_>, clip: ClipId, ids: &[NoteId]) -> Result<Vec<Note>, Refusal> {
    if ids.is_empty() {
        return edit.members::<Note>(clip);
    }
    let mut ids = ids.to_vec();
    ids.sort();
    ids.dedup();
    let notes = ids.into_iter().map(|id| note(edit, clip, id));
    let mut notes = notes.collect::<Result<Vec<_>, _>>()?;
    notes.sort_by_key(|note| (note.start, note.id));
    Ok(notes)
}

/// A note as the payload describes it.
pub fn made(edit: &mut Edit<'_, '_>, clip: ClipId, new: &NewNote) -> Note {
    Note {
        id: NoteId(edit.id()),
        clip,
        pitch: new.pitch,
        tuning: new.tuning.unwrap_or(0.0),
        start: new.start,
        length: new.length,
        velocity: new.velocity.unwrap_or(USUAL_VELOCITY),
        release_velocity: new.release_velocity.unwrap_or(0),
        channel: new.channel,
        mute: new.mute,
        probability: new.probability.unwrap_or(1.0),
        expression: new.expression.clone(),
    }
}

fn add(edit: &mut Edit<'_, '_>, payload: &Add) -> Reply {
    midi_clip(edit, payload.clip)?;
    edit.label(format!("Add {}", counted(payload.notes.len(), "note")));
    let mut notes = Vec::with_capacity(payload.notes.len());
    for new in &payload.notes {
        let note = made(edit, payload.clip, new);
        notes.push(note.id);
        edit.put(note)?;
    }
    reply(Added { notes })
}

fn update(edit: &mut Edit<'_, '_>, payload: &Update) -> Reply {
    midi_clip(edit, payload.clip)?;
    edit.label(format!("Change {}", counted(payload.changes.len(), "note")));
    for change in &payload.changes {
        let mut note = note(edit, payload.clip, change.note)?;
        apply(&mut note, change);
        edit.put(note)?;
    }
    done()
}

fn apply(note: &mut Note, change: &NoteChange) {
    note.pitch = change.pitch.unwrap_or(note.pitch);
    note.start = change.start.unwrap_or(note.start);
    note.length = change.length.unwrap_or(note.length);
    note.velocity = change.velocity.unwrap_or(note.velocity);
    note.release_velocity = change.release_velocity.unwrap_or(note.release_velocity);
    note.channel = change.channel.unwrap_or(note.channel);
    note.tuning = change.tuning.unwrap_or(note.tuning);
    note.probability = change.probability.unwrap_or(note.probability);
    note.mute = change.mute.unwrap_or(note.mute);
    if let Some(expression) = &change.expression {
        note.expression.clone_from(expression);
    }
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let notes = chosen(edit, payload.clip, &payload.notes)?;
    edit.label(format!("Delete {}", counted(notes.len(), "note")));
    for note in notes {
        edit.tx.remove_owned(payload.clip.0, note.id)?;
    }
    done()
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    midi_clip(edit, payload.clip)?;
    let notes = chosen(edit, payload.clip, &payload.notes)?;
    let verb = if payload.by.is_none() { "Transpose" } else { "Move" };
    edit.label(format!("{verb} {}", counted(notes.len(), "note")));
    for mut note in notes {
        note.pitch = transposed(&note, payload.transpose.unwrap_or(0))?;
        note.start = moved(note.start, payload.by.unwrap_or(Ticks::ZERO))?;
        edit.put(note)?;
    }
    done()
}

fn transposed(note: &Note, by: i8) -> Result<u8, Refusal> {
    let pitch = i16::from(note.pitch) + i16::from(by);
    u8::try_from(pitch).ok().filter(|pitch| *pitch <= 127).ok_or_else(|| {
        let text = format!("key {} moved by {by} leaves the keyboard (0 to 127)", note.pitch);
        Refusal::range("payload.transpose", text).with("entity", note.id.any().to_string())
    })
}

fn moved(start: Ticks, by: Ticks) -> Result<Ticks, Refusal> {
    start.checked_add(by).ok_or_else(|| out_of_range("payload.by"))
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let target = midi_clip(edit, payload.to.unwrap_or(payload.clip))?.id;
    let originals = chosen(edit, payload.clip, &payload.notes)?;
    edit.label(format!("Duplicate {}", counted(originals.len(), "note")));
    let mut copies = std::collections::BTreeMap::new();
    for original in originals {
        let id = NoteId(edit.id());
        let start = moved(original.start, payload.by)?;
        copies.insert(original.id, id);
        edit.put(Note { id, clip: target, start, ..original })?;
    }
    let notes = payload.notes.iter().filter_map(|id| copies.get(id).copied()).collect();
    reply(Duplicated { notes })
}

fn event(edit: &mut Edit<'_, '_>, clip: ClipId, id: MidiEventId) -> Result<MidiEvent, Refusal> {
    edit.tx.get_owned::<MidiEvent>(clip.0, id)?.ok_or_else(|| Refusal::not_found(id))
}

fn add_events(edit: &mut Edit<'_, '_>, payload: &AddEvents) -> Reply {
    midi_clip(edit, payload.clip)?;
    edit.label(format!("Add {}", counted(payload.events.len(), "event")));
    let mut events = Vec::with_capacity(payload.events.len());
    for new in &payload.events {
        let id = MidiEventId(edit.id());
        let message = new.message.clone();
        let event = MidiEvent { id, clip: payload.clip, at: new.at, channel: new.channel, message };
        events.push(id);
        edit.put(event)?;
    }
    reply(EventsAdded { events })
}

fn update_event(edit: &mut Edit<'_, '_>, payload: &UpdateEvent) -> Reply {
    let mut event = event(edit, payload.clip, payload.event)?;
    edit.label("Change an event");
    event.at = payload.at.unwrap_or(event.at);
    event.channel = payload.channel.unwrap_or(event.channel);
    if let Some(message) = &payload.message {
        event.message = message.clone();
    }
    edit.put(event)?;
    done()
}

fn delete_events(edit: &mut Edit<'_, '_>, payload: &DeleteEvents) -> Reply {
    edit.label(format!("Delete {}", counted(payload.events.len(), "event")));
    for id in &payload.events {
        event(edit, payload.clip, *id)?;
        edit.tx.remove_owned(payload.clip.0, *id)?;
    }
    done()
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    view.get::<Clip>(payload.clip)?.ok_or_else(|| Refusal::not_found(payload.clip))?;
    let from = payload.from.unwrap_or(Ticks::MIN);
    let to = payload.to.unwrap_or(Ticks::MAX);
    let mut notes = view.members::<Note>(payload.clip)?;
    notes.retain(|note| note.start < to && note.start.saturating_add(note.length) > from);
    let mut events = view.members::<MidiEvent>(payload.clip)?;
    events.retain(|event| (from..to).contains(&event.at));
    let (notes, more_notes) = cut(notes, &payload.page);
    let (events, more_events) = cut(events, &payload.page);
    reply(Notes { notes, events, more: more_notes || more_events })
}

#[cfg(test)]
mod tests;
