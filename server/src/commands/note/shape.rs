//! Lengths and places of notes, by factors and by their neighbours.

use std::collections::BTreeMap;

use pulse_schemas::{
    command::note::{Legato, Scale, Split, SplitNotes},
    entity::{ExpressionDimension, ExpressionPoint, Note},
    id::NoteId,
    time::Ticks,
};

use super::{chosen, feel::level, midi_clip};
use crate::{
    commands::{
        edit::{Edit, done, reply},
        time::out_of_range,
        words::counted,
    },
    refusal::{Refusal, Reply},
};

/// A whole number times a factor, halves going up.
pub fn times(amount: i64, factor: f64) -> i64 {
    if factor == 1.0 { amount } else { (amount as f64 * factor + 0.5).floor() as i64 }
}

pub fn scale(edit: &mut Edit<'_, '_>, payload: &Scale) -> Reply {
    let clip = midi_clip(edit, payload.clip)?;
    let notes = chosen(edit, clip.id, &payload.notes)?;
    edit.label(format!("Scale {}", counted(notes.len(), "note")));
    let time = payload.time.unwrap_or(1.0);
    let length = time * payload.length.unwrap_or(1.0);
    for mut note in notes {
        let start = clip.slip.0 + times(note.start.0 - clip.slip.0, time);
        note.start = in_range(start, "payload.time")?;
        note.length = in_range(times(note.length.0, length).max(1), "payload.length")?;
        if let Some(factor) = payload.velocity {
            note.velocity = level(f64::from(note.velocity) * factor);
        }
        for point in &mut note.expression {
            point.at = in_range(times(point.at.0, length), "payload.length")?;
        }
        edit.put(note)?;
    }
    done()
}

fn in_range(ticks: i64, path: &str) -> Result<Ticks, Refusal> {
    Some(Ticks(ticks)).filter(|ticks| ticks.is_in_range()).ok_or_else(|| out_of_range(path))
}

pub fn legato(edit: &mut Edit<'_, '_>, payload: &Legato) -> Reply {
    let clip = midi_clip(edit, payload.clip)?;
    let notes = chosen(edit, clip.id, &payload.notes)?;
    edit.label(format!("Legato {}", counted(notes.len(), "note")));
    let mut starts: BTreeMap<u8, Vec<Ticks>> = BTreeMap::new();
    for note in &notes {
        starts.entry(note.channel).or_default().push(note.start);
    }
    for mut note in notes {
        let voice = starts.get(&note.channel).map_or(&[][..], Vec::as_slice);
        let next = voice.get(voice.partition_point(|start| *start <= note.start));
        let Some(next) = next else { continue };
        let overlap = payload.overlap.unwrap_or_default();
        let length = next.saturating_sub(note.start).saturating_add(overlap);
        note.length = Ticks(length.0.max(1));
        edit.put(note)?;
    }
    done()
}

pub fn split(edit: &mut Edit<'_, '_>, payload: &Split) -> Reply {
    let clip = midi_clip(edit, payload.clip)?;
    let crosses = |note: &Note| {
        note.start < payload.at && payload.at < note.start.saturating_add(note.length)
    };
    let mut notes = chosen(edit, clip.id, &payload.notes)?;
    notes.retain(crosses);
    if notes.is_empty() {
        return Err(Refusal::range("payload.at", "no note sounds at this place"));
    }
    edit.label(format!("Split {}", counted(notes.len(), "note")));
    let mut parts = Vec::with_capacity(notes.len());
    for mut left in notes {
        let cut = payload.at.saturating_sub(left.start);
        let (before, after) = split_curve(&left.expression, cut);
        let right = Note {
            id: NoteId(edit.id()),
            start: payload.at,
            length: left.length.saturating_sub(cut),
            expression: after,
            ..left.clone()
        };
        (left.length, left.expression) = (cut, before);
        parts.push(right.id);
        edit.put(left)?;
        edit.put(right)?;
    }
    reply(SplitNotes { notes: parts })
}

/// Both sides of a note's curves; the right one begins where the left one was.
fn split_curve(
    points: &[ExpressionPoint],
    cut: Ticks,
) -> (Vec<ExpressionPoint>, Vec<ExpressionPoint>) {
    let (before, after): (Vec<_>, Vec<_>) =
        points.iter().cloned().partition(|point| point.at < cut);
    let mut last: Vec<(ExpressionDimension, f64)> = Vec::new();
    for point in &before {
        last.retain(|(dimension, _)| *dimension != point.dimension);
        last.push((point.dimension, point.value));
    }
    let shifted = after
        .into_iter()
        .map(|point| ExpressionPoint { at: point.at.saturating_sub(cut), ..point });
    let shifted: Vec<ExpressionPoint> = shifted.collect();
    let starts = |dimension| {
        shifted.iter().any(|point| point.dimension == dimension && point.at == Ticks::ZERO)
    };
    let held = last.into_iter().filter(|(dimension, _)| !starts(*dimension));
    let held = held.map(|(dimension, value)| ExpressionPoint { dimension, at: Ticks::ZERO, value });
    let right = held.chain(shifted.clone()).collect();
    (before, right)
}
