//! What the audio thread shows, thirty times a second: where the transport
//! stands, how loud each output was, how busy it is, what failed.
//!
//! Snapshots are boxes that travel in a circle, empty one way and full the
//! other, so none is made or freed while sound runs. When nobody empties them
//! the audio thread goes on measuring and says it all the next time.

use pulse_schemas::graph::{NodeKey, OutputKind};
use rtrb::{Consumer, Producer, RingBuffer};

use super::transport::Mode;
use crate::analysis::Spectrum;

/// Snapshots in the circle.
const BOXES: usize = 8;
/// Outputs that are measured; more play unmeasured.
pub const MAX_LEVELS: usize = 4_096;
const MAX_FAULTS: usize = 64;
/// Samples of the master that are kept for a spectrum.
pub const SPECTRUM_SIZE: usize = 4_096;
pub const PER_SECOND: u32 = 30;

/// Peak and power of one stereo output since the last snapshot.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Level {
    pub peak: [f32; 2],
    /// In a snapshot the root of the mean square, while measuring the sum.
    pub rms: [f64; 2],
}

impl Level {
    /// Real-time safe.
    pub fn add(&mut self, channels: [&[f32]; 2]) {
        for (side, samples) in channels.iter().enumerate() {
            let (mut peak, mut sum) = (self.peak[side], 0.0f64);
            for &sample in *samples {
                let size = sample.abs();
                peak = if size > peak { size } else { peak };
                sum += f64::from(sample) * f64::from(sample);
            }
            self.peak[side] = peak;
            self.rms[side] += sum;
        }
    }

    fn over(self, frames: u64) -> Level {
        let mean = |sum: f64| (sum / frames.max(1) as f64).sqrt();
        Level { peak: self.peak, rms: self.rms.map(mean) }
    }
}

/// How busy the audio thread was, in parts of the time that it had.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Load {
    pub mean: f32,
    pub peak: f32,
}

/// One snapshot as it travels.
pub struct Snapshot {
    pub serial: u64,
    pub clock: u64,
    pub mode: Mode,
    pub recording: bool,
    pub song_frame: i64,
    pub load: Load,
    pub xruns: u64,
    pub levels: Vec<Level>,
    pub faults: Vec<(NodeKey, bool)>,
}

impl Snapshot {
    fn new() -> Snapshot {
        Snapshot {
            serial: 0,
            clock: 0,
            mode: Mode::Stopped,
            recording: false,
            song_frame: 0,
            load: Load::default(),
            xruns: 0,
            levels: Vec::with_capacity(MAX_LEVELS),
            faults: Vec::with_capacity(MAX_FAULTS),
        }
    }
}

/// The audio thread's end.
pub struct Writer {
    free: Consumer<Box<Snapshot>>,
    full: Producer<Box<Snapshot>>,
    spectrum: Producer<f32>,
    levels: Vec<Level>,
    faults: Vec<(NodeKey, bool)>,
    frames: u64,
    every: u64,
    busy_seconds: f64,
    busy_peak: f32,
    rate: f64,
}

/// The other end.
pub struct Reader {
    free: Producer<Box<Snapshot>>,
    full: Consumer<Box<Snapshot>>,
    spectrum: Consumer<f32>,
    window: Vec<f32>,
    transform: Spectrum,
}

pub fn channel(rate: u32) -> (Writer, Reader) {
    let (mut free, empties) = RingBuffer::new(BOXES);
    for _ in 0..BOXES {
        let _ = free.push(Box::new(Snapshot::new()));
    }
    let (full, filled) = RingBuffer::new(BOXES);
    let (tap, tapped) = RingBuffer::new(SPECTRUM_SIZE * 4);
    let writer = Writer {
        free: empties,
        full,
        spectrum: tap,
        levels: Vec::with_capacity(MAX_LEVELS),
        faults: Vec::with_capacity(MAX_FAULTS),
        frames: 0,
        every: u64::from(rate / PER_SECOND).max(1),
        busy_seconds: 0.0,
        busy_peak: 0.0,
        rate: f64::from(rate),
    };
    let reader = Reader {
        free,
        full: filled,
        spectrum: tapped,
        window: Vec::with_capacity(SPECTRUM_SIZE * 2),
        transform: Spectrum::new(SPECTRUM_SIZE),
    };
    (writer, reader)
}

/// All of it is called on the real-time thread.
impl Writer {
    /// Another plan has other outputs.
    pub fn restart(&mut self, outputs: usize) {
        self.levels.clear();
        self.levels.resize(outputs.min(MAX_LEVELS), Level::default());
        self.frames = 0;
        (self.busy_seconds, self.busy_peak) = (0.0, 0.0);
    }

    pub fn level(&mut self, output: usize, channels: [&[f32]; 2]) {
        if let Some(level) = self.levels.get_mut(output) {
            level.add(channels);
        }
    }

    pub fn master(&mut self, left: &[f32], right: &[f32]) {
        for (left, right) in left.iter().zip(right) {
            if self.spectrum.push((left + right) * 0.5).is_err() {
                return;
            }
        }
    }

    pub fn fault(&mut self, node: NodeKey, panicked: bool) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push((node, panicked));
        }
    }

    /// After a callback of so many frames that took so many seconds.
    pub fn worked(&mut self, frames: u64, seconds: f64) {
        self.frames += frames;
        self.busy_seconds += seconds;
        let load = (seconds * self.rate / frames.max(1) as f64) as f32;
        self.busy_peak = self.busy_peak.max(load);
    }

    /// Sends a snapshot when it is time for one and a box is at hand.
    pub fn send(&mut self, fill: impl FnOnce(&mut Snapshot)) {
        if self.frames < self.every {
            return;
        }
        let Ok(mut snapshot) = self.free.pop() else { return };
        fill(&mut snapshot);
        let mean = self.busy_seconds * self.rate / self.frames as f64;
        snapshot.load = Load { mean: mean as f32, peak: self.busy_peak };
        snapshot.levels.clear();
        snapshot.levels.extend(self.levels.iter().map(|level| level.over(self.frames)));
        snapshot.faults.clear();
        snapshot.faults.append(&mut self.faults);
        if let Err(rtrb::PushError::Full(snapshot)) = self.full.push(snapshot) {
            // Can't happen: there are as many places as boxes.
            std::mem::forget(snapshot);
        }
        let outputs = self.levels.len();
        self.restart(outputs);
    }
}

/// A node that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    pub node: NodeKey,
    /// Else its output was not finite.
    pub panicked: bool,
}

/// What sounded since the last time somebody asked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Feedback {
    /// Whether anything was measured since the last time somebody asked; else this
    /// is what was said then.
    pub fresh: bool,
    /// Frames since the engine started.
    pub clock: u64,
    pub mode: Mode,
    pub recording: bool,
    pub song_frame: i64,
    pub load: Load,
    pub xruns: u64,
    /// Every output of the plan that plays.
    pub levels: Vec<(OutputKind, Level)>,
    /// Nodes that failed since the last feedback.
    pub faults: Vec<Fault>,
}

impl Feedback {
    pub fn master(&self) -> Option<Level> {
        let found = self.levels.iter().find(|(kind, _)| *kind == OutputKind::Master);
        found.map(|(_, level)| *level)
    }
}

impl Reader {
    /// The latest snapshot, with the loudest peaks and all faults of those
    /// before it; None when there is none.
    pub fn latest(
        &mut self,
        outputs: impl Fn(u64) -> Option<std::sync::Arc<[OutputKind]>>,
    ) -> Option<Feedback> {
        let mut latest: Option<Feedback> = None;
        while let Ok(snapshot) = self.full.pop() {
            let before = latest.take();
            latest = Some(merge(before, &snapshot, outputs(snapshot.serial)));
            let _ = self.free.push(snapshot);
        }
        latest
    }

    /// Magnitudes of the master from 0 Hz to half the rate, as of now.
    pub fn spectrum(&mut self, out: &mut Vec<f32>) {
        self.window.extend(std::iter::from_fn(|| self.spectrum.pop().ok()));
        let surplus = self.window.len().saturating_sub(SPECTRUM_SIZE);
        self.window.drain(..surplus);
        self.transform.magnitudes(&self.window, out);
    }
}

fn merge(
    before: Option<Feedback>,
    snapshot: &Snapshot,
    outputs: Option<std::sync::Arc<[OutputKind]>>,
) -> Feedback {
    let kinds = outputs.iter().flat_map(|kinds| kinds.iter().copied());
    let mut levels: Vec<(OutputKind, Level)> = kinds.zip(snapshot.levels.iter().copied()).collect();
    let mut load = snapshot.load;
    let mut faults: Vec<Fault> = vec![];
    if let Some(before) = before {
        for ((kind, level), (other, earlier)) in levels.iter_mut().zip(&before.levels) {
            if kind == other {
                level.peak = [0, 1].map(|side| level.peak[side].max(earlier.peak[side]));
            }
        }
        load.peak = load.peak.max(before.load.peak);
        faults = before.faults;
    }
    faults.extend(snapshot.faults.iter().map(|&(node, panicked)| Fault { node, panicked }));
    Feedback {
        fresh: true,
        clock: snapshot.clock,
        mode: snapshot.mode,
        recording: snapshot.recording,
        song_frame: snapshot.song_frame,
        load,
        xruns: snapshot.xruns,
        levels,
        faults,
    }
}
