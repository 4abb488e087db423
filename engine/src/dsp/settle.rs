//! The rule that takes a decayed or poisoned state back to zero.
//!
//! No processor flag is touched (a host's flags are not ours to set and differ between machines).
//! Instead every recursive state is passed through [`settle`] at absolute multiples of [`GRID`]
//! frames, a schedule that doesn't depend on how blocks are cut. A state below 1e-30 is silence; a
//! state that is NaN, infinite or beyond 1e30 came from a bad input and is dropped, so a node heals
//! within one grid cell of the last bad sample.

/// Absolute distance, in frames, between two passes.
pub const GRID: u64 = 64;

const QUIET: f64 = 1e-30;
const LOUD: f64 = 1e30;

/// The state, or zero where it is inaudible or not finite.
#[inline(always)]
pub fn settle(state: f64) -> f64 {
    let size = state.abs();
    if (QUIET..LOUD).contains(&size) { state } else { 0.0 }
}

/// Settles a run of states.
#[inline]
pub fn settle_all(states: &mut [f64]) {
    for state in states {
        *state = settle(*state);
    }
}

/// Cuts `frames` frames that start at absolute frame `start` at multiples of the grid. Each item is
/// `(from, to, due)`: `due` says that the states are to be settled before the frame `from`.
pub fn cells(start: u64, frames: usize) -> impl Iterator<Item = (usize, usize, bool)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        if from >= frames {
            return None;
        }
        let absolute = start.wrapping_add(from as u64);
        let into_cell = absolute % GRID;
        let to = frames.min(from + (GRID - into_cell) as usize);
        let item = (from, to, into_cell == 0);
        from = to;
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_and_inaudible_states_become_zero() {
        for bad in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e-31, -1e-310, 1e31] {
            assert_eq!(settle(bad), 0.0);
        }
        assert_eq!(settle(-0.5), -0.5);
    }

    #[test]
    fn cells_follow_the_absolute_grid() {
        let got: Vec<_> = cells(60, 80).collect();
        assert_eq!(got, [(0, 4, false), (4, 68, true), (68, 80, true)]);
        assert_eq!(cells(128, 0).count(), 0);
    }
}
