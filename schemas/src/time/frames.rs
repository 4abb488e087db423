//! Frames of a given sample rate, from flicks and back, in whole numbers only.

use super::Flicks;

impl Flicks {
    /// The frame nearest to this position at `rate` frames per second; halves
    /// go up, towards later frames, on both sides of zero.
    ///
    /// Monotone: a later position never has an earlier frame. A rate of 0
    /// counts as 1.
    pub fn to_frame(self, rate: u32) -> i64 {
        let rate = i128::from(rate.max(1));
        let second = i128::from(Flicks::PER_SECOND);
        saturate((i128::from(self.0) * rate * 2 + second).div_euclid(second * 2))
    }

    /// The generalised inverse of [`Flicks::to_frame`]: the earliest position
    /// whose frame is `frame` or later.
    ///
    /// Up to 705.6 MHz every frame has a position of its own, so that
    /// `Flicks::of_frame(f, rate).to_frame(rate) == f`.
    pub fn of_frame(frame: i64, rate: u32) -> Flicks {
        let rate = i128::from(rate.max(1));
        let second = i128::from(Flicks::PER_SECOND);
        let numerator = (i128::from(frame) * 2 - 1) * second;
        Flicks(saturate(-(-numerator).div_euclid(rate * 2)))
    }
}

pub(super) fn saturate(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_go_up_on_both_sides_of_zero() {
        let check = |flicks: i64, expect: i64| {
            assert_eq!(Flicks(flicks).to_frame(44_100), expect, "{flicks}");
        };
        check(0, 0);
        check(7_999, 0);
        check(8_000, 1);
        check(-8_000, 0);
        check(-8_001, -1);
        check(Flicks::PER_SECOND, 44_100);
    }

    proptest! {
        #![proptest_config(super::super::cases(256))]

        #[test]
        fn of_frame_is_the_earliest_position_of_a_frame(
            frame in -(1i64 << 40)..1i64 << 40,
            rate in 100u32..1_000_000,
        ) {
            let flicks = Flicks::of_frame(frame, rate);
            prop_assert_eq!(flicks.to_frame(rate), frame);
            prop_assert_eq!(Flicks(flicks.0 - 1).to_frame(rate), frame - 1);
        }
    }
}
