//! Tempo and bars of a song, for the audio thread: the maps of the project with
//! the rate of the device, immutable, replaced whole.

use pulse_schemas::time::{SignatureMap, TempoMap, Ticks};

use crate::transport::{Timeline, Transport};

/// Where ticks, bars and frames of one song meet. Reading allocates nothing.
#[derive(Clone, PartialEq, Debug)]
pub struct Song {
    pub tempo: TempoMap,
    pub signatures: SignatureMap,
    pub rate: u32,
}

impl Song {
    pub fn new(tempo: TempoMap, signatures: SignatureMap, rate: u32) -> Song {
        Song { tempo, signatures, rate }
    }

    /// 120 BPM, 4/4.
    pub fn plain(rate: u32) -> Song {
        Song::new(TempoMap::default(), SignatureMap::default(), rate)
    }

    pub fn ticks_at(&self, frame: i64) -> Ticks {
        self.tempo.tick_at_frame(frame, self.rate)
    }

    pub fn frame_of(&self, ticks: Ticks) -> i64 {
        self.tempo.frame_at(ticks, self.rate)
    }

    /// The transport at a frame of the song. Real-time safe.
    pub fn at(&self, song_frame: i64) -> Transport {
        let ticks = self.ticks_at(song_frame);
        let signature = self.signatures.signature_at(ticks);
        Transport {
            song_frame,
            ticks: ticks.0 as f64,
            tempo: self.tempo.bpm_at(ticks),
            signature_numerator: signature.numerator,
            signature_denominator: signature.denominator,
            ..Transport::default()
        }
    }

    /// Frames of one beat of the signature at a frame, by the tempo there.
    pub fn beat_frames(&self, song_frame: i64) -> f64 {
        let ticks = self.ticks_at(song_frame);
        let beat = self.signatures.signature_at(ticks).beat().as_quarters();
        beat * 60.0 / self.tempo.bpm_at(ticks).max(1.0) * f64::from(self.rate)
    }

    /// The first beat at or after a frame: where it lies and whether it begins a
    /// bar. Real-time safe.
    pub fn next_beat(&self, song_frame: i64) -> (i64, bool) {
        let at = self.ticks_at(song_frame);
        let place = self.signatures.position_at(at);
        let bar = self.signatures.bar_start(place.bar);
        let beat = self.signatures.signature_at(at).beat();
        let here = bar.saturating_add(beat.saturating_mul(i64::from(place.beat) - 1));
        if self.frame_of(here) >= song_frame {
            return (self.frame_of(here), place.beat == 1);
        }
        let next = here.saturating_add(beat);
        let next_bar = self.signatures.bar_start(place.bar + 1);
        if next < next_bar { (self.frame_of(next), false) } else { (self.frame_of(next_bar), true) }
    }
}

/// Playing throughout: what an offline render of the song hears.
impl Timeline for Song {
    fn at(&self, frame: i64) -> Transport {
        Song::at(self, frame)
    }
}

#[cfg(test)]
mod tests {
    use pulse_schemas::time::{Signature, SignatureMark};

    use super::*;

    fn check(song: &Song, frame: i64, beat: i64, first: bool) {
        assert_eq!(song.next_beat(frame), (beat, first), "from {frame}");
    }

    #[test]
    fn beats_lie_on_their_frames() {
        let song = Song::plain(48_000);
        check(&song, 0, 0, true);
        check(&song, 1, 24_000, false);
        check(&song, 24_000, 24_000, false);
        check(&song, 72_001, 96_000, true);
        // The earliest tick of a frame lies up to half a frame before it.
        let off = 2.0 * Ticks::PER_QUARTER as f64 - song.at(48_000).ticks;
        assert!((0.0..=941.0).contains(&off), "{off}");
    }

    #[test]
    fn a_bar_of_seven_eighths_begins_after_seven_of_them() {
        let signature = Signature { numerator: 7, denominator: 8 };
        let marks = [SignatureMark { at: Ticks::ZERO, signature }];
        let map = SignatureMap::new(&marks).unwrap();
        let song = Song::new(TempoMap::default(), map, 48_000);
        check(&song, 1, 12_000, false);
        check(&song, 72_001, 84_000, true);
    }
}
