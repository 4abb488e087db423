//! Streams of meters on their way to clients: binary frames at the rate that each
//! asked for.
//!
//! Frames are lossy by nature. The sequence counts every frame that was due, also
//! one that found no room in its client's queue, so that a gap is seen and
//! replies are never held up by meters.

use std::time::{Duration, Instant};

use pulse_schemas::{
    command::{metering::MeterKind, transport::PlayState},
    frame::{
        self,
        stream::{NO_POSITION, StreamFrame, StreamKind},
    },
};
use serde_json::json;

use crate::{
    commands::{metering, transport},
    ipc::{hub::Hub, outbox::Class},
    live::MeterStream,
    session::Session,
};

/// How often levels are told to clients without binary streams.
const LEVELS_EVERY: Duration = Duration::from_millis(66);

/// Tells levels as events, where somebody listens.
fn tell_levels(session: &mut Session, hub: &Hub) {
    let told = session.live.levels_told;
    if told.is_some_and(|told| told.elapsed() < LEVELS_EVERY) {
        return;
    }
    session.live.levels_told = Some(Instant::now());
    if hub.listeners("metering", "levels").is_empty() {
        return;
    }
    let levels = session.live.playback.levels(&[]);
    hub.publish("metering", "levels", json!({ "levels": levels }), None);
}

/// Sends the frames that are due.
pub fn pump(session: &mut Session, hub: &Hub) {
    tell_levels(session, hub);
    if session.live.meters.is_empty() {
        return;
    }
    follow_project(session, hub);
    let now = Instant::now();
    let due = |stream: &&MeterStream| stream.due <= now;
    let numbers: Vec<u32> = session.live.meters.values().filter(due).map(|it| it.number).collect();
    for number in numbers {
        let Some(frame) = next_frame(session, number, now) else { continue };
        let connection = session.live.meters.get(&number).map(|stream| stream.connection);
        let Some(client) = connection.and_then(|connection| hub.client(connection)) else {
            continue;
        };
        if let Some(bytes) = encode(&frame, hub.limits.max_message_bytes) {
            client.outbox.push(Class::Stream, bytes.into());
        }
    }
}

fn encode(frame: &StreamFrame, limit: usize) -> Option<Vec<u8>> {
    let (mut body, mut out) = (Vec::new(), Vec::new());
    if let Err(error) = frame.write(&mut body) {
        tracing::error!(%error, "a frame of meters can't be written");
        return None;
    }
    match frame::write(&body, limit, &mut out) {
        Ok(()) => Some(out),
        Err(error) => {
            tracing::debug!(%error, "a frame of meters is too long for this server");
            None
        }
    }
}

/// One frame, and when the next is due: on its grid while the server keeps up, and
/// from now on where it did not.
fn next_frame(session: &mut Session, number: u32, now: Instant) -> Option<StreamFrame> {
    let state = transport::state(session).ok();
    let live = &mut session.live;
    let stream = live.meters.get_mut(&number)?;
    let every = Duration::from_secs(1) / u32::from(stream.rate.max(1));
    stream.due += every;
    if stream.due <= now {
        stream.due = now + every;
    }
    let sequence = stream.sequence;
    stream.sequence += 1;
    let mut samples = Vec::new();
    match (stream.kind, &state) {
        (MeterKind::Transport, Some(state)) => {
            let state_number = match state.state {
                PlayState::Stopped => 0.0,
                PlayState::Playing => 1.0,
                PlayState::Paused => 2.0,
                PlayState::Recording => 3.0,
                PlayState::CountingIn => 4.0,
            };
            let place = transport::place(session, state.ticks).unwrap_or_default();
            let [bar, beat, part] = place;
            let looped = f32::from(u8::from(state.loop_enabled));
            samples.extend([state_number, state.bpm as f32, bar, beat, part, looped]);
        }
        (MeterKind::Transport, None) => samples.extend([0.0; 6]),
        (kind, _) => {
            live.playback.measure(number, kind, &stream.channels, stream.bands, &mut samples);
        }
    }
    let kind = match session.live.meters.get(&number)?.kind {
        MeterKind::Spectrum => StreamKind::Spectrum,
        _ => StreamKind::Meter,
    };
    let position = state.map_or(NO_POSITION, |state| state.flicks.0);
    Some(StreamFrame { kind, stream: number, sequence, position, samples })
}

/// Streams of all channels get those that came and lose those that went, and who
/// reads them is told before the first frame of the new layout.
fn follow_project(session: &mut Session, hub: &Hub) {
    let root = session.open.as_ref().map(|open| open.project.root());
    let stale = |stream: &&MeterStream| stream.root != root;
    let numbers: Vec<u32> =
        session.live.meters.values().filter(stale).map(|stream| stream.number).collect();
    for number in numbers {
        if let Some((sequence, layout)) = metering::renew(session, number, root) {
            let payload = json!({"stream": number, "sequence": sequence, "layout": layout});
            let connection = session.live.meters.get(&number).map(|stream| stream.connection);
            if let Some(client) = connection.and_then(|connection| hub.client(connection)) {
                hub.tell(&client, "metering", "layout", payload);
            }
        }
    }
}
