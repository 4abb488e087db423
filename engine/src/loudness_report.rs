//! Loudness of a programme after EBU R 128: what a render prints at its end.
//!
//! Measured by the `ebur128` crate. The maxima of one and two channels are those of
//! our own meter, which looks every 10 ms: a burst of 400 ms is read in full wherever
//! it begins. Those of more channels are taken every 100 ms from the first frame on,
//! so that they don't depend on how the stream was cut. The result is a report and
//! never audio: the crate's filters use the platform's `tan`, so the last digit may
//! differ between machines.

use ebur128::{Channel, EbuR128, Mode};

use crate::{
    analysis::ANALYSIS_MAX_CHANNELS,
    dsp::{loudness::Loudness, settle},
    node::loudness::clean,
};

/// All loudness values are −∞ for silence; LU and dB are relative to full scale.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoudnessReport {
    pub integrated_lufs: f64,
    pub short_term_max_lufs: f64,
    pub momentary_max_lufs: f64,
    pub range_lu: f64,
    pub true_peak_dbtp: f64,
    pub sample_peak_dbfs: f64,
    pub frames: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoudnessError {
    #[error("cannot measure {channels} channels; use 1 to {ANALYSIS_MAX_CHANNELS}")]
    ChannelCount { channels: usize },
    #[error("cannot measure at {rate} Hz; use 16 Hz to 2.8 MHz")]
    Rate { rate: u32 },
    #[error("{found} planes were passed for {expected} channels")]
    Planes { expected: usize, found: usize },
    #[error("plane {plane} has {found} frames where plane 0 has {expected}")]
    Ragged { plane: usize, expected: usize, found: usize },
    #[error("the loudness meter has no memory left; measure a shorter range")]
    OutOfMemory,
}

/// Takes a stream piece by piece; memory is 30 bytes per second of audio.
pub struct LoudnessMeter {
    meter: EbuR128,
    channels: usize,
    /// Frames of a step, and how many of the present one are still to come.
    step: usize,
    left: usize,
    short_term_max: f64,
    momentary_max: f64,
    frames: u64,
    fine: Option<Box<Loudness>>,
}

impl LoudnessMeter {
    /// Channels are taken as mono (counted once), stereo, or L R C LFE Ls Rs.
    pub fn new(rate: u32, channels: usize) -> Result<LoudnessMeter, LoudnessError> {
        if !(1..=ANALYSIS_MAX_CHANNELS).contains(&channels) {
            return Err(LoudnessError::ChannelCount { channels });
        }
        let mode = Mode::I | Mode::LRA | Mode::TRUE_PEAK;
        let meter = EbuR128::new(channels as u32, rate, mode);
        let mut meter = meter.map_err(|_| LoudnessError::Rate { rate })?;
        meter.set_channel_map(&channel_map(channels)).map_err(|_| LoudnessError::OutOfMemory)?;
        let step = (rate as usize).div_ceil(10);
        Ok(LoudnessMeter {
            meter,
            channels,
            step,
            left: step,
            short_term_max: f64::NEG_INFINITY,
            momentary_max: f64::NEG_INFINITY,
            frames: 0,
            fine: (channels <= 2).then(|| Box::new(Loudness::new(f64::from(rate)))),
        })
    }

    pub fn push(&mut self, planes: &[&[f32]]) -> Result<(), LoudnessError> {
        let total = self.check(planes)?;
        let mut start = 0;
        while start < total {
            let count = self.left.min(total - start);
            let part: Vec<&[f32]> =
                planes.iter().map(|plane| &plane[start..start + count]).collect();
            self.meter.add_frames_planar_f32(&part).map_err(|_| LoudnessError::OutOfMemory)?;
            self.left -= count;
            start += count;
            if self.left == 0 {
                self.left = self.step;
                self.take_maxima();
            }
        }
        self.look_finely(planes, total);
        self.frames += total as u64;
        Ok(())
    }

    /// The report on everything so far; the stream may go on.
    pub fn report(&self) -> LoudnessReport {
        let silence = f64::NEG_INFINITY;
        let peak = |of: &dyn Fn(u32) -> Option<f64>| {
            let highest = (0..self.channels as u32).filter_map(of).fold(0.0, f64::max);
            if highest > 0.0 { 20.0 * libm::log10(highest) } else { silence }
        };
        LoudnessReport {
            integrated_lufs: self.meter.loudness_global().unwrap_or(silence),
            short_term_max_lufs: self.short_term_max,
            momentary_max_lufs: self.momentary_max,
            range_lu: self.meter.loudness_range().unwrap_or(0.0),
            true_peak_dbtp: peak(&|channel| self.meter.true_peak(channel).ok()),
            sample_peak_dbfs: peak(&|channel| self.meter.sample_peak(channel).ok()),
            frames: self.frames,
        }
    }

    fn look_finely(&mut self, planes: &[&[f32]], total: usize) {
        let Some(fine) = &mut self.fine else { return };
        let mut cell = [[0.0; 2]; settle::GRID as usize];
        for (from, to, due) in settle::cells(self.frames, total) {
            if due {
                fine.settle();
            }
            let cell = &mut cell[..to - from];
            for (i, frame) in cell.iter_mut().enumerate() {
                let right = planes.get(1).map_or(0.0, |plane| clean(plane[from + i]));
                *frame = [clean(planes[0][from + i]), right];
            }
            fine.push(cell);
        }
        self.short_term_max = fine.max_short_term();
        self.momentary_max = fine.max_momentary();
    }

    fn take_maxima(&mut self) {
        if self.fine.is_some() {
            return;
        }
        let short_term = self.meter.loudness_shortterm().unwrap_or(f64::NEG_INFINITY);
        let momentary = self.meter.loudness_momentary().unwrap_or(f64::NEG_INFINITY);
        self.short_term_max = self.short_term_max.max(short_term);
        self.momentary_max = self.momentary_max.max(momentary);
    }

    fn check(&self, planes: &[&[f32]]) -> Result<usize, LoudnessError> {
        if planes.len() != self.channels {
            let found = planes.len();
            return Err(LoudnessError::Planes { expected: self.channels, found });
        }
        let expected = planes[0].len();
        match planes.iter().position(|plane| plane.len() != expected) {
            None => Ok(expected),
            Some(plane) => {
                Err(LoudnessError::Ragged { plane, expected, found: planes[plane].len() })
            }
        }
    }
}

fn channel_map(channels: usize) -> Vec<Channel> {
    use Channel::{Center, Left, LeftSurround, Right, RightSurround, Unused};
    match channels {
        1 => vec![Left],
        6 => vec![Left, Right, Center, Unused, LeftSurround, RightSurround],
        5 => vec![Left, Right, Center, LeftSurround, RightSurround],
        count => (0..count).map(|n| [Left, Right][n % 2]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    /// A stereo sine in sections of (seconds, dBFS), as EBU Tech 3341 has it.
    fn measure(frequency: f64, sections: &[(f64, f64)], piece: usize) -> LoudnessReport {
        let mut meter = LoudnessMeter::new(RATE, 2).unwrap();
        let mut frame = 0u64;
        for (seconds, level) in sections {
            let gain = libm::pow(10.0, level / 20.0);
            let omega = std::f64::consts::TAU * frequency / f64::from(RATE);
            let count = (seconds * f64::from(RATE)).round() as u64;
            let data: Vec<f32> = (frame..frame + count)
                .map(|n| (gain * libm::sin(omega * n as f64)) as f32)
                .collect();
            data.chunks(piece).for_each(|part| meter.push(&[part, part]).unwrap());
            frame += count;
        }
        meter.report()
    }

    fn close(found: f64, expect: f64, tolerance: f64, what: &str) {
        println!("{what}: {found:.3} (expected {expect})");
        assert!((found - expect).abs() <= tolerance, "{what}: {found} instead of {expect}");
    }

    #[test]
    fn the_integrated_cases_of_ebu_3341_are_met() {
        let check = |case: &str, sections: &[(f64, f64)], expect: f64| {
            close(measure(1_000.0, sections, 4_096).integrated_lufs, expect, 0.1, case);
        };
        check("3341-1", &[(20.0, -23.0)], -23.0);
        check("3341-2", &[(20.0, -33.0)], -33.0);
        check("3341-3", &[(10.0, -36.0), (60.0, -23.0), (10.0, -36.0)], -23.0);
        check(
            "3341-4",
            &[(10.0, -72.0), (10.0, -36.0), (60.0, -23.0), (10.0, -36.0), (10.0, -72.0)],
            -23.0,
        );
        check("3341-5", &[(20.0, -26.0), (20.1, -20.0), (20.0, -26.0)], -23.0);
    }

    #[test]
    fn the_short_term_and_momentary_cases_of_ebu_3341_are_met() {
        let short = [(1.34, -20.0), (1.66, -30.0)].repeat(5);
        close(measure(1_000.0, &short, 999).short_term_max_lufs, -23.0, 0.1, "3341-9");
        let momentary = [(0.18, -20.0), (0.22, -30.0)].repeat(25);
        close(measure(1_000.0, &momentary, 999).momentary_max_lufs, -23.0, 0.1, "3341-12");
        let silence = f64::NEG_INFINITY;
        for i in 0..20 {
            let late = |shift: f64| (f64::from(i) * shift, silence);
            let found = measure(1_000.0, &[late(0.15), (3.0, -23.0), (1.0, silence)], 4_096);
            close(found.short_term_max_lufs, -23.0, 0.1, "3341-10");
            let found = measure(1_000.0, &[late(0.02), (0.4, -23.0), (1.0, silence)], 4_096);
            close(found.momentary_max_lufs, -23.0, 0.1, "3341-13");
        }
        let report = measure(1_000.0, &[(20.0, -23.0)], 4_096);
        close(report.short_term_max_lufs, -23.0, 0.1, "3341-1 short-term");
        close(report.momentary_max_lufs, -23.0, 0.1, "3341-1 momentary");
    }

    #[test]
    fn the_surround_case_of_ebu_3341_is_met() {
        // L, R, C, Ls, Rs in dBFS; with six channels a loud LFE, which does not count.
        let levels = [-28.0, -28.0, -24.0, -30.0, -30.0];
        for channels in [5, 6] {
            let mut meter = LoudnessMeter::new(RATE, channels).unwrap();
            let tone = |level: f64| -> Vec<f32> {
                let omega = std::f64::consts::TAU * 1_000.0 / f64::from(RATE);
                let gain = libm::pow(10.0, level / 20.0);
                (0..20 * RATE).map(|n| (gain * libm::sin(omega * f64::from(n))) as f32).collect()
            };
            let mut planes: Vec<Vec<f32>> = levels.iter().map(|level| tone(*level)).collect();
            if channels == 6 {
                planes.insert(3, tone(-6.0));
            }
            meter.push(&planes.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            close(meter.report().integrated_lufs, -23.0, 0.1, "3341-6");
        }
    }

    #[test]
    fn the_range_cases_of_ebu_3342_are_met() {
        let check = |case: &str, sections: &[(f64, f64)], expect: f64| {
            close(measure(1_000.0, sections, 4_096).range_lu, expect, 1.0, case);
        };
        check("3342-1", &[(20.0, -20.0), (20.0, -30.0)], 10.0);
        check("3342-2", &[(20.0, -20.0), (20.0, -15.0)], 5.0);
        check("3342-3", &[(20.0, -40.0), (20.0, -20.0)], 20.0);
        let four = [(20.0, -50.0), (20.0, -35.0), (20.0, -20.0), (20.0, -35.0), (20.0, -50.0)];
        check("3342-4", &four, 15.0);
    }

    /// Reads a piece that is faded in as the EBU's are: an onset is no band-limited signal.
    fn true_peak(data: &[f32]) -> LoudnessReport {
        let mut meter = LoudnessMeter::new(RATE, 1).unwrap();
        let fade = |n: usize| (n as f32 / 480.0).min(1.0);
        let data: Vec<f32> = data.iter().enumerate().map(|(n, x)| x * fade(n)).collect();
        meter.push(&[&data]).unwrap();
        meter.report()
    }

    /// EBU Tech 3341 allows +0.2 and −0.4 dB.
    fn within(found: f64, expect: f64, what: &str) {
        println!("{what}: {found:.3} dBTP (expected {expect})");
        assert!((expect - 0.4..=expect + 0.2).contains(&found), "{what}: {found} dBTP");
    }

    #[test]
    fn the_true_peak_cases_of_ebu_3341_are_met() {
        let tone = |divisor: f64, degrees: f64, peak: f64| -> Vec<f32> {
            let turn = |n: u32| f64::from(n) / divisor + degrees / 360.0;
            let sine = |n| peak * libm::sin(std::f64::consts::TAU * turn(n));
            (0..RATE / 4).map(|n| sine(n) as f32).collect()
        };
        within(true_peak(&tone(4.0, 0.0, 0.5)).true_peak_dbtp, -6.0, "3341-15");
        within(true_peak(&tone(4.0, 45.0, 0.5)).true_peak_dbtp, -6.0, "3341-16");
        within(true_peak(&tone(6.0, 60.0, 0.5)).true_peak_dbtp, -6.0, "3341-17");
        within(true_peak(&tone(8.0, 67.5, 0.5)).true_peak_dbtp, -6.0, "3341-18");
        within(true_peak(&tone(4.0, 45.0, 1.41)).true_peak_dbtp, 3.0, "3341-19");
        for offset in 0..4 {
            let (burst, _) = crate::dsp::truepeak::bursts::ebu(offset);
            let found = true_peak(&burst).true_peak_dbtp;
            within(found, 0.0, &format!("3341-{}", 20 + offset));
        }
        // Samples of a quarter of the rate at 45° stay 3 dB below the peak.
        close(true_peak(&tone(4.0, 45.0, 0.5)).sample_peak_dbfs, -9.03, 0.01, "sample peak");
    }

    #[test]
    fn the_report_does_not_depend_on_how_the_stream_is_cut() {
        let sections = [(1.7, -20.0), (2.4, -31.0), (1.0, -14.0)];
        let whole = measure(440.0, &sections, usize::MAX);
        for piece in [1_000, 4_800, 7_777] {
            assert_eq!(measure(440.0, &sections, piece), whole);
        }
    }

    #[test]
    fn silence_is_minus_infinity_and_wrong_shapes_are_refused() {
        let mut meter = LoudnessMeter::new(RATE, 2).unwrap();
        meter.push(&[&[0.0; 48_000], &[0.0; 48_000]]).unwrap();
        let report = meter.report();
        assert_eq!(report.integrated_lufs, f64::NEG_INFINITY);
        assert_eq!(report.true_peak_dbtp, f64::NEG_INFINITY);
        assert_eq!(meter.push(&[&[0.0]]), Err(LoudnessError::Planes { expected: 2, found: 1 }));
        assert!(LoudnessMeter::new(0, 2).is_err());
        assert!(LoudnessMeter::new(RATE, 0).is_err());
    }
}
