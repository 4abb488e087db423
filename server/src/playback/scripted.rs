//! The playback of tests that need an engine to say something.

use super::*;

impl Playback for Scripted {
    fn state(&self) -> EngineState {
        self.script.lock().unwrap().state.unwrap_or(EngineState::Running)
    }

    fn news(&mut self) -> News {
        let mut script = self.script.lock().unwrap();
        let faults = std::mem::take(&mut script.faults);
        News { faults, ..script.clone() }
    }

    fn position(&self) -> Flicks {
        self.inner.position()
    }

    fn play(&mut self, roll: &Roll) {
        self.inner.play(roll);
    }

    fn rolling(&self) -> Rolling {
        self.inner.rolling()
    }

    fn halt(&mut self, keep_tails: bool) {
        self.inner.halt(keep_tails);
    }

    fn seek(&mut self, to: Flicks) {
        self.inner.seek(to);
    }

    fn set_loop(&mut self, range: Option<(Flicks, Flicks)>) {
        self.inner.set_loop(range);
    }

    fn config(&self) -> AudioConfig {
        self.inner.config()
    }

    fn devices(&self) -> (Vec<AudioDevice>, Vec<MidiPort>) {
        self.inner.devices()
    }

    fn configure(&mut self, wanted: &Wanted) -> Option<String> {
        self.inner.configure(wanted)
    }

    fn set_midi(&mut self, ports: &[String], active: bool) -> Result<(), String> {
        self.inner.set_midi(ports, active)
    }
}
