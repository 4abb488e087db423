use super::*;
use crate::rig::{Rig, check_cuts, lanes::check_lanes, noise};

fn rig(rate: u32, channels: usize) -> Rig {
    let mut setup = Setup::new(KIND.descriptor, rate, 4096);
    setup.channels = channels;
    Rig::with_setup(&KIND, setup)
}

fn set_band(rig: &mut Rig, band: usize, kind: usize, hz: f64, db: f64, q: f64, slope: usize) {
    let id = |name: &str| format!("band{band}{name}");
    rig.set(&id("Type"), kind as f64).set(&id("Frequency"), hz).set(&id("Gain"), db);
    rig.set(&id("Q"), q).set(&id("Slope"), slope as f64);
}

/// Level of a sine of a whole number of periods per second, after one second of settling, in dB.
fn measure(rig: &mut Rig, hz: f64) -> f64 {
    let rate = rig.setup.sample_rate as usize;
    let phase = |n: usize| std::f64::consts::TAU * hz * n as f64 / rate as f64;
    let input: Vec<f32> = (0..2 * rate).map(|n| (0.5 * libm::sin(phase(n))) as f32).collect();
    let out = rig.run(&[vec![input]], 2 * rate, &[4096]);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, y) in out[0][0].iter().enumerate().skip(rate) {
        re += f64::from(*y) * libm::sin(phase(n));
        im += f64::from(*y) * libm::cos(phase(n));
    }
    decibel::gain_to_db(libm::hypot(re, im) * 4.0 / rate as f64)
}

const HZ: [f64; 6] = [50.0, 200.0, 1000.0, 3000.0, 9000.0, 18_000.0];

/// `want` in dB at [`HZ`].
fn check(kind: usize, hz: f64, db: f64, q: f64, slope: usize, want: [f64; 6]) {
    for (at, want) in HZ.into_iter().zip(want) {
        let mut rig = rig(48_000, 1);
        set_band(&mut rig, 4, kind, hz, db, q, slope);
        let got = measure(&mut rig, at);
        // A tone 60 dB down and more sits in the rounding noise of f32 audio.
        let tolerance = if want < -55.0 { 0.02 } else { 2e-5 };
        assert!((got - want).abs() < tolerance, "{kind} {hz} at {at} Hz: {got} dB, not {want} dB");
    }
}

// The numbers come from scipy 1.17.1: `freqz` of the cookbook's coefficients written out in Python
// for the first five, `sosfreqz(butter(order, hz, type, fs=48000, output='sos'))` for the cuts.
#[test]
fn responses_equal_those_of_scipy() {
    let q = BUTTERWORTH_Q;
    check(
        1,
        1000.0,
        9.0,
        2.0,
        0,
        [0.006694644, 0.113801824, 9.0, 0.346868692, 0.026138196, 0.00197383],
    );
    check(
        1,
        9500.0,
        -12.0,
        0.7,
        0,
        [-0.000689416, -0.011023849, -0.271374299, -2.195907641, -11.847488986, -2.467301728],
    );
    check(2, 200.0, 6.0, q, 0, [5.974781863, 3.0, 0.010304606, 0.000121718, 9.56e-07, 6e-09]);
    check(
        3,
        5000.0,
        -9.0,
        1.0,
        0,
        [0.000437141, 0.006983871, 0.16724511, 0.444493702, -9.618378009, -9.090806213],
    );
    check(
        6,
        3100.0,
        0.0,
        4.0,
        0,
        [-6.8717e-05, -0.001107859, -0.033994972, -11.69424249, -0.031289323, -0.001999487],
    );
    let low_cuts = [
        [-15.337702175, -0.529173983, -0.0008954, -1.0557e-05, -8.3e-08, 0.0],
        [-30.421432811, -0.072317997, -1.85e-07, 0.0, 0.0, 0.0],
        [-60.834982998, -0.001224303, 0.0, 0.0, 0.0, 0.0],
    ];
    let high_cuts = [
        [-4e-09, -1.148e-06, -0.000721287, -0.060762037, -4.462202494, -24.867634256],
        [0.0, 0.0, -1.2e-07, -0.000862026, -6.251368439, -49.706951477],
        [0.0, 0.0, 0.0, -1.71e-07, -10.552795405, -99.413810032],
    ];
    for slope in 0..3 {
        check(4, 120.0, 0.0, q, slope, low_cuts[slope]);
        check(5, 8000.0, 0.0, q, slope, high_cuts[slope]);
    }
}

#[test]
fn a_flat_equaliser_passes_every_bit() {
    let input = vec![noise(1, 2, 2000)];
    let mut rig = rig(48_000, 2);
    set_band(&mut rig, 1, 1, 500.0, 0.0, 1.0, 0);
    set_band(&mut rig, 2, 2, 500.0, 0.0, 1.0, 0);
    assert_eq!(rig.run(&input, 2000, &[100]), input);
}

fn busy_rig(rate: u32, channels: usize) -> Rig {
    let mut rig = rig(rate, channels);
    set_band(&mut rig, 1, 4, 60.0, 0.0, 0.8, 2);
    set_band(&mut rig, 2, 1, 400.0, 5.0, 2.0, 0);
    set_band(&mut rig, 3, 3, 6000.0, -4.0, 0.7, 0);
    rig.set_motion("band2Frequency", Box::new(|frame| 300.0 + (frame as f64 * 0.4) % 5000.0));
    rig.set_motion("band3Gain", Box::new(|frame| if frame < 1000 { -4.0 } else { 9.0 }));
    rig.set_motion("band4Type", Box::new(|frame| (frame / 300 % 10) as f64));
    rig.set_motion("band1Slope", Box::new(|frame| (frame / 900 % 6) as f64));
    rig.set_motion("band2Place", Box::new(|frame| (frame / 777 % 5) as f64));
    rig.set_motion("band3On", Box::new(|frame| f64::from(frame % 2000 > 700)));
    rig.set_motion("response", Box::new(|frame| f64::from(frame > 2500)));
    rig.set_motion("output", Box::new(|frame| if frame < 2000 { 0.0 } else { -3.0 }));
    rig
}

#[test]
fn cuts_do_not_matter() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let input = [noise(3, 2, 5000)];
        check_cuts(|| busy_rig(rate, 2), &input, 5000);
        let still = || {
            let mut rig = rig(rate, 2);
            set_band(&mut rig, 2, 1, 400.0, 5.0, 2.0, 0);
            set_band(&mut rig, 8, 5, 9000.0, 0.0, 0.7, 1);
            rig
        };
        check_cuts(still, &input, 5000);
    }
    check_cuts(|| busy_rig(48_000, 1), &[noise(4, 1, 5000)], 5000);
}

#[test]
fn lanes_equal_single_equalisers() {
    for channels in [1, 2] {
        check_lanes(&KIND, channels, &|lane, rig| {
            rig.set("band1Place", (lane % 5) as f64).set("response", (lane / 3 % 2) as f64);
            for band in 1..=4 {
                let kind = 1 + (lane + band) % 9;
                let hz = 100.0 * (band * (lane + 1)) as f64;
                set_band(rig, band, kind, hz, 2.0 * lane as f64 - 8.0, 0.9, lane % 6);
            }
        });
        check_lanes(&KIND, channels, &|lane, rig| {
            set_band(rig, 2, 1, 800.0, 5.0, 2.0, 0);
            if lane == 5 {
                rig.set_motion("band2Gain", Box::new(|frame| frame as f64 * 0.002));
                rig.set_motion("band3Type", Box::new(|frame| f64::from(frame > 700)));
            }
        });
    }
}

#[test]
fn sweeps_and_switches_are_free_of_clicks() {
    let input: Vec<f32> =
        (0..20_000).map(|n| (0.25 * libm::sin(0.02 * f64::from(n))) as f32).collect();
    let sweep: crate::rig::Motion = Box::new(|frame| 100.0 + (frame as f64) * 0.5);
    let types: crate::rig::Motion = Box::new(|frame| (frame / 2000 % 10) as f64);
    let places: crate::rig::Motion = Box::new(|frame| (frame / 2000 % 5) as f64);
    let switch: crate::rig::Motion = Box::new(|frame| (frame / 2000 % 2) as f64);
    let analogue: crate::rig::Motion = Box::new(|frame| (frame / 2000 % 2) as f64);
    for (id, motion) in [
        ("band1Frequency", sweep),
        ("band1Type", types),
        ("band1Place", places),
        ("band1On", switch),
        ("response", analogue),
    ] {
        let mut rig = rig(48_000, 2);
        set_band(&mut rig, 1, 1, 400.0, 12.0, 2.0, 1);
        rig.set_motion(id, motion);
        let out = rig.run(&[vec![input.clone(), input.clone()]], input.len(), &[512]);
        // A sine of 0.25 × 4 moves by at most 0.02 per frame and bends by at most 0.0004; a click is
        // a bend far beyond that.
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
    let mut rig = rig(48_000, 2);
    set_band(&mut rig, 1, 1, 1000.0, 6.0, 1.0, 0);
    let out = rig.run(&input, 4000, &[4096]);
    assert!(out[0].iter().all(|plane| plane[128..].iter().all(|x| x.is_finite())));
}

#[test]
fn silence_is_reached_within_the_tail() {
    let mut rig = rig(8_000, 1);
    set_band(&mut rig, 1, 1, 20.0, 24.0, 24.0, 0);
    let Tail::Frames(tail) = rig.node.tail() else { panic!("an equaliser has a finite tail") };
    let frames = tail as usize + 8000;
    let mut input = vec![0.0; frames];
    input[0] = 1.0;
    let out = rig.run(&[vec![input]], frames, &[4096]);
    assert!(out[0][0][tail as usize..].iter().all(|x| x.abs() < 1e-6));
}

/// Levels in dB of a band at its own frequency and two octaves to either side of it.
fn around(settings: &[(&str, f64)], kind: usize, slope: usize) -> [f64; 3] {
    [250.0, 1000.0, 4000.0].map(|hz| {
        let mut rig = rig(48_000, 1);
        set_band(&mut rig, 4, kind, 1000.0, 8.0, BUTTERWORTH_Q, slope);
        settings.iter().for_each(|(id, value)| {
            rig.set(id, *value);
        });
        measure(&mut rig, hz)
    })
}

fn is_near(got: [f64; 3], want: [f64; 3], tolerance: f64) {
    let off = got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
    assert!(off < tolerance, "{got:?}, not {want:?}");
}

#[test]
fn cuts_of_every_slope_are_butterworth() {
    // |H|² = 1 / (1 + (w/w₀)^2n) at the warped frequencies of the bilinear transform.
    let warped = |hz: f64| libm::tan(std::f64::consts::PI * hz / 48_000.0);
    for (slope, order) in [(3, 1), (0, 2), (4, 3), (1, 4), (5, 6)] {
        let want = |side: f64| {
            [250.0, 1000.0, 4000.0].map(|hz| {
                let ratio = libm::pow(warped(hz) / warped(1000.0), 2.0 * side * f64::from(order));
                -10.0 * libm::log10(1.0 + ratio)
            })
        };
        is_near(around(&[], 5, slope), want(1.0), 0.01);
        is_near(around(&[], 4, slope), want(-1.0), 0.01);
    }
}

#[test]
fn band_pass_all_pass_and_tilt_have_their_responses() {
    // |H| of a band pass of Q 0.707 at the warped quarter and fourfold.
    let band = |hz: f64| {
        let w =
            libm::tan(std::f64::consts::PI * hz / 48e3) / libm::tan(std::f64::consts::PI / 48.0);
        20.0 * libm::log10(w * std::f64::consts::SQRT_2)
            - 10.0 * libm::log10((1.0 - w * w) * (1.0 - w * w) + 2.0 * w * w)
    };
    is_near(around(&[], 7, 0), [band(250.0), 0.0, band(4000.0)], 1e-3);
    is_near(around(&[], 8, 0), [0.0; 3], 1e-4);
    let tilt = around(&[], 9, 0);
    let shelf = around(&[], 3, 0);
    is_near(tilt, shelf.map(|db| db - 4.0), 1e-4);
    assert!(tilt[1].abs() < 1e-4 && tilt[0] < -3.9 && tilt[2] > 3.9, "{tilt:?}");
}

#[test]
fn a_band_that_is_not_on_is_not_there() {
    let input = vec![noise(1, 2, 2000)];
    let mut rig = rig(48_000, 2);
    set_band(&mut rig, 1, 1, 500.0, 6.0, 1.0, 0);
    rig.set("band1On", 0.0);
    assert_eq!(rig.run(&input, 2000, &[100]), input);
}

#[test]
fn a_band_works_in_its_place_alone() {
    let sine: Vec<f32> =
        (0..24_000).map(|n| (0.25 * libm::sin(0.1 * f64::from(n))) as f32).collect();
    let other: Vec<f32> =
        (0..24_000).map(|n| (0.25 * libm::sin(0.1 * f64::from(n) + 1.0)) as f32).collect();
    let negative: Vec<f32> = sine.iter().map(|x| -x).collect();
    let run = |place: f64, input: [&Vec<f32>; 2]| {
        let mut rig = rig(48_000, 2);
        set_band(&mut rig, 1, 1, 700.0, 6.0, 1.0, 0);
        rig.set("band1Place", place);
        let input = vec![input.map(Clone::clone).to_vec()];
        rig.run(&input, 24_000, &[512]).remove(0)
    };
    let stereo = run(0.0, [&sine, &other]);
    let left = run(3.0, [&sine, &other]);
    assert!(left[0] == stereo[0] && left[1] == other);
    let right = run(4.0, [&sine, &other]);
    assert!(right[0] == sine && right[1] == stereo[1]);
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    // What has no difference is all middle; what cancels out is all difference.
    let both = run(0.0, [&sine, &sine]);
    let middle = run(1.0, [&sine, &sine]);
    assert!(near(&middle[0], &both[0]) && near(&middle[1], &both[1]));
    let side = run(2.0, [&sine, &sine]);
    assert!(near(&side[0], &sine) && near(&side[1], &sine));
    let side = run(2.0, [&sine, &negative]);
    assert!(near(&side[0], &both[0]));
    let middle = run(1.0, [&sine, &negative]);
    assert!(near(&middle[0], &sine) && near(&middle[1], &negative));
}

#[test]
fn the_analogue_response_is_not_squeezed_at_the_top() {
    let level = |response: f64, hz: f64| {
        let mut rig = rig(48_000, 1);
        set_band(&mut rig, 4, 1, 12_000.0, 12.0, 1.0, 0);
        rig.set("response", response);
        measure(&mut rig, hz)
    };
    // The model at 18 kHz: s = 1.5j in (s² + A/Q·s + 1) / (s² + s/(A·Q) + 1).
    let a = libm::pow(10.0, 12.0 / 40.0);
    let square = |x: f64| x * x;
    let power = (square(1.25) + square(1.5 * a)) / (square(1.25) + square(1.5 / a));
    let want = 10.0 * libm::log10(power);
    let (analogue, bilinear) = (level(1.0, 18_000.0), level(0.0, 18_000.0));
    assert!((analogue - want).abs() < 0.8, "{analogue}, not {want} dB");
    assert!(bilinear < want - 3.0, "{bilinear} dB");
    assert!((level(1.0, 12_000.0) - 12.0).abs() < 0.01);
}
