//! What can be read off audio: pictures and features, never audio itself.

/// The most channels any analysis takes.
pub const ANALYSIS_MAX_CHANNELS: usize = 64;
