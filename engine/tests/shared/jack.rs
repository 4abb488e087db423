//! A JACK server that plays to nobody, started and stopped by a test by its process id.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

pub struct Server(Child);

impl Server {
    /// None where jackd is not installed.
    pub fn start(name: &str, period: u32) -> Option<Server> {
        let period = period.to_string();
        let mut command = Command::new("jackd");
        command.args(["--no-realtime", "-n", name, "-d", "dummy", "-r", "48000", "-p", &period]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = child else {
            eprintln!("skipped: jackd is not installed (apt-get install jackd2)");
            return None;
        };
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

/// Runs a test of this program again with a server's name in the environment, which a test can only
/// set for another process. True in that process.
pub fn within(server: &str, test: &str) -> bool {
    if std::env::var("JACK_DEFAULT_SERVER").as_deref() == Ok(server) {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env("JACK_DEFAULT_SERVER", server).env("JACK_NO_START_SERVER", "1");
    assert!(command.status().unwrap().success());
    false
}
