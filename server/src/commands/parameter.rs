//! Parameters: values, gestures, groups, links, modulation.
//!
//! A member of a group takes the others along by the same part of their ranges,
//! whichever command moves it; only what sets several values at once says
//! everything itself.

use pulse_engine::{node::Descriptor, param::ParamDesc};
use pulse_query::content::engine_param;
use pulse_schemas::{
    command::{
        parameter::{
            AddModulation, BeginGesture, Command, CreateGroup, CreateLink, DeleteGroup, DeleteLink,
            EndGesture, GestureBegun, GestureEnded, Get, GroupCreated, GroupMoved, LinkCreated,
            ModulationAdded, MoveGroup, ParameterState, ParameterValue, RemoveModulation, Reset,
            SetValue, SetValues, UpdateGesture, UpdateGroup, UpdateLink, UpdateModulation,
            ValueSet, Values,
        },
        types::Deleted,
    },
    entity::{
        AutomationEnvelope, DspNode, ModulationRoute, ParameterGroup, ParameterLink, ParameterRef,
    },
    error::ErrorCode,
    id::{AnyId, ModulationRouteId, ParameterGroupId, ParameterLinkId},
};
use pulse_store::view::View;
use serde_json::json;

use super::{
    edit::{Edit, done, reply},
    target::{Target, info, label, shown},
};
use crate::{
    live::{Gesture, Holder},
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::SetValue(payload) => set_value(edit, payload),
        Command::SetValues(payload) => set_values(edit, payload),
        Command::Reset(payload) => reset(edit, payload),
        Command::EndGesture(payload) => end_gesture(edit, payload),
        Command::CreateGroup(payload) => create_group(edit, payload),
        Command::UpdateGroup(payload) => update_group(edit, payload),
        Command::MoveGroup(payload) => move_group(edit, payload),
        Command::DeleteGroup(payload) => delete_group(edit, payload),
        Command::CreateLink(payload) => create_link(edit, payload),
        Command::UpdateLink(payload) => update_link(edit, payload),
        Command::DeleteLink(payload) => delete_link(edit, payload),
        Command::AddModulation(payload) => add_modulation(edit, payload),
        Command::UpdateModulation(payload) => update_modulation(edit, payload),
        Command::RemoveModulation(payload) => remove_modulation(edit, payload),
        Command::BeginGesture(_) | Command::UpdateGesture(_) | Command::Get(_) => {
            Err(super::not_here(command.spec()))
        }
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Get(payload) => get(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::BeginGesture(payload) => begin_gesture(session, caller, payload),
        Command::UpdateGesture(payload) => update_gesture(session, caller, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn reference(target: AnyId, parameter: &str) -> ParameterRef {
    ParameterRef { target: Some(target), parameter: parameter.to_owned() }
}

/// A parameter that moves because another of its group does.
struct Follower {
    parameter: ParameterRef,
    value: f64,
}

/// Where the other members of a parameter's groups go when it goes from one
/// value to another. Each moves once, however many groups it shares.
fn followers(
    groups: &[ParameterGroup],
    parameter: &ParameterRef,
    by: f64,
    mut look_up: impl FnMut(&ParameterRef) -> Result<Target, Refusal>,
) -> Vec<Follower> {
    let mut found: Vec<Follower> = Vec::new();
    let together = groups.iter().filter(|it| it.enabled && it.members.contains(parameter));
    for member in together.flat_map(|group| &group.members) {
        if member == parameter || found.iter().any(|known| known.parameter == *member) {
            continue;
        }
        // A member whose target is gone rests until it comes back.
        let moved = look_up(member).and_then(|target| moved(&target, &member.parameter, by));
        if let Ok(Some(value)) = moved {
            found.push(Follower { parameter: member.clone(), value });
        }
    }
    found
}

/// A parameter moved by a part of its range; none where the range isn't known.
fn moved(target: &Target, name: &str, by: f64) -> Result<Option<f64>, Refusal> {
    let Some(desc) = target.desc(name)? else { return Ok(None) };
    let place = desc.normalise(target.value(name)?);
    Ok(Some(desc.denormalise(place + by)))
}

fn part(desc: Option<&ParamDesc>, from: f64, to: f64) -> f64 {
    desc.map_or(0.0, |desc| desc.normalise(to) - desc.normalise(from))
}

/// Writes a value, and takes along the other members of its groups.
pub fn put_value(
    edit: &mut Edit<'_, '_>,
    parameter: &ParameterRef,
    value: f64,
) -> Result<Option<f64>, Refusal> {
    let name = &parameter.parameter;
    let mut target = edit.parameter(parameter)?;
    let value = target.checked(name, value)?;
    let before = target.stored(name);
    let by = part(target.desc(name)?, target.value(name)?, value);
    target.set(name, Some(value))?;
    edit.put(target.entity)?;
    if by == 0.0 {
        return Ok(before);
    }
    let groups = edit.all::<ParameterGroup>()?;
    for follower in followers(&groups, parameter, by, |member| edit.parameter(member)) {
        let mut target = edit.parameter(&follower.parameter)?;
        target.set(&follower.parameter.parameter, Some(follower.value))?;
        edit.put(target.entity)?;
    }
    Ok(before)
}

fn name_value(
    edit: &mut Edit<'_, '_>,
    parameter: &ParameterRef,
    value: f64,
) -> Result<(), Refusal> {
    let target = edit.parameter(parameter)?;
    let desc = target.desc(&parameter.parameter)?;
    let name = desc.map_or(parameter.parameter.as_str(), |desc| desc.name);
    edit.label(format!("{name} of {} to {}", label(&target.entity), shown(desc, value)));
    Ok(())
}

fn set_value(edit: &mut Edit<'_, '_>, payload: &SetValue) -> Reply {
    let parameter = reference(payload.target, &payload.parameter);
    name_value(edit, &parameter, payload.value)?;
    reply(ValueSet { before: put_value(edit, &parameter, payload.value)? })
}

fn set_values(edit: &mut Edit<'_, '_>, payload: &SetValues) -> Reply {
    edit.label(format!("Set {} parameters", payload.values.len()));
    for ParameterValue { target, parameter, value } in &payload.values {
        let mut target = edit.parameter(&reference(*target, parameter))?;
        let value = target.checked(parameter, *value)?;
        target.set(parameter, Some(value))?;
        edit.put(target.entity)?;
    }
    done()
}

fn reset(edit: &mut Edit<'_, '_>, payload: &Reset) -> Reply {
    let mut target = edit.target(payload.target)?;
    edit.label(format!("Reset {}", label(&target.entity)));
    let known = target.params.unwrap_or_default().iter().map(|param| param.id.to_owned());
    let all: Vec<String> = match (&target.entity, payload.parameters.is_empty()) {
        (_, false) => payload.parameters.clone(),
        (pulse_schemas::entity::AnyEntity::DspNode(node), true) => {
            node.params.keys().cloned().collect()
        }
        // Whether a channel sounds is no setting to take back by the way.
        (_, true) => known.filter(|name| name != "mute").collect(),
    };
    for name in &all {
        target.set(name, None)?;
    }
    edit.put(target.entity)?;
    done()
}

fn gesture_event(gesture: &Gesture, active: bool) -> serde_json::Value {
    json!({
        "target": gesture.parameter.target,
        "parameter": gesture.parameter.parameter,
        "value": gesture.value,
        "active": active,
    })
}

fn held_by_another(parameter: &ParameterRef) -> Refusal {
    let text = format!("another client is moving `{}`", parameter.parameter);
    Refusal::new(ErrorCode::ParameterGesture, text).with("parameter", parameter.parameter.clone())
}

fn no_gesture(gesture: u32) -> Refusal {
    let text = format!("no gesture {gesture} of this client is open");
    Refusal::new(ErrorCode::ParameterGesture, text).with("gesture", gesture)
}

/// The target of a parameter in a revision.
fn target_in(session: &Session, view: &View, parameter: &ParameterRef) -> Result<Target, Refusal> {
    let Some(id) = parameter.target else {
        return Err(Refusal::new(ErrorCode::PayloadInvalid, "name a target"));
    };
    let entity = view.any(id)?.ok_or_else(|| Refusal::not_found(id))?;
    let target = Target::of(entity, &session.registry)?;
    target.desc(&parameter.parameter)?;
    Ok(target)
}

fn begin_gesture(session: &mut Session, caller: &Caller, payload: &BeginGesture) -> Reply {
    let parameter = reference(payload.target, &payload.parameter);
    let value = target_in(session, &session.view()?, &parameter)?.value(&payload.parameter)?;
    let holder = Holder::of(caller);
    if session.live.holder_of(&parameter).is_some_and(|other| *other != holder) {
        return Err(held_by_another(&parameter));
    }
    // Who holds it already goes on with the same gesture.
    let known = session.live.gestures.iter().find(|(_, it)| it.parameter == parameter);
    if let Some((gesture, found)) = known {
        return reply(GestureBegun { gesture: *gesture, value: found.value });
    }
    let gesture = session.live.stream();
    let begun = Gesture { holder, parameter, before: value, value };
    session.publish("parameter", "gesture", gesture_event(&begun, true));
    session.live.gestures.insert(gesture, begun);
    reply(GestureBegun { gesture, value })
}

fn update_gesture(session: &mut Session, caller: &Caller, payload: &UpdateGesture) -> Reply {
    move_gesture(session, &Holder::of(caller), payload.gesture, payload.value)?;
    done()
}

/// Moves a held parameter: to the engine and to whoever watches, not yet to the
/// project.
pub fn move_gesture(
    session: &mut Session,
    holder: &Holder,
    gesture: u32,
    value: f64,
) -> Result<(), Refusal> {
    let found = session.live.gestures.get(&gesture).filter(|it| it.holder == *holder);
    let mut moving = found.cloned().ok_or_else(|| no_gesture(gesture))?;
    let view = session.view()?;
    let target = target_in(session, &view, &moving.parameter)?;
    moving.value = target.checked(&moving.parameter.parameter, value)?;
    hold_all(session, &view, &target, &moving, true)?;
    session.publish("parameter", "gesture", gesture_event(&moving, true));
    session.live.gestures.insert(gesture, moving);
    Ok(())
}

/// Hands a moving parameter and those that follow it to the engine, or takes
/// them back.
fn hold_all(
    session: &mut Session,
    view: &View,
    target: &Target,
    moving: &Gesture,
    held: bool,
) -> Result<(), Refusal> {
    let desc = target.desc(&moving.parameter.parameter)?;
    let by = part(desc, moving.before, moving.value);
    let groups = view.all::<ParameterGroup>()?;
    let look_up = |member: &ParameterRef| target_in(session, view, member);
    let mut all = followers(&groups, &moving.parameter, by, look_up);
    all.push(Follower { parameter: moving.parameter.clone(), value: moving.value });
    for Follower { parameter, value } in all {
        hold(session, &parameter, held.then_some(value));
    }
    Ok(())
}

/// Holds one parameter in the engine, in the engine's unit.
pub fn hold(session: &mut Session, parameter: &ParameterRef, value: Option<f64>) {
    if let Some(param) = engine_param(parameter) {
        let value = value.map(|value| value * param.unit);
        session.live.playback.hold(&param, value);
    }
}

fn end_gesture(edit: &mut Edit<'_, '_>, payload: &EndGesture) -> Reply {
    let holder = Holder::of(edit.caller);
    let own = edit.live.gestures.get(&payload.gesture).is_some_and(|it| it.holder == holder);
    if !own {
        return Err(no_gesture(payload.gesture));
    }
    let ended = edit.live.gestures.remove(&payload.gesture);
    let ended = ended.ok_or_else(|| no_gesture(payload.gesture))?;
    let (before, value) = (ended.before, ended.value);
    let value = if payload.cancel { before } else { value };
    commit_gesture(edit, &ended, payload.cancel)?;
    reply(GestureEnded { before, value })
}

/// Makes a gesture's last value an edit. The engine lets go of its own hold when
/// it takes the edit over; after a cancel there is none.
pub fn commit_gesture(
    edit: &mut Edit<'_, '_>,
    ended: &Gesture,
    cancel: bool,
) -> Result<(), Refusal> {
    let value = if cancel { ended.before } else { ended.value };
    if !cancel && value != ended.before {
        name_value(edit, &ended.parameter, value)?;
        put_value(edit, &ended.parameter, value)?;
    }
    let groups = edit.all::<ParameterGroup>()?;
    let members = groups.iter().filter(|it| it.members.contains(&ended.parameter));
    let together = members.flat_map(|group| group.members.iter());
    for parameter in together.chain([&ended.parameter]) {
        if let Some(param) = engine_param(parameter) {
            edit.live.playback.hold(&param, None);
        }
    }
    let told = Gesture { value, ..ended.clone() };
    edit.live.publish("parameter", "gesture", gesture_event(&told, false));
    Ok(())
}

fn check_members(edit: &mut Edit<'_, '_>, members: &[ParameterRef]) -> Result<(), Refusal> {
    for (at, member) in members.iter().enumerate() {
        edit.parameter(member)?;
        if members[..at].contains(member) {
            let text = format!("`{}` of one target stands there twice", member.parameter);
            return Err(Refusal::new(ErrorCode::PayloadInvalid, text)
                .with("path", format!("payload.members[{at}]")));
        }
    }
    Ok(())
}

fn create_group(edit: &mut Edit<'_, '_>, payload: &CreateGroup) -> Reply {
    check_members(edit, &payload.members)?;
    edit.label(format!("Group {}", payload.name));
    let id = ParameterGroupId(edit.id());
    let (name, members) = (payload.name.clone(), payload.members.clone());
    edit.put(ParameterGroup { id, name, members, enabled: true })?;
    reply(GroupCreated { group: id })
}

fn update_group(edit: &mut Edit<'_, '_>, payload: &UpdateGroup) -> Reply {
    let group: ParameterGroup = edit.get(payload.group)?;
    check_members(edit, payload.members.as_deref().unwrap_or_default())?;
    edit.label(format!("Change group {}", group.name));
    edit.update::<ParameterGroup>(group.id, |group| {
        group.name = payload.name.clone().unwrap_or_else(|| group.name.clone());
        group.members = payload.members.clone().unwrap_or_else(|| group.members.clone());
        group.enabled = payload.enabled.unwrap_or(group.enabled);
    })?;
    done()
}

fn move_group(edit: &mut Edit<'_, '_>, payload: &MoveGroup) -> Reply {
    let group: ParameterGroup = edit.get(payload.group)?;
    edit.label(format!("Move group {}", group.name));
    let mut values = Vec::new();
    for member in &group.members {
        // A member whose target is gone rests until it comes back.
        let Ok(mut target) = edit.parameter(member) else { continue };
        let Some(value) = moved(&target, &member.parameter, payload.by)? else { continue };
        target.set(&member.parameter, Some(value))?;
        let parameter = member.parameter.clone();
        values.push(ParameterValue { target: target.id(), parameter, value });
        edit.put(target.entity)?;
    }
    reply(GroupMoved { values })
}

fn delete_group(edit: &mut Edit<'_, '_>, payload: &DeleteGroup) -> Reply {
    let group: ParameterGroup = edit.get(payload.group)?;
    edit.label(format!("Delete group {}", group.name));
    let deleted: Deleted = edit.delete([group.id])?;
    reply(deleted)
}

/// Whether `from` leads to `to` over links.
fn leads_to(links: &[ParameterLink], from: &ParameterRef, to: &ParameterRef) -> bool {
    let (mut open, mut seen) = (vec![from], Vec::new());
    while let Some(here) = open.pop() {
        if here == to {
            return true;
        }
        if !seen.contains(&here) {
            seen.push(here);
            open.extend(links.iter().filter(|it| it.source == *here).map(|it| &it.target));
        }
    }
    false
}

fn create_link(edit: &mut Edit<'_, '_>, payload: &CreateLink) -> Reply {
    let source = edit.parameter(&payload.source)?;
    let target = edit.parameter(&payload.target)?;
    let links = edit.all::<ParameterLink>()?;
    if leads_to(&links, &payload.target, &payload.source) {
        let text = "the leader follows this parameter already; a parameter can't follow itself";
        return Err(Refusal::new(ErrorCode::EntityCycle, text));
    }
    if let Some(other) = links.iter().find(|link| link.target == payload.target) {
        let text = format!("`{}` follows another parameter already", payload.target.parameter);
        return Err(
            Refusal::new(ErrorCode::EntityInUse, text).with("users", vec![other.id.to_string()])
        );
    }
    let (leader, follower) = (label(&source.entity), label(&target.entity));
    edit.label(format!("Link {follower} to {leader}"));
    let id = ParameterLinkId(edit.id());
    edit.put(ParameterLink {
        id,
        source: payload.source.clone(),
        target: payload.target.clone(),
        scale: payload.scale.unwrap_or(1.0),
        offset: payload.offset.unwrap_or(0.0),
        enabled: true,
    })?;
    reply(LinkCreated { link: id })
}

fn update_link(edit: &mut Edit<'_, '_>, payload: &UpdateLink) -> Reply {
    edit.label("Change link");
    edit.update::<ParameterLink>(payload.link, |link| {
        link.scale = payload.scale.unwrap_or(link.scale);
        link.offset = payload.offset.unwrap_or(link.offset);
        link.enabled = payload.enabled.unwrap_or(link.enabled);
    })?;
    done()
}

fn delete_link(edit: &mut Edit<'_, '_>, payload: &DeleteLink) -> Reply {
    edit.get::<ParameterLink>(payload.link)?;
    edit.label("Delete link");
    reply(edit.delete([payload.link])?)
}

fn add_modulation(edit: &mut Edit<'_, '_>, payload: &AddModulation) -> Reply {
    let from: DspNode = edit.get(payload.from)?;
    let kind: Option<&Descriptor> = edit.registry.get(&from.node_kind).map(|it| it.descriptor);
    if kind.is_some_and(|kind| usize::from(payload.port) >= kind.controls.len()) {
        let text = format!("{} has no control output {}", from.node_kind, payload.port);
        return Err(
            Refusal::new(ErrorCode::RoutingIncompatible, text).with("entity", from.id.to_string())
        );
    }
    let target = edit.parameter(&payload.to)?;
    if target.desc(&payload.to.parameter)?.is_some_and(|desc| !desc.automatable) {
        let text = format!("`{}` can't be modulated", payload.to.parameter);
        return Err(Refusal::new(ErrorCode::RoutingIncompatible, text)
            .with("parameter", payload.to.parameter.clone()));
    }
    edit.label(format!("Modulate {} of {}", payload.to.parameter, label(&target.entity)));
    let id = ModulationRouteId(edit.id());
    edit.put(ModulationRoute {
        id,
        from: from.id,
        port: payload.port,
        to: payload.to.clone(),
        depth: payload.depth,
        bipolar: payload.bipolar,
        enabled: true,
    })?;
    reply(ModulationAdded { route: id })
}

fn update_modulation(edit: &mut Edit<'_, '_>, payload: &UpdateModulation) -> Reply {
    edit.label("Change modulation");
    edit.update::<ModulationRoute>(payload.route, |route| {
        route.depth = payload.depth.unwrap_or(route.depth);
        route.bipolar = payload.bipolar.unwrap_or(route.bipolar);
        route.enabled = payload.enabled.unwrap_or(route.enabled);
    })?;
    done()
}

fn remove_modulation(edit: &mut Edit<'_, '_>, payload: &RemoveModulation) -> Reply {
    edit.get::<ModulationRoute>(payload.route)?;
    edit.label("Remove modulation");
    reply(edit.delete([payload.route])?)
}

fn get(session: &Session, payload: &Get) -> Reply {
    let view = session.view()?;
    let entity = view.any(payload.target)?.ok_or_else(|| Refusal::not_found(payload.target))?;
    let target = Target::of(entity, &session.registry)?;
    let envelopes = view.referring::<AutomationEnvelope>(payload.target)?;
    let automated = |name: &str| {
        envelopes
            .iter()
            .any(|it| it.enabled && it.target == Some(payload.target) && it.parameter == name)
    };
    for name in &payload.parameters {
        target.desc(name)?;
    }
    let asked = |desc: &&ParamDesc| {
        payload.parameters.is_empty() || payload.parameters.iter().any(|name| name == desc.id)
    };
    let state = |desc: &ParamDesc| -> Result<ParameterState, Refusal> {
        let value = target.value(desc.id)?;
        Ok(ParameterState {
            parameter: info(desc),
            value,
            is_default: value == desc.default,
            automated: automated(desc.id),
        })
    };
    let params = target.params.unwrap_or_default().iter().filter(asked);
    reply(Values { values: params.map(state).collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{commands::testing::Project, session::Caller};

    fn bus(project: &mut Project, name: &str) -> Value {
        project.ok("channel.create", json!({"kind": "bus", "name": name}))["channel"].clone()
    }

    fn gain(project: &mut Project, channel: &Value) -> f64 {
        let get = json!({"target": channel, "parameters": ["gainDb"]});
        project.ok("parameter.get", get)["values"][0]["value"].as_f64().unwrap()
    }

    #[test]
    fn a_value_is_set_and_taken_back() {
        let mut project = Project::new();
        let a = bus(&mut project, "A");
        let set = |value: f64| json!({"target": a, "parameter": "pan", "value": value});
        assert_eq!(project.ok("parameter.setValue", set(0.5))["before"], json!(0.0));
        project.refused("parameter.setValue", set(2.0), "parameter.range");
        let wrong = json!({"target": a, "parameter": "cutoff", "value": 1});
        project.refused("parameter.setValue", wrong, "parameter.unknown");
        project.ok("parameter.reset", json!({"target": a}));
        let values = project.ok("parameter.get", json!({"target": a}))["values"].clone();
        assert!(values.as_array().unwrap().iter().all(|it| it["isDefault"] == true), "{values}");
    }

    #[test]
    fn members_of_a_group_move_by_the_same_part_of_their_ranges() {
        let mut project = Project::new();
        let (a, b) = (bus(&mut project, "A"), bus(&mut project, "B"));
        let member = |target: &Value| json!({"target": target, "parameter": "gainDb"});
        let make = json!({"name": "Faders", "members": [member(&a), member(&b)]});
        let group = project.ok("parameter.createGroup", make)["group"].clone();
        project.ok("channel.setGain", json!({"channel": a, "gainDb": -12}));
        assert!((gain(&mut project, &b) + 12.0).abs() < 1e-9);
        let moved = project.ok("parameter.moveGroup", json!({"group": group, "by": -2e-3}));
        assert_eq!(moved["values"].as_array().unwrap().len(), 2);
        project.ok("parameter.updateGroup", json!({"group": group, "enabled": false}));
        project.ok("channel.setGain", json!({"channel": a, "gainDb": 0}));
        assert!(gain(&mut project, &b) < -12.0);
        project.ok("parameter.deleteGroup", json!({"group": group}));
        let twice = json!({"name": "Twice", "members": [member(&a), member(&a)]});
        project.refused("parameter.createGroup", twice, "payload.invalid");
    }

    #[test]
    fn a_gesture_is_one_edit_of_the_one_who_holds_it() {
        let mut project = Project::new();
        let a = bus(&mut project, "A");
        let begin = json!({"target": a, "parameter": "gainDb"});
        let gesture = project.ok("parameter.beginGesture", begin.clone())["gesture"].clone();
        let other = Caller { instance_id: "other".into(), connection: 9, ..Caller::default() };
        let refused = |result: Result<Value, pulse_schemas::error::ErrorBody>| {
            assert_eq!(result.unwrap_err().code.as_str(), "parameter.gesture");
        };
        refused(project.run_as(&other, "parameter.beginGesture", begin));
        let seq = project.session.project().unwrap().seq();
        for step in 1..=5 {
            let update = json!({"gesture": gesture, "value": -step});
            project.ok("parameter.updateGesture", update);
        }
        assert_eq!(project.session.project().unwrap().seq(), seq);
        refused(project.run_as(&other, "parameter.endGesture", json!({"gesture": gesture})));
        let loud = json!({"gesture": gesture, "value": 99});
        project.refused("parameter.updateGesture", loud, "parameter.range");
        project.ok("parameter.endGesture", json!({"gesture": gesture}));
        assert_eq!(project.session.project().unwrap().seq(), seq + 1);
        assert_eq!(gain(&mut project, &a), -5.0);
        project.refused("parameter.endGesture", json!({"gesture": gesture}), "parameter.gesture");
    }

    #[test]
    fn what_a_client_held_becomes_an_edit_when_it_leaves() {
        let mut project = Project::new();
        let a = bus(&mut project, "A");
        let gone = Caller { instance_id: "gone".into(), connection: 9, ..Caller::default() };
        let begin = json!({"target": a, "parameter": "gainDb"});
        let begun = project.run_as(&gone, "parameter.beginGesture", begin).unwrap();
        let update = json!({"gesture": begun["gesture"], "value": -7});
        project.run_as(&gone, "parameter.updateGesture", update).unwrap();
        project.session.let_go(&gone);
        assert_eq!(gain(&mut project, &a), -7.0);
        assert!(project.session.live.gestures.is_empty());
    }

    #[test]
    fn links_follow_one_leader_and_never_themselves() {
        let mut project = Project::new();
        let (a, b) = (bus(&mut project, "A"), bus(&mut project, "B"));
        let end = |target: &Value| json!({"target": target, "parameter": "pan"});
        let link = |from: &Value, to: &Value| json!({"source": end(from), "target": end(to)});
        let made = project.ok("parameter.createLink", link(&a, &b))["link"].clone();
        project.refused("parameter.createLink", link(&b, &a), "entity.cycle");
        project.refused("parameter.createLink", link(&a, &b), "entity.inUse");
        project.ok("parameter.updateLink", json!({"link": made, "scale": -1}));
        project.refused(
            "parameter.updateLink",
            json!({"link": made, "scale": 99}),
            "entity.invalid",
        );
        project.ok("parameter.deleteLink", json!({"link": made}));
    }

    #[test]
    fn only_modulators_modulate() {
        let mut project = Project::new();
        let track = project.ok("track.create", json!({"nodes": ["pulse.eq"]}));
        let add = json!({"from": track["nodes"][0], "depth": 0.5,
                         "to": {"target": track["channel"], "parameter": "pan"}});
        project.refused("parameter.addModulation", add, "routing.incompatible");
    }
}
