//! Sound without a device: whole plans from frame to frame, and single segments
//! of single units for renders that are put together from a cache.

pub mod feed;
pub mod offline;
pub mod points;
pub mod segment;

pub use offline::{OfflineRenderer, OutputBlock};
pub use points::Points;
pub(crate) use segment::Part;
pub use segment::{SegmentPort, SegmentRunner, SegmentSound, sum_signals};

/// What happens to numbers at the edges of segments.
///
/// Under `Render`, every unit's state is rounded to the 2⁻³² grid each time its
/// own clock passes a multiple of the segment length. The rounding is part of
/// what such a render is: it lets feedback forget, and it is the same whether
/// segments are rendered in one go or one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Never rounds; what the audio thread does.
    Live,
    Render {
        segment_frames: u32,
    },
}

impl Profile {
    /// The profile of exports: segments of four seconds.
    pub fn render(sample_rate: u32) -> Profile {
        Profile::Render { segment_frames: sample_rate * 4 }
    }
}
