//! Values that hold from a point on: keys, signatures, tempos.
//!
//! A sorted slice and a binary search; two points at one tick are refused,
//! because which of them sounds would depend on the order of edits.

use super::Ticks;

/// What is wrong with a point, and with which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointViolation {
    #[error("point {index} lies at {at} ticks, before the start; move it to 0 or later")]
    BeforeStart { index: usize, at: Ticks },
    #[error("point {index} lies at {at} ticks, beyond the last possible position")]
    BeyondLimit { index: usize, at: Ticks },
    #[error(
        "point {index} at {at} ticks stands after one at {previous}; sort the points by position"
    )]
    Unsorted { index: usize, at: Ticks, previous: Ticks },
    #[error("point {index} is a second one at {at} ticks; keep one of them")]
    Duplicate { index: usize, at: Ticks },
}

/// Every violation of the order and range of the positions.
pub(super) fn check_positions(positions: impl Iterator<Item = Ticks>) -> Vec<PointViolation> {
    let mut violations = Vec::new();
    let mut previous: Option<Ticks> = None;
    for (index, at) in positions.enumerate() {
        if at.is_negative() {
            violations.push(PointViolation::BeforeStart { index, at });
        } else if !at.is_in_range() {
            violations.push(PointViolation::BeyondLimit { index, at });
        }
        match previous {
            Some(previous) if at < previous => {
                violations.push(PointViolation::Unsorted { index, at, previous });
            }
            Some(previous) if at == previous => {
                violations.push(PointViolation::Duplicate { index, at });
            }
            _ => {}
        }
        previous = Some(at);
    }
    violations
}

/// The usable points in order of position, of several at one tick the last given.
pub(super) fn last_of_each<P: Copy>(
    points: &[P],
    at: impl Fn(&P) -> Ticks,
    usable: impl Fn(&P) -> bool,
) -> Vec<P> {
    let mut kept: Vec<P> = points.iter().copied().filter(|point| usable(point)).collect();
    kept.sort_by_key(&at);
    kept.dedup_by(|later, earlier| {
        let same = at(later) == at(earlier);
        if same {
            *earlier = *later;
        }
        same
    });
    kept
}

/// Values that hold from their position to the next one, such as keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline<T> {
    points: Vec<(Ticks, T)>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Timeline { points: Vec::new() }
    }
}

impl<T: Clone> Timeline<T> {
    /// From points in order of position; all violations at once when there are any.
    pub fn new(points: &[(Ticks, T)]) -> Result<Timeline<T>, Vec<PointViolation>> {
        let violations = check_positions(points.iter().map(|point| point.0));
        if violations.is_empty() {
            Ok(Timeline { points: points.to_vec() })
        } else {
            Err(violations)
        }
    }

    /// The value that holds at `at`; none before the first point.
    pub fn at(&self, at: Ticks) -> Option<&T> {
        let count = self.points.partition_point(|point| point.0 <= at);
        count.checked_sub(1).map(|index| &self.points[index].1)
    }

    pub fn points(&self) -> &[(Ticks, T)] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_the_next_point() {
        let keys = Timeline::new(&[(Ticks(10), "C"), (Ticks(20), "G")]).unwrap();
        assert_eq!(keys.at(Ticks(9)), None);
        assert_eq!(keys.at(Ticks(10)), Some(&"C"));
        assert_eq!(keys.at(Ticks(19)), Some(&"C"));
        assert_eq!(keys.at(Ticks(20)), Some(&"G"));
        assert_eq!(Timeline::<u8>::default().at(Ticks(0)), None);
    }

    #[test]
    fn every_violation_is_reported_not_only_the_first() {
        let points = [(Ticks(-1), ()), (Ticks(5), ()), (Ticks(5), ()), (Ticks(3), ())];
        assert_eq!(
            Timeline::new(&points),
            Err(vec![
                PointViolation::BeforeStart { index: 0, at: Ticks(-1) },
                PointViolation::Duplicate { index: 2, at: Ticks(5) },
                PointViolation::Unsorted { index: 3, at: Ticks(3), previous: Ticks(5) },
            ])
        );
    }
}
