use std::sync::Arc;

use super::*;
use crate::buffer::AudioBuffer;

fn sine(frequency: f64, rate: u32, frames: usize) -> Vec<f32> {
    let step = std::f64::consts::TAU * frequency / f64::from(rate);
    (0..frames).map(|n| libm::sin(step * n as f64) as f32).collect()
}

fn convert(step: Step, input: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; step.output_frames(input.len() as u64) as usize];
    Resampler::new(step).render(0, 0, input, &mut out);
    out
}

fn level_db(error: f64, signal: f64) -> f64 {
    10.0 * libm::log10(error / signal)
}

/// Signal to error ratio against the ideal sine, away from the edges.
fn snr(step: Step, frequency: f64, from: u32, gain_checked: bool) -> f64 {
    let input = sine(frequency, from, from as usize / 4);
    let out = convert(step, &input);
    let omega = std::f64::consts::TAU * frequency / f64::from(from) * step.as_f64();
    let edge = (400.0 / step.as_f64()) as usize + 400;
    let middle = edge..out.len() - edge;
    // The best amplitude is fitted out when only noise and images are asked for.
    let ideal = |n: usize| libm::sin(omega * n as f64);
    let fit = middle.clone().map(|n| f64::from(out[n]) * ideal(n)).sum::<f64>()
        / middle.clone().map(|n| ideal(n) * ideal(n)).sum::<f64>();
    let gain = if gain_checked { 1.0 } else { fit };
    let error: f64 = middle.clone().map(|n| (f64::from(out[n]) - gain * ideal(n)).powi(2)).sum();
    let signal: f64 = middle.map(|n| ideal(n).powi(2)).sum();
    -level_db(error, signal)
}

#[test]
fn the_signal_to_noise_ratio_is_as_stated() {
    let check = |from: u32, to: u32, frequency: f64, least: f64| {
        let found = snr(Step::between(from, to).unwrap(), frequency, from, false);
        println!("{from} -> {to} at {frequency} Hz: {found:.1} dB");
        assert!(found >= least, "{from} -> {to} at {frequency} Hz: {found:.1} dB");
    };
    check(44_100, 48_000, 997.0, 130.0);
    check(44_100, 48_000, 19_000.0, 120.0);
    check(48_000, 44_100, 997.0, 130.0);
    check(48_000, 44_100, 19_000.0, 120.0);
    check(96_000, 44_100, 15_000.0, 120.0);
    check(44_100, 192_000, 18_000.0, 120.0);
    check(44_100, 47_999, 18_000.0, 120.0);
    check(48_000, 11_025, 4_000.0, 120.0);
}

#[test]
fn any_speed_is_as_clean_as_a_simple_ratio() {
    for speed in [0.5, 0.943_874_312_682, 1.059_463_094_359, 1.618_033_988_75, 3.7] {
        let step = Step::with_speed(44_100, 44_100, speed).unwrap();
        let frequency = 18_000.0 / speed.max(1.0);
        let found = snr(step, frequency, 44_100, false);
        println!("speed {speed}: {found:.1} dB");
        assert!(found >= 120.0, "speed {speed}: {found:.1} dB");
    }
}

#[test]
fn the_pass_band_is_flat_to_nine_tenths_of_nyquist() {
    for frequency in [100.0, 5_000.0, 10_000.0, 15_000.0, 19_845.0] {
        // 0.001 dB is a relative error of 1.15e-4, that is 78.8 dB.
        let found = snr(Step::between(44_100, 48_000).unwrap(), frequency, 44_100, true);
        assert!(found >= 78.8, "{frequency} Hz: {found:.1} dB");
    }
}

#[test]
fn what_the_lower_rate_cannot_hold_is_removed() {
    for frequency in [22_060.0, 23_000.0, 30_000.0, 47_000.0] {
        let out = convert(Step::between(96_000, 44_100).unwrap(), &sine(frequency, 96_000, 48_000));
        let middle = &out[1_000..out.len() - 1_000];
        let power: f64 = middle.iter().map(|s| f64::from(*s).powi(2)).sum();
        let found = level_db(power / middle.len() as f64, 0.5);
        println!("alias of {frequency} Hz: {found:.1} dB");
        assert!(found <= -120.0, "{frequency} Hz aliases at {found:.1} dB");
    }
}

#[test]
fn a_constant_stays_that_constant() {
    let out = convert(Step::between(44_100, 96_000).unwrap(), &[0.5; 4_000]);
    assert!(out[1_000..7_000].iter().all(|s| (s - 0.5).abs() < 1e-7));
}

#[test]
fn the_length_is_exact() {
    let check = |from, to, frames, expect| {
        assert_eq!(Step::between(from, to).unwrap().output_frames(frames), expect);
    };
    check(44_100, 48_000, 44_100, 48_000);
    check(48_000, 44_100, 48_000, 44_100);
    check(44_100, 48_000, 1, 2);
    check(48_000, 44_100, 0, 0);
    check(96_000, 48_000, 5, 3);
}

#[test]
fn every_cut_of_a_read_gives_the_same_bits() {
    let step = Step::between(44_100, 48_000).unwrap();
    let input = sine(1_234.5, 44_100, 3_000);
    let whole = convert(step, &input);
    let resampler = Resampler::new(step);
    for block in [1, 7, 64, 999] {
        let mut pieces = Vec::new();
        while pieces.len() < whole.len() {
            let count = block.min(whole.len() - pieces.len());
            let span = resampler.span(pieces.len() as u64, count);
            assert!((span.end - span.start) as usize <= resampler.max_span(count));
            let from = span.start.max(0) as usize;
            let to = (span.end.max(0) as usize).min(input.len());
            let mut out = vec![0.0; count];
            resampler.render(pieces.len() as u64, from as i64, &input[from..to], &mut out);
            pieces.extend(out);
        }
        assert_eq!(pieces, whole, "blocks of {block}");
    }
}

#[test]
fn a_stream_equals_the_whole_and_keeps_little() {
    for (from, to) in [(44_100, 48_000), (48_000, 8_000), (48_000, 48_000), (8_000, 96_000)] {
        let step = Step::between(from, to).unwrap();
        let input = sine(440.0, from, 5_000);
        let mut stream = StreamResampler::new(step, 1);
        let mut out = vec![Vec::new()];
        for piece in input.chunks(113) {
            stream.push(&[piece], &mut out).unwrap();
            assert!(stream.history[0].len() <= 3 * stream.resampler.reach() + 113);
        }
        assert_eq!(stream.finish(&mut out), Ok(step.output_frames(5_000)));
        assert_eq!(out[0], convert(step, &input), "{from} -> {to}");
    }
}

#[test]
fn a_view_reads_what_the_whole_holds() {
    let step = Step::between(44_100, 48_000).unwrap();
    let input = sine(997.0, 44_100, 4_000);
    let whole = convert(step, &input);
    let source = Arc::new(AudioBuffer::from_channels(44_100, &[&input]).unwrap());
    let mut view = SourceView::new(source, Arc::new(Resampler::new(step)), 2, 256);
    for start in [0u64, 5, 1_000, 4_200] {
        let (mut left, mut right) = (vec![9.0; 200], vec![9.0; 200]);
        let count = view.read(start, &mut [&mut left, &mut right]);
        assert_eq!(left[..count], whole[start as usize..start as usize + count]);
        assert!(right[..count].iter().all(|s| *s == 0.0));
        let mut again = vec![0.0; 200];
        assert_eq!(view.read_blocking(start, &mut [&mut again]), Ok(count));
        assert_eq!(again[..count], left[..count]);
    }
    assert_eq!(view.read(view.frames(), &mut [&mut [0.0; 8]]), 0);
}

#[test]
fn absurd_rates_and_speeds_are_refused() {
    assert!(Step::between(0, 48_000).is_err());
    assert!(Step::between(48_000, 0).is_err());
    assert!(Step::between(1, 48_000).is_err());
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(Step::with_speed(48_000, 48_000, speed).is_err(), "{speed}");
    }
}
