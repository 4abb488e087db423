//! Power cuts at every write and sync of a random workload, torn writes included.

use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    backend::{
        failing::{Disk, Fault},
        redb::RedbBackend,
    },
    tree::tests::project_like,
};

const DATABASE: &str = "project.redb";
const JOURNAL: &str = "project.journal";

fn open(disk: &Disk) -> Result<Repo, OpenError> {
    let path = Path::new("disk");
    let backend = RedbBackend::open_on(path, disk.file(DATABASE), 1 << 20)?;
    let options = Options { store_id: [9; 16], checkpoint_rows: 12, ..Options::default() };
    Repo::open_on(path, Arc::new(backend), Box::new(disk.file(JOURNAL)), &options)
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What the outside world knows about the store.
#[derive(Default)]
struct Witness {
    /// Content and metadata roots behind every transaction, by sequence.
    roots: Vec<(Hash, Hash)>,
    kept: Vec<(u64, Hash)>,
    acknowledged: u64,
    pruned: u64,
}

impl Witness {
    fn new(repo: &Repo) -> Witness {
        let roots = vec![(repo.head().root(), repo.meta().root())];
        Witness { roots, ..Witness::default() }
    }

    fn commit(&mut self, repo: &mut Repo, random: &mut Random) -> Result<(), RepoError> {
        let mut edits: Vec<Edit> = (0..1 + random.below(4)).map(|_| random_edit(random)).collect();
        edits.sort_by(|a, b| a.key.cmp(&b.key));
        edits.dedup_by(|a, b| a.key == b.key);
        if random.below(40) == 0 {
            edits = project_like(3_000);
        }
        let keep = random.below(8) == 0;
        let seq = repo.seq() + 1;
        let meta = [Edit::put(*b"ref", seq.to_le_bytes())];
        let meta = if keep { &meta[..] } else { &[] };
        let transaction = Transaction { edits: &edits, meta, keep, ..Transaction::default() };
        let committed = repo.commit(transaction)?;
        self.roots.push((committed.after.root(), repo.meta().root()));
        if keep {
            self.kept.push((committed.seq, committed.after.root()));
        }
        if random.below(3) > 0 {
            committed.ticket.wait().map_err(RepoError::Failed)?;
        }
        if committed.ticket.is_durable() {
            self.acknowledged = committed.seq;
        }
        Ok(())
    }

    fn step(&mut self, repo: &mut Repo, random: &mut Random) -> Result<(), RepoError> {
        match random.below(30) {
            0 => repo.checkpoint(),
            1 => repo.gc(&self.kept.iter().map(|(_, root)| *root).collect::<Vec<_>>()).map(drop),
            2 => repo.compact(),
            3 if repo.seq() > 10 => {
                self.pruned = repo.seq() - 5;
                repo.prune_history(self.pruned)
            }
            4 if !self.kept.is_empty() => {
                let (_, root) = self.kept[random.below(self.kept.len() as u64) as usize];
                let target = repo.snapshot(root)?;
                let committed = repo.commit_version(&target, Transaction::default())?;
                self.roots.push((committed.after.root(), repo.meta().root()));
                Ok(())
            }
            _ => self.commit(repo, random),
        }
    }

    /// Everything acknowledged is there, and what is there is whole.
    fn check(&self, repo: &Repo) {
        let seq = repo.seq();
        assert!(seq >= self.acknowledged, "row {} was lost", self.acknowledged);
        let (root, meta) = self.roots[seq as usize];
        assert_eq!((repo.head().root(), repo.meta().root()), (root, meta));
        read_through(repo.head());
        for (_, root) in self.kept.iter().filter(|(kept, _)| *kept <= seq) {
            let kept = repo.snapshot(*root).unwrap();
            read_through(&kept);
        }
        let first = self.pruned.min(seq);
        for past in [first, (first + seq) / 2, seq] {
            let version = repo.version_at(past).unwrap();
            assert_eq!(version.root(), self.roots[past as usize].0);
        }
    }
}

fn read_through(snapshot: &Snapshot) {
    let entries: Result<Vec<_>, _> = snapshot.iter().collect();
    assert_eq!(entries.unwrap().len() as u64, snapshot.len());
}

fn random_edit(random: &mut Random) -> Edit {
    let key = vec![1, random.below(3) as u8, random.below(120) as u8];
    match random.below(4) {
        0 => Edit::remove(key),
        _ => Edit::put(key, vec![random.below(256) as u8; random.below(200) as usize]),
    }
}

/// Runs the workload until the power goes (or to its end) and checks the disk afterwards; says
/// how many operations there were.
fn run(seed: u64, steps: u64, cut: Option<u64>) -> u64 {
    let disk = Disk::default();
    let mut random = Random(seed);
    disk.set_fault(cut.map_or(Fault::None, |at| Fault::PowerCut { at }));
    let Ok(mut repo) = open(&disk) else {
        // `Repo::create` sets the rest of an unfinished store aside and starts over.
        assert!(disk.bytes(JOURNAL).len() <= crate::journal::HEADER);
        return disk.operations();
    };
    let mut witness = Witness::new(&repo);
    for _ in 0..steps {
        if witness.step(&mut repo, &mut random).is_err() {
            break;
        }
    }
    repo.abandon();
    let operations = disk.operations();
    recover(&disk, seed, &witness);
    operations
}

/// Recovery itself may lose power too.
fn recover(disk: &Disk, seed: u64, witness: &Witness) {
    let mut random = Random(seed ^ 0x5eed);
    let mut disk = disk.reboot(seed);
    if random.below(2) == 0 {
        disk.set_fault(Fault::PowerCut { at: 1 + random.below(12) });
        if let Ok(mut repo) = open(&disk) {
            drop(repo.checkpoint());
            repo.abandon();
        }
        disk = disk.reboot(seed + 1);
    }
    let mut repo = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    witness.check(&repo);
    let edits = [Edit::put(*b"life", *b"goes on")];
    let transaction = Transaction { edits: &edits, ..Transaction::default() };
    repo.commit(transaction).unwrap().ticket.wait().unwrap();
    repo.close().unwrap();
    let repo = open(&disk.reboot(seed)).unwrap();
    assert_eq!(&*repo.head().get(b"life").unwrap().unwrap(), b"goes on");
}

#[test]
fn no_acknowledged_transaction_is_lost_wherever_the_power_is_cut() {
    let soak = std::env::var_os("PULSE_SOAK").is_some();
    let (seeds, stride) = if soak { (20, 1) } else { (2, 17) };
    for seed in 0..seeds {
        let operations = run(seed, 60, None);
        for cut in (1..=operations).step_by(stride) {
            run(seed, 60, Some(cut));
        }
    }
}

#[test]
fn a_full_disk_makes_the_store_read_only_and_loses_nothing() {
    for at in (1..200).step_by(23) {
        let disk = Disk::default();
        let mut repo = open(&disk).unwrap();
        let mut witness = Witness::new(&repo);
        let mut random = Random(at);
        disk.set_fault(Fault::Full { at });
        let error = loop {
            match witness.step(&mut repo, &mut random) {
                Ok(()) => {}
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("free some space"), "{error}");
        let refused = repo.commit(Transaction::default()).map(|_| ()).unwrap_err();
        assert!(matches!(refused, RepoError::Failed(_)), "{refused}");
        repo.abandon();
        disk.set_fault(Fault::None);
        witness.check(&open(&disk).unwrap());
    }
}
