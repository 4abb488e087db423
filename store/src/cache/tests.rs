use std::path::Path;

use super::*;

const MIB: usize = 1 << 20;

fn pcm(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn open(dir: &Path) -> DiskCache {
    DiskCache::open(dir, 64 << 20).unwrap()
}

fn segment_file(dir: &Path) -> std::path::PathBuf {
    dir.join("segments/00000000.seg")
}

#[test]
fn results_outlive_the_process_that_made_them() {
    let dir = tempfile::tempdir().unwrap();
    let key = Hash::of(b"key");
    let cache = open(dir.path());
    let hash = cache.put_content(&pcm(1, MIB), 500).unwrap();
    cache.put_action(&key, &hash.0, 500).unwrap();
    drop(cache);
    let cache = open(dir.path());
    assert_eq!(cache.get_action(&key).unwrap().as_deref(), Some(&hash.0[..]));
    assert_eq!(cache.get_content(&hash).unwrap(), Some(pcm(1, MIB)));
    assert_eq!(cache.get_content(&Hash::ZERO).unwrap(), None);
    let stats = cache.stats();
    assert_eq!((stats.objects, stats.actions, stats.content_hits), (1, 1, 1));
    assert_eq!(stats.content_misses, 1);
}

#[test]
fn damaged_content_is_a_miss_and_goes_to_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let hash = cache.put_content(&pcm(1, 1000), 1).unwrap();
    let fine = cache.put_content(&pcm(2, 1000), 1).unwrap();
    drop(cache);
    let mut bytes = std::fs::read(segment_file(dir.path())).unwrap();
    bytes[500] ^= 1;
    std::fs::write(segment_file(dir.path()), bytes).unwrap();
    let cache = open(dir.path());
    let sampled = cache.verify_sample(100, 0).unwrap();
    assert_eq!((sampled.checked, sampled.damaged), (2, vec![hash]));
    assert_eq!(cache.get_content(&hash).unwrap(), None);
    assert!(cache.get_content(&fine).unwrap().is_some());
    assert!(dir.path().join("quarantine").join(hash.hex()).exists());
    assert_eq!(cache.put_content(&pcm(1, 1000), 1).unwrap(), hash);
    assert_eq!(cache.get_content(&hash).unwrap(), Some(pcm(1, 1000)));
}

#[test]
fn the_limit_holds_and_dear_results_outlive_cheap_ones() {
    let dir = tempfile::tempdir().unwrap();
    let cache = DiskCache::open(dir.path(), 20 << 20).unwrap();
    let dear = cache.put_content(&pcm(255, MIB), 1_000_000).unwrap();
    for seed in 0..100 {
        cache.put_content(&pcm(seed, MIB), 10).unwrap();
        assert!(cache.stats().content_bytes <= 20 << 20);
    }
    assert!(cache.has_content(&dear).unwrap());
    assert!(cache.has_content(&Hash::of(&pcm(99, MIB))).unwrap());
    assert!(!cache.has_content(&Hash::of(&pcm(0, MIB))).unwrap());
    let stats = cache.stats();
    assert!(stats.evicted > 70 && stats.file_bytes < 200 << 20, "{stats:?}");
    cache.set_limit(2 << 20).unwrap();
    assert!(cache.stats().content_bytes <= 2 << 20);
    assert_eq!(cache.get_content(&dear).unwrap(), Some(pcm(255, MIB)));
}

#[test]
fn lost_bytes_and_a_lost_index_cost_results_but_never_correctness() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let hashes: Vec<_> =
        (0..8).map(|seed| cache.put_content(&pcm(seed, 1000), 1).unwrap()).collect();
    drop(cache);
    let file = std::fs::OpenOptions::new().write(true).open(segment_file(dir.path())).unwrap();
    file.set_len(4_500).unwrap();
    let cache = open(dir.path());
    let found = hashes.iter().filter(|hash| cache.get_content(hash).unwrap().is_some());
    assert_eq!(found.count(), 4);
    drop(cache);
    std::fs::write(dir.path().join("index.redb"), b"not an index").unwrap();
    let cache = open(dir.path());
    assert_eq!(cache.stats().objects, 0);
    let hash = cache.put_content(&pcm(9, 1000), 1).unwrap();
    assert_eq!(cache.get_content(&hash).unwrap(), Some(pcm(9, 1000)));
    cache.clear().unwrap();
    assert_eq!((cache.stats().objects, cache.stats().file_bytes), (0, 0));
}

/// What a cut leaves: the index of one moment beside a segment of another, torn at any place,
/// with rubbish where a write was on its way. Whatever is served is what its name says.
#[test]
fn after_a_cut_nothing_half_written_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (index, segment) = (dir.path().join("index.redb"), segment_file(dir.path()));
    let mut moments = Vec::new();
    for moment in 0..4u8 {
        let cache = open(dir.path());
        for seed in 0..3 {
            let hash = cache.put_content(&pcm(moment * 3 + seed, 700), 1).unwrap();
            cache.put_action(&Hash::of(&[moment, seed]), &hash.0, 1).unwrap();
        }
        drop(cache);
        moments.push((std::fs::read(&index).unwrap(), std::fs::read(&segment).unwrap()));
    }
    for (tables, _) in &moments {
        for (_, content) in &moments {
            for cut in (0..=content.len()).step_by(350) {
                let mut torn = content[..cut].to_vec();
                let sound = torn.len().saturating_sub(100);
                torn[sound..].fill(0xa5);
                survives(tables, &torn);
            }
        }
    }
    // An index that was on its way itself.
    let (tables, content) = &moments[3];
    for cut in (0..tables.len()).step_by(tables.len() / 16) {
        survives(&tables[..cut], content);
        let mut torn = tables.clone();
        torn[cut..].fill(0);
        survives(&torn, content);
    }
}

fn survives(tables: &[u8], content: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("segments")).unwrap();
    std::fs::write(dir.path().join("index.redb"), tables).unwrap();
    std::fs::write(segment_file(dir.path()), content).unwrap();
    let cache = open(dir.path());
    for number in 0..12u8 {
        let (hash, bytes) = (Hash::of(&pcm(number, 700)), pcm(number, 700));
        let action = cache.get_action(&Hash::of(&[number / 3, number % 3])).unwrap();
        assert!(action.is_none_or(|value| value[..] == hash.0), "an action of something else");
        assert!(cache.get_content(&hash).unwrap().is_none_or(|found| found == bytes));
        assert_eq!(cache.put_content(&bytes, 1).unwrap(), hash);
        assert_eq!(cache.get_content(&hash).unwrap().as_ref(), Some(&bytes));
    }
}
