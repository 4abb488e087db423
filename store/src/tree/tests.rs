use std::{collections::BTreeMap, ops::Bound};

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn edits_of(model: &Model) -> Vec<Edit> {
    model.iter().map(|(key, value)| Edit::put(key.clone(), value.clone())).collect()
}

fn content(snapshot: &Snapshot) -> Model {
    snapshot.iter().map(|entry| entry.unwrap()).map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
}

fn step(model: &mut Model, batch: &Model, removed: &[Vec<u8>]) -> Vec<Edit> {
    let mut edits: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
        removed.iter().map(|key| (key.clone(), None)).collect();
    edits.extend(batch.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
    for (key, value) in &edits {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
    edits.into_iter().map(|(key, value)| Edit { key, value }).collect()
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u16..600).prop_map(|key| key.to_be_bytes().to_vec()),
        (0u16..40, 0u16..200).prop_map(|(owner, member)| {
            [&[7], &owner.to_be_bytes()[..], &[0; 12], &member.to_be_bytes()].concat()
        }),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..120),
        1 => (0usize..6000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ]
}

fn maps(most: usize) -> impl Strategy<Value = Model> {
    proptest::collection::btree_map(keys(), values(), 0..most)
}

fn removals(model: &Model, picks: &[u16]) -> Vec<Vec<u8>> {
    let keys: Vec<_> = model.keys().cloned().collect();
    let pick = |pick: &u16| keys.get(usize::from(*pick) % keys.len().max(1)).cloned();
    picks.iter().filter_map(pick).collect()
}

/// Cases of a property: few in the ordinary run, many under `PULSE_SOAK=1`.
fn cases(count: u32) -> ProptestConfig {
    let soak = std::env::var_os("PULSE_SOAK").is_some();
    ProptestConfig::with_cases(if soak { count * 100 } else { count })
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn the_root_depends_on_the_content_alone(
        first in maps(400),
        steps in proptest::collection::vec((maps(60), proptest::collection::vec(any::<u16>(), 0..60)), 0..8),
    ) {
        let store = TreeStore::in_memory();
        let mut model = Model::new();
        let mut snapshot = store.empty().edit(&step(&mut model, &first, &[])).unwrap();
        for (batch, picks) in &steps {
            let removed = removals(&model, picks);
            snapshot = snapshot.edit(&step(&mut model, batch, &removed)).unwrap();
            prop_assert_eq!(&content(&snapshot), &model);
            let scratch = TreeStore::in_memory().empty().edit(&edits_of(&model)).unwrap();
            prop_assert_eq!(snapshot.root(), scratch.root());
            prop_assert_eq!(snapshot.len(), model.len() as u64);
        }
    }

    #[test]
    fn applying_a_difference_gives_the_other_version(a in maps(300), b in maps(300), shared in maps(300)) {
        let store = TreeStore::in_memory();
        let base = store.empty().edit(&edits_of(&shared)).unwrap();
        let (a, b) = (base.edit(&edits_of(&a)).unwrap(), base.edit(&edits_of(&b)).unwrap());
        let differences: Vec<_> = a.diff(&b).map(|difference| difference.unwrap()).collect();
        let edits: Vec<_> = differences.iter().map(|difference| Edit {
            key: difference.key.to_vec(),
            value: difference.after.as_ref().map(|value| value.to_vec()),
        }).collect();
        prop_assert_eq!(a.edit(&edits).unwrap().root(), b.root());
        for difference in &differences {
            prop_assert_eq!(a.get(&difference.key).unwrap(), difference.before.clone());
            prop_assert_ne!(&difference.before, &difference.after);
        }
    }

    #[test]
    fn reads_agree_with_an_ordered_map(map in maps(300), probe in keys(), until in keys()) {
        let snapshot = TreeStore::in_memory().empty().edit(&edits_of(&map)).unwrap();
        prop_assert_eq!(snapshot.get(&probe).unwrap().map(|value| value.to_vec()), map.get(&probe).cloned());
        let before = snapshot.entry_before(&probe).unwrap().map(|(key, _)| key.to_vec());
        prop_assert_eq!(before, map.range(..probe.clone()).next_back().map(|(key, _)| key.clone()));
        let scanned: Vec<_> = snapshot.scan(&probe[..probe.len().min(2)]).map(|entry| entry.unwrap().0.to_vec()).collect();
        let expected: Vec<_> = map.keys().filter(|key| key.starts_with(&probe[..probe.len().min(2)])).cloned().collect();
        prop_assert_eq!(scanned, expected);
        if probe <= until {
            let found = snapshot.range(Bound::Excluded(&probe), Bound::Included(&until)).count();
            let expected = map.keys().filter(|key| **key > probe && **key <= until).count();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_three_way_comparison_sees_every_changed_key_once(base in maps(200), a in maps(30), b in maps(30)) {
        let base = TreeStore::in_memory().empty().edit(&edits_of(&base)).unwrap();
        let ours = base.edit(&edits_of(&a)).unwrap();
        let theirs = base.edit(&edits_of(&b)).unwrap();
        let mut keys = Vec::new();
        for item in diff3(&base, &ours, &theirs) {
            let item = item.unwrap();
            prop_assert_eq!(base.get(&item.key).unwrap(), item.base.clone());
            prop_assert_eq!(ours.get(&item.key).unwrap(), item.ours.clone());
            prop_assert_eq!(theirs.get(&item.key).unwrap(), item.theirs.clone());
            prop_assert_eq!(item.ours != item.base, item.changed != Changed::Theirs);
            prop_assert_eq!(item.theirs != item.base, item.changed != Changed::Ours);
            keys.push(item.key.to_vec());
        }
        let changed = |side: &Snapshot| base.diff(side).map(|d| d.unwrap().key.to_vec()).collect::<Vec<_>>();
        let mut expected = [changed(&ours), changed(&theirs)].concat();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(keys, expected);
    }
}

/// Entries shaped like a project's: fifty members under each owner.
pub(crate) fn project_like(count: u32) -> Vec<Edit> {
    let entry = |index: u32| {
        let owner = Hash::of(&(index / 50).to_le_bytes());
        let key = [&[3], &owner.0[..16], &[0; 12], &index.to_be_bytes()[..]].concat();
        (key, vec![index as u8; 60])
    };
    edits_of(&(0..count).map(entry).collect())
}

#[test]
fn a_golden_root_pins_hash_chunker_and_encoding() {
    let snapshot = TreeStore::in_memory().empty().edit(&project_like(10_000)).unwrap();
    expect_test::expect!["b3:46618a2e49a6a6a14e20b62e27c8c6d139e9c9a8d94a43fbd3b735d4bb20ce6d"]
        .assert_eq(&snapshot.root().to_string());
    expect_test::expect!["b3:1a0d12016999e47689dae5744d2b8c1903faf7ca2886a658150083100ef2c8ee"]
        .assert_eq(&empty_root().to_string());
}

#[test]
fn an_edit_builds_only_the_nodes_of_its_path() {
    let edits = project_like(20_000);
    let store = TreeStore::in_memory();
    let snapshot = store.empty().edit(&edits).unwrap();
    let saved = store.unsaved(&snapshot.root());
    store.saved(&saved);
    let built: Vec<usize> = (edits.iter().step_by(97))
        .map(|edit| {
            let edited = snapshot.edit(&[Edit::put(edit.key.clone(), *b"changed")]).unwrap();
            store.unsaved(&edited.root()).len()
        })
        .collect();
    let mean = built.iter().sum::<usize>() as f64 / built.len() as f64;
    assert!(mean < 6.0, "four levels and some re-chunking, found {mean}");
    assert!(built.iter().all(|nodes| *nodes < 40), "{built:?}");
}

#[test]
fn unreachable_dirty_nodes_are_forgotten() {
    let store = TreeStore::in_memory();
    let edits = project_like(2_000);
    let mut snapshot = store.empty().edit(&edits).unwrap();
    for round in 0..3_000u32 {
        let key = edits[round as usize % edits.len()].key.clone();
        snapshot = snapshot.edit(&[Edit::put(key, round.to_le_bytes())]).unwrap();
    }
    assert!(store.dirty_nodes() <= SWEEP_FLOOR + 8, "{}", store.dirty_nodes());
    assert_eq!(content(&snapshot).len(), 2_000);
}

#[test]
fn edits_that_could_not_be_kept_are_refused() {
    let empty = TreeStore::in_memory().empty();
    let check = |edits: &[Edit], expect: &str| {
        assert_eq!(empty.edit(edits).unwrap_err().to_string(), expect);
    };
    check(&[Edit::remove(vec![0; 513])], "a key has 513 bytes, the limit is 512");
    check(
        &[Edit::put(*b"k", vec![0; MAX_VALUE + 1])],
        "a value has 1048577 bytes, the limit is 1048576; store it as a blob",
    );
    check(
        &[Edit::remove(*b"b"), Edit::remove(*b"a")],
        "edit 1 does not follow the edit before it in key order",
    );
}
