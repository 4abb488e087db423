//! Cohorts: who is rendered live and who ahead of time, and why.

pub mod told;

use std::collections::BTreeSet;

use pulse_query::{
    cohort::{self, Cohorts, Member, Seeds},
    stored::Stored,
};
use pulse_schemas::{
    command::cohort::{
        CohortKind, CohortMember, Cohorts as List, Command, Explain, Explained, SetEditorOpen,
        SetOverride,
    },
    entity::{AnyEntity, Channel},
    error::ErrorCode,
    graph::Cohort,
    id::{AnyId, ChannelId, EntityKind},
};
use pulse_store::{changes::Change, tx::Committed, view::View};
use serde_json::json;

use self::told::Told;
use super::edit::{active_arrangement, done, reply};
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(_) => list(session),
        Command::Explain(payload) => explain(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::SetOverride(payload) => set_override(session, payload),
        Command::SetEditorOpen(payload) => set_editor_open(session, caller, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// The assignment as it is now.
pub fn assign(session: &Session) -> Result<Cohorts, Refusal> {
    let view = session.view()?;
    let arrangement = active_arrangement(&view)?;
    let source = Stored::new(view);
    let found = cohort::cohorts(&source, arrangement, &seeds(session));
    source.check()?;
    Ok(found)
}

/// What users decided and which editors are open.
pub fn seeds(session: &Session) -> Seeds {
    let forced = session.live.overrides.iter().map(|(id, kind)| (*id, engine_cohort(*kind)));
    Seeds { editors: session.live.editors.keys().copied().collect(), forced: forced.collect() }
}

fn engine_cohort(kind: CohortKind) -> Cohort {
    match kind {
        CohortKind::Live => Cohort::Live,
        CohortKind::Anticipative => Cohort::Anticipative,
    }
}

fn wire_cohort(cohort: Cohort) -> CohortKind {
    match cohort {
        Cohort::Live => CohortKind::Live,
        Cohort::Anticipative => CohortKind::Anticipative,
    }
}

/// Whether a change may move anything to the other side: a fader doesn't.
pub fn concerns(change: &Change) -> bool {
    match (change.before.as_deref(), change.after.as_deref()) {
        (Some(AnyEntity::Track(a)), Some(AnyEntity::Track(b))) => {
            (a.armed, a.monitor, a.policy, a.frozen.is_some())
                != (b.armed, b.monitor, b.policy, b.frozen.is_some())
        }
        (Some(AnyEntity::Channel(a)), Some(AnyEntity::Channel(b))) => {
            (&a.input, a.output, a.output_feedback) != (&b.input, b.output, b.output_feedback)
        }
        (Some(AnyEntity::Send(a)), Some(AnyEntity::Send(b))) => {
            (a.from, a.to, a.mode, a.feedback) != (b.from, b.to, b.mode, b.feedback)
        }
        (Some(AnyEntity::DspNode(a)), Some(AnyEntity::DspNode(b))) => a.channel != b.channel,
        _ => matches!(
            change.key.kind,
            EntityKind::Channel
                | EntityKind::DspNode
                | EntityKind::ModulationRoute
                | EntityKind::NodeStack
                | EntityKind::Project
                | EntityKind::Send
                | EntityKind::SidechainRoute
                | EntityKind::Track
        ),
    }
}

/// Takes in a transaction: who changed sides, if anybody did.
pub fn follow(session: &mut Session, committed: &Committed) -> Result<(), Refusal> {
    let (before, after) = committed.played;
    let moving: Vec<&Change> = committed.changes.list.iter().filter(|it| concerns(it)).collect();
    let Some(told) = session.live.cohorts.as_mut().filter(|told| told.root == before) else {
        return if moving.is_empty() { Ok(()) } else { tell(session) };
    };
    if moving.is_empty() {
        told.root = after;
        return Ok(());
    }
    let hash = told.hash();
    if !told.grow(&moving, after) {
        return tell(session);
    }
    if told.hash() != hash {
        publish(session);
    }
    Ok(())
}

/// Tells everybody if the assignment is another one than the last that was told.
pub fn tell(session: &mut Session) -> Result<(), Refusal> {
    let seeds = seeds(session);
    session.live.playback.set_seeds(&seeds);
    let view = session.view()?;
    let found = assign(session)?;
    let told = Told::new(view.root(), active_arrangement(&view)?, &found);
    let known = session.live.cohorts.replace(told).map(|told| told.hash());
    if known != Some(found.hash()) {
        publish(session);
    }
    Ok(())
}

fn publish(session: &mut Session) {
    let Some(told) = &session.live.cohorts else { return };
    let (hash, (live, ahead)) = (told.hash(), told.counts());
    let payload = json!({"hash": hash, "live": live, "anticipative": ahead});
    session.publish("cohort", "changed", payload);
}

/// The channel that a track, a channel or a node sounds through.
fn channel(view: &View, target: AnyId) -> Result<ChannelId, Refusal> {
    if !view.contains(target)? {
        return Err(Refusal::not_found(target));
    }
    cohort::channel_of(&Stored::new(view.clone()), target).ok_or_else(|| {
        let text = format!("{target} makes no sound of its own; name a track or a node that does");
        Refusal::new(ErrorCode::EntityWrongKind, text).with("entity", target.to_string())
    })
}

fn set_override(session: &mut Session, payload: &SetOverride) -> Reply {
    channel(&session.view()?, payload.target)?;
    match payload.cohort {
        Some(kind) => drop(session.live.overrides.insert(payload.target, kind)),
        None => drop(session.live.overrides.remove(&payload.target)),
    }
    tell(session)?;
    done()
}

fn set_editor_open(session: &mut Session, caller: &Caller, payload: &SetEditorOpen) -> Reply {
    let target = payload.target;
    if payload.open {
        channel(&session.view()?, target)?;
        session.live.editors.entry(target).or_default().insert(caller.connection);
    } else if let Some(open) = session.live.editors.get_mut(&target) {
        // Another client may still have it open.
        open.remove(&caller.connection);
        if open.is_empty() {
            session.live.editors.remove(&target);
        }
    }
    tell(session)?;
    done()
}

fn list(session: &Session) -> Reply {
    let found = assign(session)?;
    let shown = |id: AnyId, member: Member| CohortMember {
        id,
        cohort: wire_cohort(member.cohort),
        reason: member.reason.to_string(),
        ahead_ms: session.live.playback.ahead_ms(id),
    };
    let channels = found.channels().map(|(id, member)| shown(id.any(), member));
    let nodes = found.nodes().keys();
    let nodes = nodes.filter_map(|id| Some(shown(id.any(), found.of_node(*id)?)));
    reply(List { members: channels.chain(nodes).collect(), hash: found.hash() })
}

fn explain(session: &Session, payload: &Explain) -> Reply {
    let view = session.view()?;
    let channel = channel(&view, payload.target)?;
    let found = assign(session)?;
    let Some(member) = found.of(channel) else {
        let text = "it belongs to an arrangement that doesn't play";
        return Err(Refusal::new(ErrorCode::EntityNotFound, text)
            .with("entity", payload.target.to_string()));
    };
    let mut seen = BTreeSet::new();
    let mut reasons = Vec::new();
    for (id, reason) in found.chain(channel) {
        if seen.insert(id) {
            let name = view.get::<Channel>(id)?.map_or_else(|| id.to_string(), |it| it.name);
            reasons.push(format!("{name}: {reason}"));
        }
    }
    reply(Explained { cohort: wire_cohort(member.cohort), reasons })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::testing::{Project, id};

    #[test]
    fn arming_makes_a_track_and_the_master_live_and_says_why() {
        let mut project = Project::new();
        let bass = project.ok("track.create", json!({"name": "Bass"}));
        let keys = project.ok("track.create", json!({"name": "Keys", "nodes": ["pulse.eq"]}));
        project.ok("track.setFlags", json!({"tracks": [bass["track"]], "armed": true}));
        let explain =
            |project: &mut Project, target| project.ok("cohort.explain", json!({"target": target}));
        let told = explain(&mut project, bass["track"].clone());
        assert_eq!((&told["cohort"], &told["reasons"]), (&json!("live"), &json!(["Bass: armed"])));
        let told = explain(&mut project, keys["nodes"][0].clone());
        assert_eq!(told["cohort"], "anticipative");
        let master = project.ok("channel.list", json!({}))["channels"][0]["id"].clone();
        let told = explain(&mut project, master);
        assert_eq!(told["reasons"][1], "Bass: armed");
    }

    #[test]
    fn everybody_is_told_when_somebody_changes_sides_and_only_then() {
        let mut project = Project::new();
        let keys = project.ok("track.create", json!({"name": "Keys"}));
        let mut told = |name: &str, payload: serde_json::Value| {
            let (domain, name) = name.split_once('.').unwrap();
            let command = pulse_schemas::command::decode(domain, name, &payload).unwrap().value;
            let caller = crate::session::Caller::local("Ada");
            let done = project.session.execute(&caller, &command, None);
            done.reply.unwrap();
            done.events.iter().any(|it| (it.domain, it.name) == ("cohort", "changed"))
        };
        assert!(told("track.setFlags", json!({"tracks": [keys["track"]], "armed": true})));
        assert!(!told("channel.setGain", json!({"channel": keys["channel"], "gainDb": -3})));
        assert!(!told("track.setFlags", json!({"tracks": [keys["track"]], "mute": true})));
    }

    #[test]
    fn a_modulation_of_a_live_track_moves_the_modulators_track_and_says_so() {
        let mut project = Project::new();
        let keys = project.ok("track.create", json!({"name": "Keys", "nodes": ["pulse.filter"]}));
        let wave = project.ok("track.create", json!({"name": "Wave", "nodes": ["pulse.lfo"]}));
        project.ok("track.setFlags", json!({"tracks": [keys["track"]], "armed": true}));
        let target = json!({"target": wave["track"]});
        assert_eq!(project.ok("cohort.explain", target.clone())["cohort"], "anticipative");
        let to = json!({"target": keys["nodes"][0], "parameter": "cutoff"});
        let route = json!({"from": wave["nodes"][0], "to": to, "depth": 0.5});
        let made = project.ok("parameter.addModulation", route);
        let told = project.ok("cohort.explain", target.clone());
        let channel = keys["channel"].as_str().unwrap();
        let expect = json!([format!("Wave: modulates {channel}"), "Keys: armed"]);
        assert_eq!((&told["cohort"], &told["reasons"]), (&json!("live"), &expect));
        project.ok("parameter.removeModulation", json!({"route": made["route"]}));
        assert_eq!(project.ok("cohort.explain", target)["cohort"], "anticipative");
        let all = super::assign(&project.session).unwrap();
        let known = project.session.live.cohorts.as_ref().map(|told| told.hash());
        assert_eq!(known, Some(all.hash()));
    }

    #[test]
    fn what_is_new_is_added_to_the_assignment_as_if_all_had_been_assigned() {
        let mut project = Project::new();
        let add = |project: &mut Project, payload| project.ok("track.create", payload);
        let armed = add(&mut project, json!({"name": "Keys", "nodes": ["pulse.eq"]}));
        project.ok("track.setFlags", json!({"tracks": [armed["track"]], "armed": true}));
        let folder = add(&mut project, json!({"kind": "folder"}));
        let channel = json!({"track": armed["track"], "enabled": false});
        for (name, payload) in [
            ("track.create", json!({"nodes": ["pulse.synth", "pulse.eq"]})),
            ("track.create", json!({"parent": folder["track"], "kind": "audio"})),
            ("node.add", json!({"channel": armed["channel"], "kind": "pulse.delay"})),
            ("track.duplicate", json!({"tracks": [armed["track"]]})),
            ("track.setChannel", channel),
            ("track.setChannel", json!({"track": armed["track"], "enabled": true})),
            ("history.undo", json!({})),
            ("track.delete", json!({"tracks": [armed["track"]]})),
            ("track.create", json!({})),
        ] {
            project.ok(name, payload);
            let session = &project.session;
            let view = session.view().unwrap();
            let all = super::assign(session).unwrap();
            let arrangement = super::active_arrangement(&view).unwrap();
            let expect = super::Told::new(view.root(), arrangement, &all);
            assert_eq!(session.live.cohorts.as_ref(), Some(&expect), "after {name}");
            assert_eq!(expect.hash(), all.hash(), "after {name}");
        }
    }

    #[test]
    fn overrides_and_editors_count_until_they_are_taken_back() {
        let mut project = Project::new();
        let keys = project.ok("track.create", json!({"name": "Keys"}));
        let hash = |project: &mut Project| project.ok("cohort.list", json!({}))["hash"].clone();
        let before = hash(&mut project);
        let set = |cohort| json!({"target": keys["track"], "cohort": cohort});
        project.ok("cohort.setOverride", set(json!("live")));
        assert_ne!(hash(&mut project), before);
        project.ok("cohort.setOverride", set(json!(null)));
        assert_eq!(hash(&mut project), before);
        project.ok("cohort.setEditorOpen", json!({"target": keys["track"], "open": true}));
        assert_ne!(hash(&mut project), before);
        project.ok("cohort.setEditorOpen", json!({"target": keys["track"], "open": false}));
        assert_eq!(hash(&mut project), before);
        let nobody = json!({"target": id("trk", 9), "cohort": "live"});
        project.refused("cohort.setOverride", nobody, "entity.notFound");
    }
}
