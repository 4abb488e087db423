//! Real devices: ALSA's null device, and with the feature `jack` a JACK server
//! that plays to nobody, started and stopped here by its process id.

#![allow(clippy::disallowed_methods, reason = "devices play in real time")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use std::time::{Duration, Instant};

use pulse_engine::{
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
        device::midir,
        material::{NoMedia, Slices},
    };
    use pulse_schemas::graph::{GraphSpec, OutputKind};

    use super::{
        jack::{Server, within},
        session::{master, node, tap},
        *,
    };

    const SERVER: &str = "pulse-device-test";
    const LIVE_SERVER: &str = "pulse-live-test";

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
