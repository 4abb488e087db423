//! Pages of lists.

use pulse_schemas::command::types::Page;

/// Entries of a page when nobody says how many.
const USUAL: usize = 100;
const MOST: usize = 1_000;

/// How many entries a page skips and how many it may hold.
pub fn window(page: &Page) -> (usize, usize) {
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let limit = page.limit.map_or(USUAL, |limit| limit as usize);
    (skip, limit.clamp(1, MOST))
}

/// A page of a list, and whether there is more behind it.
pub fn cut<T>(all: Vec<T>, page: &Page) -> (Vec<T>, bool) {
    let (skip, limit) = window(page);
    let more = all.len() > skip.saturating_add(limit);
    (all.into_iter().skip(skip).take(limit).collect(), more)
}
