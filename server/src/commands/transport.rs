//! Transport: play, stop, seek, loop, punch. None of it is part of the project.

use pulse_schemas::command::transport::{
    Command, CountInSet, LoopSet, MetronomeSet, Paused, Play, Playing, PunchSet, Seek, SetCountIn,
    SetLoop, SetMetronome, SetPunch, Sought, StateReply, Stopped, TransportState,
};
use pulse_schemas::time::{BarBeatTick, Ticks};
use serde_json::json;

use super::edit::{active_arrangement, done, reply};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
    transport::SongTime,
};

pub fn act(session: &mut Session, command: &Command) -> Reply {
    match command {
        Command::Play(payload) => play(session, payload),
        Command::Stop(_) => stop(session),
        Command::Pause(_) => pause(session),
        Command::Seek(payload) => seek(session, payload),
        Command::SetLoop(payload) => set_loop(session, payload),
        Command::SetPunch(payload) => set_punch(session, payload),
        Command::SetCountIn(payload) => set_count_in(session, payload),
        Command::SetMetronome(payload) => set_metronome(session, payload),
        Command::Panic(_) => {
            session.live.playback.panic();
            done()
        }
        Command::State(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::State(_) => reply(StateReply { state: state(session)? }),
        other => Err(super::not_here(other.spec())),
    }
}

fn song_time(session: &Session) -> Result<SongTime, Refusal> {
    let view = session.view()?;
    Ok(SongTime::of(&view, active_arrangement(&view)?))
}

/// The whole of the transport, as it stands now.
pub fn state(session: &Session) -> Result<TransportState, Refusal> {
    let time = song_time(session)?;
    Ok(session.live.transport.report(&*session.live.playback, &time))
}

/// Bar and beat, counted from 1, and the part of the beat at a place.
pub fn place(session: &Session, at: Ticks) -> Option<[f32; 3]> {
    let time = song_time(session).ok()?;
    let place = time.bars.position_at(at);
    let beat = time.bars.signature_at(at).beat().0.max(1);
    let within = i64::from(place.tick) * BarBeatTick::PARTS + i64::from(place.rest);
    Some([place.bar as f32, place.beat as f32, (within as f64 / beat as f64) as f32])
}

/// Tells everybody, and answers.
fn told(session: &mut Session) -> Result<TransportState, Refusal> {
    let state = state(session)?;
    session.publish("transport", "state", json!({ "state": state }));
    Ok(state)
}

fn play(session: &mut Session, payload: &Play) -> Reply {
    let time = song_time(session)?;
    let from = match &payload.from {
        Some(place) => Some(time.resolve(&session.view()?, place)?),
        None => None,
    };
    let live = &mut session.live;
    live.transport.play(&mut *live.playback, &time, from, payload.record);
    reply(Playing { state: told(session)? })
}

fn stop(session: &mut Session) -> Reply {
    let time = song_time(session)?;
    let live = &mut session.live;
    live.transport.stop(&mut *live.playback, &time);
    reply(Stopped { state: told(session)? })
}

fn pause(session: &mut Session) -> Reply {
    let time = song_time(session)?;
    let live = &mut session.live;
    live.transport.pause(&mut *live.playback, &time);
    reply(Paused { state: told(session)? })
}

fn seek(session: &mut Session, payload: &Seek) -> Reply {
    let time = song_time(session)?;
    let to = time.resolve(&session.view()?, &payload.to)?;
    let live = &mut session.live;
    live.transport.seek(&mut *live.playback, &time, to);
    reply(Sought { state: told(session)? })
}

fn set_loop(session: &mut Session, payload: &SetLoop) -> Reply {
    let time = song_time(session)?;
    let live = &mut session.live;
    live.transport.loop_range = payload.range.or(live.transport.loop_range);
    let enabled = payload.enabled.unwrap_or(live.transport.loop_enabled);
    if enabled && live.transport.loop_range.is_none() {
        return Err(Refusal::range("payload.range", "there is no range yet to loop over"));
    }
    live.transport.loop_enabled = enabled;
    live.transport.apply_loop(&mut *live.playback, &time);
    reply(LoopSet { state: told(session)? })
}

fn set_punch(session: &mut Session, payload: &SetPunch) -> Reply {
    let time = song_time(session)?;
    let live = &mut session.live;
    let transport = &mut live.transport;
    let range = payload.range.or(transport.punch_range);
    let enabled = payload.enabled.unwrap_or(transport.punch_enabled);
    if enabled && range.is_none() {
        return Err(Refusal::range("payload.range", "there is no range yet to punch"));
    }
    (transport.punch_range, transport.punch_enabled) = (range, enabled);
    live.transport.apply_punch(&mut *live.playback, &time);
    reply(PunchSet { state: told(session)? })
}

fn set_count_in(session: &mut Session, payload: &SetCountIn) -> Reply {
    let transport = &mut session.live.transport;
    transport.count_in = payload.bars.unwrap_or(transport.count_in);
    transport.pre_roll = payload.pre_roll.unwrap_or(transport.pre_roll);
    reply(CountInSet { state: told(session)? })
}

fn set_metronome(session: &mut Session, payload: &SetMetronome) -> Reply {
    let live = &mut session.live;
    live.transport.metronome = payload.enabled.unwrap_or(live.transport.metronome);
    live.transport.metronome_db = payload.gain_db.unwrap_or(live.transport.metronome_db);
    live.playback.set_metronome(live.transport.metronome, live.transport.metronome_db);
    reply(MetronomeSet { state: told(session)? })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use serde_json::json;

    use crate::{commands::testing::Project, playback::Headless};

    /// One bar of 4/4 in ticks; at 120 BPM it takes two seconds.
    const BAR: i64 = 4 * 45_158_400;

    fn project() -> (Project, Arc<AtomicU64>) {
        let mut project = Project::new();
        let now = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&now);
        let playback = Headless::over(move || clock.load(Ordering::Relaxed));
        project.session.live.playback = Box::new(playback);
        (project, now)
    }

    #[test]
    fn play_moves_stop_stays_and_a_second_stop_goes_back() {
        let (mut project, now) = project();
        project.ok("transport.play", json!({"from": {"text": "2.1.0"}}));
        now.store(2_000_000_000, Ordering::Relaxed);
        let state = project.ok("transport.state", json!({}))["state"].clone();
        assert_eq!((&state["ticks"], &state["text"]), (&json!(2 * BAR), &json!("3.1.0")));
        let stopped = project.ok("transport.stop", json!({}))["state"].clone();
        assert_eq!((&stopped["ticks"], &stopped["state"]), (&json!(2 * BAR), &json!("stopped")));
        let back = project.ok("transport.stop", json!({}))["state"].clone();
        assert_eq!(back["ticks"], json!(BAR));
    }

    #[test]
    fn a_loop_repeats_its_range_and_needs_one() {
        let (mut project, now) = project();
        project.refused("transport.setLoop", json!({"enabled": true}), "range.invalid");
        let range = json!({"start": 0, "end": BAR});
        project.ok("transport.setLoop", json!({"enabled": true, "range": range}));
        project.ok("transport.play", json!({}));
        now.store(3_000_000_000, Ordering::Relaxed);
        let state = project.ok("transport.pause", json!({}))["state"].clone();
        assert_eq!((&state["ticks"], &state["state"]), (&json!(BAR / 2), &json!("paused")));
    }

    #[test]
    fn a_recording_is_counted_in_led_in_and_punched() {
        let (mut project, now) = project();
        project.ok("transport.setCountIn", json!({"bars": 1, "preRoll": BAR / 2}));
        let punch = json!({"start": BAR + BAR / 4, "end": 2 * BAR});
        project.ok("transport.setPunch", json!({"enabled": true, "range": punch}));
        let from = json!({"from": {"text": "2.1.0"}, "record": true});
        let state = project.ok("transport.play", from)["state"].clone();
        assert_eq!((&state["state"], &state["ticks"]), (&json!("countingIn"), &json!(BAR / 2)));
        for (seconds, state, ticks) in [
            (1.9, "countingIn", BAR / 2),
            (2.5, "playing", BAR * 3 / 4),
            (3.25, "playing", BAR + BAR / 8),
            (3.5, "recording", BAR + BAR / 4),
            (4.5, "recording", BAR + BAR * 3 / 4),
            (5.0, "playing", 2 * BAR),
        ] {
            now.store((seconds * 1e9) as u64, Ordering::Relaxed);
            let told = project.ok("transport.state", json!({}))["state"].clone();
            assert_eq!((&told["state"], &told["ticks"]), (&json!(state), &json!(ticks)));
        }
        project.ok("transport.stop", json!({}));
        let state = project.ok("transport.play", json!({}))["state"].clone();
        assert_eq!(state["state"], json!("playing"), "what is no recording is not counted in");
    }

    #[test]
    fn places_are_found_or_refused() {
        let (mut project, _) = project();
        let seek = |to| json!({"to": to});
        let found = project.ok("transport.seek", seek(json!({"flicks": 705_600_000})));
        assert_eq!(found["state"]["text"], "1.3.0");
        project.refused("transport.seek", seek(json!({"ticks": -1})), "range.invalid");
        project.refused("transport.seek", seek(json!({"text": "x"})), "range.invalid");
        let marker = crate::commands::testing::id("mrk", 9);
        project.refused("transport.seek", seek(json!({"marker": marker})), "entity.notFound");
    }

    #[test]
    fn settings_are_kept() {
        let (mut project, _) = project();
        project.refused("transport.setPunch", json!({"enabled": true}), "range.invalid");
        project.ok("transport.setCountIn", json!({"bars": 2}));
        project.ok("transport.setMetronome", json!({"enabled": true, "gainDb": -6}));
        let state = project.ok("transport.state", json!({}))["state"].clone();
        assert_eq!((&state["countIn"], &state["metronome"]), (&json!(2), &json!(true)));
    }
}
