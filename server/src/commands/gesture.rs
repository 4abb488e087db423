//! Gesture streams: controllers that move several parameters at once.

use pulse_schemas::{
    command::gesture::{Bind, Close, Command, Commit, Open, Play, StreamOpened},
    entity::{ParameterRef, Track, TrackKind},
    error::ErrorCode,
    frame::stream::StreamFrame,
};
use serde_json::json;

use super::{
    edit::{Edit, done, reply},
    parameter::{self, put_value},
    target::Target,
};
use crate::{
    live::{ControlStream, Holder},
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Commit(payload) => commit(edit, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Open(payload) => open(session, caller, payload),
        Command::Bind(payload) => bind(session, caller, payload),
        Command::Close(payload) => close(session, caller, payload),
        Command::Play(payload) => play(session, payload),
        Command::Commit(_) => Err(super::not_here(command.spec())),
    }
}

fn unknown(stream: u32) -> Refusal {
    let text = format!("this connection has no gesture stream {stream}");
    Refusal::new(ErrorCode::ClientSubscriptionUnknown, text).with("stream", stream)
}

/// Every target exists and is in nobody else's hand.
fn check_targets(
    session: &Session,
    holder: &Holder,
    targets: &[ParameterRef],
) -> Result<(), Refusal> {
    let view = session.view()?;
    for parameter in targets {
        let Some(id) = parameter.target else {
            return Err(Refusal::new(ErrorCode::PayloadInvalid, "name a target"));
        };
        let entity = view.any(id)?.ok_or_else(|| Refusal::not_found(id))?;
        Target::of(entity, &session.registry)?.desc(&parameter.parameter)?;
        if session.live.holder_of(parameter).is_some_and(|other| other != holder) {
            let text = format!("another client is moving `{}`", parameter.parameter);
            return Err(Refusal::new(ErrorCode::ParameterGesture, text));
        }
    }
    Ok(())
}

fn open(session: &mut Session, caller: &Caller, payload: &Open) -> Reply {
    let holder = Holder::of(caller);
    check_targets(session, &holder, &payload.targets)?;
    let stream = session.live.stream();
    let targets = payload.targets.clone();
    let opened = ControlStream { holder, targets, moved: Default::default() };
    session.live.controls.insert(stream, opened);
    reply(StreamOpened { stream })
}

fn own<'s>(
    session: &'s mut Session,
    caller: &Caller,
    stream: u32,
) -> Result<&'s mut ControlStream, Refusal> {
    let holder = Holder::of(caller);
    let found = session.live.controls.get_mut(&stream).filter(|it| it.holder == holder);
    found.ok_or_else(|| unknown(stream))
}

fn bind(session: &mut Session, caller: &Caller, payload: &Bind) -> Reply {
    check_targets(session, &Holder::of(caller), &payload.targets)?;
    let stream = own(session, caller, payload.stream)?;
    // What was moved keeps its value under its new index, if it is still there.
    let moved: Vec<_> = stream
        .moved
        .iter()
        .filter_map(|(at, value)| {
            let parameter = stream.targets.get(*at)?;
            let now = payload.targets.iter().position(|it| it == parameter)?;
            Some((now, *value))
        })
        .collect();
    stream.targets.clone_from(&payload.targets);
    stream.moved = moved.into_iter().collect();
    done()
}

/// Takes in one binary frame: one sample per target, in the order of `open`; of
/// a single gesture, the last sample.
pub fn frame(session: &mut Session, caller: &Caller, frame: &StreamFrame) -> Result<(), Refusal> {
    let holder = Holder::of(caller);
    if session.live.gestures.contains_key(&frame.stream) {
        let Some(value) = frame.samples.last() else { return Ok(()) };
        return parameter::move_gesture(session, &holder, frame.stream, f64::from(*value));
    }
    let view = session.view()?;
    let stream = own(session, caller, frame.stream)?;
    let targets = stream.targets.clone();
    for (at, (parameter, sample)) in targets.iter().zip(&frame.samples).enumerate() {
        let Some(id) = parameter.target else { continue };
        // A target that was deleted meanwhile is left out; the others move on.
        let Some(entity) = view.any(id)? else { continue };
        let target = Target::of(entity, &session.registry)?;
        let Ok(desc) = target.desc(&parameter.parameter) else { continue };
        let value = desc.map_or(f64::from(*sample), |desc| desc.clamp(f64::from(*sample)));
        let moved = &mut own(session, caller, frame.stream)?.moved;
        if moved.insert(at, value) != Some(value) {
            parameter::hold(session, parameter, Some(value));
            session.publish(
                "parameter",
                "gesture",
                json!({"target": id, "parameter": parameter.parameter, "value": value,
                       "active": true}),
            );
        }
    }
    Ok(())
}

fn commit(edit: &mut Edit<'_, '_>, payload: &Commit) -> Reply {
    let holder = Holder::of(edit.caller);
    let found = edit.live.controls.get_mut(&payload.stream).filter(|it| it.holder == holder);
    let stream = found.ok_or_else(|| unknown(payload.stream))?;
    let moved = std::mem::take(&mut stream.moved);
    let targets = stream.targets.clone();
    commit_moved(edit, &targets, moved, payload.cancel)?;
    done()
}

/// Makes what a stream moved one edit, or takes it back.
pub fn commit_moved(
    edit: &mut Edit<'_, '_>,
    targets: &[ParameterRef],
    moved: std::collections::BTreeMap<usize, f64>,
    cancel: bool,
) -> Result<(), Refusal> {
    edit.label(format!("Move {} parameters", moved.len()));
    for (at, value) in moved {
        let Some(parameter) = targets.get(at) else { continue };
        if !cancel && edit.parameter(parameter).is_ok() {
            put_value(edit, parameter, value)?;
        }
        if let Some(param) = pulse_query::content::engine_param(parameter) {
            edit.live.playback.hold(&param, None);
        }
    }
    Ok(())
}

fn close(session: &mut Session, caller: &Caller, payload: &Close) -> Reply {
    own(session, caller, payload.stream)?;
    if let Some(stream) = session.live.controls.remove(&payload.stream) {
        session.commit_stream(caller, stream)?;
    }
    done()
}

fn play(session: &mut Session, payload: &Play) -> Reply {
    let track: Track =
        session.view()?.get(payload.track)?.ok_or_else(|| Refusal::not_found(payload.track))?;
    if track.track_kind != TrackKind::Instrument {
        let text = format!("{} plays no notes", track.name);
        return Err(
            Refusal::new(ErrorCode::RoutingIncompatible, text).with("entity", track.id.to_string())
        );
    }
    let Play { channel, pitch, velocity, .. } = *payload;
    session.live.playback.note(track.id, channel, pitch, velocity);
    done()
}

#[cfg(test)]
mod tests {
    use pulse_schemas::frame::stream::{NO_POSITION, StreamKind};
    use serde_json::Value;

    use super::*;
    use crate::commands::testing::Project;

    fn send(project: &mut Project, stream: &Value, samples: &[f32]) {
        let frame = StreamFrame {
            kind: StreamKind::Gesture,
            stream: stream.as_u64().unwrap() as u32,
            sequence: 0,
            position: NO_POSITION,
            samples: samples.to_vec(),
        };
        super::frame(&mut project.session, &Caller::local("Ada"), &frame).unwrap();
    }

    #[test]
    fn a_stream_moves_its_targets_and_commits_them_as_one_edit() {
        let mut project = Project::new();
        let bus = project.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
        let target = |name: &str| json!({"target": bus, "parameter": name});
        let open = json!({"targets": [target("gainDb"), target("pan")]});
        let stream = project.ok("gesture.open", open)["stream"].clone();
        let seq = project.session.project().unwrap().seq();
        send(&mut project, &stream, &[-6.0, 0.5]);
        send(&mut project, &stream, &[-12.0, 9.0]);
        assert_eq!(project.session.project().unwrap().seq(), seq);
        project.ok("gesture.commit", json!({"stream": stream}));
        assert_eq!(project.session.project().unwrap().seq(), seq + 1);
        let found = project.ok("channel.list", json!({}))["channels"][1].clone();
        assert_eq!((&found["gainDb"], &found["pan"]), (&json!(-12.0), &json!(1.0)));
        project.ok("gesture.bind", json!({"stream": stream, "targets": [target("width")]}));
        send(&mut project, &stream, &[0.25]);
        project.ok("gesture.close", json!({"stream": stream}));
        let found = project.ok("channel.list", json!({}))["channels"][1].clone();
        assert_eq!(found["width"], json!(0.25));
        let closed = json!({"stream": stream});
        project.refused("gesture.close", closed, "client.subscriptionUnknown");
    }

    #[test]
    fn only_instruments_are_played_by_hand() {
        let mut project = Project::new();
        let keys = project.ok("track.create", json!({"kind": "instrument"}))["track"].clone();
        let audio = project.ok("track.create", json!({"kind": "audio"}))["track"].clone();
        let note = |track: &Value| json!({"track": track, "pitch": 60, "velocity": 51_200});
        project.ok("gesture.play", note(&keys));
        project.refused("gesture.play", note(&audio), "routing.incompatible");
    }
}
