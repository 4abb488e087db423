//! Automation: envelopes and their points, in the parameter's own unit.
//!
//! An envelope has one point at a place. Two would leave the order of a jump to
//! their ids; a jump is a `hold` segment, or two points a tick apart. So a point
//! that is put where one lies takes over that one.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    command::automation::{
        AddPoints, ClearRange, Command, CreateEnvelope, DeleteEnvelope, DeletePoints,
        DuplicateEnvelope, EnvelopeCreated, Envelopes, List, MomentRange, MoveRange, NewPoint,
        PointsAdded, RangeCleared, RangeMoved, RangeReplaced, RangeScaled, RangeShaped,
        ReplaceRange, ScaleRange, ShapeRange, Thin, Thinned, UpdateEnvelope, UpdatePoints,
    },
    command::types::{Copied, CopyOf},
    entity::{
        AutomationEnvelope, AutomationPoint, Clip, EnvelopeOwner, Lane, ParameterRef, PointShape,
    },
    error::ErrorCode,
    id::{AnyId, AutomationEnvelopeId, AutomationPointId},
    time::{Moment, Timebase},
};

use super::{
    edit::{Edit, done, reply},
    target::{Target, label},
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

mod curve;

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::CreateEnvelope(payload) => create(edit, payload),
        Command::DeleteEnvelope(payload) => delete(edit, payload),
        Command::UpdateEnvelope(payload) => update(edit, payload),
        Command::DuplicateEnvelope(payload) => duplicate(edit, payload),
        Command::AddPoints(payload) => add_points(edit, payload),
        Command::UpdatePoints(payload) => update_points(edit, payload),
        Command::DeletePoints(payload) => delete_points(edit, payload),
        Command::ClearRange(payload) => clear_range(edit, payload),
        Command::MoveRange(payload) => move_range(edit, payload),
        Command::ScaleRange(payload) => scale_range(edit, payload),
        Command::ShapeRange(payload) => shape_range(edit, payload),
        Command::ReplaceRange(payload) => replace_range(edit, payload),
        Command::Thin(payload) => thin(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// The points of one envelope while they are edited: at most one per place.
struct Points {
    envelope: AutomationEnvelope,
    target: Target,
    before: BTreeMap<AutomationPointId, AutomationPoint>,
    now: BTreeMap<Moment, AutomationPoint>,
}

impl Points {
    fn load(edit: &mut Edit<'_, '_>, id: AutomationEnvelopeId) -> Result<Points, Refusal> {
        let envelope: AutomationEnvelope = edit.get(id)?;
        let target = edit.parameter(&reference(&envelope))?;
        let mut before = edit.members::<AutomationPoint>(id)?;
        before.sort_by_key(|point| (point.at, point.id));
        let now = before.iter().map(|point| (point.at, point.clone())).collect();
        let before = before.into_iter().map(|point| (point.id, point)).collect();
        Ok(Points { envelope, target, before, now })
    }

    fn label(&self, edit: &mut Edit<'_, '_>, verb: &str) {
        let name = label(&self.target.entity);
        edit.label(format!("{verb} automation of {name} {}", self.envelope.parameter));
    }

    /// Puts a point; where one lies, that one keeps its id.
    fn put(
        &mut self,
        edit: &mut Edit<'_, '_>,
        new: &NewPoint,
    ) -> Result<AutomationPointId, Refusal> {
        if new.at.0 < 0 {
            return Err(Refusal::range("at", "a point lies at 0 or later"));
        }
        let value = self.target.checked(&self.envelope.parameter, new.value)?;
        let id = match self.now.get(&new.at) {
            Some(there) => there.id,
            None => AutomationPointId(edit.id()),
        };
        let envelope = self.envelope.id;
        let point = AutomationPoint { id, envelope, at: new.at, value, shape: new.shape.clone() };
        self.now.insert(new.at, point);
        Ok(id)
    }

    fn within(&self, range: &MomentRange) -> Vec<AutomationPoint> {
        self.now.range(range.start..range.end).map(|(_, point)| point.clone()).collect()
    }

    fn take(&mut self, range: &MomentRange) -> Vec<AutomationPoint> {
        let taken = self.within(range);
        self.now.retain(|at, _| !(range.start..range.end).contains(at));
        taken
    }

    /// A value that an operation made, moved into the parameter's range.
    fn clamped(&self, value: f64) -> Result<f64, Refusal> {
        let desc = self.target.desc(&self.envelope.parameter)?;
        Ok(desc.map_or(value, |desc| desc.clamp(value)))
    }

    /// Writes what is different.
    fn store(self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let kept: BTreeSet<AutomationPointId> = self.now.values().map(|point| point.id).collect();
        for id in self.before.keys().filter(|id| !kept.contains(*id)) {
            edit.tx.remove_owned(self.envelope.id.0, *id)?;
        }
        for point in self.now.into_values() {
            if self.before.get(&point.id) != Some(&point) {
                edit.put(point)?;
            }
        }
        Ok(())
    }
}

fn reference(envelope: &AutomationEnvelope) -> ParameterRef {
    ParameterRef { target: envelope.target, parameter: envelope.parameter.clone() }
}

/// The lane or clip must be there; what is returned is its id.
fn check_owner(edit: &mut Edit<'_, '_>, owner: &EnvelopeOwner) -> Result<AnyId, Refusal> {
    match owner {
        EnvelopeOwner::Lane { lane } => Ok(edit.get::<Lane>(*lane)?.id.any()),
        EnvelopeOwner::Clip { clip } => Ok(edit.get::<Clip>(*clip)?.id.any()),
        EnvelopeOwner::None => {
            let text = "an envelope lies on a lane or in a clip";
            Err(Refusal::new(ErrorCode::PayloadInvalid, text).with("path", "payload.owner"))
        }
    }
}

fn check_target(edit: &mut Edit<'_, '_>, parameter: &ParameterRef) -> Result<Target, Refusal> {
    let target = edit.parameter(parameter)?;
    if target.desc(&parameter.parameter)?.is_some_and(|desc| !desc.automatable) {
        let text = format!("`{}` can't be automated", parameter.parameter);
        return Err(Refusal::new(ErrorCode::ParameterUnknown, text)
            .with("parameter", parameter.parameter.clone()));
    }
    Ok(target)
}

fn check_single(
    edit: &mut Edit<'_, '_>,
    owner: AnyId,
    parameter: &ParameterRef,
    own: Option<AutomationEnvelopeId>,
) -> Result<(), Refusal> {
    let envelopes = edit.referring::<AutomationEnvelope>(owner)?;
    let same = envelopes.iter().find(|envelope| {
        owner_id(&envelope.owner) == Some(owner)
            && reference(envelope) == *parameter
            && Some(envelope.id) != own
    });
    let Some(same) = same else { return Ok(()) };
    let text = format!("`{}` has an envelope here already", parameter.parameter);
    Err(Refusal::new(ErrorCode::EntityInUse, text).with("users", vec![same.id.to_string()]))
}

fn owner_id(owner: &EnvelopeOwner) -> Option<AnyId> {
    match owner {
        EnvelopeOwner::Lane { lane } => Some(lane.any()),
        EnvelopeOwner::Clip { clip } => Some(clip.any()),
        EnvelopeOwner::None => None,
    }
}

fn create(edit: &mut Edit<'_, '_>, payload: &CreateEnvelope) -> Reply {
    let owner = check_owner(edit, &payload.owner)?;
    check_target(edit, &payload.target)?;
    check_single(edit, owner, &payload.target, None)?;
    let id = AutomationEnvelopeId(edit.id());
    edit.put(AutomationEnvelope {
        id,
        owner: payload.owner.clone(),
        target: payload.target.target,
        parameter: payload.target.parameter.clone(),
        timebase: payload.timebase.unwrap_or(Timebase::Musical),
        enabled: true,
        metadata: BTreeMap::new(),
    })?;
    let mut points = Points::load(edit, id)?;
    points.label(edit, "Create");
    let made = put_all(edit, &mut points, &payload.points)?;
    points.store(edit)?;
    reply(EnvelopeCreated { envelope: id, points: made })
}

fn put_all(
    edit: &mut Edit<'_, '_>,
    points: &mut Points,
    new: &[NewPoint],
) -> Result<Vec<AutomationPointId>, Refusal> {
    new.iter().map(|point| points.put(edit, point)).collect()
}

fn delete(edit: &mut Edit<'_, '_>, payload: &DeleteEnvelope) -> Reply {
    let envelope: AutomationEnvelope = edit.get(payload.envelope)?;
    edit.label(format!("Delete automation of {}", envelope.parameter));
    reply(edit.delete([envelope.id])?)
}

fn update(edit: &mut Edit<'_, '_>, payload: &UpdateEnvelope) -> Reply {
    let envelope: AutomationEnvelope = edit.get(payload.envelope)?;
    edit.label(match payload.enabled {
        Some(true) => format!("Switch automation of {} on", envelope.parameter),
        Some(false) => format!("Switch automation of {} off", envelope.parameter),
        None => format!("Change automation of {}", envelope.parameter),
    });
    if let Some(parameter) = &payload.target {
        let target = check_target(edit, parameter)?;
        if let Some(owner) = owner_id(&envelope.owner) {
            check_single(edit, owner, parameter, Some(envelope.id))?;
        }
        // Values stay what they are only if they mean something there.
        for point in edit.members::<AutomationPoint>(envelope.id)? {
            target.checked(&parameter.parameter, point.value)?;
        }
    }
    edit.update::<AutomationEnvelope>(envelope.id, |envelope| {
        envelope.enabled = payload.enabled.unwrap_or(envelope.enabled);
        if let Some(target) = &payload.target {
            envelope.target = target.target;
            envelope.parameter.clone_from(&target.parameter);
        }
    })?;
    done()
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &DuplicateEnvelope) -> Reply {
    let original: AutomationEnvelope = edit.get(payload.envelope)?;
    let owner = payload.owner.clone().unwrap_or_else(|| original.owner.clone());
    let parameter = payload.target.clone().unwrap_or_else(|| reference(&original));
    let place = check_owner(edit, &owner)?;
    let target = check_target(edit, &parameter)?;
    check_single(edit, place, &parameter, None)?;
    edit.label(format!("Copy automation of {}", original.parameter));
    let copy = AutomationEnvelopeId(edit.id());
    edit.put(AutomationEnvelope {
        id: copy,
        owner,
        target: parameter.target,
        parameter: parameter.parameter.clone(),
        ..original.clone()
    })?;
    let mut copies = vec![CopyOf { original: original.id.any(), copy: copy.any() }];
    for point in edit.members::<AutomationPoint>(original.id)? {
        let value = target.checked(&parameter.parameter, point.value)?;
        let id = AutomationPointId(edit.id());
        copies.push(CopyOf { original: point.id.any(), copy: id.any() });
        edit.put(AutomationPoint { id, envelope: copy, value, ..point })?;
    }
    reply(Copied { copies })
}

fn add_points(edit: &mut Edit<'_, '_>, payload: &AddPoints) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Draw");
    let made = put_all(edit, &mut points, &payload.points)?;
    points.store(edit)?;
    reply(PointsAdded { points: made })
}

fn update_points(edit: &mut Edit<'_, '_>, payload: &UpdatePoints) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Change");
    // All leave their places before any takes a new one, so that two may swap.
    let mut changed = Vec::new();
    for change in &payload.changes {
        let there = points.now.values().find(|point| point.id == change.point).cloned();
        let mut point = there.ok_or_else(|| Refusal::not_found(change.point))?;
        points.now.remove(&point.at);
        point.at = change.at.unwrap_or(point.at);
        point.value = change.value.unwrap_or(point.value);
        point.shape = change.shape.clone().unwrap_or(point.shape);
        point.value = points.target.checked(&points.envelope.parameter, point.value)?;
        if point.at.0 < 0 {
            return Err(Refusal::range("payload.changes.at", "a point lies at 0 or later"));
        }
        changed.push(point);
    }
    points.now.extend(changed.into_iter().map(|point| (point.at, point)));
    points.store(edit)?;
    done()
}

fn delete_points(edit: &mut Edit<'_, '_>, payload: &DeletePoints) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Delete points of");
    for id in &payload.points {
        if !points.before.contains_key(id) {
            return Err(Refusal::not_found(*id));
        }
    }
    points.now.retain(|_, point| !payload.points.contains(&point.id));
    points.store(edit)?;
    done()
}

fn clear_range(edit: &mut Edit<'_, '_>, payload: &ClearRange) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Clear");
    let range = &payload.range;
    let curve: Vec<AutomationPoint> = points.now.values().cloned().collect();
    let ends = [range.start, range.end].map(|at| (at, curve::value_at(&curve, at)));
    let taken = points.take(range);
    if !taken.is_empty() {
        for (at, value) in ends {
            let Some(value) = value.filter(|_| !points.now.contains_key(&at)) else { continue };
            let value = points.clamped(value)?;
            points.put(edit, &NewPoint { at, value, shape: PointShape::Linear })?;
        }
    }
    points.store(edit)?;
    reply(RangeCleared { removed: taken.len() as u64 })
}

fn move_range(edit: &mut Edit<'_, '_>, payload: &MoveRange) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Move");
    let by = payload.by.unwrap_or(Moment(0));
    let taken = points.take(&payload.range);
    let moved = taken.len() as u64;
    for mut point in taken {
        point.at = point.at.saturating_add(by);
        if point.at.0 < 0 {
            return Err(Refusal::range("payload.by", "points would lie before the start"));
        }
        point.value = points.clamped(point.value + payload.value.unwrap_or(0.0))?;
        points.now.insert(point.at, point);
    }
    points.store(edit)?;
    reply(RangeMoved { moved })
}

fn scale_range(edit: &mut Edit<'_, '_>, payload: &ScaleRange) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Scale");
    let default = points.target.desc(&points.envelope.parameter)?.map(|desc| desc.default);
    let around = payload.around.or(default).unwrap_or(0.0);
    let mut changed = 0;
    for mut point in points.within(&payload.range) {
        let before = point.value;
        point.value = points.clamped(around + (before - around) * payload.factor)?;
        changed += u64::from(point.value != before);
        points.now.insert(point.at, point);
    }
    points.store(edit)?;
    reply(RangeScaled { changed })
}

fn shape_range(edit: &mut Edit<'_, '_>, payload: &ShapeRange) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Shape");
    let mut changed = 0;
    for mut point in points.within(&payload.range) {
        changed += u64::from(point.shape != payload.shape);
        point.shape = payload.shape.clone();
        points.now.insert(point.at, point);
    }
    points.store(edit)?;
    reply(RangeShaped { changed })
}

fn replace_range(edit: &mut Edit<'_, '_>, payload: &ReplaceRange) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Redraw");
    let inside = |at: Moment| payload.range.start <= at && at < payload.range.end;
    if !payload.points.iter().all(|point| inside(point.at)) {
        let text = "the new points must lie inside the range that they replace";
        return Err(Refusal::range("payload.points", text));
    }
    let removed = points.take(&payload.range).len() as u64;
    let made = put_all(edit, &mut points, &payload.points)?;
    points.store(edit)?;
    reply(RangeReplaced { points: made, removed })
}

fn thin(edit: &mut Edit<'_, '_>, payload: &Thin) -> Reply {
    let mut points = Points::load(edit, payload.envelope)?;
    points.label(edit, "Thin");
    let all: Vec<AutomationPoint> = match &payload.range {
        Some(range) => points.within(range),
        None => points.now.values().cloned().collect(),
    };
    let removed = curve::needless(&all, payload.tolerance);
    points.now.retain(|at, _| !removed.contains(at));
    points.store(edit)?;
    reply(Thinned { removed: removed.len() as u64 })
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let owner = payload.owner.as_ref().and_then(owner_id);
    if let Some(id) = owner.into_iter().chain(payload.target).find(|id| !exists(&view, *id)) {
        return Err(Refusal::not_found(id));
    }
    let mut envelopes = match owner.or(payload.target) {
        Some(id) => view.referring::<AutomationEnvelope>(id)?,
        None => view.all::<AutomationEnvelope>()?,
    };
    envelopes.retain(|envelope| {
        (owner.is_none() || owner_id(&envelope.owner) == owner)
            && (payload.target.is_none() || envelope.target == payload.target)
    });
    envelopes.sort_by_key(|envelope| envelope.id);
    let mut points = Vec::new();
    for envelope in &envelopes {
        let mut own = view.members::<AutomationPoint>(envelope.id)?;
        own.retain(|point| {
            payload.range.is_none_or(|range| range.start <= point.at && point.at < range.end)
        });
        own.sort_by_key(|point| (point.at, point.id));
        points.extend(own);
    }
    reply(Envelopes { envelopes, points })
}

fn exists(view: &pulse_store::view::View, id: AnyId) -> bool {
    matches!(view.contains(id), Ok(true))
}

#[cfg(test)]
mod tests;
