//! What to forget first: greedy dual size.
//!
//! An entry's worth is what it would cost to make again per byte it takes, on top of a floor
//! that rises to the worth of each evicted entry: what was not used for long sinks below what is
//! new, and a dear small result outlives a cheap large one.

/// The worth of a use now.
pub fn worth(floor: u64, cost: u64, bytes: u64) -> u64 {
    let per_byte = (u128::from(cost) << 16) / u128::from(bytes.max(1));
    floor.saturating_add(u64::try_from(per_byte).unwrap_or(u64::MAX >> 8)).saturating_add(1)
}

/// The entries to evict so that at most `target` bytes stay, and the new floor.
pub fn victims<K: Copy + Ord>(
    mut entries: Vec<(u64, K, u64)>,
    mut total: u64,
    target: u64,
    mut floor: u64,
) -> (Vec<K>, u64) {
    entries.sort_unstable();
    let mut victims = Vec::new();
    for (worth, key, bytes) in entries {
        if total <= target {
            break;
        }
        total = total.saturating_sub(bytes);
        floor = floor.max(worth);
        victims.push(key);
    }
    (victims, floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_and_unused_entries_go_first() {
        let entries = vec![
            (worth(0, 1_000, 100), "dear", 100),
            (worth(0, 10, 100), "cheap", 100),
            (worth(50 << 16, 10, 100), "cheap but used", 100),
        ];
        let (gone, floor) = victims(entries.clone(), 300, 150, 0);
        assert_eq!(gone, ["cheap", "dear"]);
        assert_eq!(floor, worth(0, 1_000, 100));
        assert_eq!(victims(entries, 300, 300, 7), (vec![], 7));
    }
}
