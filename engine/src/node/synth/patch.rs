//! What the parameters of the synthesiser amount to: everything a voice needs that
//! is a pure function of parameter values and rate, worked out once per change.

use super::{P, SHAPES, SUB_SHAPES};
use crate::{
    dsp::{
        adsr::{AdsrRates, AdsrTimes},
        lfo::LfoShape,
        oscillator::Shape,
    },
    math,
    node::{
        Io,
        voice_filter::{Mode, Setting},
    },
};

/// Most copies of an oscillator in one voice.
pub const MAX_UNISON: usize = 7;

/// What feeds the oscillator slot of a voice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    Tone(Shape),
    Noise,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OscillatorPatch {
    pub source: Source,
    pub width: f64,
    /// Frequency against that of the note.
    pub ratio: f64,
    pub lfo_width: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlayMode {
    Poly,
    Mono,
    Legato,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patch {
    pub oscillators: [OscillatorPatch; 2],
    pub unison: usize,
    /// Frequency of each copy against the oscillator's.
    pub unison_ratio: [f64; MAX_UNISON],
    /// Left and right gain of each copy.
    pub unison_pan: [[f64; 2]; MAX_UNISON],
    pub highest_ratio: f64,
    /// Whether the two channels can differ.
    pub stereo: bool,
    pub filter_setting: Setting,
    /// The cutoff as a pitch in semitones.
    pub cutoff: f64,
    pub key_tracking: f64,
    pub filter_envelope: f64,
    pub filter_velocity: f64,
    pub filter_pressure: f64,
    pub amp: AdsrRates,
    pub filter: AdsrRates,
    pub lfo: LfoShape,
    pub lfo_pitch: f64,
    pub wheel_pitch: f64,
    pub lfo_filter: f64,
    pub lfo_amp: f64,
    /// Whether each note has a cycle of its own.
    pub lfo_per_note: bool,
    pub lfo_delay_frames: f64,
    pub sub: Shape,
    /// Frequency of the sub-oscillator against that of the note.
    pub sub_ratio: f64,
    pub random_phase: bool,
    pub spread: f64,
    pub pitch_envelope: f64,
    pub timbre_filter: f64,
    pub wheel_filter: f64,
    pub tune: f64,
    pub bend_range: f64,
    pub glide_frames: f64,
    pub play: PlayMode,
    pub polyphony: usize,
    pub velocity: f64,
    pub rate: f64,
}

impl Patch {
    /// Reads every parameter of this call.
    pub fn read(io: &Io<'_>, rate: f64) -> Patch {
        let value = |param: P| io.param(param as usize);
        let index = |param: P| io.param_index(param as usize);
        let unison = index(P::Unison).clamp(1, MAX_UNISON);
        let (unison_ratio, unison_pan) =
            spread(unison, value(P::UnisonDetune), value(P::UnisonWidth));
        Patch {
            oscillators: [
                oscillator(io, [P::AShape, P::AWidth, P::ATune, P::AFine]),
                oscillator(io, [P::BShape, P::BWidth, P::BTune, P::BFine]),
            ],
            unison,
            unison_ratio,
            unison_pan,
            highest_ratio: unison_ratio.iter().copied().fold(1.0, f64::max),
            stereo: unison > 1 && value(P::UnisonWidth) > 0.0,
            filter_setting: Setting::new(
                filter_mode(index(P::FilterMode)),
                value(P::Resonance),
                value(P::FilterDrive),
                rate,
            ),
            cutoff: 69.0 + 12.0 * math::log2(value(P::Cutoff) / 440.0),
            key_tracking: value(P::KeyTracking),
            filter_envelope: value(P::FilterEnvelope),
            filter_velocity: value(P::FilterVelocity),
            filter_pressure: value(P::FilterPressure),
            amp: envelope(io, [P::AmpAttack, P::AmpDecay, P::AmpSustain, P::AmpRelease], rate),
            filter: envelope(
                io,
                [P::FilterAttack, P::FilterDecay, P::FilterSustain, P::FilterRelease],
                rate,
            ),
            lfo: LfoShape::from_index(index(P::LfoShape)),
            lfo_pitch: value(P::LfoPitch) / 100.0,
            wheel_pitch: value(P::WheelVibrato) / 100.0,
            lfo_filter: value(P::LfoFilter),
            lfo_amp: value(P::LfoAmp),
            lfo_per_note: index(P::LfoRetrigger) == 1,
            lfo_delay_frames: value(P::LfoDelay) * 0.001 * rate,
            sub: sub_shape(index(P::SubShape)),
            sub_ratio: if index(P::SubOctave) == 1 { 0.25 } else { 0.5 },
            random_phase: index(P::Phase) == 1,
            spread: value(P::Spread),
            pitch_envelope: value(P::PitchEnvelope),
            timbre_filter: value(P::TimbreFilter),
            wheel_filter: value(P::WheelFilter),
            tune: value(P::Tune) / 100.0,
            bend_range: value(P::BendRange),
            glide_frames: value(P::Glide) * 0.001 * rate,
            play: play_mode(index(P::PlayMode)),
            polyphony: index(P::Polyphony).max(1),
            velocity: value(P::Velocity),
            rate,
        }
    }

    /// Linear gain of a note by its velocity: a parabola, as players expect, blended
    /// with full level.
    pub fn velocity_gain(&self, velocity: f64) -> f64 {
        1.0 - self.velocity + self.velocity * velocity * velocity
    }
}

fn oscillator(io: &Io<'_>, [shape, width, tune, fine]: [P; 4]) -> OscillatorPatch {
    let value = |param: P| io.param(param as usize);
    OscillatorPatch {
        source: source(io.param_index(shape as usize)),
        width: value(width),
        ratio: math::exp2((value(tune) + value(fine) / 100.0) / 12.0),
        lfo_width: value(P::LfoWidth),
    }
}

fn source(index: usize) -> Source {
    match SHAPES.get(index) {
        Some(&"pulse") => Source::Tone(Shape::Pulse),
        Some(&"triangle") => Source::Tone(Shape::Triangle),
        Some(&"sine") => Source::Tone(Shape::Sine),
        Some(&"noise") => Source::Noise,
        _ => Source::Tone(Shape::Saw),
    }
}

fn sub_shape(index: usize) -> Shape {
    match SUB_SHAPES.get(index) {
        Some(&"pulse") => Shape::Pulse,
        Some(&"triangle") => Shape::Triangle,
        _ => Shape::Sine,
    }
}

fn filter_mode(index: usize) -> Mode {
    match index {
        0 => Mode::Low12,
        1 => Mode::Low24,
        2 => Mode::Band12,
        3 => Mode::High12,
        4 => Mode::Notch,
        _ => Mode::Off,
    }
}

fn play_mode(index: usize) -> PlayMode {
    match index {
        1 => PlayMode::Mono,
        2 => PlayMode::Legato,
        _ => PlayMode::Poly,
    }
}

fn envelope(io: &Io<'_>, [attack, decay, sustain, release]: [P; 4], rate: f64) -> AdsrRates {
    let seconds = |param: P| io.param(param as usize) * 0.001;
    let times = AdsrTimes {
        attack: seconds(attack),
        decay: seconds(decay),
        sustain: io.param(sustain as usize),
        release: seconds(release),
    };
    AdsrRates::new(times, rate)
}

type Spread = ([f64; MAX_UNISON], [[f64; 2]; MAX_UNISON]);

/// Copies lie at equal distances in pitch and alternate in the panorama from the
/// middle outwards, at equal power whatever their number.
fn spread(unison: usize, detune_cents: f64, width: f64) -> Spread {
    let (mut ratios, mut pans) = ([1.0; MAX_UNISON], [[0.0; 2]; MAX_UNISON]);
    for copy in 0..unison {
        let place = if unison == 1 { 0.0 } else { 2.0 * copy as f64 / (unison - 1) as f64 - 1.0 };
        ratios[copy] = math::exp2(place * detune_cents / 1200.0);
        let side = if copy % 2 == 0 { place } else { -place };
        let angle = (1.0 + side * width) * core::f64::consts::FRAC_PI_4;
        let gain = core::f64::consts::SQRT_2 / math::sqrt(unison as f64);
        pans[copy] = [math::cos(angle) * gain, math::sin(angle) * gain];
    }
    if unison == 1 {
        pans[0] = [1.0, 1.0];
    }
    (ratios, pans)
}
