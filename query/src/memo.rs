//! A bounded memory of pure derivations, keyed by what they were derived from.
//!
//! salsa keeps one value for each query, the present one. Undo, redo and a
//! switch of branches come back to content that was derived before; here it is
//! still known.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_schemas::id::AnyId;

/// Which derivation, of what, made from which content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MemoKey {
    pub query: &'static str,
    /// Raised when the derivation gives another result for the same content.
    pub revision: u32,
    pub subject: AnyId,
    /// Names of the contents: a label never stands for two.
    pub labels: Vec<u64>,
}

type Value = Arc<dyn Any + Send + Sync>;

struct Entry {
    value: Value,
    cost: usize,
    used: u64,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<MemoKey, Entry>,
    by_use: BTreeMap<u64, MemoKey>,
    clock: u64,
    cost: usize,
    hits: u64,
    misses: u64,
}

/// What the memo did so far and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoStats {
    pub entries: usize,
    pub cost: usize,
    pub hits: u64,
    pub misses: u64,
}

pub struct Memo {
    state: Mutex<State>,
    /// The sum of costs that is kept at most.
    limit: usize,
}

impl Memo {
    pub fn new(limit: usize) -> Memo {
        Memo { state: Mutex::default(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key, known or derived now. `derive` gives the value and
    /// what it costs to keep, in any unit that the limit shares; nothing is kept
    /// of a derivation that failed.
    pub fn get<T, E>(
        &self,
        key: MemoKey,
        derive: impl FnOnce() -> Result<(T, usize), E>,
    ) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
    {
        if let Some(known) = self.lock().find(&key).and_then(|value| value.downcast().ok()) {
            return Ok(known);
        }
        let (value, cost) = derive()?;
        let value = Arc::new(value);
        let kept: Arc<T> = Arc::clone(&value);
        self.lock().keep(key, kept, cost.max(1), self.limit);
        Ok(value)
    }

    pub fn stats(&self) -> MemoStats {
        let state = self.lock();
        let (entries, cost) = (state.entries.len(), state.cost);
        MemoStats { entries, cost, hits: state.hits, misses: state.misses }
    }
}

impl State {
    fn find(&mut self, key: &MemoKey) -> Option<Value> {
        self.clock += 1;
        let Some(entry) = self.entries.get_mut(key) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.clock;
        self.by_use.insert(self.clock, key.clone());
        Some(Arc::clone(&entry.value))
    }

    fn keep(&mut self, key: MemoKey, value: Value, cost: usize, limit: usize) {
        self.clock += 1;
        self.drop_entry(&key);
        self.by_use.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { value, cost, used: self.clock });
        self.cost += cost;
        while self.cost > limit
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.drop_entry(&oldest);
        }
    }

    fn drop_entry(&mut self, key: &MemoKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.cost -= entry.cost;
            self.by_use.remove(&entry.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use pulse_schemas::id::{ActorId, EntityId, EntityKind};

    use super::*;

    fn key(label: u64) -> MemoKey {
        let id = EntityId::derive(ActorId(1), 0, 0);
        let subject = AnyId { kind: EntityKind::Track, id };
        MemoKey { query: "test", revision: 1, subject, labels: vec![label] }
    }

    fn get(memo: &Memo, label: u64) -> u64 {
        let derive = || Ok::<_, Infallible>((label * 10, 1));
        *memo.get(key(label), derive).unwrap()
    }

    #[test]
    fn known_content_is_not_derived_again() {
        let memo = Memo::new(10);
        assert_eq!([get(&memo, 1), get(&memo, 2), get(&memo, 1)], [10, 20, 10]);
        assert_eq!((memo.stats().hits, memo.stats().misses), (1, 2));
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let memo = Memo::new(2);
        for label in [1, 2, 1, 3] {
            get(&memo, label);
        }
        let before = memo.stats();
        get(&memo, 1);
        get(&memo, 2);
        let after = memo.stats();
        assert_eq!((after.hits - before.hits, after.misses - before.misses), (1, 1));
        assert_eq!(after.entries, 2);
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let memo = Memo::new(2);
        assert_eq!(memo.get::<u64, _>(key(1), || Err("broken")), Err("broken"));
        assert_eq!(get(&memo, 1), 10);
    }
}
