//! Real devices: ALSA's null device, and with the feature `jack` a JACK server
//! that plays to nobody, started and stopped here by its process id.

#![allow(clippy::disallowed_methods, reason = "devices play in real time")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use std::time::{Duration, Instant};

use pulse_engine::{
    anticipate::Anticipation,
    device::{self, DeviceConfig, DeviceError, Host},
    rt::{Config, Engine, EngineError, transport::Start},
};

fn named(host: Host, name: &str) -> DeviceConfig {
    DeviceConfig { name: Some(name.to_owned()), ..DeviceConfig::of(host, 48_000) }
}

fn wait(what: &str, seconds: u64, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(seconds), "{what} takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_alsa_null_device_plays() {
    let devices = Engine::devices();
    assert!(devices.iter().any(|device| device.host == Host::Null));
    if !devices.iter().any(|device| device.host == Host::Alsa && device.name == "null") {
        eprintln!("skipped: ALSA has no null device here; install libasound2-data");
        return;
    }
    let engine = Engine::start(Config::new(named(Host::Alsa, "null"))).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    wait("ALSA", 10, || engine.feedback().song_frame > 48_000);
    assert_eq!(engine.device().map(|device| device.playing), Some(Host::Alsa));
}

#[test]
fn what_a_device_refuses_is_said_and_nothing_starts() {
    let start = |config| match Engine::start(Config::new(config)) {
        Err(EngineError::Device(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it plays"),
    };
    let unknown = start(named(Host::Alsa, "no such card"));
    assert!(matches!(unknown, DeviceError::NotFound { .. }), "{unknown}");
    #[cfg(not(feature = "jack"))]
    {
        let missing = start(DeviceConfig::of(Host::Jack, 48_000));
        assert_eq!(missing, DeviceError::HostMissing { host: Host::Jack });
    }
}

#[test]
fn a_device_that_cannot_be_opened_leaves_the_old_one_playing() {
    let engine = Engine::start(Config::new(DeviceConfig::null(48_000))).unwrap();
    assert!(engine.open_device(named(Host::Alsa, "no such card")).is_err());
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    wait("the null device", 10, || engine.feedback().song_frame > 4_000);
    assert_eq!(engine.device().map(|device| device.playing), Some(Host::Null));
}

/// Whoever asks right after a start is told of the start, and of nothing before it.
#[test]
fn the_place_is_never_told_from_before_the_start() {
    for anticipation in [None, Some(Anticipation { workers: 1, ..Anticipation::default() })] {
        let config = Config { anticipation, ..Config::new(DeviceConfig::null(48_000)) };
        let engine = Engine::start(config).unwrap();
        for turn in 0..40u64 {
            let from = 96_000 - i64::from(turn as u32 % 3) * 1_000;
            engine.play(Start { from: Some(from), ..Start::default() }).unwrap();
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(20 + turn * 2) {
                let at = engine.song_frame();
                assert!(at >= from, "{at} instead of {from} or later, turn {turn}");
            }
            engine.stop().unwrap();
            if turn.is_multiple_of(2) {
                engine.seek(0).unwrap();
                assert_eq!(engine.song_frame(), 0);
            }
        }
    }
}

#[cfg(feature = "jack")]
#[path = "shared/jack.rs"]
mod jack;
#[cfg(feature = "jack")]
#[path = "shared/session.rs"]
mod session;

#[cfg(feature = "jack")]
#[allow(clippy::unwrap_used, reason = "the helpers of a test stop it as the test does")]
mod on_jack {
    use std::{
        process::{Command, Stdio},
        sync::{Arc, Mutex},
    };

    use pulse_engine::{
        device::{midi_out::MidiSender, midir},
        material::{NoMedia, Slices},
    };
    use pulse_schemas::{
        graph::{GraphSpec, OutputKind, SpecEvent, SpecEventBody},
        id::EntityKind,
    };

    use super::{
        jack::{Server, within},
        session::{id, key, master, node, tap},
        *,
    };

    const SERVER: &str = "pulse-device-test";
    const LIVE_SERVER: &str = "pulse-live-test";
    const OUT_SERVER: &str = "pulse-out-test";

    fn connect(from: &str, to: &str) -> bool {
        let mut command = Command::new("jack_connect");
        command.args(["-s", LIVE_SERVER, from, to]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn ports() -> Vec<String> {
        let listed = Command::new("jack_lsp").args(["-s", LIVE_SERVER]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
    }

    /// A synth plays into the device; the device's output is led back into its
    /// input, which a second output of the engine hears. The notes come over MIDI.
    #[test]
    fn midi_and_audio_come_in_through_jack() {
        if !within(LIVE_SERVER, "on_jack::midi_and_audio_come_in_through_jack") {
            return;
        }
        let Some(server) = Server::start(LIVE_SERVER, 256) else { return };
        let other_rate = DeviceConfig { inputs: 2, ..DeviceConfig::of(Host::Jack, 44_100) };
        let refused = Engine::start(Config::new(other_rate.clone())).err();
        assert!(
            matches!(refused, Some(EngineError::Device(DeviceError::Format { .. }))),
            "{refused:?}"
        );
        let config = device::fitting(&other_rate).unwrap();
        assert_eq!(config.sample_rate, 48_000);
        let engine = Engine::start(Config::new(config)).unwrap();
        assert_eq!(engine.device().map(|device| device.inputs), Some(2));

        let (synth, input) = (node(1, "pulse.synth", None), node(2, "pulse.input", None));
        let heard = OutputKind::Tap(input.key.entity);
        let mut spec = GraphSpec {
            outputs: vec![master(1), tap(2)],
            nodes: vec![synth.clone(), input.clone()],
            ..GraphSpec::default()
        };
        spec.canonicalise();
        let mut slices = Slices::default();
        slices.params.set(input.key, "monitor", 2.0);
        engine.load(&spec, slices, &NoMedia).unwrap();
        let level = |of: OutputKind| {
            let levels = engine.feedback().levels;
            levels.iter().find(|(kind, _)| *kind == of).map_or(0.0, |(_, level)| level.rms[0])
        };

        let keyboard = ::midir::MidiOutput::new("Pulse test keyboard").unwrap();
        let mut keyboard =
            ::midir::os::unix::VirtualOutput::create_virtual(keyboard, "keys").unwrap();
        let found = || midir::ports().unwrap().inputs.into_iter().find(|it| it.contains("keys"));
        wait("the keyboard", 20, || found().is_some());
        let targets: midir::Targets = Arc::new(Mutex::new(vec![midir::Target {
            port: None,
            channel: None,
            node: synth.key,
            auto: false,
        }]));
        let inlet = engine.inlet().unwrap();
        let opened = midir::MidiIn::open(&found().unwrap(), inlet, targets);
        let port = opened.map_err(|(error, _)| error).unwrap();
        let struck = std::cell::RefCell::new(&mut keyboard);
        wait("a note", 30, || {
            // The port may not be connected yet when the first is struck.
            struck.borrow_mut().send(&[0x90, 69, 127]).unwrap();
            level(OutputKind::Master) > 0.005
        });
        // Whatever the device was led to by itself, nothing comes back before this.
        assert!(level(heard) < 0.001, "{}", level(heard));
        wait("the loop", 20, || {
            let ports = ports();
            let named = |part: &str| ports.iter().find(|port| port.contains(part)).cloned();
            match (named("_out:out_0"), named("_in:in_0")) {
                (Some(from), Some(to)) => connect(&from, &to),
                _ => false,
            }
        });
        wait("what comes back", 20, || level(heard) > 0.005);
        struck.borrow_mut().send(&[0x80, 69, 0]).unwrap();
        wait("the end of the note", 20, || level(heard) < 0.001);
        engine.return_inlet(port.close());
        drop((engine, server));
    }

    /// What a MIDI port heard: microseconds and bytes.
    type Heard = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

    fn instrument(name: &str, heard: &Heard) -> ::midir::MidiInputConnection<Heard> {
        let input = ::midir::MidiInput::new("Pulse test instrument").unwrap();
        let take = |stamp: u64, bytes: &[u8], heard: &mut Heard| {
            heard.lock().unwrap().push((stamp, bytes.to_vec()));
        };
        ::midir::os::unix::VirtualInput::create_virtual(input, name, take, heard.clone()).unwrap()
    }

    /// Whether every note that was begun has ended.
    fn is_quiet(heard: &Heard) -> bool {
        let mut held = std::collections::BTreeSet::new();
        for (_, bytes) in heard.lock().unwrap().iter() {
            match bytes[0] & 0xf0 {
                0x90 => _ = held.insert(bytes[1]),
                0x80 => _ = held.remove(&bytes[1]),
                _ => {}
            }
        }
        held.is_empty()
    }

    fn begun(heard: &Heard) -> Vec<u64> {
        let heard = heard.lock().unwrap();
        heard.iter().filter(|(_, bytes)| bytes[0] & 0xf0 == 0x90).map(|(at, _)| *at).collect()
    }

    /// Notes of the song every quarter of a second to a port, which comes late, goes and comes
    /// back; whatever ends the playing ends the notes.
    #[test]
    fn notes_go_out_in_time_and_end() {
        if !within(OUT_SERVER, "on_jack::notes_go_out_in_time_and_end") {
            return;
        }
        let Some(server) = Server::start(OUT_SERVER, 256) else { return };
        let engine = Engine::start(Config::new(DeviceConfig::of(Host::Jack, 48_000))).unwrap();
        let mut spec = GraphSpec {
            nodes: vec![node(1, "pulse.strip", None), node(2, "pulse.midi", None)],
            outputs: vec![master(1)],
            ..GraphSpec::default()
        };
        spec.canonicalise();
        let mut slices = Slices::default();
        slices.params.set(key(2), "channel", 10.0);
        let events = slices.events.0.entry(key(2)).or_default();
        let (channel, velocity) = (0, 0.5);
        for at in 0..200u8 {
            let (frame, key) = (i64::from(at) * 12_000, 40 + at % 40);
            let id = id(EntityKind::Note, u32::from(at));
            let on = SpecEventBody::NoteOn { channel, key, pitch: f64::from(key), velocity };
            let off = SpecEventBody::NoteOff { channel, key, velocity };
            events.push(SpecEvent { frame, id, body: on });
            // Notes overlap, so that something is always held.
            events.push(SpecEvent { frame: frame + 18_000, id, body: off });
        }
        engine.load(&spec, slices, &NoMedia).unwrap();
        let sender = MidiSender::start(engine.outlet().unwrap()).unwrap();
        assert!(engine.outlet().is_none(), "there is one");
        // A port that is not there is a state.
        let name = "Pulse test instrument:bells".to_owned();
        sender.lead([(key(2), name.clone())].into());
        wait("the state", 20, || sender.ports().get(&name).is_some_and(Option::is_some));
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        let heard = Heard::default();
        let port = instrument("bells", &heard);
        wait("the port", 20, || sender.ports().get(&name) == Some(&None));
        wait("notes", 30, || begun(&heard).len() >= 6);
        let notes = begun(&heard);
        assert!(heard.lock().unwrap().iter().all(|(_, bytes)| bytes[0] & 15 == 9), "channel 10");
        // As far as midir's JACK tells: to its period. A busy machine may be late, but not always.
        let gaps: Vec<u64> = notes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let good = gaps.iter().filter(|gap| gap.abs_diff(250_000) < 100_000).count();
        eprintln!("{gaps:?} us between notes of 250 ms");
        assert!(good * 2 > gaps.len(), "{gaps:?}");
        type Action<'a> = (&'a str, &'a dyn Fn());
        let ends: [Action<'_>; 3] = [
            ("stop", &|| engine.stop().unwrap()),
            ("pause", &|| engine.pause().unwrap()),
            ("bypass", &|| engine.set_bypass(key(2), true).unwrap()),
        ];
        for (what, end) in ends {
            engine.set_bypass(key(2), false).unwrap();
            engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
            wait("a note", 20, || !is_quiet(&heard));
            end();
            wait(what, 20, || is_quiet(&heard));
            std::thread::sleep(Duration::from_millis(100));
            let so_far = begun(&heard).len();
            std::thread::sleep(Duration::from_millis(400));
            assert_eq!(begun(&heard).len(), so_far, "after {what}");
        }
        // A panic and a seek end what was held before them.
        engine.set_bypass(key(2), false).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        wait("a note", 20, || !is_quiet(&heard));
        engine.panic().unwrap();
        wait("the panic", 20, || is_quiet(&heard));
        engine.set_bypass(key(2), false).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        wait("a note", 20, || !is_quiet(&heard));
        engine.seek(48_000 * 3_600).unwrap();
        wait("the seek", 20, || is_quiet(&heard));
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        wait("a note", 20, || !is_quiet(&heard));
        // Led elsewhere, and back.
        sender.lead(Default::default());
        wait("another way", 20, || is_quiet(&heard));
        sender.lead([(key(2), name.clone())].into());
        let before = begun(&heard).len();
        wait("notes again", 20, || begun(&heard).len() > before + 2);
        // The port goes and comes back.
        drop(port);
        wait("the loss of the port", 20, || sender.ports().get(&name).is_some_and(Option::is_some));
        let heard = Heard::default();
        let port = instrument("bells", &heard);
        wait("its return", 20, || begun(&heard).len() > 2);
        // The plan goes, and the notes with it.
        spec.nodes.retain(|node| node.key != key(2));
        engine.load(&spec, Slices::default(), &NoMedia).unwrap();
        wait("the node", 20, || is_quiet(&heard));
        drop((sender, engine, port, server));
    }

    #[test]
    fn a_jack_server_is_played_lost_and_found_again() {
        if !within(SERVER, "on_jack::a_jack_server_is_played_lost_and_found_again") {
            return;
        }
        let Some(server) = Server::start(SERVER, 256) else { return };
        let engine = Engine::start(Config::new(DeviceConfig::of(Host::Jack, 48_000))).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        let began = Instant::now();
        wait("JACK", 20, || engine.feedback().song_frame > 96_000);
        let seconds = began.elapsed().as_secs_f64();
        let played = engine.feedback().song_frame as f64 / 48_000.0;
        eprintln!("{played:.2} s played in {seconds:.2} s, {} xruns", engine.feedback().xruns);
        assert!((0.4..1.3).contains(&(played / seconds)), "JACK keeps time");
        drop(server);
        wait("the loss", 20, || {
            let device = engine.device().unwrap();
            device.lost.is_some() && device.playing == Host::Null
        });
        let before = engine.feedback().song_frame;
        wait("the stand-in", 20, || engine.feedback().song_frame > before + 24_000);
        let server = Server::start(SERVER, 256).unwrap();
        wait("the recovery", 30, || {
            let device = engine.device().unwrap();
            device.lost.is_none() && device.playing == Host::Jack
        });
        let before = engine.feedback().song_frame;
        wait("JACK again", 20, || engine.feedback().song_frame > before + 24_000);
        drop(engine);
        drop(server);
    }
}

#[test]
fn a_device_with_another_rate_plays_at_its_own() {
    let null = named(Host::Alsa, "null");
    if Engine::devices().iter().any(|device| device.host == Host::Alsa && device.name == "null") {
        assert_eq!(device::fitting(&null).unwrap().sample_rate, 48_000);
    }
    let error = device::fitting(&named(Host::Alsa, "no such card")).unwrap_err();
    assert!(matches!(error, DeviceError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("pulse devices"), "it says what to do: {error}");
}
