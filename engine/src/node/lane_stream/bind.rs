//! Makes clips readable, off the audio thread: filters for other sample rates, audio
//! for stretched clips. Both are kept while any content uses them, so moving a clip
//! computes nothing again. Where there is a place for it beyond that, clips of
//! compressed media and of other rates find what they show as it was made before.

use std::sync::{Arc, Mutex};

use pulse_schemas::{
    graph::{PlacedClip, StretchMode},
    hash::Hash,
};

use super::{
    pieces::{Converter, Maker, PieceKey, Reading, pieces, shown},
    plan::{CHUNK, ClipPlan, Reader, SCRATCH},
    stretch::{Method, elastic, tape},
    warp,
};
use crate::{
    buffer::{AudioBuffer, AudioSource},
    node::{
        BindContext, Content, Made, OpenClip,
        media::{Kept, balance, cached, keep, read_range},
    },
    resample::{Resampler, Step},
    stretch::{Stretcher, Timestretch},
};

/// Ratios beyond this are converted here instead of while playing.
const MOST_LIVE_RATIO: f64 = 32.0;

/// All clips of a lane, by start.
#[derive(Default)]
pub struct LanePlan {
    clips: Vec<ClipPlan>,
    longest: u64,
}

impl LanePlan {
    /// The clips that sound within some song frames, in the order in which they are
    /// summed.
    pub fn sounding(&self, song: i64, frames: usize) -> impl Iterator<Item = &ClipPlan> {
        let end = song.saturating_add_unsigned(frames as u64);
        let earliest = song.saturating_sub_unsigned(self.longest);
        let from = self.clips.partition_point(|clip| clip.start < earliest);
        let to = self.clips.partition_point(|clip| clip.start < end);
        let range = self.clips.get(from..to).unwrap_or(&[]);
        range.iter().filter(move |clip| clip.end() > song)
    }
}

pub fn bind(context: &BindContext<'_>, content: &mut Content) {
    let mut clips: Vec<ClipPlan> =
        content.clips.iter_mut().map(|clip| plan(clip, context)).collect();
    clips.sort_by_key(|clip| clip.start);
    let longest = clips.iter().map(|clip| clip.frames).max().unwrap_or(0);
    content.extra = Some(Arc::new(LanePlan { clips, longest }));
}

fn plan(clip: &mut OpenClip, context: &BindContext<'_>) -> ClipPlan {
    let (reader, length) = reader(clip, context);
    let spec = &clip.spec;
    let gain = if spec.gain.is_finite() { spec.gain } else { 0.0 };
    ClipPlan {
        start: spec.start_frame,
        frames: spec.frames,
        slip: spec.slip,
        repeat: spec.repeat,
        reverse: spec.reverse,
        length,
        gains: balance(spec.pan).map(|side| side * gain),
        fade_in: spec.fade_in,
        fade_out: spec.fade_out,
        reader,
    }
}

/// How the clip is read, and how many frames of content it has.
fn reader(clip: &mut OpenClip, context: &BindContext<'_>) -> (Reader, u64) {
    let rate = context.sample_rate;
    let Some(source) = clip.source.clone() else { return (Reader::Silent, 0) };
    let spec = &clip.spec;
    let available = source.frames().saturating_sub(spec.source_start).min(spec.source_frames);
    if available == 0 {
        return (Reader::Silent, 0);
    }
    if let Some(prepared) = stretched(spec, &source, available, context) {
        clip.prepared = Some(prepared.clone());
        let length = prepared.frames();
        return (Reader::Direct(prepared, 0), length);
    }
    let speed = match spec.stretch.mode {
        StretchMode::None => 1.0,
        // Without its stretcher an elastic clip keeps its length and loses its pitch.
        StretchMode::Repitch | StretchMode::Elastic => spec.stretch.ratio,
    };
    let Ok(step) = Step::with_speed(source.rate(), rate, speed) else {
        return (Reader::Silent, 0);
    };
    let length = step.output_frames(available);
    let total = step.output_frames(source.frames() - spec.source_start);
    let show = shown(spec, length);
    let find = |key: &PieceKey, frames, show, maker: &dyn Maker| {
        let found = pieces(key, frames, show, maker, context.derived?)?;
        Some(Arc::new(found) as Arc<dyn AudioSource>)
    };
    let mut key = PieceKey {
        media: spec.media,
        start: spec.source_start,
        rates: (source.rate(), rate),
        speed,
        made: Made::Resampled,
    };
    if step.is_identity() {
        let start = spec.source_start;
        let found = source.is_dear().then(|| {
            (key.start, key.made) = (0, Made::Decoded);
            let show = show.start + start..show.end + start;
            find(&key, source.frames(), show, &Reading(&*source))
        });
        return (Reader::Direct(found.flatten().unwrap_or(source), start), length);
    }
    if step.as_f64() > MOST_LIVE_RATIO {
        return converted(&source, spec.source_start, available, rate, speed);
    }
    let resampler = shared_resampler(step);
    debug_assert!(resampler.max_span(CHUNK) <= SCRATCH);
    let maker =
        Converter { source: &*source, start: spec.source_start, resampler: &resampler, rate };
    if let Some(found) = find(&key, total, show, &maker) {
        return (Reader::Direct(found, 0), length);
    }
    (Reader::Resampled(source, spec.source_start, resampler), length)
}

/// The whole clip converted at once, for ratios that reach too far to do it live.
fn converted(
    source: &Arc<dyn AudioSource>,
    start: u64,
    frames: u64,
    rate: u32,
    speed: f64,
) -> (Reader, u64) {
    let whole = read_range(&**source, start, frames);
    match whole.and_then(|audio| tape(&audio, rate, speed, 0.0)) {
        Some(audio) => {
            let length = audio.frames() as u64;
            (Reader::Direct(Arc::new(audio), 0), length)
        }
        None => (Reader::Silent, 0),
    }
}

/// Audio of a clip that has to be stretched, or `None` if it need not or cannot be.
fn stretched(
    spec: &PlacedClip,
    source: &Arc<dyn AudioSource>,
    frames: u64,
    context: &BindContext<'_>,
) -> Option<Arc<AudioBuffer>> {
    let rate = context.sample_rate;
    let stretch = &spec.stretch;
    let warped = stretch.anchors.len() >= 2;
    let needed = match stretch.mode {
        StretchMode::None => false,
        StretchMode::Repitch => warped,
        StretchMode::Elastic => warped || stretch.ratio != 1.0 || stretch.pitch != 0.0,
    };
    if !needed {
        return None;
    }
    let key = StretchKey::new(spec, source.rate(), frames, rate);
    if let Some(found) = cached(&STRETCHED, &key) {
        return Some(found);
    }
    let hash = key.hash();
    let known = context.derived.and_then(|derived| derived.get(&hash));
    let audio = match known {
        Some(audio) => Arc::new(audio),
        None => {
            let method: Method = if stretch.mode == StretchMode::Elastic { elastic } else { tape };
            let audio = Arc::new(warp::render(spec, &**source, frames, rate, method)?);
            if let Some(derived) = context.derived {
                derived.put(Made::Stretched, &hash, &audio);
            }
            audio
        }
    };
    keep(&STRETCHED, key, &audio);
    Some(audio)
}

/// Everything that stretched audio depends on; where the clip lies is no part of it.
#[derive(PartialEq)]
struct StretchKey {
    media: Hash,
    range: (u64, u64),
    rates: (u32, u32),
    stretch: pulse_schemas::graph::Stretch,
}

impl StretchKey {
    fn new(spec: &PlacedClip, from: u32, frames: u64, to: u32) -> StretchKey {
        StretchKey {
            media: spec.media,
            range: (spec.source_start, frames),
            rates: (from, to),
            stretch: spec.stretch.clone(),
        }
    }

    fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("pulse stretched audio v1");
        hasher.update(&super::DESCRIPTOR.dsp_version.to_le_bytes());
        hasher.update(Timestretch.version().as_bytes());
        hasher.update(self.media.as_bytes());
        for whole in [self.range.0, self.range.1, self.rates.0.into(), self.rates.1.into()] {
            hasher.update(&whole.to_le_bytes());
        }
        let stretch = &self.stretch;
        hasher.update(&[stretch.mode as u8]);
        let anchors = stretch.anchors.iter().flat_map(|it| [it.source_frame, it.content_frame]);
        for number in [stretch.ratio, stretch.pitch].into_iter().chain(anchors) {
            hasher.update(&number.to_bits().to_le_bytes());
        }
        hasher.finalize().into()
    }
}

static STRETCHED: Kept<StretchKey, AudioBuffer> = Mutex::new(Vec::new());
static RESAMPLERS: Kept<Step, Resampler> = Mutex::new(Vec::new());

fn shared_resampler(step: Step) -> Arc<Resampler> {
    cached(&RESAMPLERS, &step).unwrap_or_else(|| {
        let made = Arc::new(Resampler::new(step));
        keep(&RESAMPLERS, step, &made);
        made
    })
}
