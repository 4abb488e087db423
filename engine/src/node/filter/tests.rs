use std::f64::consts::{PI, TAU};

use super::*;
use crate::rig::{Rig, check_cuts, lanes::check_lanes, noise};

fn rig(rate: u32, channels: usize) -> Rig {
    let mut setup = Setup::new(KIND.descriptor, rate, 4096);
    setup.channels = channels;
    Rig::with_setup(&KIND, setup)
}

/// |H| of the analogue prototype at the frequency that the bilinear transform maps `hz` to.
fn closed_form(mode: usize, q: f64, hz: f64, cutoff: f64, rate: f64) -> f64 {
    let w = libm::tan(PI * hz / rate) / libm::tan(PI * cutoff / rate);
    let bottom = libm::hypot(1.0 - w * w, w / q);
    match mode {
        0 => 1.0 / bottom,
        1 => w * w / bottom,
        2 => w / q / bottom,
        3 => (1.0 - w * w).abs() / bottom,
        _ => (1.0 + w * w) / bottom,
    }
}

fn measure(rig: &mut Rig, hz: f64) -> f64 {
    let rate = rig.setup.sample_rate as usize;
    let phase = |n: usize| TAU * hz * n as f64 / rate as f64;
    let input: Vec<f32> = (0..rate).map(|n| (0.25 * libm::sin(phase(n))) as f32).collect();
    let out = rig.run(&[vec![input]], rate, &[4096]);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, y) in out[0][0].iter().enumerate().skip(rate / 2) {
        re += f64::from(*y) * libm::sin(phase(n));
        im += f64::from(*y) * libm::cos(phase(n));
    }
    libm::hypot(re, im) * 16.0 / rate as f64
}

/// The response of one setting at a few frequencies, within 0.0001 of full scale per unit of gain.
fn check(mode: usize, steep: bool, q: f64, rate: u32) {
    for hz in [100.0, 1000.0, 1500.0, 4000.0, 16_000.0] {
        let mut rig = rig(rate, 1);
        rig.set("mode", mode as f64).set("slope", f64::from(steep)).set("cutoff", 1500.0);
        rig.set("resonance", q);
        let one = |q| closed_form(mode, q, hz, 1500.0, f64::from(rate));
        let want = match (steep, mode) {
            (false, _) => one(q),
            (true, 0 | 1) => one(BUTTERWORTH_4.0) * one(BUTTERWORTH_4.1 / BUTTERWORTH_Q * q),
            (true, _) => one(q) * one(q),
        };
        let got = measure(&mut rig, hz);
        let error = (got - want).abs() / want.max(1.0);
        assert!(error < 2e-6, "{mode} {steep} {q} {rate} at {hz}: {got}, not {want}");
    }
}

#[test]
fn responses_equal_the_closed_form() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        for mode in 0..5 {
            check(mode, false, 0.7, rate);
            check(mode, true, 3.0, rate);
        }
    }
}

// scipy 1.17.1: sosfreqz(butter(4, 1500, fs=48000, output='sos'), [1000, 4000], fs=48000), in dB:
// −0.163912237 and −34.773777188.
#[test]
fn the_steep_low_pass_is_scipys_butterworth() {
    for (hz, want) in [(1000.0, -0.163912237), (4000.0, -34.773777188)] {
        let mut rig = rig(48_000, 1);
        rig.set("slope", 1.0).set("cutoff", 1500.0);
        let got = decibel::gain_to_db(measure(&mut rig, hz));
        assert!((got - want).abs() < 1e-4, "{hz}: {got} dB, not {want} dB");
    }
}

fn busy_rig(rate: u32, channels: usize) -> Rig {
    let mut rig = rig(rate, channels);
    rig.set("resonance", 6.0).set("drive", 9.0);
    rig.set_motion("cutoff", Box::new(|n| 2000.0 + 1900.0 * libm::sin(n as f64 * 0.01)));
    rig.set_motion("mode", Box::new(|frame| (frame / 700 % 5) as f64));
    rig.set_motion("slope", Box::new(|frame| (frame / 1100 % 2) as f64));
    rig
}

#[test]
fn cuts_do_not_matter() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let input = [noise(3, 2, 5000)];
        check_cuts(|| busy_rig(rate, 2), &input, 5000);
        let still = || {
            let mut rig = rig(rate, 2);
            rig.set("slope", 1.0).set("drive", 12.0);
            rig
        };
        check_cuts(still, &input, 5000);
    }
    check_cuts(|| busy_rig(48_000, 1), &[noise(4, 1, 5000)], 5000);
}

#[test]
fn lanes_equal_single_filters() {
    for channels in [1, 2] {
        check_lanes(&KIND, channels, &|lane, rig| {
            rig.set("mode", (lane % 5) as f64).set("slope", (lane % 2) as f64);
            rig.set("cutoff", 100.0 * (lane + 1) as f64);
        });
        check_lanes(&KIND, channels, &|lane, rig| {
            rig.set("cutoff", 100.0 * (lane + 1) as f64).set("drive", lane as f64);
        });
        // At rest, then driven, then at rest again.
        check_lanes(&KIND, channels, &|lane, rig| {
            if lane == 5 {
                let knob = |n: i64| (n - 1_000).min(1_800 - n).clamp(0, 100) as f64 * 0.1;
                rig.set_motion("drive", Box::new(knob));
            }
        });
        check_lanes(&KIND, channels, &|lane, rig| {
            if lane == 2 {
                rig.set_motion("slope", Box::new(|frame| f64::from(frame > 600)));
                rig.set_motion("cutoff", Box::new(|frame| 500.0 + frame as f64));
            }
        });
    }
}

#[test]
fn drive_keeps_full_scale_and_lifts_small_signals() {
    let level = |peak: f64| {
        let mut rig = rig(48_000, 1);
        rig.set("cutoff", 20_000.0).set("drive", 12.0);
        let tone = |n| (peak * libm::sin(0.01 * f64::from(n))) as f32;
        let out = rig.run(&[vec![(0..9_600).map(tone).collect()]], 9_600, &[512]);
        f64::from(out[0][0][4_800..].iter().fold(0.0f32, |most, x| most.max(x.abs()))) / peak
    };
    assert!((level(1.0) - 1.0).abs() < 0.01, "{}", level(1.0));
    let rise = 20.0 * libm::log10(level(1e-4));
    assert!((rise - 12.0).abs() < 0.05, "{rise} dB");
}

#[test]
fn sweeps_and_switches_are_free_of_clicks() {
    let input: Vec<f32> =
        (0..20_000).map(|n| (0.25 * libm::sin(0.02 * f64::from(n))) as f32).collect();
    let sweep: crate::rig::Motion = Box::new(|frame| 200.0 + (frame % 10_000) as f64);
    let modes: crate::rig::Motion = Box::new(|frame| (frame / 2000 % 5) as f64);
    let slopes: crate::rig::Motion = Box::new(|frame| (frame / 2000 % 2) as f64);
    let drive: crate::rig::Motion = Box::new(|frame| 12.0 - (12 - frame / 200 % 24).abs() as f64);
    for (id, motion) in [("mode", modes), ("slope", slopes), ("cutoff", sweep), ("drive", drive)] {
        let mut rig = rig(48_000, 1);
        rig.set("resonance", 2.0).set_motion(id, motion);
        let out = rig.run(&[vec![input.clone()]], 9000, &[512]);
        let bend =
            out[0][0].windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0f32, f32::max);
        assert!(bend < 0.004, "{id}: a bend of {bend}");
    }
}

#[test]
fn a_bad_sample_is_forgotten_within_a_grid_cell() {
    let mut input = vec![noise(5, 2, 4000)];
    input[0][0][100] = f32::NAN;
    input[0][1][101] = f32::INFINITY;
    let out = rig(48_000, 2).run(&input, 4000, &[4096]);
    assert!(out[0].iter().all(|plane| plane[128..].iter().all(|x| x.is_finite())));
}

#[test]
fn silence_is_reached_within_the_tail() {
    let mut rig = rig(8_000, 1);
    rig.set("cutoff", LOWEST_HZ).set("resonance", HIGHEST_Q).set("slope", 1.0);
    let Tail::Frames(tail) = rig.node.tail() else { panic!("a filter has a finite tail") };
    let frames = tail as usize + 8000;
    let mut input = vec![0.0; frames];
    input[0] = 1.0;
    let out = rig.run(&[vec![input]], frames, &[4096]);
    assert!(out[0][0][tail as usize..].iter().all(|x| x.abs() < 1e-6));
}
