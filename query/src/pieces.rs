//! A long list in order that an edit changes in one place.
//!
//! Cut into pieces, which are shared by all states of the list that have them: a
//! track of thousands of clips costs an edit of one clip one piece. What is true
//! of a piece as a whole is known with it, so that nobody walks over its items to
//! find out how far they reach.

use std::{fmt, sync::Arc};

/// Items of a piece, unless an edit adds some; cut in two at twice as many.
const SIZE: usize = 48;

/// What can lie in pieces.
pub trait Item: Clone + PartialEq {
    /// Where it lies among others.
    type Place<'a>: Ord
    where
        Self: 'a;
    /// What is true of several that follow each other.
    type Sum;

    fn place(&self) -> Self::Place<'_>;
    fn sum(items: &[Self]) -> Self::Sum;
}

pub struct Piece<T: Item> {
    items: Vec<T>,
    sum: T::Sum,
}

impl<T: Item> Piece<T> {
    fn new(items: Vec<T>) -> Arc<Piece<T>> {
        let sum = T::sum(&items);
        Arc::new(Piece { items, sum })
    }

    pub fn items(&self) -> &[T] {
        &self.items
    }

    pub fn sum(&self) -> &T::Sum {
        &self.sum
    }
}

/// Items by place. No piece is empty.
pub struct Pieces<T: Item>(Vec<Arc<Piece<T>>>);

impl<T: Item> Pieces<T> {
    pub fn new(mut items: Vec<T>) -> Pieces<T> {
        items.sort_by(|a, b| a.place().cmp(&b.place()));
        Pieces(items.chunks(SIZE).map(|items| Piece::new(items.to_vec())).collect())
    }

    pub fn pieces(&self) -> &[Arc<Piece<T>>] {
        &self.0
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter().flat_map(|piece| &piece.items)
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.items.len()).sum()
    }

    /// How many pieces are not shared with another state of the list.
    #[cfg(test)]
    pub fn unshared(&self, before: &Pieces<T>) -> usize {
        let old = |piece: &&Arc<Piece<T>>| before.0.iter().any(|it| Arc::ptr_eq(it, piece));
        self.0.iter().filter(|piece| !old(piece)).count()
    }

    /// Takes out the item that is meant, if it is there.
    pub fn take(&mut self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let found = self
            .0
            .iter()
            .enumerate()
            .find_map(|(at, piece)| piece.items.iter().position(&is_it).map(|item| (at, item)));
        let (at, item) = found?;
        let mut items = self.0[at].items.clone();
        let taken = items.remove(item);
        if let Some(neighbour) = self.0.get(at + 1)
            && items.len() + neighbour.items.len() <= SIZE
        {
            // Few of many: else a list that was long once would stay in crumbs.
            items.extend_from_slice(&neighbour.items);
            self.0.remove(at + 1);
        }
        if items.is_empty() {
            self.0.remove(at);
        } else {
            self.0[at] = Piece::new(items);
        }
        Some(taken)
    }

    /// Puts an item behind all that lie before it or where it lies.
    pub fn put(&mut self, item: T) {
        let after = self.0.partition_point(|piece| {
            piece.items.first().is_some_and(|first| first.place() <= item.place())
        });
        let Some(piece) = self.0.get(after.saturating_sub(1)) else {
            return self.0.push(Piece::new(vec![item]));
        };
        let mut items = piece.items.clone();
        items.insert(items.partition_point(|other| other.place() <= item.place()), item);
        let at = after.saturating_sub(1);
        if items.len() > SIZE * 2 {
            let rest = items.split_off(items.len() / 2);
            self.0.insert(at + 1, Piece::new(rest));
        }
        self.0[at] = Piece::new(items);
    }
}

impl<T: Item> Default for Pieces<T> {
    fn default() -> Pieces<T> {
        Pieces(Vec::new())
    }
}

impl<T: Item> Clone for Pieces<T> {
    fn clone(&self) -> Pieces<T> {
        Pieces(self.0.clone())
    }
}

/// Of the items, however they are cut.
impl<T: Item> PartialEq for Pieces<T> {
    fn eq(&self, other: &Pieces<T>) -> bool {
        let same =
            |(a, b): (&Arc<Piece<T>>, &Arc<Piece<T>>)| Arc::ptr_eq(a, b) || a.items == b.items;
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
            || self.iter().eq(other.iter())
    }
}

impl<T: Item + fmt::Debug> fmt::Debug for Pieces<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Item for (u16, u32) {
        type Place<'a> = u16;
        type Sum = usize;

        fn place(&self) -> u16 {
            self.0
        }

        fn sum(items: &[(u16, u32)]) -> usize {
            items.len()
        }
    }

    fn check(pieces: &Pieces<(u16, u32)>, expect: &[(u16, u32)]) {
        assert!(pieces.iter().eq(expect), "{pieces:?}");
        assert_eq!(pieces.len(), expect.len());
        let sound = |piece: &Arc<Piece<_>>| {
            let count = piece.items().len();
            (1..=SIZE * 2).contains(&count) && *piece.sum() == count
        };
        assert!(pieces.pieces().iter().all(sound));
        assert_eq!(*pieces, Pieces::new(expect.to_vec()));
    }

    proptest! {
        #[test]
        fn pieces_hold_what_a_sorted_list_holds(
            first in 0u32..600, edits in prop::collection::vec((0u16..99, 0u32..900, any::<bool>()), 0..300),
        ) {
            let mut expect: Vec<_> = (0..first).map(|at| ((at * 7 % 99) as u16, at)).collect();
            let mut pieces = Pieces::new(expect.clone());
            expect.sort_by_key(|item| item.0);
            for (count, (place, item, put)) in edits.into_iter().enumerate() {
                if put {
                    let item = (place, 10_000 + count as u32);
                    pieces.put(item);
                    expect.insert(expect.partition_point(|other| other.0 <= place), item);
                } else {
                    let taken = pieces.take(|other| other.1 == item);
                    let at = expect.iter().position(|other| other.1 == item);
                    prop_assert_eq!(taken, at.map(|at| expect.remove(at)));
                }
            }
            check(&pieces, &expect);
        }
    }

    #[test]
    fn an_edit_makes_one_piece_anew() {
        let before = Pieces::new((0..2_400u32).map(|at| (at as u16, at)).collect());
        let mut after = before.clone();
        let (place, item) = after.take(|item| item.1 == 1_210).unwrap();
        after.put((place, item + 10_000));
        assert_eq!(after.unshared(&before), 1);
        assert!(before != after);
    }
}
