//! Conflicts in words: what they are about and what the sides say, as a difference says it.

use pulse_schemas::{
    entity::{AnyEntity, Conflict, Variant},
    id::EntityKind,
};
use serde_json::{Map, Value};

use super::{field_diffs, name::Namer, text};
use crate::{
    conflict, variant,
    view::{ReadError, View},
};

/// Variants inside of variants; ends a loop in a damaged project.
const DEEPEST: usize = 64;

/// A conflict as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictWords {
    /// "Bass ▸ clip 3", "variant B: Bass ▸ clip 3".
    pub subject: Option<String>,
    /// Subject and field: "Bass ▸ clip 3: gain".
    pub title: String,
    pub base: String,
    pub ours: String,
    pub theirs: String,
}

/// The words of a conflict in the state that has it, as it is stored.
pub fn conflict_words(conflict: &Conflict, stored: &View) -> Result<ConflictWords, ReadError> {
    let (mut inner, mut view, mut front) = (conflict.clone(), stored.clone(), String::new());
    for _ in 0..DEEPEST {
        let Some((id, next)) = conflict::inside(&inner, &view)? else { break };
        if let Some(variant) = view.get::<Variant>(id)? {
            front += &format!("variant {}: ", variant.name);
        }
        view = variant::space(&view, &[id])?;
        inner = next;
    }
    let mut namer = Namer::new(&view);
    let name = name(&inner, &view, &mut namer)?.map(|name| front + &name);
    let shown = name.clone().unwrap_or_else(|| "the project".into());
    let kind = inner.subject.map_or(EntityKind::Project, |subject| subject.kind);
    let sides = [&inner.base, &inner.ours, &inner.theirs].map(|side| parsed(side.as_deref()));
    let (title, [base, ours, theirs]) = match inner.field.is_empty() {
        true => (shown, wholes(kind, &sides, &mut namer)?),
        false => {
            let title = format!("{shown}: {}", text::label(&inner.field));
            (title, values(&inner, kind, &view, &sides, &mut namer)?)
        }
    };
    Ok(ConflictWords { subject: name, title, base, ours, theirs })
}

fn parsed(side: Option<&str>) -> Option<Value> {
    side.and_then(|text| serde_json::from_str(text).ok())
}

/// What the subject is called; where it is gone, what the sides call it.
fn name(
    conflict: &Conflict,
    view: &View,
    namer: &mut Namer<'_>,
) -> Result<Option<String>, ReadError> {
    let Some(subject) = conflict.subject else { return Ok(None) };
    if let Some(entity) = view.any(subject)? {
        return namer.name(&entity).map(Some);
    }
    for side in [&conflict.ours, &conflict.theirs, &conflict.base] {
        let Some(Value::Object(fields)) = parsed(side.as_deref()) else { continue };
        if let Ok((entity, _)) = AnyEntity::from_fields(subject.kind, fields) {
            return namer.name(&entity).map(Some);
        }
    }
    Ok(Some(format!("{} {subject}", subject.kind)))
}

/// The values of one field.
fn values(
    conflict: &Conflict,
    kind: EntityKind,
    view: &View,
    sides: &[Option<Value>; 3],
    namer: &mut Namer<'_>,
) -> Result<[String; 3], ReadError> {
    let subject = conflict.subject.map(|subject| view.any(subject)).transpose()?.flatten();
    let fields = subject.map(|subject| subject.fields()).unwrap_or_default();
    let mut texts = [const { String::new() }; 3];
    for (text, side) in texts.iter_mut().zip(sides) {
        *text = text::value(kind, &conflict.field, side.as_ref(), &fields, namer)?;
    }
    Ok(texts)
}

/// What the sides did with the whole of an entity.
fn wholes(
    kind: EntityKind,
    sides: &[Option<Value>; 3],
    namer: &mut Namer<'_>,
) -> Result<[String; 3], ReadError> {
    let object = |side: &Option<Value>| side.as_ref().and_then(Value::as_object).cloned();
    let [base, ours, theirs] = sides;
    let began = object(base);
    let mut did = |side: &Option<Value>| match (&began, object(side)) {
        (None, None) => Ok("nothing".to_owned()),
        (None, Some(_)) => Ok("added".into()),
        (Some(_), None) => Ok("deleted".into()),
        (Some(began), Some(now)) => changed(kind, began, &now, namer),
    };
    let (ours, theirs) = (did(ours)?, did(theirs)?);
    let base = if began.is_some() { "there" } else { "nothing" };
    Ok([base.to_owned(), ours, theirs])
}

fn changed(
    kind: EntityKind,
    began: &Map<String, Value>,
    now: &Map<String, Value>,
    namer: &mut Namer<'_>,
) -> Result<String, ReadError> {
    let mut other = namer.again();
    let fields = field_diffs(kind, began, now, &mut other, namer)?;
    let texts: Vec<&str> = fields.iter().map(|field| field.text.as_str()).collect();
    Ok(if texts.is_empty() { "kept".into() } else { texts.join(", ") })
}
