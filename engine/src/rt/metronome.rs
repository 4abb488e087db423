//! Clicks on the beats of the song, and on those of a count-in. Both sounds are
//! made beforehand; the audio thread only adds them.

use super::song::Song;

const SECONDS: f64 = 0.03;
const DECAY_SECONDS: f64 = 0.006;
const ACCENT_HZ: f64 = 1_760.0;
const BEAT_HZ: f64 = 1_174.66;

pub struct Metronome {
    pub on: bool,
    pub gain: f32,
    accent: Vec<f32>,
    beat: Vec<f32>,
    /// The sounding click: which, and how far.
    sounding: Option<(bool, usize)>,
}

impl Metronome {
    pub fn new(rate: u32) -> Metronome {
        let (accent, beat) = (click(ACCENT_HZ, rate), click(BEAT_HZ, rate));
        Metronome { on: false, gain: 0.5, accent, beat, sounding: None }
    }

    /// Adds the clicks of a stretch of the song. Real-time safe.
    pub fn play(&mut self, song: &Song, from: i64, out: [&mut [f32]; 2]) {
        let frames = out[0].len();
        let mut at = 0;
        let [left, right] = out;
        while self.on && at < frames {
            let (beat, first) = song.next_beat(from + at as i64);
            let offset = (beat - from).min(frames as i64) as usize;
            self.sound(&mut left[at..offset], &mut right[at..offset]);
            if offset == frames {
                return;
            }
            self.sounding = Some((first, 0));
            let next = offset + 1;
            self.sound(&mut left[offset..next], &mut right[offset..next]);
            at = next;
        }
        self.sound(&mut left[at..], &mut right[at..]);
    }

    /// Adds the clicks of a count-in, `counted` frames after its start. Heard
    /// whether the metronome is on or not. Real-time safe.
    pub fn count(&mut self, song: &Song, place: i64, counted: u64, out: [&mut [f32]; 2]) {
        let beat_frames = song.beat_frames(place).max(1.0);
        let numerator = u64::from(song.at(place).signature_numerator.max(1));
        let [left, right] = out;
        for frame in 0..left.len() {
            let now = counted + frame as u64;
            let beat = libm::rint(now as f64 / beat_frames);
            if libm::rint(beat * beat_frames) as u64 == now {
                self.sounding = Some(((beat as u64).is_multiple_of(numerator), 0));
            }
            self.sound(&mut left[frame..=frame], &mut right[frame..=frame]);
        }
    }

    /// Lets the last click end. Real-time safe.
    pub fn rest(&mut self, out: [&mut [f32]; 2]) {
        let [left, right] = out;
        self.sound(left, right);
    }

    fn sound(&mut self, left: &mut [f32], right: &mut [f32]) {
        let Some((accent, at)) = self.sounding else { return };
        let click = if accent { &self.accent } else { &self.beat };
        let rest = &click[at..];
        for ((left, right), sample) in left.iter_mut().zip(right.iter_mut()).zip(rest) {
            *left += sample * self.gain;
            *right += sample * self.gain;
        }
        let next = at + left.len();
        self.sounding = (next < click.len()).then_some((accent, next));
    }
}

fn click(hertz: f64, rate: u32) -> Vec<f32> {
    let rate = f64::from(rate);
    let frames = (SECONDS * rate) as usize;
    (0..frames)
        .map(|frame| {
            let seconds = frame as f64 / rate;
            let fall = libm::exp(-seconds / DECAY_SECONDS);
            (libm::sin(std::f64::consts::TAU * hertz * seconds) * fall) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn onsets(sound: &[f32]) -> Vec<usize> {
        let mut quiet = 2_000;
        let mut found = vec![];
        for (at, &sample) in sound.iter().enumerate() {
            if sample != 0.0 && quiet >= 1_000 {
                // The first sample of a sine is zero.
                found.push(at - 1);
            }
            quiet = if sample == 0.0 { quiet + 1 } else { 0 };
        }
        found
    }

    #[test]
    fn clicks_lie_on_beats_however_blocks_are_cut() {
        let song = Song::plain(48_000);
        for block in [64, 1_000, 96_000] {
            let mut metronome = Metronome::new(48_000);
            metronome.on = true;
            let (mut left, mut right) = (vec![0.0; 96_000], vec![0.0; 96_000]);
            for from in (0..96_000).step_by(block) {
                let to = (from + block).min(96_000);
                let out = [&mut left[from..to], &mut right[from..to]];
                metronome.play(&song, 100 + from as i64, out);
            }
            assert_eq!(onsets(&left), [23_900, 47_900, 71_900, 95_900], "blocks of {block}");
        }
    }

    #[test]
    fn a_count_in_clicks_on_every_beat() {
        let song = Song::plain(48_000);
        let mut metronome = Metronome::new(48_000);
        let (mut left, mut right) = (vec![0.0; 96_000], vec![0.0; 96_000]);
        metronome.count(&song, 0, 0, [&mut left, &mut right]);
        assert_eq!(onsets(&left), [0, 24_000, 48_000, 72_000]);
    }
}
