//! What a list of points means as a curve, and which of them it could do without.

use std::collections::BTreeSet;

use pulse_engine::math;
use pulse_schemas::{
    entity::{AutomationPoint, PointShape},
    time::Moment,
};

/// The value at a place: that of the first point before it, of the last after it.
pub fn value_at(points: &[AutomationPoint], at: Moment) -> Option<f64> {
    let after = points.partition_point(|point| point.at <= at);
    let Some(from) = after.checked_sub(1).and_then(|before| points.get(before)) else {
        return points.first().map(|first| first.value);
    };
    let Some(to) = points.get(after) else { return Some(from.value) };
    Some(between(from, to, part(from.at, to.at, at)))
}

/// How far `at` is on the way, 0 to 1.
fn part(from: Moment, to: Moment, at: Moment) -> f64 {
    (at.0 - from.0) as f64 / (to.0 - from.0).max(1) as f64
}

/// The same formulas as the engine's, so that a point on the curve changes nothing.
fn between(from: &AutomationPoint, to: &AutomationPoint, x: f64) -> f64 {
    let (a, b) = (from.value, to.value);
    let linear = |x: f64| a + (b - a) * x;
    match from.shape {
        PointShape::Hold => a,
        PointShape::Linear => linear(x),
        PointShape::Bezier { bend } => linear(x + bend.clamp(-1.0, 1.0) * x * (1.0 - x)),
        PointShape::Exponential if a * b > 0.0 => a * math::pow(b / a, x),
        PointShape::Exponential => linear(x),
    }
}

/// The places of points without which the curve stays within `tolerance`. Only
/// runs of one shape, linear or hold, can lose any; their ends stay.
pub fn needless(points: &[AutomationPoint], tolerance: f64) -> BTreeSet<Moment> {
    let mut needless = BTreeSet::new();
    let mut start = 0;
    while start < points.len() {
        let end = run_end(points, start);
        let run = &points[start..=end];
        match run[0].shape {
            PointShape::Linear => thin_linear(run, tolerance, &mut needless),
            PointShape::Hold => thin_hold(run, tolerance, &mut needless),
            PointShape::Bezier { .. } | PointShape::Exponential => {}
        }
        start = end.max(start + 1);
    }
    needless
}

/// The last point that segments of the first one's shape lead to.
fn run_end(points: &[AutomationPoint], start: usize) -> usize {
    let same = points[start..].iter().take_while(|point| point.shape == points[start].shape);
    (start + same.count()).min(points.len() - 1)
}

/// Ramer, Douglas and Peucker with an explicit stack, measured in value only:
/// time is given.
fn thin_linear(run: &[AutomationPoint], tolerance: f64, needless: &mut BTreeSet<Moment>) {
    let mut open = vec![(0, run.len() - 1)];
    while let Some((first, last)) = open.pop() {
        let (from, to) = (&run[first], &run[last]);
        let error = |point: &AutomationPoint| {
            let x = part(from.at, to.at, point.at);
            (point.value - (from.value + (to.value - from.value) * x)).abs()
        };
        let inner = first + 1..last;
        let worst = inner.clone().max_by(|a, b| error(&run[*a]).total_cmp(&error(&run[*b])));
        match worst {
            Some(worst) if error(&run[worst]) > tolerance => {
                open.extend([(first, worst), (worst, last)]);
            }
            _ => needless.extend(inner.map(|at| run[at].at)),
        }
    }
}

/// A step that is no step can go.
fn thin_hold(run: &[AutomationPoint], tolerance: f64, needless: &mut BTreeSet<Moment>) {
    let mut kept = &run[0];
    for point in &run[1..run.len().saturating_sub(1).max(1)] {
        if (point.value - kept.value).abs() <= tolerance {
            needless.insert(point.at);
        } else {
            kept = point;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(list: &[(i64, f64, PointShape)]) -> Vec<AutomationPoint> {
        list.iter()
            .map(|(at, value, shape)| AutomationPoint {
                at: Moment(*at),
                value: *value,
                shape: shape.clone(),
                ..AutomationPoint::default()
            })
            .collect()
    }

    #[test]
    fn values_lie_on_the_shapes_and_hold_at_the_ends() {
        let curve = points(&[
            (10, 1.0, PointShape::Linear),
            (20, 3.0, PointShape::Hold),
            (30, 5.0, PointShape::Exponential),
            (40, 20.0, PointShape::Linear),
        ]);
        let check = |at, expect| assert_eq!(value_at(&curve, Moment(at)), Some(expect), "{at}");
        check(0, 1.0);
        check(15, 2.0);
        check(29, 3.0);
        check(35, 10.0);
        check(99, 20.0);
        assert_eq!(value_at(&[], Moment(0)), None);
    }

    #[test]
    fn only_points_that_the_curve_does_not_need_go() {
        let check = |list: &[(i64, f64, PointShape)], tolerance, expect: &[i64]| {
            let found: Vec<i64> =
                needless(&points(list), tolerance).into_iter().map(|at| at.0).collect();
            assert_eq!(found, expect);
        };
        use PointShape::{Exponential, Hold, Linear};
        check(&[], 1.0, &[]);
        check(&[(0, 0.0, Linear)], 1.0, &[]);
        check(&[(0, 0.0, Linear), (5, 5.0, Linear), (10, 10.0, Linear)], 0.0, &[5]);
        check(&[(0, 0.0, Linear), (5, 6.0, Linear), (10, 10.0, Linear)], 0.5, &[]);
        check(&[(0, 0.0, Linear), (5, 5.0, Exponential), (10, 10.0, Linear)], 0.0, &[]);
        check(&[(0, 1.0, Hold), (5, 1.0, Hold), (10, 2.0, Hold), (20, 2.0, Hold)], 0.0, &[5]);
    }
}
