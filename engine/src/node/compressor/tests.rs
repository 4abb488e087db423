use super::*;
use crate::rig::{Rig, check_cuts, noise};

fn rig(rate: u32, channels: usize, look_ahead_ms: f64) -> Rig {
    let mut setup = Setup::new(KIND.descriptor, rate, 4096);
    setup.channels = channels;
    setup.params[LOOK_AHEAD] = look_ahead_ms;
    Rig::with_setup(&KIND, setup)
}

/// A wave whose magnitude is `level` at every frame and which passes any high-pass.
fn alternating(level: f64, frames: usize) -> Vec<f32> {
    (0..frames).map(|n| if n % 2 == 0 { level as f32 } else { -level as f32 }).collect()
}

fn reading(rig: &Rig, id: &str) -> f64 {
    let mut found = f64::NAN;
    rig.node.readings(&mut |name, value| {
        if name == id {
            found = value;
        }
    });
    found
}

/// Steady output level of a 997 Hz sine, in dB: its peak over the last 100 ms.
fn steady(rig: &mut Rig, level_db: f64) -> f64 {
    let peak = decibel::db_to_gain(level_db);
    let input: Vec<f32> = (0..48_000)
        .map(|n| (peak * libm::sin(std::f64::consts::TAU * 997.0 * f64::from(n) / 48e3)) as f32)
        .collect();
    let out = rig.run(&[vec![input]], 48_000, &[512]);
    let top = out[0][0][43_200..].iter().fold(0.0f32, |max, x| max.max(x.abs()));
    decibel::gain_to_db(f64::from(top))
}

/// A steady sine leaves on the static curve.
fn check(settings: &[(&str, f64)], level_db: f64, want_db: f64) {
    let mut rig = rig(48_000, 1, 0.0);
    for (id, value) in settings {
        rig.set(id, *value);
    }
    let got = steady(&mut rig, level_db);
    assert!((got - want_db).abs() < 0.05, "{settings:?} {level_db} dB: {got}, not {want_db} dB");
}

#[test]
fn a_steady_tone_leaves_on_the_static_curve() {
    let hard = [("threshold", -20.0), ("ratio", 4.0), ("knee", 0.0)];
    check(&hard, -30.0, -30.0);
    check(&hard, -20.0, -20.0);
    check(&hard, -8.0, -17.0);
    check(&hard, 0.0, -15.0);
    let soft = [("threshold", -20.0), ("ratio", 4.0), ("knee", 12.0)];
    check(&soft, -26.0, -26.0);
    check(&soft, -20.0, -20.0 - 0.75 * 36.0 / 24.0);
    check(&soft, -14.0, -18.5);
    let rms = [("threshold", -20.0), ("ratio", 2.0), ("knee", 0.0), ("detector", 1.0)];
    check(&rms, -10.0, -15.0);
    check(&rms, 0.0, -10.0);
    check(&[("threshold", -20.0), ("ratio", 4.0), ("knee", 0.0), ("makeUp", 6.0)], -8.0, -11.0);
}

#[test]
fn parallel_mix_adds_dry_and_wet() {
    let settings = [("threshold", -20.0), ("ratio", 4.0), ("knee", 0.0), ("mix", 50.0)];
    let wet = 0.5 + 0.5 * decibel::db_to_gain(-9.0);
    check(&settings, -8.0, -8.0 + decibel::gain_to_db(wet));
}

#[test]
fn attack_and_release_cover_63_percent_in_their_time() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let mut rig = rig(rate, 1, 0.0);
        rig.set("threshold", -40.0).set("ratio", 100.0).set("knee", 0.0);
        rig.set("attack", 20.0).set("release", 200.0);
        let frames = |ms: f64| (ms * 1e-3 * f64::from(rate)) as usize;
        // 20 dB over at 100 : 1 is 19.8 dB of reduction.
        let loud = alternating(0.1, frames(400.0));
        rig.run(&[vec![loud[..frames(20.0)].to_vec()]], frames(20.0), &[256]);
        let attack = -reading(&rig, "gainReduction") / 19.8;
        assert!((attack - 0.632).abs() < 0.01, "{rate}: {attack}");
        rig.run(&[vec![loud[..frames(380.0)].to_vec()]], frames(380.0), &[256]);
        assert!((reading(&rig, "gainReduction") + 19.8).abs() < 0.01);
        // Release passes the attack smoothing too: (200·e^(−t/200) − 20·e^(−t/20)) / 180 at 200 ms.
        rig.run(&[vec![vec![0.0; frames(200.0)]]], frames(200.0), &[256]);
        let want = (200.0 * libm::exp(-1.0) - 20.0 * libm::exp(-10.0)) / 180.0;
        let release = -reading(&rig, "gainReduction") / 19.8;
        assert!((release - want).abs() < 0.01, "{rate}: {release}, not {want}");
    }
}

#[test]
fn look_ahead_delays_by_its_latency_and_catches_the_onset() {
    let mut rig = rig(48_000, 1, 5.0);
    assert_eq!(rig.node.latency(), 240);
    rig.set("threshold", -20.0).set("ratio", 100.0).set("knee", 0.0).set("attack", 1.0);
    let mut input = vec![0.0; 1000];
    input.extend(alternating(1.0, 1000));
    let out = rig.run(&[vec![input]], 2000, &[100]);
    assert!(out[0][0][..1240].iter().all(|x| *x == 0.0));
    assert!(out[0][0][1240] > 0.09 && out[0][0][1240] < 0.13, "{}", out[0][0][1240]);
}

#[test]
fn an_external_side_chain_drives_the_gain() {
    let quiet = vec![alternating(0.01, 4800); 2];
    let loud = vec![alternating(1.0, 4800); 2];
    let mut rig = rig(48_000, 2, 0.0);
    rig.set("attack", 1.0);
    let alone = rig.run(std::slice::from_ref(&quiet), 4800, &[512]);
    assert_eq!(alone[0], quiet);
    let ducked = rig.run(&[quiet, loud], 4800, &[512]);
    assert!(ducked[0][0][4700].abs() < 0.0025);
}

#[test]
fn the_side_chain_high_pass_makes_it_deaf_to_bass() {
    let bass: Vec<f32> = (0..48_000).map(|n| libm::sin(f64::from(n) * 0.005) as f32).collect();
    let mut rig = rig(48_000, 1, 0.0);
    rig.set("sideChainHighPass", 2000.0);
    rig.run(&[vec![bass.clone()]], 48_000, &[4096]);
    assert!(reading(&rig, "gainReduction") > -0.01);
    rig.set("sideChainHighPass", 10.0);
    rig.run(&[vec![bass]], 48_000, &[4096]);
    assert!(reading(&rig, "gainReduction") < -5.0);
}

fn busy_rig(rate: u32, channels: usize) -> Rig {
    let mut rig = rig(rate, channels, 1.3);
    rig.set("attack", 3.0).set("release", 30.0).set("hold", 4.0).set("range", 9.0);
    rig.set("sideChainLowPass", 7000.0).set("autoRelease", f64::from(channels == 2));
    rig.set_motion("autoMakeUp", Box::new(|frame| (frame / 1300 % 2) as f64));
    rig.set_motion("listen", Box::new(|frame| (frame / 700 % 4 / 3) as f64));
    rig.set_motion("link", Box::new(|frame| (frame as f64 * 0.05).min(100.0)));
    rig.set_motion("threshold", Box::new(|n| -20.0 + 8.0 * libm::sin(n as f64 * 0.01)));
    rig.set_motion("detector", Box::new(|frame| (frame / 1000 % 2) as f64));
    rig.set_motion("mix", Box::new(|frame| if frame < 2000 { 100.0 } else { 60.0 }));
    rig
}

#[test]
fn cuts_do_not_matter() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let inputs = [noise(3, 2, 5000), noise(4, 2, 5000)];
        check_cuts(|| busy_rig(rate, 2), &inputs, 5000);
        check_cuts(|| rig(rate, 2, 2.0), &inputs[..1], 5000);
    }
    check_cuts(|| busy_rig(48_000, 1), &[noise(5, 1, 5000)], 5000);
}

#[test]
fn a_bad_sample_never_reaches_the_detector() {
    let mut input = vec![noise(5, 2, 4000)];
    input[0][0][100] = f32::NAN;
    input[0][1][101] = f32::INFINITY;
    let mut rig = rig(48_000, 2, 0.0);
    let out = rig.run(&input, 4000, &[4096]);
    assert!(out[0].iter().all(|plane| plane[102..].iter().all(|x| x.is_finite())));
}

#[test]
fn parameters_move_without_zipper_noise() {
    let input = vec![vec![vec![0.5f32; 6000]]];
    for id in ["makeUp", "mix", "threshold"] {
        let mut rig = rig(48_000, 1, 0.0);
        rig.set("sideChainHighPass", 10.0);
        let range = KIND.descriptor.params[KIND.descriptor.param_index(id).unwrap()];
        let (from, to) = (range.default, 0.5 * (range.default + range.max));
        let ramp = move |n: i64| from + (to - from) * (n as f64 / 6000.0);
        rig.set_motion(id, Box::new(ramp));
        let out = rig.run(&input, 6000, &[512]);
        let bend = out[0][0][100..]
            .windows(3)
            .map(|w| (w[0] - 2.0 * w[1] + w[2]).abs())
            .fold(0.0f32, f32::max);
        assert!(bend < 1e-4, "{id}: {bend}");
    }
}

#[test]
fn range_bounds_the_reduction_and_automatic_make_up_gives_half_of_it_back() {
    let hard = [("threshold", -20.0), ("ratio", 4.0), ("knee", 0.0)];
    check(&[&hard[..], &[("range", 6.0)]].concat(), 0.0, -6.0);
    check(&[&hard[..], &[("range", 6.0)]].concat(), -16.0, -19.0);
    check(&[&hard[..], &[("autoMakeUp", 1.0)]].concat(), -40.0, -32.5);
    check(&[&hard[..], &[("autoMakeUp", 1.0)]].concat(), 0.0, -7.5);
    check(&[&hard[..], &[("autoMakeUp", 1.0), ("range", 6.0)]].concat(), -40.0, -37.0);
}

#[test]
fn channels_that_are_not_linked_go_their_own_ways() {
    let run = |link: f64| {
        let mut rig = rig(48_000, 2, 0.0);
        rig.set("threshold", -20.0).set("ratio", 4.0).set("knee", 0.0).set("link", link);
        let input = vec![alternating(1.0, 24_000), alternating(0.05, 24_000)];
        let out = rig.run(&[input], 24_000, &[512]);
        [
            decibel::gain_to_db(f64::from(out[0][0][23_998])),
            decibel::gain_to_db(f64::from(out[0][1][23_998]) / 0.05),
        ]
    };
    for (link, expect) in [(100.0, [-15.0, -15.0]), (0.0, [-15.0, 0.0])] {
        let got = run(link);
        let off = (got[0] - expect[0]).abs().max((got[1] - expect[1]).abs());
        assert!(off < 0.02, "{link}: {got:?}");
    }
    // Half linked, the soft side hears the mean of both: 0.525 is 14.40 dB over.
    assert!((run(50.0)[1] + 0.75 * 14.404).abs() < 0.02, "{:?}", run(50.0));
}

#[test]
fn hold_keeps_the_reduction_for_its_time() {
    for rate in [44_100, 96_000] {
        let mut rig = rig(rate, 1, 0.0);
        rig.set("threshold", -40.0).set("ratio", 100.0).set("knee", 0.0);
        rig.set("attack", 0.05).set("release", 50.0).set("hold", 100.0);
        let frames = |ms: f64| (ms * 1e-3 * f64::from(rate)) as usize;
        rig.run(&[vec![alternating(0.1, frames(200.0))]], frames(200.0), &[256]);
        let full = reading(&rig, "gainReduction");
        rig.run(&[vec![vec![0.0; frames(99.0)]]], frames(99.0), &[256]);
        assert!((reading(&rig, "gainReduction") - full).abs() < 0.01);
        rig.run(&[vec![vec![0.0; frames(51.0)]]], frames(51.0), &[256]);
        let left = reading(&rig, "gainReduction") / full;
        assert!((left - 0.368).abs() < 0.01, "{rate}: {left}");
    }
}

#[test]
fn automatic_release_is_fast_after_peaks_and_slow_after_what_lasted() {
    let left_after = |loud_ms: f64| {
        let mut rig = rig(48_000, 1, 0.0);
        rig.set("threshold", -40.0).set("ratio", 100.0).set("knee", 0.0);
        rig.set("attack", 0.05).set("release", 50.0).set("autoRelease", 1.0);
        let frames = |ms: f64| (ms * 48.0) as usize;
        rig.run(&[vec![alternating(0.1, frames(loud_ms))]], frames(loud_ms), &[256]);
        rig.run(&[vec![vec![0.0; frames(150.0)]]], frames(150.0), &[256]);
        -reading(&rig, "gainReduction") / 19.8
    };
    // A peak of 5 ms: three release times leave 5 %, and what little has lasted.
    let after_a_peak = left_after(5.0);
    assert!((libm::exp(-3.0)..0.08).contains(&after_a_peak), "{after_a_peak}");
    // Four seconds: half stays, and falls ten times slower towards what falls at once:
    // e^(−t/500) + ∫ e^(−(t−s)/500) · e^(−s/50) ds / 500 at 150 ms.
    let expect = 0.5 * libm::exp(-0.3) * (1.0 + (1.0 - libm::exp(-2.7)) / 9.0);
    assert!((left_after(4000.0) - expect).abs() < 0.005, "{}, not {expect}", left_after(4000.0));
}

#[test]
fn listening_gives_the_side_chain_alone() {
    let mut rig = rig(48_000, 2, 5.0);
    rig.set("listen", 1.0);
    let key = noise(9, 2, 4800);
    let out = rig.run(&[noise(8, 2, 4800), key.clone()], 4800, &[100]);
    // The high-pass at 10 Hz leaves noise nearly as it is.
    let off =
        out[0][0].iter().zip(&key[0]).map(|(a, b)| f64::from(a - b).abs()).fold(0.0, f64::max);
    assert!(off < 0.05, "{off}");
}
