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
