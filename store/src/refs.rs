//! What the project knows beside its content: who it is, which branch is open, branches, tags
//! and commits. All of it lies in the metadata tree, so that a commit and the branch that points
//! at it are one journal row and can never disagree.

use pulse_schemas::{
    hash::Hash,
    id::{ActorId, AnyId},
    record::canonical_json,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    fsck::Named,
    tree::{Edit, Snapshot, TreeError},
};

const ACTOR: &[u8] = b"actor";
const HOME: &[u8] = b"home";
const HEAD: &[u8] = b"head";
const WITHHELD: &[u8] = b"withheld";
const BRANCH: &[u8] = b"branch/";
const TAG: &[u8] = b"tag/";
const COMMIT: &[u8] = b"commit/";
const ARRANGEMENT: &[u8] = b"arrangement/";

#[derive(Debug, thiserror::Error)]
pub enum RefsError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("the project's {what} is damaged; run `pulse fsck`")]
    Damaged { what: String },
}

/// A commit's name: the hash of all it says.
pub type CommitId = Hash;

/// A version of the whole project that somebody wanted to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Root of the content.
    pub root: Hash,
    pub parents: Vec<CommitId>,
    pub author: String,
    /// Milliseconds since 1970, as the caller said.
    pub time: i64,
    pub message: String,
    #[serde(default)]
    pub notes: String,
}

impl Commit {
    pub fn id(&self) -> CommitId {
        let mut hasher = blake3::Hasher::new_derive_key("pulse commit v1");
        hasher.update(json(self).as_bytes());
        hasher.finalize().into()
    }
}

/// Where a branch stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    pub tip: CommitId,
    /// Root of the work in progress that was parked when another branch was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Hash>,
    /// The commit that the parked work stands on; none in early projects, where it is the tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CommitId>,
    /// A merge in the draft that the next commit will have as a parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merging: Option<Merging>,
}

impl Branch {
    pub fn at(tip: CommitId) -> Branch {
        Branch { tip, parked: None, base: None, merging: None }
    }
}

/// In front of what stands for a branch while a bare commit is open. No branch can have it.
const DETACHED: char = '@';

/// The name under which a bare commit is open.
pub(crate) fn detached_name(commit: CommitId) -> String {
    format!("{DETACHED}{}", &commit.hex()[..16])
}

/// Whether a name stands for a bare commit and not for a branch.
pub fn is_detached(name: &str) -> bool {
    name.starts_with(DETACHED)
}

/// A merge that waits for its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Merging {
    pub theirs: CommitId,
    /// The draft before the merge, to go back to.
    pub before: Hash,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    pub commit: CommitId,
    #[serde(default)]
    pub note: String,
}

/// A named version of one arrangement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArrangementVersion {
    pub arrangement: AnyId,
    pub name: String,
    pub commit: CommitId,
}

/// Reads the metadata tree.
pub struct Refs<'a> {
    meta: &'a Snapshot,
}

impl<'a> Refs<'a> {
    pub fn new(meta: &'a Snapshot) -> Refs<'a> {
        Refs { meta }
    }

    fn read<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, RefsError> {
        let Some(bytes) = self.meta.get(key)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged(key))
    }

    fn list<T: DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<(String, T)>, RefsError> {
        let mut found = Vec::new();
        for entry in self.meta.scan(prefix) {
            let (key, value) = entry?;
            let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            found.push((name, serde_json::from_slice(&value).map_err(|_| damaged(&key))?));
        }
        Ok(found)
    }

    pub fn actor(&self) -> Result<ActorId, RefsError> {
        let bytes = self.meta.get(ACTOR)?.ok_or_else(|| damaged(ACTOR))?;
        let bytes = bytes[..].try_into().map_err(|_| damaged(ACTOR))?;
        Ok(ActorId(u128::from_be_bytes(bytes)))
    }

    /// Nothing was ever written.
    pub fn is_new(&self) -> Result<bool, RefsError> {
        Ok(self.meta.get(HEAD)?.is_none())
    }

    /// Which folder the actor belongs to.
    pub fn home(&self) -> Result<Option<u64>, RefsError> {
        self.read(HOME)
    }

    /// The open branch.
    pub fn head(&self) -> Result<String, RefsError> {
        self.read(HEAD)?.ok_or_else(|| damaged(HEAD))
    }

    /// Records that a commit left out and that go back into the draft behind it.
    pub fn withheld(&self) -> Result<Vec<(String, String)>, RefsError> {
        Ok(self.read(WITHHELD)?.unwrap_or_default())
    }

    pub fn branch(&self, name: &str) -> Result<Option<Branch>, RefsError> {
        self.read(&key(BRANCH, name))
    }

    pub fn branches(&self) -> Result<Vec<(String, Branch)>, RefsError> {
        self.list(BRANCH)
    }

    pub fn tag(&self, name: &str) -> Result<Option<Tag>, RefsError> {
        self.read(&key(TAG, name))
    }

    pub fn tags(&self) -> Result<Vec<(String, Tag)>, RefsError> {
        self.list(TAG)
    }

    pub fn arrangement_versions(&self) -> Result<Vec<ArrangementVersion>, RefsError> {
        Ok(self.list(ARRANGEMENT)?.into_iter().map(|(_, version)| version).collect())
    }

    pub fn commit(&self, id: CommitId) -> Result<Option<Commit>, RefsError> {
        self.read(&commit_key(id))
    }

    /// The commits whose id starts with hex digits, two at most.
    pub fn commits_with_prefix(&self, hex: &str) -> Result<Vec<CommitId>, RefsError> {
        let mut found = Vec::new();
        let prefix = key(COMMIT, &hex.to_ascii_lowercase());
        for entry in self.meta.scan(&prefix).take(2) {
            let (key, _) = entry?;
            let text = String::from_utf8_lossy(&key[COMMIT.len()..]).into_owned();
            found.push(format!("b3:{text}").parse().map_err(|_| damaged(&key))?);
        }
        Ok(found)
    }

    /// The same roots, and what people call them. An entry that can't be read names nothing.
    pub fn named_roots(&self) -> Vec<Named> {
        let mut named = Vec::new();
        for (name, branch) in self.branches().unwrap_or_default() {
            let parked = format!("the draft of branch {name}");
            let before = format!("the state of {name} before its merge");
            named.extend(branch.parked.map(|root| Named { root, name: parked }));
            named.extend(branch.merging.map(|it| Named { root: it.before, name: before }));
        }
        for (_, commit) in self.list::<Commit>(COMMIT).unwrap_or_default() {
            let (id, message) = (commit.id(), commit.message.lines().next().unwrap_or_default());
            let name = format!("commit {} “{message}”", id.short());
            named.push(Named { root: commit.root, name });
        }
        named
    }

    /// Every root that must outlive garbage collection.
    pub fn roots(&self) -> Result<Vec<Hash>, RefsError> {
        let mut roots: Vec<Hash> =
            self.branches()?.into_iter().filter_map(|(_, branch)| branch.parked).collect();
        let branches = self.branches()?.into_iter();
        roots.extend(branches.filter_map(|(_, branch)| Some(branch.merging?.before)));
        roots.extend(self.list::<Commit>(COMMIT)?.into_iter().map(|(_, commit)| commit.root));
        roots.sort();
        roots.dedup();
        Ok(roots)
    }
}

fn key(prefix: &[u8], name: &str) -> Vec<u8> {
    [prefix, name.as_bytes()].concat()
}

fn commit_key(id: CommitId) -> Vec<u8> {
    key(COMMIT, &id.hex())
}

fn damaged(key: &[u8]) -> RefsError {
    RefsError::Damaged { what: String::from_utf8_lossy(key).into_owned() }
}

/// Strings and numbers only: this cannot fail.
fn json<T: Serialize>(value: &T) -> String {
    canonical_json(&serde_json::to_value(value).unwrap_or_default())
}

/// Collects changes of the metadata tree.
#[derive(Default)]
pub struct RefEdits {
    edits: std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl RefEdits {
    fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) {
        self.edits.insert(key, Some(json(value).into_bytes()));
    }

    pub fn actor(&mut self, actor: ActorId) {
        self.edits.insert(ACTOR.to_vec(), Some(actor.0.to_be_bytes().to_vec()));
    }

    pub fn home(&mut self, home: u64) {
        self.put(HOME.to_vec(), &home);
    }

    pub fn head(&mut self, branch: &str) {
        self.put(HEAD.to_vec(), &branch);
    }

    pub fn withheld(&mut self, records: &[(String, String)]) {
        if records.is_empty() {
            self.edits.insert(WITHHELD.to_vec(), None);
        } else {
            self.put(WITHHELD.to_vec(), &records);
        }
    }

    pub fn branch(&mut self, name: &str, branch: &Branch) {
        self.put(key(BRANCH, name), branch);
    }

    pub fn remove_branch(&mut self, name: &str) {
        self.edits.insert(key(BRANCH, name), None);
    }

    pub fn tag(&mut self, name: &str, tag: &Tag) {
        self.put(key(TAG, name), tag);
    }

    pub fn remove_tag(&mut self, name: &str) {
        self.edits.insert(key(TAG, name), None);
    }

    pub fn arrangement_version(&mut self, version: &ArrangementVersion) {
        let name = format!("{}/{}", version.arrangement, version.name);
        self.put(key(ARRANGEMENT, &name), version);
    }

    pub fn remove_arrangement_version(&mut self, arrangement: AnyId, name: &str) {
        self.edits.insert(key(ARRANGEMENT, &format!("{arrangement}/{name}")), None);
    }

    pub fn commit(&mut self, commit: &Commit) -> CommitId {
        let id = commit.id();
        self.put(commit_key(id), commit);
        id
    }

    pub fn finish(self) -> Vec<Edit> {
        self.edits.into_iter().map(|(key, value)| Edit { key, value }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_stored_in_the_words_of_the_file_format() {
        let hash = |byte| Hash([byte; 32]);
        let hex = |byte: &str| format!("\"b3:{}\"", byte.repeat(32));
        let commit = Commit {
            root: hash(1),
            parents: vec![hash(2)],
            author: "Ada".into(),
            time: 5,
            message: "First".into(),
            notes: String::new(),
        };
        let text = format!(
            r#"{{"author":"Ada","message":"First","notes":"","parents":[{}],"root":{},"time":5}}"#,
            hex("02"),
            hex("01")
        );
        assert_eq!(json(&commit), text);
        let mut hasher = blake3::Hasher::new_derive_key("pulse commit v1");
        hasher.update(text.as_bytes());
        assert_eq!(commit.id(), hasher.finalize().into());

        let merging = Merging { theirs: hash(4), before: hash(5), message: "Merge".into() };
        let branch = Branch {
            parked: Some(hash(2)),
            base: Some(hash(3)),
            merging: Some(merging),
            ..Branch::at(hash(1))
        };
        let merging =
            format!(r#"{{"before":{},"message":"Merge","theirs":{}}}"#, hex("05"), hex("04"));
        let text = format!(
            r#"{{"base":{},"merging":{merging},"parked":{},"tip":{}}}"#,
            hex("03"),
            hex("02"),
            hex("01")
        );
        assert_eq!(json(&branch), text);
        assert_eq!(json(&Branch::at(hash(1))), format!(r#"{{"tip":{}}}"#, hex("01")));
        let tag = Tag { commit: hash(1), note: "Sent".into() };
        assert_eq!(json(&tag), format!(r#"{{"commit":{},"note":"Sent"}}"#, hex("01")));
    }
}
