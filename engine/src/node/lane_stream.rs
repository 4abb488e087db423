//! `pulse.lane`: plays the clips of a lane.
//!
//! What sounds at a frame is a pure function of the song position and the clips:
//! resampling is a function of position, loops and reversal are arithmetic on it,
//! stretched audio is an immutable buffer made when the content was bound. So a
//! render may start and be cut anywhere, and splitting a clip in two changes no bit.
//! The only state is the short fade of what was playing when the transport stops or
//! jumps.
//!
//! Media are read without waiting on the audio thread; what is not in memory is
//! silence and is counted. Offline the same read waits.

use crate::{
    node::{
        Content, Descriptor, Io, Node, NodeKind, Setup, StateVisitor, Tail, parameters::parameters,
        voices::decibel_ramp,
    },
    param::{ParamDesc, Unit},
};

mod bind;
mod pieces;
mod plan;
mod shape;
mod stretch;
#[cfg(test)]
mod tests;
mod warp;

use bind::LanePlan;
use plan::{CHUNK, Chunk, SCRATCH};

/// Frames over which what was playing fades when the transport stops or jumps.
const DECLICK: u64 = 128;
/// Media of clips that start within so many seconds are asked for.
const AHEAD_SECONDS: f64 = 1.0;
/// Frames between two such requests.
const ASK_EVERY: i64 = 4_096;

parameters!(PARAMS, P {
    Gain => ParamDesc::new("gain", "Gain", Unit::Decibel, (-60.0, 12.0), 0.0),
});

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::instrument("pulse.lane", "Clip player", PARAMS);
    descriptor.event_input = false;
    descriptor.reads_transport = true;
    descriptor.follows_tempo = crate::node::FollowsTempo::Never;
    // 2: stretched clips have the same bits on every machine.
    descriptor.dsp_version = 2;
    descriptor
};

pub static KIND: NodeKind = {
    let mut kind = NodeKind::new(&DESCRIPTOR, || Box::new(LaneStream::default()));
    kind.bind = Some(bind::bind);
    kind
};

#[derive(Default)]
struct LaneStream {
    ahead: i64,
    scratch: [Vec<f32>; 2],
    playing: bool,
    /// The song frame that comes next if nothing jumps.
    next: i64,
    /// Where what was playing before the jump goes on, and how much of its fade is left.
    fading: i64,
    fade_left: u64,
    /// Frames that were not in memory; for display only.
    missing: u64,
}

impl Node for LaneStream {
    fn prepare(&mut self, setup: &Setup) {
        self.ahead = (AHEAD_SECONDS * setup.rate()) as i64;
        self.scratch = [vec![0.0; SCRATCH], vec![0.0; SCRATCH]];
        self.missing = 0;
        self.reset();
    }

    fn process(&mut self, io: &mut Io<'_>) {
        let plan = LanePlan::of(io.content());
        let transport = io.transport();
        let jumped = self.playing
            && (!transport.playing || transport.jumped || transport.song_frame != self.next);
        if jumped {
            (self.fading, self.fade_left) = (self.next, DECLICK);
        }
        self.playing = transport.playing;
        let mut at = 0;
        while at < io.frames() {
            let frames = CHUNK.min(io.frames() - at);
            let song = transport.playing.then_some(transport.song_frame + at as i64);
            self.chunk(io, plan, at, frames, song);
            at += frames;
        }
        self.next = transport.song_frame + io.frames() as i64;
        if let (Some(plan), true) = (plan, transport.playing) {
            self.ask_ahead(plan, transport.song_frame, io.frames(), transport.jumped);
        }
    }

    fn visit_state(&mut self, visitor: &mut dyn StateVisitor) {
        visitor.bool(&mut self.playing);
        visitor.i64(&mut self.next);
        visitor.i64(&mut self.fading);
        visitor.u64(&mut self.fade_left);
    }

    fn reset(&mut self) {
        self.playing = false;
        (self.next, self.fading, self.fade_left) = (0, 0, 0);
    }

    fn tail(&self) -> Tail {
        Tail::Infinite
    }

    fn readings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("missingFrames", self.missing as f64);
    }
}

impl LaneStream {
    /// Renders frames `at..at + frames` of the call, from song position `song`.
    fn chunk(
        &mut self,
        io: &mut Io<'_>,
        plan: Option<&LanePlan>,
        at: usize,
        frames: usize,
        song: Option<i64>,
    ) {
        let mut sum = [[0.0; CHUNK]; 2];
        if let Some(plan) = plan {
            if let Some(song) = song {
                self.add(io, plan, song, frames, &mut sum);
            }
            self.add_fading(io, plan, frames, &mut sum);
        }
        self.fade_left = self.fade_left.saturating_sub(frames as u64);
        let gain = decibel_ramp(io.param_ramp(P::Gain as usize));
        let mono = io.output_channels(0) < 2;
        let (left, right) = io.output_pair(0);
        for (i, (l, r)) in sum[0].iter().zip(&sum[1]).take(frames).enumerate() {
            let n = at + i;
            if mono {
                left[n] = ((l + r) * 0.5 * gain.at(n)) as f32;
            } else {
                left[n] = (l * gain.at(n)) as f32;
                right[n] = (r * gain.at(n)) as f32;
            }
        }
    }

    fn add(
        &mut self,
        io: &Io<'_>,
        plan: &LanePlan,
        song: i64,
        frames: usize,
        sum: &mut [[f64; CHUNK]; 2],
    ) {
        for clip in plan.sounding(song, frames) {
            let mut chunk =
                Chunk { scratch: &mut self.scratch, may_wait: io.may_wait(), missing: 0 };
            clip.add(&mut chunk, song, frames, sum);
            self.missing += chunk.missing;
        }
    }

    /// What was playing before the transport stopped or jumped, fading.
    fn add_fading(
        &mut self,
        io: &Io<'_>,
        plan: &LanePlan,
        frames: usize,
        sum: &mut [[f64; CHUNK]; 2],
    ) {
        if self.fade_left == 0 {
            return;
        }
        let mut old = [[0.0; CHUNK]; 2];
        let frames = frames.min(self.fade_left as usize);
        self.add(io, plan, self.fading, frames, &mut old);
        for (sum, old) in sum.iter_mut().zip(&old) {
            for (i, (sum, old)) in sum.iter_mut().zip(old).take(frames).enumerate() {
                *sum += old * ((self.fade_left as f64 - i as f64) / DECLICK as f64);
            }
        }
        self.fading += frames as i64;
    }

    /// Asks for media that will be needed soon. Changes no sample.
    fn ask_ahead(&self, plan: &LanePlan, song: i64, frames: usize, jumped: bool) {
        let end = song + frames as i64;
        if jumped || song.div_euclid(ASK_EVERY) != end.div_euclid(ASK_EVERY) {
            let ahead = usize::try_from(self.ahead).unwrap_or(0) + ASK_EVERY as usize;
            plan.sounding(end, ahead).for_each(|clip| clip.prefetch(end, ahead));
        }
    }
}

impl LanePlan {
    fn of(content: &Content) -> Option<&LanePlan> {
        content.extra.as_ref().and_then(|extra| extra.downcast_ref())
    }
}
