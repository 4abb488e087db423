//! Tempo, signatures, and edits of time itself.

mod points;
mod rearrange;

use pulse_schemas::{
    command::{
        metadata::MoveSection,
        timebase::{
            AddSignature, AddTempo, Command, Convert, ConvertReply, Converted, DuplicateTime,
            InsertTime, List, Points, RemoveSignature, RemoveTempo, RemoveTime, SignatureAdded,
            StretchTime, TempoAdded, TimeDuplicated, TimeInserted, TimeRemoved, TimeStretched,
            UpdateSignature, UpdateTempo,
        },
        transport::Place,
    },
    entity::{Arrangement, Marker, Section, SignaturePoint, TempoPoint},
    error::ErrorCode,
    id::{ArrangementId, SignaturePointId, TempoPointId},
    time::{Flicks, SignatureMap, SignatureMark, TempoMap, Ticks},
};
use pulse_store::view::View;

use self::rearrange::{Order, Rearrange};
use super::{
    edit::{Edit, active_arrangement, done, reply},
    time::{convert, signature_map, tempo_map},
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::AddTempo(payload) => add_tempo(edit, payload),
        Command::UpdateTempo(payload) => update_tempo(edit, payload),
        Command::RemoveTempo(payload) => remove_tempo(edit, payload),
        Command::AddSignature(payload) => add_signature(edit, payload),
        Command::UpdateSignature(payload) => update_signature(edit, payload),
        Command::RemoveSignature(payload) => remove_signature(edit, payload),
        Command::InsertTime(payload) => insert_time(edit, payload),
        Command::RemoveTime(payload) => remove_time(edit, payload),
        Command::StretchTime(payload) => stretch_time(edit, payload),
        Command::DuplicateTime(payload) => duplicate_time(edit, payload),
        Command::Convert(_) | Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Convert(payload) => convert_place(session, payload),
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn taken(what: &str) -> Refusal {
    Refusal::range("payload.at", format!("there is another {what} at this place"))
}

fn add_tempo(edit: &mut Edit<'_, '_>, payload: &AddTempo) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label(format!("Set the tempo to {} BPM", payload.bpm));
    let points = edit.members::<TempoPoint>(arrangement)?;
    let mut point = match points.into_iter().find(|point| point.at == payload.at) {
        Some(point) => point,
        None => TempoPoint {
            id: TempoPointId(edit.id()),
            arrangement,
            at: payload.at,
            ..TempoPoint::default()
        },
    };
    point.bpm = payload.bpm;
    point.shape = payload.shape.unwrap_or(point.shape);
    let id = point.id;
    edit.put(point)?;
    reply(TempoAdded { point: id })
}

fn update_tempo(edit: &mut Edit<'_, '_>, payload: &UpdateTempo) -> Reply {
    let mut point: TempoPoint = edit.get(payload.point)?;
    point.at = payload.at.unwrap_or(point.at);
    point.bpm = payload.bpm.unwrap_or(point.bpm);
    point.shape = payload.shape.unwrap_or(point.shape);
    edit.label(match payload.bpm {
        Some(bpm) => format!("Set the tempo to {bpm} BPM"),
        None => "Move a tempo point".to_owned(),
    });
    let others = edit.members::<TempoPoint>(point.arrangement)?;
    if others.iter().any(|other| other.at == point.at && other.id != point.id) {
        return Err(taken("tempo"));
    }
    edit.put(point)?;
    done()
}

fn remove_tempo(edit: &mut Edit<'_, '_>, payload: &RemoveTempo) -> Reply {
    edit.get::<TempoPoint>(payload.point)?;
    edit.label("Remove a tempo point");
    edit.delete([payload.point])?;
    done()
}

/// Whether a signature may begin at a place, by the signatures before it.
fn require_bar(others: &[SignaturePoint], at: Ticks) -> Result<(), Refusal> {
    let before: Vec<SignatureMark> =
        others.iter().filter(|point| point.at < at).map(Into::into).collect();
    let (map, _) = SignatureMap::repaired(&before);
    let bar = map.bar_at(at);
    let start = map.bar_start(bar);
    if start == at {
        return Ok(());
    }
    let next = map.bar_start(bar + 1);
    let text =
        format!("a signature begins with a bar; bar {bar} begins at {start}, the next at {next}");
    Err(Refusal::range("payload.at", text))
}

fn add_signature(edit: &mut Edit<'_, '_>, payload: &AddSignature) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label(format!("Set the signature to {}/{}", payload.numerator, payload.denominator));
    let points = edit.members::<SignaturePoint>(arrangement)?;
    require_bar(&points, payload.at)?;
    let known = points.iter().find(|point| point.at == payload.at).map(|point| point.id);
    let id = match known {
        Some(id) => id,
        None => SignaturePointId(edit.id()),
    };
    let (numerator, denominator) = (payload.numerator, payload.denominator);
    edit.put(SignaturePoint { id, arrangement, at: payload.at, numerator, denominator })?;
    reply(SignatureAdded { point: id })
}

fn update_signature(edit: &mut Edit<'_, '_>, payload: &UpdateSignature) -> Reply {
    let mut point: SignaturePoint = edit.get(payload.point)?;
    let mut others = edit.members::<SignaturePoint>(point.arrangement)?;
    others.retain(|other| other.id != point.id);
    if let Some(at) = payload.at {
        require_bar(&others, at)?;
        if others.iter().any(|other| other.at == at) {
            return Err(taken("signature"));
        }
        point.at = at;
    }
    point.numerator = payload.numerator.unwrap_or(point.numerator);
    point.denominator = payload.denominator.unwrap_or(point.denominator);
    edit.label(format!("Set the signature to {}/{}", point.numerator, point.denominator));
    edit.put(point)?;
    done()
}

fn remove_signature(edit: &mut Edit<'_, '_>, payload: &RemoveSignature) -> Reply {
    edit.get::<SignaturePoint>(payload.point)?;
    edit.label("Remove a signature");
    edit.delete([payload.point])?;
    done()
}

fn insert_time(edit: &mut Edit<'_, '_>, payload: &InsertTime) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label("Insert time");
    let order = Order::insert(payload.at, payload.length);
    let mut work = Rearrange::new(edit, arrangement, order, &payload.tracks)?;
    work.all(edit)?;
    reply(TimeInserted { edited: work.told() })
}

fn remove_time(edit: &mut Edit<'_, '_>, payload: &RemoveTime) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label("Remove time");
    let order = Order::remove(payload.range.start, payload.range.end);
    let mut work = Rearrange::new(edit, arrangement, order, &payload.tracks)?;
    work.all(edit)?;
    reply(TimeRemoved { edited: work.told() })
}

fn stretch_time(edit: &mut Edit<'_, '_>, payload: &StretchTime) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label("Stretch time");
    let order = Order::stretch(payload.range.start, payload.range.end, payload.length);
    let mut work = Rearrange::new(edit, arrangement, order, &payload.tracks)?;
    work.all(edit)?;
    reply(TimeStretched { edited: work.told() })
}

fn duplicate_time(edit: &mut Edit<'_, '_>, payload: &DuplicateTime) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    edit.label("Duplicate time");
    let range = payload.range;
    let order = Order::duplicate(range.start, range.end);
    let mut work = Rearrange::new(edit, arrangement, order, &payload.tracks)?;
    work.all(edit)?;
    let copies = work.copy_behind(edit, range)?;
    reply(TimeDuplicated { edited: work.told(), copies })
}

/// A section changes places with everything between it and where it goes.
pub fn move_section(edit: &mut Edit<'_, '_>, payload: &MoveSection) -> Reply {
    let section: Section = edit.get(payload.section)?;
    let (start, end) = (section.start, section.start.saturating_add(section.length));
    let target = match payload.before {
        Some(before) => {
            let before: Section = edit.get(before)?;
            if before.arrangement != section.arrangement || before.id == section.id {
                let text = "the section to come before must be another one of the arrangement";
                return Err(
                    Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.before")
                );
            }
            before.start
        }
        None => {
            let all = edit.members::<Section>(section.arrangement)?;
            let ends = all.iter().map(|it| it.start.saturating_add(it.length));
            ends.max().unwrap_or(end)
        }
    };
    if start < target && target < end {
        let text = "the section can't move into itself";
        return Err(Refusal::range("payload.before", text));
    }
    edit.label(format!("Move section {}", section.name));
    let order = Order::relocate(start, end, target);
    let mut work = Rearrange::new(edit, section.arrangement, order, &[])?;
    work.all(edit)?;
    done()
}

/// Where a place of a command lies.
pub fn place(
    view: &View,
    arrangement: ArrangementId,
    tempo: &TempoMap,
    place: &Place,
) -> Result<Ticks, Refusal> {
    if let Some(ticks) = place.ticks {
        return Ok(ticks);
    }
    if let Some(flicks) = place.flicks {
        return Ok(tempo.tick_at(flicks));
    }
    if let Some(text) = &place.text {
        let parsed = signature_map(view, arrangement)?.parse(text);
        return parsed.map_err(|error| {
            Refusal::new(ErrorCode::PayloadInvalid, error.to_string())
                .with("path", "payload.at.text")
        });
    }
    if let Some(id) = place.marker {
        let marker = view.get::<Marker>(id)?.ok_or_else(|| Refusal::not_found(id))?;
        let musical = pulse_schemas::time::Timebase::Musical;
        return Ok(convert(tempo, marker.timebase, marker.at, musical).as_ticks());
    }
    match place.section {
        Some(id) => Ok(view.get::<Section>(id)?.ok_or_else(|| Refusal::not_found(id))?.start),
        None => Err(Refusal::range("payload.at", "name a place")),
    }
}

fn known(view: &View, named: Option<ArrangementId>) -> Result<ArrangementId, Refusal> {
    match named {
        Some(id) => Ok(view.get::<Arrangement>(id)?.ok_or_else(|| Refusal::not_found(id))?.id),
        None => active_arrangement(view),
    }
}

fn convert_place(session: &Session, payload: &Convert) -> Reply {
    let view = session.view()?;
    let arrangement = known(&view, payload.arrangement)?;
    let tempo = tempo_map(&view, arrangement)?;
    let ticks = place(&view, arrangement, &tempo, &payload.at)?;
    // A place that was said in flicks stays exactly there.
    let flicks: Flicks = payload.at.flicks.unwrap_or_else(|| tempo.flicks_at(ticks));
    let text = signature_map(&view, arrangement)?.format(ticks);
    reply(ConvertReply {
        place: Converted {
            ticks,
            flicks,
            seconds: flicks.as_seconds(),
            frame: payload.rate.map(|rate| flicks.to_frame(rate)),
            text,
            bpm: tempo.bpm_at(ticks),
        },
    })
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let arrangement = known(&view, payload.arrangement)?;
    reply(Points { tempo: view.members(arrangement)?, signatures: view.members(arrangement)? })
}

#[cfg(test)]
mod tests;
