use super::*;
use crate::rig::{Rig, check_cuts};

const KEYS: [u8; 22] =
    [35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 53, 54, 56, 70, 75];

fn hit(frame: i64, key: u8, velocity: f32) -> (i64, Event) {
    let body = EventBody::NoteOn { channel: 9, key, pitch: f64::from(key), velocity };
    (frame, Event { offset: 0, id: 1 + frame as u128, body })
}

fn play(rate: u32, events: Vec<(i64, Event)>, frames: usize) -> Vec<f32> {
    let mut rig = Rig::new(&KIND, rate);
    rig.events = events;
    rig.run(&[], frames, &[512]).remove(0).remove(0)
}

fn peak(signal: &[f32]) -> f32 {
    signal.iter().fold(0.0, |peak, x| peak.max(x.abs()))
}

#[test]
fn every_piece_sounds_at_a_sensible_level_and_ends_in_exact_silence() {
    for rate in [44_100, 96_000] {
        for key in KEYS {
            let signal = play(rate, vec![hit(100, key, 1.0)], 8 * rate as usize);
            let level = peak(&signal);
            assert!((0.08..1.0).contains(&level), "key {key} peaks at {level}");
            assert!(signal[..100].iter().all(|&x| x == 0.0), "key {key} is early");
            assert!(signal[8 * rate as usize - 100..].iter().all(|&x| x == 0.0), "key {key} rings");
        }
    }
}

#[test]
fn a_hit_begins_on_its_very_frame() {
    for onset in 0..40 {
        let signal = play(48_000, vec![hit(onset, 38, 1.0)], 100);
        let first = signal.iter().position(|&x| x != 0.0);
        assert_eq!(first, Some(onset as usize));
    }
}

#[test]
fn cuts_of_the_block_and_saved_state_change_no_bit() {
    let make = || {
        let mut rig = Rig::new(&KIND, 48_000);
        rig.events = KEYS.iter().enumerate().map(|(i, &k)| hit(53 * i as i64, k, 0.8)).collect();
        rig.set_motion("gain", Box::new(|frame| -20.0 + frame as f64 / 100.0));
        rig.set_motion("kickTune", Box::new(|frame| frame as f64 / 300.0));
        rig
    };
    check_cuts(make, &[], 1_800);
}

#[test]
fn a_closed_hat_silences_an_open_one() {
    let open = play(48_000, vec![hit(0, 46, 1.0)], 9_600);
    let choked = play(48_000, vec![hit(0, 46, 1.0), hit(2_400, 42, 0.01)], 9_600);
    assert!(peak(&open[6_000..]) > 0.02);
    assert!(peak(&choked[6_000..]) < 0.001, "{}", peak(&choked[6_000..]));
    let step = choked.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let natural = open.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(step <= natural * 1.01, "a step of {step}");
}

#[test]
fn the_hit_too_many_fades_the_first_one_out_instead_of_cutting_it() {
    let rate = 48_000;
    let play = |hits: usize| {
        let mut rig = Rig::new(&KIND, rate);
        // Deep and long, without noise: what is left of a cut would be seen at once.
        rig.set("kickClick", 0.0).set("kickDecay", 8.0).set("kickDrive", 0.0).set("gain", 0.0);
        rig.events = (0..hits as i64).map(|at| hit(97 * at, 36, 1.0)).collect();
        rig.run(&[], 9_600, &[512]).remove(0).remove(0)
    };
    let (few, full, over) = (play(1), play(POLYPHONY), play(POLYPHONY + 1));
    let began = 97 * POLYPHONY;
    // Hits are added up, so what is missing beside the new hit is the voice that was taken.
    let missing: Vec<f32> = (0..9_600)
        .map(|n| full[n] + if n < began { 0.0 } else { few[n - began] } - over[n])
        .collect();
    let step = |signal: &[f32]| signal.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(peak(&missing) > 0.1, "nothing was taken");
    let natural = step(&few);
    assert!(step(&missing) <= natural, "a step of {} ({natural})", step(&missing));
    // After the fade the first hit is gone.
    let after = began + 800;
    assert!((after..9_600).all(|n| (missing[n] - few[n]).abs() < 1e-4));
}

#[test]
fn softer_hits_are_quieter_and_repeated_hits_differ() {
    let two = play(48_000, vec![hit(0, 38, 0.5), hit(24_000, 38, 1.0)], 48_000);
    let (soft, loud) = (peak(&two[..24_000]), peak(&two[24_000..]));
    assert!(soft > 0.0 && soft < 0.5 * loud, "{soft} {loud}");
    let same = play(48_000, vec![hit(0, 38, 1.0), hit(24_000, 38, 1.0)], 48_000);
    assert_ne!(same[..20_000], same[24_000..44_000]);
}

#[test]
fn more_hits_than_voices_and_unknown_keys_are_harmless() {
    let mut events: Vec<_> = (0..100).map(|i| hit(3 * i, 49, 1.0)).collect();
    events.extend((0..128).map(|key| hit(400, key, 1.0)));
    let signal = play(48_000, events, 4_800);
    assert!(signal.iter().all(|x| x.is_finite()));
    assert!(play(48_000, vec![hit(0, 3, 1.0)], 100).iter().all(|&x| x == 0.0));
}

#[test]
fn pieces_survive_their_numbers() {
    for key in KEYS {
        let piece = Piece::of_key(key);
        assert_eq!(piece.map(|piece| Piece::from_number(piece.to_number())), piece);
    }
}

#[test]
fn a_hit_that_came_and_went_leaves_no_trace() {
    let heard = |early: bool| {
        let mut rig = Rig::new(&KIND, 48_000);
        let later = (0..200).map(|at| hit(2_000 + 1_500 * at, KEYS[at as usize % 5], 0.8));
        rig.events = early.then(|| hit(100, 37, 1.0)).into_iter().chain(later).collect();
        let sound = rig.run(&[], 300_000, &[512]).remove(0).remove(0);
        (sound[200_000..].to_vec(), rig.state())
    };
    let (with, without) = (heard(true), heard(false));
    assert!(without.0.iter().any(|&x| x != 0.0));
    assert!(with == without, "what follows a hit goes by how many came before it");
}
