//! Real devices: ALSA's null device, and with the feature `jack` a JACK server
//! that plays to nobody, started and stopped here by its process id.

#![allow(clippy::disallowed_methods, reason = "devices play in real time")]

use std::time::{Duration, Instant};

use pulse_engine::{
    device::{DeviceConfig, DeviceError, Host},
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
mod jack {
    use std::process::{Child, Command, Stdio};

    use super::*;

    const SERVER: &str = "pulse-device-test";

    struct Server(Child);

    impl Server {
        /// None where jackd is not installed.
        fn start() -> Option<Server> {
            let rates = ["--no-realtime", "-n", SERVER, "-d", "dummy", "-r", "48000", "-p", "256"];
            let mut command = Command::new("jackd");
            command.args(rates).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().ok()?;
            std::thread::sleep(Duration::from_millis(1_500));
            Some(Server(child))
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            // This very process, by its id.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The name of the server is read from the environment, which a test can only
    /// set for another process: it runs itself again.
    #[test]
    fn a_jack_server_is_played_lost_and_found_again() {
        if std::env::var("JACK_DEFAULT_SERVER").as_deref() != Ok(SERVER) {
            let own = std::env::current_exe().unwrap();
            let name = "jack::a_jack_server_is_played_lost_and_found_again";
            let status = Command::new(own)
                .args(["--exact", name, "--nocapture"])
                .env("JACK_DEFAULT_SERVER", SERVER)
                .env("JACK_NO_START_SERVER", "1")
                .status()
                .unwrap();
            assert!(status.success());
            return;
        }
        let Some(server) = Server::start() else {
            eprintln!("skipped: jackd is not installed (apt-get install jackd2)");
            return;
        };
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
        let server = Server::start().unwrap();
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
