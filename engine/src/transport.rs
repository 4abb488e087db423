//! Where the song stands, as nodes see it: a plain value per call.

/// The transport at the first frame of a call.
///
/// There are two clocks. The frame of a call ([`crate::node::Io::frame`]) never
/// stands still and is what everything periodic derives from. `song_frame` is the
/// position in the song: while playing the two are equal, while stopped this one
/// stands still.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transport {
    pub playing: bool,
    pub recording: bool,
    pub song_frame: i64,
    /// Position in ticks (45 158 400 per quarter) at `song_frame`.
    pub ticks: f64,
    /// Quarter notes per minute at `song_frame`.
    pub tempo: f64,
    pub signature_numerator: u8,
    pub signature_denominator: u8,
    /// Whether the position jumped just before this call (start, seek, loop).
    pub jumped: bool,
}

impl Default for Transport {
    fn default() -> Transport {
        Transport {
            playing: true,
            recording: false,
            song_frame: 0,
            ticks: 0.0,
            tempo: 120.0,
            signature_numerator: 4,
            signature_denominator: 4,
            jumped: false,
        }
    }
}

/// Where the song stands at any frame: a pure function of the frame, so that a
/// node finds the same tempo however its calls are cut. Asked on the real-time
/// thread.
pub trait Timeline: Sync {
    /// The transport at a frame of the engine's clock.
    fn at(&self, frame: i64) -> Transport;
}

/// One tempo throughout, always playing, frame 0 at tick 0.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SteadyTempo {
    pub tempo: f64,
    pub sample_rate: u32,
}

impl Timeline for SteadyTempo {
    fn at(&self, frame: i64) -> Transport {
        let quarters = frame as f64 * self.tempo / (60.0 * f64::from(self.sample_rate));
        Transport {
            song_frame: frame,
            tempo: self.tempo,
            ticks: quarters * 45_158_400.0,
            ..Transport::default()
        }
    }
}
