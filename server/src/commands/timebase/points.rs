//! Values that hold from a place on (tempo, signatures, keys, comps), when time
//! is put into another order: every stretch keeps the value that it had.

use pulse_schemas::time::Ticks;

use super::rearrange::Order;

/// One value in the new order.
#[derive(Debug, PartialEq)]
pub struct Step<V> {
    pub at: Ticks,
    pub value: V,
    /// Which of the old points it is; none for one that has to be made.
    pub source: Option<usize>,
}

/// The points in the new order. `value_at` is what held at an old place.
pub fn carry<V: Clone + PartialEq>(
    order: &Order,
    points: &[(Ticks, V)],
    value_at: impl Fn(Ticks) -> Option<V>,
) -> Vec<Step<V>> {
    let mut steps: Vec<Step<V>> = Vec::new();
    let mut used = vec![false; points.len()];
    for piece in order.in_new_order() {
        let inside = |at: Ticks| piece.from <= at && at < piece.until;
        if piece.from > Ticks::ZERO && !points.iter().any(|(at, _)| *at == piece.from) {
            let last = steps.last().map(|step| &step.value);
            if let Some(value) = value_at(piece.from).filter(|value| Some(value) != last) {
                steps.push(Step { at: piece.to, value, source: None });
            }
        }
        for (index, (at, value)) in points.iter().enumerate().filter(|(_, (at, _))| inside(*at)) {
            let source = (!used[index]).then_some(index);
            used[index] = true;
            steps.push(Step { at: piece.place(*at), value: value.clone(), source });
        }
    }
    // What held from the very beginning still does.
    let began = points.first().is_some_and(|(at, _)| *at == Ticks::ZERO);
    if let Some(first) = steps.first_mut().filter(|_| began) {
        first.at = Ticks::ZERO;
    }
    steps
}
