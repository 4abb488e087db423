use super::*;
use crate::rig::{Rig, check_cuts, check_sleep, noise};

fn rig(rate: u32) -> Rig {
    let mut rig = Rig::new(&KIND, rate);
    rig.set("mix", 1.0).set("lowCut", LOWEST_CUT).set("highCut", HIGHEST_CUT).set("sync", 0.0);
    rig
}

fn impulse(frames: usize) -> Vec<Vec<Vec<f32>>> {
    let mut plane = vec![0.0; frames];
    plane[0] = 1.0;
    vec![vec![plane.clone(), plane]]
}

/// Every frame that sounds, with its level.
fn echoes(plane: &[f32]) -> Vec<(usize, f32)> {
    plane.iter().copied().enumerate().filter(|(_, x)| *x != 0.0).collect()
}

#[test]
fn echoes_come_at_their_exact_frames() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        let mut rig = rig(rate);
        rig.set("time", 250.0).set("feedback", 0.5);
        let step = rate as usize / 4;
        let out = rig.run(&impulse(4 * step), 4 * step, &[512]);
        assert_eq!(echoes(&out[0][0]), [(step, 1.0), (2 * step, 0.5), (3 * step, 0.25)]);
        assert_eq!(out[0][0], out[0][1]);
    }
}

#[test]
fn echoes_in_tempo_follow_the_beat() {
    for (sync, tempo, expect) in [(6.0, 120.0, 24_000), (8.0, 120.0, 18_000), (10.0, 90.0, 10_667)]
    {
        let mut rig = rig(48_000);
        rig.set("sync", sync).set("feedback", 0.0);
        rig.transport.tempo = tempo;
        let out = rig.run(&impulse(30_000), 30_000, &[512]);
        assert_eq!(echoes(&out[0][0]), [(expect, 1.0)]);
    }
}

#[test]
fn ping_pong_changes_sides_with_every_echo() {
    let mut rig = rig(48_000);
    rig.set("time", 100.0).set("feedback", 0.5).set("mode", 1.0);
    let out = rig.run(&impulse(24_000), 24_000, &[512]);
    assert_eq!(echoes(&out[0][0]), [(4_800, 1.0), (14_400, 0.25)]);
    assert_eq!(echoes(&out[0][1]), [(9_600, 0.5), (19_200, 0.125)]);
}

#[test]
fn times_beyond_the_longest_are_held_there() {
    let mut setup = Setup::new(&DESCRIPTOR, 48_000, 4096);
    setup.params[P::MaxTime as usize] = 0.5;
    let mut rig = Rig::with_setup(&KIND, setup);
    rig.set("mix", 1.0).set("lowCut", LOWEST_CUT).set("highCut", HIGHEST_CUT).set("sync", 0.0);
    rig.set("time", 8_000.0).set("feedback", 0.0);
    let out = rig.run(&impulse(30_000), 30_000, &[512]);
    assert_eq!(echoes(&out[0][0]), [(24_000, 1.0)]);
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_bit() {
    for (glide, mode) in [(0.0, 0.0), (1.0, 1.0)] {
        let make = || {
            let mut rig = Rig::new(&KIND, 48_000);
            rig.set("mix", 0.6).set("glide", glide).set("mode", mode).set("sync", 0.0);
            rig.set("drive", 0.5).set("offset", 0.1).set("width", 0.7).set("feedback", 0.7);
            rig.set_motion("time", Box::new(|frame| 10.0 + libm::floor(frame as f64 / 900.0)));
            rig.set_motion("modDepth", Box::new(|frame| frame as f64 / 2_000.0));
            rig.set_motion("highCut", Box::new(|frame| 3_000.0 + frame as f64));
            rig.set_motion("ducking", Box::new(|frame| (frame as f64 / 100.0 - 10.0).max(0.0)));
            rig.set_motion("freeze", Box::new(|frame| f64::from(frame % 1_900 > 1_000)));
            rig
        };
        check_cuts(make, &[noise(3, 2, 4_000)], 4_000);
    }
    let mut setup = Setup::new(&DESCRIPTOR, 44_100, 4096);
    setup.channels = 1;
    setup.params[P::MaxTime as usize] = 0.3;
    check_cuts(|| Rig::with_setup(&KIND, setup.clone()), &[noise(3, 1, 3_000)], 3_000);
}

#[test]
fn a_change_of_time_does_not_click() {
    for glide in [0.0, 1.0] {
        let mut rig = rig(48_000);
        rig.set("glide", glide).set("feedback", 0.0);
        let jump = |frame| if frame < 24_000 { 100.0 } else { 170.0 };
        rig.set_motion("time", Box::new(jump));
        let sine: Vec<f32> =
            (0..48_000).map(|i| libm::sin(f64::from(i) * 0.02) as f32 * 0.5).collect();
        let out = rig.run(&[vec![sine.clone(), sine]], 48_000, &[512]);
        let step = out[0][0][9_000..].windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.03, "a step of {step}");
    }
}

#[test]
fn the_output_is_exactly_silent_after_the_tail() {
    let mut rig = rig(44_100);
    rig.set("time", 20.0).set("feedback", 0.8).set("highCut", 3_000.0).set("lowCut", 100.0);
    let _ = rig.run(&[noise(5, 2, 2_000)], 2_000, &[500]);
    let Tail::Frames(tail) = rig.node.tail() else { panic!("the tail ends") };
    let frames = tail as usize;
    let _ = rig.run(&[vec![vec![0.0; frames]; 2]], frames, &[4_096]);
    let rest = rig.run(&[vec![vec![0.0; 2_000]; 2]], 2_000, &[500]);
    let peak = rest.iter().flatten().flatten().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    assert_eq!(peak, 0.0);
}

#[test]
fn a_dry_mix_changes_no_bit() {
    let input = vec![noise(1, 2, 3_000)];
    assert_eq!(rig(48_000).set("mix", 0.0).run(&input, 3_000, &[512]), input);
}

#[test]
fn frozen_echoes_go_round_for_ever_and_nothing_joins_them() {
    for mode in [0.0, 1.0] {
        let mut rig = rig(48_000);
        rig.set("time", 100.0).set("feedback", 0.3).set("mode", mode).set("drive", 0.5);
        rig.set("highCut", 2_000.0);
        rig.set_motion("freeze", Box::new(|n| f64::from((4_000..90_000).contains(&n))));
        let mut input = impulse(144_000);
        for plane in &mut input[0] {
            plane[1_000..1_200].fill(0.4);
            plane[20_000..21_000].fill(0.9);
        }
        let out = rig.run(&input, 144_000, &[512]).remove(0);
        let turn = if mode == 0.0 { 4_800 } else { 9_600 };
        // The filters are heard, but what goes round does not pass them again.
        let (first, second) = (&out[0][40_000..40_000 + turn], &out[0][40_000 + turn..]);
        assert!(first.iter().zip(second).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(out[0][40_000..50_000].iter().any(|x| x.abs() > 0.1));
        assert!(out[0][60_000..69_600].iter().all(|x| x.abs() < 0.5));
        assert!(out[0][140_000..].iter().all(|x| x.abs() < 1e-3));
    }
}

#[test]
fn echoes_give_way_to_what_is_played() {
    let run = |ducking: f64| {
        let mut rig = rig(48_000);
        rig.set("time", 500.0).set("feedback", 0.0).set("mix", 1.0).set("ducking", ducking);
        let loud: Vec<f32> =
            (0..96_000).map(|n| if n < 48_000 { [0.5, -0.5][n % 2] } else { 0.0 }).collect();
        rig.run(&[vec![loud.clone(), loud]], 96_000, &[512]).remove(0).remove(0)
    };
    let ducked = run(20.0);
    // Half full scale is above the range: all of the 20 dB.
    assert!((ducked[40_000].abs() - 0.05).abs() < 1e-3, "{}", ducked[40_000]);
    // A second after the end of what was played, 34.7 dB of fall later, hardly anything is left.
    assert!(run(0.0)[40_000].abs() == 0.5);
    assert!(ducked[71_000].abs() > ducked[50_000].abs());
}

#[test]
fn echoes_under_way_are_not_cut_off_by_less_feedback() {
    let mut rig = rig(48_000);
    rig.set("time", 250.0);
    let falls = |n: i64| if n < 480_000 { 0.95 } else { 0.3 };
    rig.set_motion("feedback", Box::new(falls));
    check_sleep(&mut rig, 12_000, 480_000, 1e-2);
}
