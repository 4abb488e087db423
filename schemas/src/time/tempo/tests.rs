use proptest::prelude::*;

use super::*;
use crate::time::cases;

const QUARTER: i64 = Ticks::PER_QUARTER;

fn mark(quarter: i64, bpm: f64, shape: TempoShape) -> TempoMark {
    TempoMark { at: Ticks::quarters(quarter), bpm, shape }
}

fn some_ramps() -> TempoMap {
    TempoMap::new(&[
        mark(4, 93.7, TempoShape::Ramp),
        mark(8, 180.0, TempoShape::Step),
        mark(12, 60.0, TempoShape::Ramp),
        mark(13, 999.0, TempoShape::Ramp),
        mark(100, 20.0, TempoShape::Ramp),
    ])
    .unwrap()
}

#[test]
fn a_steady_tempo_is_exact() {
    let check = |bpm: f64, quarters: i64, rate: u32, expect: i64| {
        let map = TempoMap::constant(bpm).unwrap();
        assert_eq!(map.frame_at(Ticks::quarters(quarters), rate), expect);
    };
    check(120.0, 1, 48_000, 24_000);
    check(120.0, 7, 44_100, 154_350);
    check(90.0, 3, 44_100, 88_200);
    check(120.0, -4, 48_000, -96_000);
    check(60.0, 60 * 60 * 24, 192_000, 192_000 * 60 * 60 * 24);
    assert_eq!(TempoMap::default(), TempoMap::new(&[]).unwrap());
    assert_eq!(TempoMap::default().flicks_at(Ticks::quarters(2)), Flicks::seconds(1));
}

#[test]
fn a_step_holds_from_its_point_on() {
    let map = TempoMap::new(&[mark(0, 120.0, TempoShape::Step), mark(4, 60.0, TempoShape::Step)])
        .unwrap();
    assert_eq!(map.flicks_at(Ticks::quarters(4)), Flicks::seconds(2));
    assert_eq!(map.flicks_at(Ticks::quarters(6)), Flicks::seconds(4));
    assert_eq!(map.bpm_at(Ticks(4 * QUARTER - 1)), 120.0);
    assert_eq!(map.bpm_at(Ticks::quarters(4)), 60.0);
}

#[test]
fn a_ramp_takes_the_time_of_its_logarithm() {
    let map = TempoMap::new(&[mark(0, 60.0, TempoShape::Ramp), mark(4, 240.0, TempoShape::Step)])
        .unwrap();
    let seconds = 60.0 * 4.0 * libm::log(4.0) / 180.0;
    assert_eq!(map.flicks_at(Ticks::quarters(4)), Flicks::from_seconds(seconds).unwrap());
    assert_eq!(map.bpm_at(Ticks::quarters(2)), 150.0);
}

#[test]
fn the_first_tempo_holds_before_its_point_and_the_last_after() {
    let map = some_ramps();
    assert_eq!(map.bpm_at(Ticks::quarters(-10)), 93.7);
    assert_eq!(map.bpm_at(Ticks::quarters(1_000)), 20.0);
    assert_eq!(map.flicks_at(Ticks::ZERO), Flicks::ZERO);
    assert_eq!(map.tick_at(Flicks::ZERO), Ticks::ZERO);
}

#[test]
fn positions_beyond_the_range_stop_at_it() {
    let map = some_ramps();
    assert_eq!(map.flicks_at(Ticks(i64::MAX)), map.flicks_at(Ticks::MAX));
    assert_eq!(map.flicks_at(Ticks(i64::MIN)), map.flicks_at(Ticks::MIN));
    assert_eq!(map.tick_at(Flicks(i64::MAX)), Ticks::MAX);
    assert_eq!(map.tick_at(Flicks(i64::MIN)), Ticks::MIN);
    let slow = TempoMap::constant(MIN_BPM).unwrap();
    assert!(slow.flicks_at(Ticks::MAX).0 > 1 << 62);
}

/// Pinned: another machine, compiler or version has to find the same numbers.
#[test]
fn the_numbers_are_the_same_everywhere() {
    let map = some_ramps();
    let mut hasher = blake3::Hasher::new();
    for step in -2_000i64..20_000 {
        let at = Ticks(step * 314_159);
        hasher.update(&map.flicks_at(at).0.to_le_bytes());
        hasher.update(&map.tick_at_frame(step * 271, 44_100).0.to_le_bytes());
        hasher.update(&map.bpm_at(at).to_le_bytes());
    }
    expect_test::expect!["48ba5d5de96b3021"].assert_eq(&hasher.finalize().to_hex()[..16]);
}

#[test]
fn every_violation_is_named_with_its_point() {
    let found = TempoMap::new(&[
        mark(0, 0.0, TempoShape::Step),
        mark(4, f64::NAN, TempoShape::Step),
        mark(4, 120.0, TempoShape::Step),
        mark(2, f64::INFINITY, TempoShape::Step),
    ])
    .unwrap_err();
    let messages: Vec<String> = found.iter().map(ToString::to_string).collect();
    expect_test::expect![[r#"
        point 2 is a second one at 180633600 ticks; keep one of them
        point 3 at 90316800 ticks stands after one at 180633600; sort the points by position
        tempo point 0: a tempo of 0 BPM is out of range; give one from 1 to 1000 BPM
        tempo point 1: the tempo is not a number; give one from 1 to 1000 BPM
        tempo point 3: a tempo of inf BPM is out of range; give one from 1 to 1000 BPM"#]]
    .assert_eq(&messages.join("\n"));
}

#[test]
fn a_repaired_map_keeps_what_can_be_kept() {
    let (map, violations) = TempoMap::repaired(&[
        mark(8, 90.0, TempoShape::Step),
        mark(0, 100.0, TempoShape::Step),
        mark(8, 95.0, TempoShape::Ramp),
        mark(4, -1.0, TempoShape::Step),
    ]);
    assert_eq!(map.marks(), [mark(0, 100.0, TempoShape::Step), mark(8, 95.0, TempoShape::Ramp)]);
    assert_eq!(violations.len(), 3);
    assert_eq!(TempoMap::repaired(map.marks()), (map, vec![]));
}

fn bpm() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 20.0..400.0f64,
        1 => MIN_BPM..MAX_BPM,
        1 => (20u32..400).prop_map(f64::from),
        1 => Just(MIN_BPM),
        1 => Just(MAX_BPM),
    ]
}

fn gap() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (1i64..64).prop_map(|quarters| quarters * QUARTER),
        2 => 1i64..100_000_000,
        1 => 1i64..20,
        1 => 1i64..1 << 46,
    ]
}

fn marks() -> impl Strategy<Value = Vec<TempoMark>> {
    let shape = prop_oneof![Just(TempoShape::Step), Just(TempoShape::Ramp)];
    (any::<bool>(), prop::collection::vec((gap(), bpm(), shape), 0..12)).prop_map(
        |(from_zero, points)| {
            let mut at = if from_zero { points.first().map_or(0, |first| -first.0) } else { 0 };
            let place = |(gap, bpm, shape)| {
                at += gap;
                TempoMark { at: Ticks(at), bpm, shape }
            };
            points.into_iter().map(place).collect()
        },
    )
}

/// A tick near one of the points, or anywhere up to a bit past the last.
fn tick_near(marks: &[TempoMark], choice: u64, offset: i64) -> i64 {
    let last = marks.last().map_or(QUARTER, |mark| mark.at.0);
    match marks.get(choice as usize % (marks.len() * 2 + 1)) {
        Some(mark) => mark.at.0 + offset % 1_000,
        None => offset.rem_euclid(last.saturating_mul(2).max(1)) - last / 4,
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn tick_to_flick_and_frame_is_monotone_and_its_inverse_is_the_earliest(
        marks in marks(),
        picks in prop::collection::vec((any::<u64>(), any::<i64>(), 1i64..3_000), 8),
        rate in prop_oneof![Just(44_100u32), Just(48_000), Just(192_000), 1u32..752_000],
    ) {
        let map = TempoMap::new(&marks).unwrap();
        for (choice, offset, distance) in picks {
            let tick = tick_near(&marks, choice, offset);
            let (at, later) = (Ticks(tick), Ticks(tick + distance));
            prop_assert!(map.flicks_at(Ticks(tick - 1)) <= map.flicks_at(at));
            prop_assert!(map.flicks_at(at) <= map.flicks_at(later));

            let flicks = map.flicks_at(at);
            let earliest = map.tick_at(flicks);
            prop_assert!(earliest <= at);
            prop_assert_eq!(map.flicks_at(earliest), flicks);
            prop_assert!(map.flicks_at(Ticks(earliest.0 - 1)) < flicks);

            let between = Flicks(flicks.0 + distance);
            let earliest = map.tick_at(between);
            prop_assert!(map.flicks_at(earliest) >= between);
            prop_assert!(map.flicks_at(Ticks(earliest.0 - 1)) < between);

            let frame = map.frame_at(at, rate);
            let earliest = map.tick_at_frame(frame, rate);
            prop_assert_eq!(map.frame_at(earliest, rate), frame);
            prop_assert_eq!(map.frame_at(Ticks(earliest.0 - 1), rate), frame - 1);
        }
    }

    #[test]
    fn times_agree_with_floating_point(marks in marks(), choice: u64, offset: i64) {
        let map = TempoMap::new(&marks).unwrap();
        let tick = tick_near(&marks, choice, offset);
        let expect = floating_flicks(&marks, tick);
        let found = map.flicks_at(Ticks(tick)).0 as f64;
        prop_assert!((found - expect).abs() <= 2.0 + expect.abs() * 1e-11, "{found} {expect}");
    }
}

/// The definition again, in floating point with the logarithm, which loses four
/// digits where a ramp ends at a ten-thousandth of the tempo it came from.
fn floating_flicks(marks: &[TempoMark], tick: i64) -> f64 {
    let first = marks.first().map_or(DEFAULT_BPM, |mark| mark.bpm);
    let first_at = marks.first().map_or(tick, |mark| mark.at.0);
    let mut flicks = tick.min(first_at) as f64 * 937.5 / first;
    for (index, mark) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(tick, |next| next.at.0.min(tick));
        let ticks = (end - mark.at.0).max(0) as f64;
        flicks += match marks.get(index + 1) {
            Some(next) if mark.shape == TempoShape::Ramp && next.bpm != mark.bpm => {
                let slope = (next.bpm - mark.bpm) / (next.at.0 - mark.at.0) as f64;
                937.5 / slope * libm::log1p(slope * ticks / mark.bpm)
            }
            _ => ticks * 937.5 / mark.bpm,
        };
    }
    flicks
}
