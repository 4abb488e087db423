//! What each piece of the kit is made of. Numbers are hertz, seconds and linear
//! gains at neutral knobs; [`recipe`] turns them into coefficients of a rate.

use super::P;
use crate::{dsp::svf, math, node::Io};

/// Most oscillators of a hit.
pub const TONES: usize = 6;

/// A sound of the kit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Piece {
    #[default]
    Kick,
    Rim,
    Snare,
    Clap,
    ClosedHat,
    PedalHat,
    OpenHat,
    Tom(u8),
    Crash,
    Ride,
    RideBell,
    Tambourine,
    Cowbell,
    Shaker,
    Claves,
}

impl Piece {
    /// The General MIDI key map; `None` for keys without a sound here.
    pub fn of_key(key: u8) -> Option<Piece> {
        Some(match key {
            35 | 36 => Piece::Kick,
            37 => Piece::Rim,
            38 | 40 => Piece::Snare,
            39 => Piece::Clap,
            41 => Piece::Tom(0),
            42 => Piece::ClosedHat,
            43 => Piece::Tom(1),
            44 => Piece::PedalHat,
            45 => Piece::Tom(2),
            46 => Piece::OpenHat,
            47 => Piece::Tom(3),
            48 => Piece::Tom(4),
            50 => Piece::Tom(5),
            49 | 52 | 55 | 57 => Piece::Crash,
            51 | 59 => Piece::Ride,
            53 => Piece::RideBell,
            54 => Piece::Tambourine,
            56 => Piece::Cowbell,
            69 | 70 | 82 => Piece::Shaker,
            75 => Piece::Claves,
            _ => return None,
        })
    }

    pub fn is_hat(self) -> bool {
        matches!(self, Piece::ClosedHat | Piece::PedalHat | Piece::OpenHat)
    }

    /// A number for saved state.
    pub fn to_number(self) -> u64 {
        match self {
            Piece::Kick => 0,
            Piece::Rim => 1,
            Piece::Snare => 2,
            Piece::Clap => 3,
            Piece::ClosedHat => 4,
            Piece::PedalHat => 5,
            Piece::OpenHat => 6,
            Piece::Crash => 7,
            Piece::Ride => 8,
            Piece::RideBell => 9,
            Piece::Tambourine => 10,
            Piece::Cowbell => 11,
            Piece::Shaker => 12,
            Piece::Claves => 13,
            Piece::Tom(size) => 14 + u64::from(size),
        }
    }

    pub fn from_number(number: u64) -> Piece {
        const FIXED: [Piece; 14] = [
            Piece::Kick,
            Piece::Rim,
            Piece::Snare,
            Piece::Clap,
            Piece::ClosedHat,
            Piece::PedalHat,
            Piece::OpenHat,
            Piece::Crash,
            Piece::Ride,
            Piece::RideBell,
            Piece::Tambourine,
            Piece::Cowbell,
            Piece::Shaker,
            Piece::Claves,
        ];
        let fixed = usize::try_from(number).ok().and_then(|number| FIXED.get(number));
        fixed.copied().unwrap_or(Piece::Tom(number.saturating_sub(14).min(5) as u8))
    }
}

/// The parameters that act on one piece, when it is hit.
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    pub gain: f64,
    /// Frequency factor.
    pub tune: f64,
    pub decay: f64,
    /// Click, wires or metal, whichever the piece has.
    pub colour: f64,
    pub drive: f64,
    pub velocity: f64,
    pub width: f64,
}

impl Knobs {
    pub fn of(piece: Piece, io: &Io<'_>) -> Knobs {
        let (level, tune, decay, colour) = match piece {
            Piece::Kick => (P::KickLevel, Some(P::KickTune), P::KickDecay, Some(P::KickClick)),
            Piece::Snare | Piece::Rim => {
                (P::SnareLevel, Some(P::SnareTune), P::SnareDecay, Some(P::SnareWires))
            }
            Piece::Clap => (P::ClapLevel, None, P::ClapDecay, None),
            Piece::ClosedHat | Piece::PedalHat | Piece::OpenHat => {
                (P::HatLevel, Some(P::HatTune), P::HatDecay, Some(P::HatMetal))
            }
            Piece::Tom(_) => (P::TomLevel, Some(P::TomTune), P::TomDecay, None),
            Piece::Crash | Piece::Ride | Piece::RideBell => {
                (P::CymbalLevel, Some(P::CymbalTune), P::CymbalDecay, None)
            }
            _ => (P::PercussionLevel, Some(P::PercussionTune), P::PercussionDecay, None),
        };
        let value = |param: P| io.param(param as usize);
        Knobs {
            gain: math::db_to_gain(value(level)),
            tune: math::exp2(tune.map_or(0.0, value) / 12.0),
            decay: value(decay),
            colour: colour.map_or(0.5, value),
            drive: if piece == Piece::Kick { value(P::KickDrive) } else { 0.0 },
            velocity: value(P::Velocity),
            width: value(P::Width),
        }
    }
}

/// How the noise of a hit is filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseFilter {
    #[default]
    Low,
    Band,
    High,
}

/// A hit in physical units.
#[derive(Clone, Copy, Debug, Default)]
struct Sketch {
    tones: &'static [(f64, f64)],
    metal: bool,
    /// How far above its pitch a tone starts, and how fast it falls there.
    sweep: f64,
    sweep_seconds: f64,
    tone_seconds: f64,
    tone_gain: f64,
    /// Metal passes a high-pass at this frequency.
    metal_hertz: f64,
    noise_filter: NoiseFilter,
    noise_hertz: f64,
    noise_q: f64,
    noise_seconds: f64,
    noise_gain: f64,
    attack_seconds: f64,
    /// Extra hands of a clap, and the time between them.
    bursts: u64,
    burst_seconds: f64,
    pan: f64,
    gain: f64,
}

/// Inharmonic pulses of a hat, in hertz.
const HAT_TONES: &[(f64, f64)] =
    &[(205.3, 1.0), (304.4, 1.0), (369.6, 1.0), (522.7, 1.0), (540.0, 1.0), (800.0, 1.0)];
const CYMBAL_TONES: &[(f64, f64)] =
    &[(243.1, 1.0), (311.7, 0.9), (417.9, 1.0), (559.3, 0.8), (683.9, 0.9), (891.1, 0.7)];
const TOM_HERTZ: [f64; 6] = [73.0, 87.0, 104.0, 126.0, 152.0, 184.0];

fn sketch(piece: Piece, colour: f64) -> Sketch {
    let metal = |tones, hertz| Sketch {
        tones,
        metal: true,
        metal_hertz: hertz,
        noise_filter: NoiseFilter::High,
        noise_q: 0.7,
        gain: 0.5,
        ..Sketch::default()
    };
    match piece {
        Piece::Kick => Sketch {
            tones: &[(49.0, 1.0)],
            sweep: 4.6,
            sweep_seconds: 0.017,
            tone_seconds: 0.16,
            tone_gain: 1.0,
            noise_filter: NoiseFilter::Low,
            noise_hertz: 3_800.0,
            noise_q: 0.7,
            noise_seconds: 0.004,
            noise_gain: 1.4 * colour,
            gain: 1.0,
            ..Sketch::default()
        },
        Piece::Rim => Sketch {
            tones: &[(1_720.0, 0.6), (835.0, 0.8)],
            sweep: 0.1,
            sweep_seconds: 0.004,
            tone_seconds: 0.009,
            tone_gain: 0.8,
            noise_filter: NoiseFilter::Band,
            noise_hertz: 2_600.0,
            noise_q: 1.2,
            noise_seconds: 0.006,
            noise_gain: 0.6,
            pan: -0.15,
            gain: 0.8,
            ..Sketch::default()
        },
        Piece::Snare => Sketch {
            tones: &[(183.0, 0.8), (331.0, 0.45)],
            sweep: 0.45,
            sweep_seconds: 0.012,
            tone_seconds: 0.055,
            tone_gain: 0.75,
            noise_filter: NoiseFilter::High,
            noise_hertz: 1_700.0,
            noise_q: 0.9,
            noise_seconds: 0.075,
            noise_gain: 0.95 * colour,
            gain: 0.85,
            ..Sketch::default()
        },
        Piece::Clap => Sketch {
            noise_filter: NoiseFilter::Band,
            noise_hertz: 1_150.0,
            noise_q: 1.6,
            noise_seconds: 0.065,
            noise_gain: 2.2,
            bursts: 3,
            burst_seconds: 0.0105,
            pan: 0.1,
            gain: 0.8,
            ..Sketch::default()
        },
        Piece::ClosedHat | Piece::PedalHat => Sketch {
            tone_seconds: if piece == Piece::PedalHat { 0.016 } else { 0.022 },
            noise_seconds: if piece == Piece::PedalHat { 0.012 } else { 0.018 },
            tone_gain: 0.55 * colour,
            noise_hertz: 8_200.0,
            noise_gain: 1.1 * (1.0 - colour),
            pan: 0.25,
            ..metal(HAT_TONES, 7_200.0)
        },
        Piece::OpenHat => Sketch {
            tone_seconds: 0.19,
            noise_seconds: 0.16,
            tone_gain: 0.5 * colour,
            noise_hertz: 7_800.0,
            noise_gain: 1.0 * (1.0 - colour),
            pan: 0.25,
            ..metal(HAT_TONES, 6_800.0)
        },
        Piece::Tom(size) => Sketch {
            tones: &[(1.0, 1.0), (1.59, 0.25)],
            sweep: 0.55,
            sweep_seconds: 0.045,
            tone_seconds: 0.16,
            tone_gain: 0.9,
            noise_filter: NoiseFilter::Low,
            noise_hertz: 1_600.0,
            noise_q: 0.7,
            noise_seconds: 0.012,
            noise_gain: 0.5,
            pan: 0.5 - 0.2 * f64::from(size),
            gain: 0.8,
            ..Sketch::default()
        },
        Piece::Crash => Sketch {
            tone_seconds: 0.55,
            noise_seconds: 0.42,
            tone_gain: 0.35,
            noise_hertz: 4_600.0,
            noise_gain: 0.85,
            pan: -0.35,
            gain: 0.6,
            ..metal(CYMBAL_TONES, 4_200.0)
        },
        Piece::Ride => Sketch {
            tone_seconds: 0.42,
            noise_seconds: 0.12,
            tone_gain: 0.4,
            noise_hertz: 7_000.0,
            noise_gain: 0.3,
            pan: 0.4,
            ..metal(CYMBAL_TONES, 5_600.0)
        },
        Piece::RideBell => Sketch {
            tone_seconds: 0.5,
            noise_seconds: 0.05,
            tone_gain: 0.6,
            noise_hertz: 7_000.0,
            noise_gain: 0.2,
            pan: 0.4,
            ..metal(&[(1_042.0, 1.0), (1_563.0, 0.8), (2_671.0, 0.5)], 1_800.0)
        },
        Piece::Tambourine => Sketch {
            tone_seconds: 0.05,
            noise_seconds: 0.07,
            tone_gain: 0.25,
            noise_hertz: 7_600.0,
            noise_gain: 0.8,
            attack_seconds: 0.004,
            pan: -0.3,
            ..metal(CYMBAL_TONES, 8_000.0)
        },
        Piece::Cowbell => Sketch {
            tone_seconds: 0.11,
            tone_gain: 0.7,
            pan: 0.2,
            ..metal(&[(540.0, 1.0), (800.0, 1.0)], 900.0)
        },
        Piece::Shaker => Sketch {
            noise_filter: NoiseFilter::High,
            noise_hertz: 6_200.0,
            noise_q: 1.1,
            noise_seconds: 0.028,
            noise_gain: 0.7,
            attack_seconds: 0.018,
            pan: -0.4,
            gain: 0.5,
            ..Sketch::default()
        },
        Piece::Claves => Sketch {
            tones: &[(2_480.0, 1.0)],
            tone_seconds: 0.019,
            tone_gain: 0.8,
            pan: -0.2,
            gain: 0.6,
            ..Sketch::default()
        },
    }
}

/// A hit in coefficients of a rate: the constant part of a voice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recipe {
    /// Cycles per frame, and gain.
    pub tones: [(f64, f64); TONES],
    pub metal: bool,
    pub sweep: f64,
    pub sweep_decay: f64,
    pub tone_decay: f64,
    pub metal_g: f64,
    pub noise_filter: NoiseFilter,
    pub noise_g: f64,
    pub noise_q: f64,
    pub noise_decay: f64,
    pub noise_gain: f64,
    /// Share of the way that the attack covers per frame.
    pub attack: f64,
    pub bursts: u64,
    pub burst_frames: u64,
    pub burst_decay: f64,
    pub drive: f64,
    pub gains: [f64; 2],
    pub width: f64,
}

pub fn recipe(piece: Piece, knobs: &Knobs, velocity: f64, rate: f64) -> Recipe {
    let sketch = sketch(piece, knobs.colour);
    let hertz = match piece {
        Piece::Tom(size) => TOM_HERTZ[usize::from(size).min(5)],
        _ => 1.0,
    };
    let mut tones = [(0.0, 0.0); TONES];
    for (slot, &(frequency, gain)) in tones.iter_mut().zip(sketch.tones) {
        let normal = if sketch.metal { 1.0 / sketch.tones.len() as f64 } else { 1.0 };
        *slot = (frequency * hertz * knobs.tune / rate, gain * sketch.tone_gain * normal);
    }
    let decay = |seconds: f64| math::exp(-1.0 / (seconds.max(1e-4) * rate));
    // Hard hits are brighter: the noise filter opens by up to half an octave.
    let bright = math::exp2(0.5 * (velocity - 1.0) * knobs.velocity);
    let loud = 1.0 - knobs.velocity + knobs.velocity * velocity * velocity;
    let gain = sketch.gain * knobs.gain * loud;
    let angle = (1.0 + sketch.pan * knobs.width) * core::f64::consts::FRAC_PI_4;
    Recipe {
        tones,
        metal: sketch.metal,
        sweep: sketch.sweep,
        sweep_decay: decay(sketch.sweep_seconds),
        tone_decay: decay(sketch.tone_seconds * knobs.decay),
        metal_g: svf::integrator_gain(sketch.metal_hertz * knobs.tune, rate),
        noise_filter: sketch.noise_filter,
        noise_g: svf::integrator_gain(sketch.noise_hertz * bright, rate),
        noise_q: sketch.noise_q.max(0.1),
        noise_decay: decay(sketch.noise_seconds * knobs.decay),
        noise_gain: sketch.noise_gain,
        attack: 1.0 - decay(sketch.attack_seconds.max(1e-4) * 0.4),
        bursts: sketch.bursts,
        burst_frames: (sketch.burst_seconds * rate) as u64,
        burst_decay: decay(sketch.burst_seconds * 0.3),
        drive: 4.0 * knobs.drive,
        gains: [math::cos(angle), math::sin(angle)]
            .map(|side| side * gain * core::f64::consts::SQRT_2),
        width: knobs.width,
    }
}
