use super::*;
use crate::rig::{Rig, check_cuts, check_sleep, noise};

fn rig(rate: u32) -> Rig {
    let mut rig = Rig::new(&KIND, rate);
    rig.set("mix", 1.0).set("modDepth", 0.0).set("preDelay", 0.0).set("lowCut", 10.0);
    rig.set("highCut", 20_000.0).set("lowDecay", 1.0).set("highDecay", 1.0);
    rig
}

fn impulse(frames: usize) -> Vec<Vec<Vec<f32>>> {
    let mut plane = vec![0.0; frames];
    plane[0] = 1.0;
    vec![vec![plane.clone(), plane]]
}

/// Decay time by Schroeder integration between −5 and −35 dB.
fn t60(response: &[f32], rate: u32) -> f64 {
    let mut left: Vec<f64> = response.iter().map(|&x| f64::from(x) * f64::from(x)).collect();
    for i in (1..left.len()).rev() {
        left[i - 1] += left[i];
    }
    let first = |share: f64| left.iter().position(|&e| e < left[0] * share).expect("decays");
    2.0 * (first(10_f64.powf(-3.5)) - first(10_f64.powf(-0.5))) as f64 / f64::from(rate)
}

#[test]
fn the_tail_takes_the_decay_time() {
    for (rate, seconds) in [(44_100, 0.5), (48_000, 1.5), (96_000, 0.8)] {
        let frames = (rate as f64 * seconds * 1.6) as usize;
        let out = rig(rate).set("decay", seconds).run(&impulse(frames), frames, &[512]);
        let got = t60(&out[0][0], rate);
        assert!((got / seconds - 1.0).abs() < 0.06, "{got} s for {seconds} s at {rate}");
    }
}

#[test]
fn movement_does_not_change_the_decay_time() {
    let out = rig(48_000).set("decay", 1.0).set("modDepth", 1.0).set("modRate", 2.0).run(
        &impulse(72_000),
        72_000,
        &[512],
    );
    let got = t60(&out[0][0], 48_000);
    assert!((got - 1.0).abs() < 0.08, "{got} s");
}

#[test]
fn pre_delay_is_exact_and_a_dry_mix_changes_no_bit() {
    let first = |ms: f64| {
        let out = rig(48_000).set("preDelay", ms).run(&impulse(16_000), 16_000, &[512]);
        out[0][0].iter().position(|x| x.abs() > 1e-9).expect("sounds")
    };
    assert_eq!(first(100.0) - first(0.0), 4_800);
    let input = vec![noise(1, 2, 3_000)];
    assert_eq!(rig(48_000).set("mix", 0.0).run(&input, 3_000, &[512]), input);
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_bit() {
    let make = || {
        let mut rig = Rig::new(&KIND, 48_000);
        rig.set("mix", 0.7).set("modDepth", 1.0);
        rig.set_motion("size", Box::new(|frame| 0.8 + frame as f64 / 20_000.0));
        rig.set_motion("decay", Box::new(|frame| 1.0 + frame as f64 / 1_000.0));
        rig.set_motion("modRate", Box::new(|frame| if frame < 2_000 { 0.5 } else { 3.0 }));
        rig.set_motion("preDelay", Box::new(|frame| frame as f64 / 100.0));
        rig.set_motion("early", Box::new(|frame| (frame as f64 / 4_000.0).min(0.8)));
        rig.set_motion("freeze", Box::new(|frame| f64::from(frame % 2_900 > 2_000)));
        rig
    };
    check_cuts(make, &[noise(3, 2, 5_000)], 5_000);
    let mut setup = Setup::new(&DESCRIPTOR, 44_100, 4096);
    setup.channels = 1;
    check_cuts(|| Rig::with_setup(&KIND, setup.clone()), &[noise(3, 1, 3_000)], 3_000);
}

#[test]
fn the_output_is_exactly_silent_after_the_tail() {
    let mut rig = rig(44_100);
    rig.set("decay", 0.1).set("modDepth", 0.5);
    let _ = rig.run(&[noise(5, 2, 2_000)], 2_000, &[500]);
    let Tail::Frames(tail) = rig.node.tail() else { panic!("the tail ends") };
    let frames = tail as usize;
    let _ = rig.run(&[vec![vec![0.0; frames]; 2]], frames, &[4_096]);
    let rest = rig.run(&[vec![vec![0.0; 500]; 2]], 500, &[500]);
    assert!(rest.iter().flatten().flatten().all(|&x| x == 0.0));
}

#[test]
fn steady_noise_is_as_loud_wet_as_dry() {
    let input = noise(9, 2, 144_000);
    for seconds in [0.5, 2.0] {
        let out =
            rig(48_000).set("decay", seconds).run(std::slice::from_ref(&input), 144_000, &[4_096]);
        let power =
            |x: &[f32]| x[96_000..].iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let gain = 10.0 * libm::log10(power(&out[0][0]) / power(&input[0]));
        assert!(gain.abs() < 1.0, "{gain} dB at {seconds} s");
    }
}

#[test]
fn bad_samples_do_not_stay() {
    let mut rig = rig(48_000);
    rig.set("decay", 0.1);
    let bad = vec![f32::NAN, f32::INFINITY, 1e30, -1.0];
    let _ = rig.run(&[vec![bad.clone(), bad]], 4, &[4]);
    let _ = rig.run(&[vec![vec![0.0; 40_000]; 2]], 40_000, &[4_096]);
    let rest = rig.run(&[vec![vec![0.0; 100]; 2]], 100, &[100]);
    assert!(rest.iter().flatten().flatten().all(|x| x.is_finite()));
}

fn power(plane: &[f32]) -> f64 {
    plane.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / plane.len() as f64
}

#[test]
fn a_frozen_tail_stays_and_hears_nothing_new() {
    let run = |later: bool| {
        let mut rig = rig(48_000);
        rig.set("decay", 1.0).set("modDepth", 0.8).set("highDecay", 0.4);
        rig.set_motion("freeze", Box::new(|n| f64::from((24_000..240_000).contains(&n))));
        let mut input = noise(2, 2, 288_000);
        for plane in &mut input {
            // A frame for the block in which the switch is turned.
            let until = if later { 200_000 } else { 288_000 };
            plane[24_000..until].fill(0.0);
        }
        rig.run(&[input], 288_000, &[4096]).remove(0).remove(0)
    };
    let alone = run(false);
    let db = |from: usize| 10.0 * libm::log10(power(&alone[from..from + 24_000]));
    let kept = db(190_000) - db(40_000);
    assert!(kept.abs() < 0.5, "{kept} dB in three seconds");
    assert!(db(264_000) < db(190_000) - 15.0);
    assert_eq!(alone[..240_000], run(true)[..240_000]);
}

#[test]
fn early_reflections_come_at_their_times_and_have_their_power() {
    for size in [0.5, 1.0] {
        let run = |early: f64| {
            let mut rig = rig(48_000);
            rig.set("size", size).set("early", early);
            rig.run(&impulse(9_600), 9_600, &[512]).remove(0)
        };
        let (with, without) = (run(1.0), run(0.0));
        for channel in 0..2 {
            let difference = with[channel].iter().zip(&without[channel]);
            let alone: Vec<f32> = difference.map(|(a, b)| a - b).collect();
            let energy = power(&alone) * 9_600.0;
            // The high cut at 20 kHz passes 82 % of an impulse.
            assert!((energy - 0.82).abs() < 0.02, "{energy}");
            for time in EARLY_TIMES[channel] {
                let at = (time * size * 48_000.0) as usize;
                assert!(alone[at - 1..at + 3].iter().any(|x| x.abs() > 0.08), "{time}");
            }
        }
    }
}

#[test]
fn a_tail_under_way_is_not_cut_off_by_a_shorter_decay() {
    let mut rig = rig(48_000);
    rig.set_motion("decay", Box::new(|n| if n < 240_000 { 20.0 } else { 0.5 }));
    check_sleep(&mut rig, 24_000, 240_000, 1e-3);
}

/// The left side of an impulse's reverberation, with what it lost by `decay` given back.
fn unfaded(settings: &[(&str, f64)], decay: f64, seconds: f64) -> Vec<f64> {
    let frames = (48_000.0 * seconds) as usize;
    let mut rig = rig(48_000);
    rig.set("decay", decay);
    settings.iter().for_each(|(id, value)| _ = rig.set(id, *value));
    let out = rig.run(&impulse(frames), frames, &[512]);
    let gain = |n: usize| libm::pow(10.0, 3.0 * n as f64 / 48_000.0 / decay);
    out[0][0].iter().enumerate().map(|(n, x)| f64::from(*x) * gain(n)).collect()
}

/// How dense echoes are around a frame: the share of what lies beyond one standard deviation,
/// against that of noise (Abel and Huang 2006). Noise is 1, single echoes are near 0.
fn echo_density(response: &[f64], at: usize) -> f64 {
    let window = &response[at - 480..at + 480];
    let deviation = (window.iter().map(|x| x * x).sum::<f64>() / 960.0).sqrt();
    let beyond = window.iter().filter(|x| x.abs() > deviation).count();
    beyond as f64 / 960.0 / 0.317_3
}

/// Standard deviation in dB of the spectrum between 200 Hz and 10 kHz, and its highest bin above the mean.
/// The spectrum of what is diffuse is that of noise: 5.57 dB (Schroeder 1954), and 9 to 11 dB for
/// so many bins. What rings at few frequencies has more of both.
fn unevenness(response: &[f64]) -> [f64; 2] {
    let frames = response.len();
    let mut bins: Vec<rustfft::num_complex::Complex<f64>> = (response.iter().enumerate())
        .map(|(n, x)| {
            let phase = std::f64::consts::TAU * n as f64 / frames as f64;
            rustfft::num_complex::Complex::new(x * (0.5 - 0.5 * libm::cos(phase)), 0.0)
        })
        .collect();
    rustfft::FftPlanner::new().plan_fft_forward(frames).process(&mut bins);
    let bin = |hertz: f64| (hertz * frames as f64 / 48_000.0) as usize;
    let powers: Vec<f64> = bins[bin(200.0)..bin(10_000.0)].iter().map(|x| x.norm_sqr()).collect();
    let count = powers.len() as f64;
    let decibels = powers.iter().map(|power| 10.0 * libm::log10(*power));
    let mean = decibels.clone().sum::<f64>() / count;
    let deviation = (decibels.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count).sqrt();
    let highest = powers.iter().fold(0.0, |highest: f64, x| highest.max(*x));
    [deviation, 10.0 * libm::log10(highest * count / powers.iter().sum::<f64>())]
}

#[test]
fn echoes_are_soon_as_dense_as_noise() {
    for settings in [&[][..], &[("size", 0.3)], &[("size", 1.5)], &[("modDepth", 1.0)]] {
        let response = unfaded(settings, 3.0, 1.0);
        let density = |ms: usize| {
            let around = [ms - 10, ms - 5, ms, ms + 5, ms + 10];
            around.iter().map(|ms| echo_density(&response, ms * 48)).sum::<f64>() / 5.0
        };
        let found = [60, 100, 150, 250, 400].map(density);
        println!("{settings:?}: {found:.2?} at 60, 100, 150, 250, 400 ms");
        assert!(found[0] > 0.7 && found[1] > 0.8, "{settings:?}: {found:?}");
        assert!(found[2..].iter().all(|density| *density > 0.9), "{settings:?}: {found:?}");
    }
}

#[test]
fn a_tail_rings_at_no_single_pitch() {
    for (settings, most) in
        [(&[("modDepth", 0.25)][..], 7.5), (&[("size", 1.5), ("modDepth", 0.25)], 7.0), (&[], 9.0)]
    {
        let response = unfaded(settings, 3.0, 1.5);
        let [deviation, highest] = unevenness(&response[24_000..]);
        println!("{settings:?}: {deviation:.2} dB, highest {highest:.1} dB above the mean");
        assert!(deviation < most && highest < 16.0, "{settings:?}: {deviation} dB, {highest} dB");
    }
}
