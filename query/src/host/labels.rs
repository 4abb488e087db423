//! Names for contents.
//!
//! A label is given once, to one part of the project at one revision, and never
//! again to other content. Coming back to a revision by undo or a switch finds
//! the labels that were given there, so that everything derived from them is
//! still known. Forgetting an old label costs a derivation and nothing else.

use std::collections::BTreeMap;

use pulse_schemas::hash::Hash;

use super::touch::Touch;

/// Labels of former revisions that are remembered.
const REMEMBERED: usize = 65_536;

#[derive(Default)]
pub struct Labels {
    next: u64,
    /// Of what was not touched since the start.
    base: u64,
    /// Of the present revision.
    now: BTreeMap<Touch, u64>,
    former: BTreeMap<(Hash, Touch), (u64, u64)>,
    by_age: BTreeMap<u64, (Hash, Touch)>,
    clock: u64,
}

impl Labels {
    pub fn of(&self, touch: Touch) -> u64 {
        self.now.get(&touch).copied().unwrap_or(self.base)
    }

    /// Gives a touched part its label at the revision `to`, the one that it had
    /// there before if it is known. True if it is another than now.
    pub fn move_on(&mut self, touch: Touch, from: Hash, to: Hash) -> bool {
        let now = self.of(touch);
        self.note((from, touch), now);
        let known = self.former.get(&(to, touch)).map(|(label, _)| *label);
        let label = known.unwrap_or_else(|| self.fresh());
        self.note((to, touch), label);
        self.now.insert(touch, label);
        label != now
    }

    /// A label for content that stands in no revision.
    pub fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn note(&mut self, place: (Hash, Touch), label: u64) {
        self.clock += 1;
        if let Some((_, age)) = self.former.insert(place, (label, self.clock)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.clock, place);
        if self.former.len() > REMEMBERED
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.former.remove(&oldest);
        }
    }

    /// Starts anew: everything has one label that nothing had before.
    pub fn restart(&mut self) {
        let base = self.fresh();
        *self = Labels { next: base, base, ..Labels::default() };
    }

    /// What former revisions were derived with is true no more.
    pub fn forget_former(&mut self) {
        self.former.clear();
        self.by_age.clear();
    }

    /// New content in the present revision, as what is ambient makes it.
    pub fn renew(&mut self, touch: Touch) {
        let label = self.fresh();
        self.now.insert(touch, label);
    }

    /// How many are held, now and of former revisions.
    pub fn held(&self) -> usize {
        self.now.len() + self.former.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_back_finds_the_old_label() {
        let mut labels = Labels::default();
        let (a, b, c) = (Hash::of(b"a"), Hash::of(b"b"), Hash::of(b"c"));
        let at = Touch::Media;
        let first = labels.of(at);
        assert!(labels.move_on(at, a, b));
        let second = labels.of(at);
        assert!(labels.move_on(at, b, c));
        let third = labels.of(at);
        assert!(first != second && second != third && first != third);
        labels.move_on(at, c, a);
        assert_eq!(labels.of(at), first);
        labels.move_on(at, a, b);
        assert_eq!(labels.of(at), second);
    }
}
