//! The store's promises in numbers, on this machine, beside a raw append + fdatasync of the same
//! minute: `cargo run --release -p pulse-store --example measure [ENTITIES]`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measuring program prints, reads the clock and stops at the first error"
)]

use std::{
    collections::BTreeMap,
    hint::black_box,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use pulse_schemas::hash::Hash;
use pulse_store::{
    backend::{BackingStore, redb::RedbBackend},
    repo::{Options, Repo, Transaction},
    tree::Edit,
};

fn project(entities: u32) -> Vec<Edit> {
    let entry = |index: u32| {
        let owner = Hash::of(&(index / 50).to_le_bytes());
        let member = Hash::of(&index.to_le_bytes());
        let key = [&[3], &owner.0[..16], &member.0[..16]].concat();
        (key, member.0.repeat(2)[..60].to_vec())
    };
    let map: BTreeMap<_, _> = (0..entities).map(entry).collect();
    map.into_iter().map(|(key, value)| Edit::put(key, value)).collect()
}

fn options() -> Options {
    Options { store_id: [1; 16], ..Options::default() }
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One changed field in a record, as a moved clip is.
fn moved(edit: &Edit, round: u32) -> Edit {
    let mut value = edit.value.clone().unwrap();
    value[20..24].copy_from_slice(&round.to_le_bytes());
    Edit::put(edit.key.clone(), value)
}

fn info() -> Vec<u8> {
    b"move clip\0timeline\0somebody\0{\"clip\":\"clp_0123456789abcdef\",\"start\":123456}".to_vec()
}

/// Alternates raw appends and durable edits, so that both see the same disk.
fn durable_edits(repo: &mut Repo, dir: &Path, edits: &[Edit]) {
    let raw = std::fs::File::create(dir.join("raw")).unwrap();
    let (mut raw_times, mut edit_times) = (Vec::new(), Vec::new());
    for round in 0..400u32 {
        let page = [round as u8; 4096];
        raw_times.push(
            time(|| {
                raw.write_all_at(&page, u64::from(round) * 4096).unwrap();
                raw.sync_data().unwrap();
            })
            .0,
        );
        let edit = [moved(&edits[(round as usize * 7919) % edits.len()], round)];
        edit_times.push(
            time(|| {
                let transaction =
                    Transaction { edits: &edit, info: info(), ..Transaction::default() };
                repo.commit(transaction).unwrap().ticket.wait().unwrap();
            })
            .0,
        );
    }
    let (raw, edit) = (median(raw_times), median(edit_times));
    let ratio = edit.as_secs_f64() / raw.as_secs_f64();
    println!("durable edit         {edit:?} (raw 4 KiB append + fdatasync {raw:?}, {ratio:.2} x)");
}

fn edit_in_memory(repo: &Repo, edits: &[Edit]) {
    let mut times = Vec::new();
    for round in 0..1_000u32 {
        let edit = [moved(&edits[(round as usize * 7919) % edits.len()], round)];
        times.push(time(|| repo.head().edit(&edit).unwrap()).0);
    }
    println!("edit in memory       {:?}", median(times));
}

fn diff_of_ten(repo: &Repo, edits: &[Edit]) {
    let changed: BTreeMap<_, _> = (0..10usize)
        .map(|index| moved(&edits[index * edits.len() / 11], 7))
        .map(|edit| (edit.key.clone(), edit))
        .collect();
    let changed: Vec<Edit> = changed.into_values().collect();
    let other = repo.head().edit(&changed).unwrap();
    let count = || black_box(repo.head().diff(&other).count());
    assert_eq!(count(), 10);
    println!("diff of 10 changes   {:?}", median((0..200).map(|_| time(count).0).collect()));
}

fn group_commit(repo: &mut Repo, edits: &[Edit]) {
    let count = 5_000u32;
    let (took, ()) = time(|| {
        for round in 0..count {
            let edit = [moved(&edits[(round as usize * 7919) % edits.len()], round + 9)];
            let transaction = Transaction { edits: &edit, info: info(), ..Transaction::default() };
            repo.commit(transaction).unwrap();
        }
        repo.flush().unwrap();
    });
    println!("durable, queued      {:.0} edits/s", f64::from(count) / took.as_secs_f64());
}

/// Edits `rows` times, lets go as a crash would, and opens again.
fn reopen(dir: &Path, rows: u64, checkpoint_rows: u64, edits: &[Edit]) {
    let options = Options { checkpoint_rows, ..options() };
    let mut repo = Repo::open(dir, &options).unwrap();
    for round in 0..rows as u32 {
        // Values that no earlier run of this function wrote.
        let value = round.wrapping_mul(2_654_435_761) ^ repo.seq() as u32;
        let edit = [moved(&edits[(round as usize * 7919) % edits.len()], value)];
        let transaction = Transaction { edits: &edit, info: info(), ..Transaction::default() };
        repo.commit(transaction).unwrap();
    }
    repo.flush().unwrap();
    repo.abandon();
    let journal = std::fs::metadata(dir.join("project.journal")).unwrap().len();
    if checkpoint_rows > rows {
        println!("journal row          {} B", (journal - 64).checked_div(rows).unwrap_or(0));
    }
    let database = dir.join("project.redb");
    let (opened, backend) = time(|| RedbBackend::open(&database, 32 << 20).unwrap());
    let (read, _) = time(|| backend.head().unwrap());
    let (dropped, ()) = time(|| drop(backend));
    println!("  redb alone         open {opened:?}, head {read:?}, close {dropped:?}");
    let again = || {
        let (took, repo) = time(|| Repo::open(dir, &options).unwrap());
        repo.abandon();
        took
    };
    let took = median((0..9).map(|_| again()).collect());
    let repo = Repo::open(dir, &options).unwrap();
    let (first, _) = time(|| repo.head().get(&edits[edits.len() / 2].key).unwrap().unwrap());
    let replayed = repo.recovered().rows;
    println!("reopen, {rows:>6} rows  {took:?} + first read {first:?}, {replayed} rows replayed");
    repo.close().unwrap();
}

fn main() {
    let count = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir_in(".").unwrap();
    let edits = project(count);
    let mut repo = Repo::create(dir.path(), &options()).unwrap();
    let (took, ()) = time(|| {
        let transaction = Transaction { edits: &edits, ..Transaction::default() };
        repo.commit(transaction).unwrap().ticket.wait().unwrap();
    });
    println!("import {count}        {took:?}, {} B on disk", repo.size().unwrap());
    edit_in_memory(&repo, &edits);
    diff_of_ten(&repo, &edits);
    durable_edits(&mut repo, dir.path(), &edits);
    group_commit(&mut repo, &edits);
    let (took, ()) = time(|| repo.checkpoint().unwrap());
    println!("checkpoint           {took:?}");
    repo.close().unwrap();
    reopen(dir.path(), 10_000, options().checkpoint_rows, &edits);
    for rows in [1_000, 10_000] {
        reopen(dir.path(), rows, u64::MAX, &edits);
    }
    let mut repo = Repo::open(dir.path(), &options()).unwrap();
    let before = repo.size().unwrap();
    let (took, swept) = time(|| repo.gc(&[]).unwrap());
    println!("gc                   {took:?}, {swept:?}");
    let (took, ()) = time(|| repo.compact().unwrap());
    println!("compact              {took:?}, {before} -> {} B", repo.size().unwrap());
}
