//! Values and changes in words.

use std::collections::BTreeMap;

use pulse_schemas::{
    entity::AnyEntity,
    id::{AnyId, EntityKind},
    time::{MusicalLength, Ticks},
};
use serde_json::{Map, Value};

use super::{DiffKind, EntityDiff, FieldDiff, name::Namer};
use crate::{conflict::owner_kind, view::ReadError};

/// Flicks per second.
const SECOND: f64 = 705_600_000.0;
/// Longer values are cut.
const LONGEST: usize = 60;

/// One changed field with its text.
pub fn field(
    kind: EntityKind,
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
    all: [&Map<String, Value>; 2],
    old: &mut Namer<'_>,
    new: &mut Namer<'_>,
) -> Result<FieldDiff, ReadError> {
    let label = label(&path);
    let from = value(kind, &path, before, all[0], old)?;
    let to = value(kind, &path, after, all[1], new)?;
    let text = match moved(kind, &path, before, after, all) {
        Some(distance) => format!("{label} {from} → {to} ({distance})"),
        None => format!("{label} {from} → {to}"),
    };
    let json = |side: Option<&Value>| side.cloned().unwrap_or(Value::Null);
    Ok(FieldDiff { path, before: json(before), after: json(after), text })
}

/// `loopLength` is "loop length", `gainDb` is "gain".
pub(super) fn label(path: &str) -> String {
    let path = path.strip_prefix("params.").unwrap_or(path);
    let path = path.strip_suffix("Db").unwrap_or(path);
    let mut label = String::new();
    for character in path.chars() {
        if character.is_ascii_uppercase() {
            label.push(' ');
        }
        label.push(character.to_ascii_lowercase());
    }
    label
}

fn is_place(kind: EntityKind, path: &str) -> bool {
    matches!(
        (kind, path),
        (EntityKind::Clip | EntityKind::Section, "start")
            | (
                EntityKind::Marker
                    | EntityKind::TempoPoint
                    | EntityKind::SignaturePoint
                    | EntityKind::KeyPoint,
                "at"
            )
    )
}

fn is_span(kind: EntityKind, path: &str) -> bool {
    matches!(path, "length" | "slip" | "loopLength" | "loopStart" | "step" | "start" | "at" | "end")
        && !matches!(kind, EntityKind::KitSlot | EntityKind::AudioRegion)
}

fn is_absolute(fields: &Map<String, Value>) -> bool {
    fields.get("timebase").and_then(Value::as_str) == Some("absolute")
}

fn seconds(flicks: i64) -> String {
    signed(format!("{:.3} s", flicks as f64 / SECOND))
}

/// A real minus sign, as people read it.
fn signed(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

pub(super) fn value(
    kind: EntityKind,
    path: &str,
    value: Option<&Value>,
    fields: &Map<String, Value>,
    namer: &mut Namer<'_>,
) -> Result<String, ReadError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok("none".into()) };
    if let Some(number) = value.as_i64().filter(|_| is_span(kind, path)) {
        if is_absolute(fields) {
            return Ok(seconds(number));
        }
        if is_place(kind, path)
            && let Ok((entity, _)) = AnyEntity::from_fields(kind, fields.clone())
            && let Some(meter) = namer.meter(&entity)?
        {
            return Ok(meter.format(Ticks(number)));
        }
        return Ok(signed(MusicalLength(Ticks(number)).to_string()));
    }
    if let Some(number) = value.as_f64() {
        return Ok(number_text(kind, path, number));
    }
    if let Some(flag) = value.as_bool() {
        return Ok(if flag { "on".into() } else { "off".into() });
    }
    if let Some(text) = value.as_str() {
        if let Ok(id) = text.parse::<AnyId>() {
            return namer.any_name(id);
        }
        let is_name = matches!(path, "name" | "artist" | "comment" | "notes");
        return Ok(cut(if is_name { format!("“{text}”") } else { text.to_owned() }));
    }
    Ok(cut(value.to_string()))
}

fn number_text(kind: EntityKind, path: &str, number: f64) -> String {
    match path {
        _ if path.ends_with("Db") || path.ends_with(".gain") => signed(format!("{number:.1} dB")),
        "bpm" => format!("{number} BPM"),
        "pan" if number == 0.0 => "centre".into(),
        "pan" if number < 0.0 => format!("{:.0} % left", -number * 100.0),
        "pan" => format!("{:.0} % right", number * 100.0),
        "pitch" if kind == EntityKind::Note => pitch(number as i64),
        _ => signed(number.to_string()),
    }
}

fn pitch(key: i64) -> String {
    const NAMES: [&str; 12] = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
    let name = NAMES.get(key.rem_euclid(12) as usize).copied().unwrap_or_default();
    format!("{name}{}", key.div_euclid(12) - 1)
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// How far a place moved.
fn moved(
    kind: EntityKind,
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    all: [&Map<String, Value>; 2],
) -> Option<String> {
    if !matches!(path, "start" | "at") || !is_span(kind, path) {
        return None;
    }
    if is_absolute(all[0]) != is_absolute(all[1]) {
        return None;
    }
    distance(before?.as_i64()?, after?.as_i64()?, is_absolute(all[0]))
}

fn distance(before: i64, after: i64, absolute: bool) -> Option<String> {
    let by = after.checked_sub(before)?;
    let size = match absolute {
        true => seconds(by.checked_abs()?),
        false => MusicalLength(Ticks(by.checked_abs()?)).to_string(),
    };
    Some(format!("{size} {}", if by < 0 { "earlier" } else { "later" }))
}

/// One line per entity; members of one owner that changed alike share one, which each gets.
pub fn lines(
    entities: &mut [EntityDiff],
    old: &mut Namer<'_>,
    new: &mut Namer<'_>,
) -> Result<Vec<String>, ReadError> {
    let mut lines = Vec::new();
    let mut groups: BTreeMap<(Siblings, String), Vec<usize>> = BTreeMap::new();
    for (at, entity) in entities.iter().enumerate() {
        match (entity.key.owner, owner_kind(entity.key.kind)) {
            (Some(owner), Some(kind)) => {
                let owner = AnyId { kind, id: owner };
                let what = what_happened(entity);
                groups.entry(((owner, entity.key.kind), what)).or_default().push(at);
            }
            _ => lines.push(line(entity)),
        }
    }
    for (((owner, kind), what), members) in groups {
        let of = |at: &usize| entities.get(*at);
        if members.len() == 1 {
            lines.extend(members.iter().filter_map(of).map(line));
            continue;
        }
        let is_gone = members.iter().filter_map(of).all(|it| it.kind == DiffKind::Removed);
        let name = if is_gone { old.any_name(owner)? } else { new.any_name(owner)? };
        let line = format!("{name}: {} {kind}s {what}", members.len());
        for at in members {
            if let Some(entity) = entities.get_mut(at) {
                entity.group = Some(line.clone());
            }
        }
        lines.push(line);
    }
    Ok(lines)
}

/// The owner and the kind of its members.
type Siblings = (AnyId, EntityKind);

fn line(entity: &EntityDiff) -> String {
    match entity.kind {
        DiffKind::Added => format!("{}: added", entity.name),
        DiffKind::Removed => format!("{}: removed", entity.name),
        DiffKind::Changed => {
            let fields: Vec<&str> = entity.fields.iter().map(|field| field.text.as_str()).collect();
            format!("{}: {}", entity.name, fields.join(", "))
        }
    }
}

/// The same words for members that changed alike: "moved by 1/16 later", "added".
fn what_happened(entity: &EntityDiff) -> String {
    match (entity.kind, &entity.fields[..]) {
        (DiffKind::Added, _) => "added".into(),
        (DiffKind::Removed, _) => "removed".into(),
        (DiffKind::Changed, [field]) => one_field(field),
        (DiffKind::Changed, _) => "changed".into(),
    }
}

fn one_field(field: &FieldDiff) -> String {
    let (before, after) = (field.before.as_i64(), field.after.as_i64());
    match (field.path.as_str(), before, after) {
        ("start" | "at", Some(before), Some(after)) => match distance(before, after, false) {
            Some(by) => format!("moved by {by}"),
            None => "moved".into(),
        },
        ("pitch", Some(before), Some(after)) => {
            let by = after - before;
            let way = if by < 0 { "down" } else { "up" };
            format!("transposed {way} by {} semitones", by.abs())
        }
        (path, ..) => format!("with another {}", label(path)),
    }
}
