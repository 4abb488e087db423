//! Commits, branches and tags: names for states, and going from one to another.
//!
//! The working copy is the draft of the branch that is open. Leaving a branch parks its draft,
//! so that switching never loses any. Only where a branch was moved from under its draft there is
//! something to decide; [`Project::parked_draft`] says what.

use pulse_schemas::{
    entity::{AnyEntity, Conflict, Lifecycle, MediaItem},
    hash::Hash,
    id::{AnyId, ArrangementId, EntityId},
    record::EntityKey,
};

use crate::{
    base64,
    history::Action,
    merge::{self, MergeRules, record::Deleted},
    project::Project,
    refs::{
        ArrangementVersion, Branch, Commit, CommitId, Merging, RefEdits, RefsError, Tag,
        detached_name, is_detached,
    },
    repo::RepoError,
    rev::{Rev, RevBase},
    staging::Staging,
    tree::{Snapshot, TreeError},
    tx::{Committed, TxError, TxMeta},
    view::{ReadError, View},
};

/// Why a version cannot be made, found or opened.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error("no branch, tag or commit is called {name}; `pulse log` and `pulse branch` list them")]
    UnknownRev { name: String },
    #[error("several commits start with {prefix}; give more of the id")]
    AmbiguousRev { prefix: String },
    #[error("{rev} reaches back beyond the first commit")]
    BeforeFirst { rev: Rev },
    #[error("{rev} is no commit; commit it first or name one")]
    NoCommit { rev: Rev },
    #[error("commit {id} is not in the project; run `pulse fsck`")]
    CommitMissing { id: CommitId },
    #[error("there is no branch {name}; make it with `pulse branch {name}`")]
    UnknownBranch { name: String },
    #[error("there is a branch {name} already; choose another name")]
    BranchExists { name: String },
    #[error("there is a tag {name} already; remove it first or choose another name")]
    TagExists { name: String },
    #[error("there is no tag {name}")]
    UnknownTag { name: String },
    #[error("{name:?} is no name for a branch or tag: {}", NAME_RULE)]
    BadName { name: String },
    #[error("{name} is the branch that is open; switch to another one first")]
    BranchOpen { name: String },
    #[error(
        "commit {} is open and no branch, so nothing would name the new one; \
         `pulse branch NAME` makes a branch here, with the edits, `pulse switch BRANCH` goes to one",
        id.hex().get(..10).unwrap_or_default()
    )]
    Detached { id: CommitId },
    #[error("nothing has changed since the last commit")]
    NothingToCommit,
    #[error("there is no version {name} of {arrangement}")]
    UnknownArrangementVersion { arrangement: AnyId, name: String },
    #[error(
        "a version {name} of that arrangement exists already; choose another name or delete it"
    )]
    ArrangementVersionExists { name: String },
    #[error(transparent)]
    Refs(#[from] RefsError),
    #[error(transparent)]
    Tx(#[from] TxError),
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

const NAME_RULE: &str = "1 to 200 characters, no spaces, no `~ : @ ^ \\`, no leading `-`";

/// What a commit says and how it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    pub message: String,
    pub notes: String,
    /// Commit although nothing was edited.
    pub allow_empty: bool,
    /// Take the place of the last commit. It stays in the store and by its id.
    pub amend: bool,
}

/// A commit with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub id: CommitId,
    pub commit: Commit,
}

/// One branch as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchInfo {
    pub name: String,
    pub tip: CommitId,
    pub is_open: bool,
    /// There is work on it that no commit holds.
    pub is_dirty: bool,
    /// Where its parked draft stands, if the branch was moved away from there.
    pub draft_base: Option<CommitId>,
}

/// The draft that was parked when a branch was left, and what becomes of it.
#[derive(Clone, Debug)]
pub struct ParkedDraft {
    /// The commit that it stands on.
    pub base: CommitId,
    /// Where the branch stands.
    pub tip: CommitId,
    pub begun: View,
    pub draft: View,
    pub tip_view: View,
    /// The draft brought onto the tip, with what could not be decided.
    pub adopted: View,
    pub conflicts: Vec<Conflict>,
}

impl ParkedDraft {
    /// The branch was moved away from under the draft.
    pub fn base_moved(&self) -> bool {
        self.base != self.tip
    }
}

fn check_name(name: &str) -> Result<(), VersionError> {
    let legal = |character: char| {
        !character.is_whitespace() && !character.is_control() && !"~:@^\\".contains(character)
    };
    let fits = (1..=200).contains(&name.chars().count());
    if fits && !name.starts_with('-') && name.chars().all(legal) {
        return Ok(());
    }
    Err(VersionError::BadName { name: name.to_owned() })
}

impl Project {
    /// The last commit of the open branch.
    pub fn tip(&self) -> Result<CommitId, VersionError> {
        Ok(self.open_branch()?.tip)
    }

    /// A commit that something names.
    pub fn known_commit(&self, id: CommitId) -> Result<Commit, VersionError> {
        self.refs().commit(id)?.ok_or(VersionError::CommitMissing { id })
    }

    /// Saves the working copy as a commit on the open branch. Media that are still being recorded
    /// stay out of it and in the draft.
    pub fn commit(&mut self, message: &str, meta: TxMeta) -> Result<CommitId, VersionError> {
        self.commit_with(
            CommitOptions { message: message.into(), ..CommitOptions::default() },
            meta,
        )
    }

    pub fn commit_with(
        &mut self,
        options: CommitOptions,
        meta: TxMeta,
    ) -> Result<CommitId, VersionError> {
        let branch = self.open_branch()?;
        self.require_branch()?;
        let last = self.known_commit(branch.tip)?;
        let clean = self.without_pending()?;
        let is_same = clean.root() == last.root && branch.merging.is_none();
        if is_same && !options.allow_empty && !options.amend {
            return Err(VersionError::NothingToCommit);
        }
        let mut parents = if options.amend { last.parents } else { vec![branch.tip] };
        parents.extend(branch.merging.map(|merging| merging.theirs));
        self.commit_state(&clean, parents, options, meta)
    }

    /// The commit that is open without a branch.
    pub fn detached(&self) -> Result<Option<CommitId>, VersionError> {
        if is_detached(&self.branch) { self.tip().map(Some) } else { Ok(None) }
    }

    /// Whatever moves a branch needs one that is open.
    pub(crate) fn require_branch(&self) -> Result<(), VersionError> {
        match self.detached()? {
            Some(id) => Err(VersionError::Detached { id }),
            None => Ok(()),
        }
    }

    fn open_branch(&self) -> Result<Branch, VersionError> {
        let name = self.branch.clone();
        self.refs().branch(&name)?.ok_or(VersionError::UnknownBranch { name })
    }

    /// The merge in the working copy that no commit holds yet.
    pub fn merging(&self) -> Result<Option<Merging>, VersionError> {
        Ok(self.open_branch()?.merging)
    }

    /// Writes a commit of a state that the working copy holds, apart from pending media.
    pub(crate) fn commit_state(
        &mut self,
        clean: &Snapshot,
        parents: Vec<CommitId>,
        options: CommitOptions,
        meta: TxMeta,
    ) -> Result<CommitId, VersionError> {
        let commit = Commit {
            root: clean.root(),
            parents,
            author: meta.author.clone(),
            time: meta.time,
            message: options.message,
            notes: options.notes,
        };
        let branch = self.branch.clone();
        let label = format!("Commit: {}", commit.message);
        let withheld = self.withhold(clean)?;
        let mut tx = self.begin_as(TxMeta { label, ..meta.clone() }, Action::Refs);
        tx.stage_state(clean)?;
        let tip = tx.refs.commit(&commit);
        tx.refs.branch(&branch, &Branch::at(tip));
        tx.refs.withheld(&withheld);
        tx.finish(false, true)?;
        if !withheld.is_empty() {
            self.restore_withheld()?;
        }
        // The commit is made. What fails from here on fails again, and is reported, when somebody
        // asks for it.
        drop(self.renew_stamp());
        drop(self.gc_when_due());
        Ok(tip)
    }

    /// The working copy without media that are reserved and not there yet.
    pub(crate) fn without_pending(&self) -> Result<Snapshot, VersionError> {
        let mut edits = Vec::new();
        for media in self.view.all::<MediaItem>()? {
            if media.lifecycle == Lifecycle::Pending {
                let key = EntityKey::of(&AnyEntity::from(media)).to_bytes();
                edits.push(crate::tree::Edit::remove(key));
            }
        }
        edits.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(self.view.state().edit(&edits)?)
    }

    /// What `clean` leaves out, noted beside the content in the same row, so that a crash before
    /// it is put back loses nothing.
    fn withhold(&self, clean: &Snapshot) -> Result<Vec<(String, String)>, VersionError> {
        let mut records = Vec::new();
        for difference in clean.diff(self.view.state()) {
            let difference = difference?;
            if let Some(value) = difference.after {
                records.push((base64::encode(&difference.key), base64::encode(&value)));
            }
        }
        Ok(records)
    }

    /// Puts back what a commit left out.
    pub(crate) fn restore_withheld(&mut self) -> Result<(), VersionError> {
        let withheld = self.refs().withheld()?;
        let meta = TxMeta::new("Keep pending media", "");
        let mut tx = self.begin_as(meta, Action::Refs);
        for (key, value) in withheld {
            if let (Some(key), Some(value)) = (base64::decode(&key), base64::decode(&value)) {
                tx.raw()?.write(key, Some(value))?;
            }
        }
        tx.refs.withheld(&[]);
        tx.finish(false, false)?;
        Ok(())
    }

    /// The commits from a revision back along first parents, newest first.
    pub fn log(&self, from: &Rev, limit: usize) -> Result<Vec<LogEntry>, VersionError> {
        let mut entries = Vec::new();
        let mut next = Some(self.resolve_commit(from)?);
        while let Some(id) = next.filter(|_| entries.len() < limit) {
            let commit = self.known_commit(id)?;
            next = commit.parents.first().copied();
            entries.push(LogEntry { id, commit });
        }
        Ok(entries)
    }

    /// The commit that a revision names; for `@`, the one that the working copy builds on.
    pub fn show(&self, rev: &Rev) -> Result<LogEntry, VersionError> {
        let id = self.resolve_commit(rev)?;
        Ok(LogEntry { id, commit: self.known_commit(id)? })
    }

    pub fn resolve_commit(&self, rev: &Rev) -> Result<CommitId, VersionError> {
        let (start, back) = match &rev.base {
            RevBase::Working => {
                // One step back from unsaved work is what it builds on.
                let unsaved = rev.back > 0 && self.is_dirty()?;
                (self.tip()?, rev.back - u32::from(unsaved))
            }
            RevBase::Op(_) => return Err(VersionError::NoCommit { rev: rev.clone() }),
            RevBase::Name(name) => (self.resolve_name(name)?, rev.back),
        };
        let mut id = start;
        for _ in 0..back {
            let parent = self.known_commit(id)?.parents.first().copied();
            id = parent.ok_or_else(|| VersionError::BeforeFirst { rev: rev.clone() })?;
        }
        Ok(id)
    }

    fn resolve_name(&self, name: &str) -> Result<CommitId, VersionError> {
        let refs = self.refs();
        if let Some(branch) = refs.branch(name)? {
            return Ok(branch.tip);
        }
        if let Some(tag) = refs.tag(name)? {
            return Ok(tag.commit);
        }
        let hex = name.strip_prefix("b3:").unwrap_or(name);
        let unknown = || VersionError::UnknownRev { name: name.to_owned() };
        if hex.len() < 4 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        match refs.commits_with_prefix(hex)?[..] {
            [] => Err(unknown()),
            [id] => Ok(id),
            _ => Err(VersionError::AmbiguousRev { prefix: name.to_owned() }),
        }
    }

    /// The state that a revision names, as it is stored; [`View::resolved`] is what it plays.
    pub fn view_at(&self, rev: &Rev) -> Result<View, VersionError> {
        let state = match rev {
            Rev { base: RevBase::Working, back: 0 } => return Ok(self.stored()),
            Rev { base: RevBase::Op(seq), back: 0 } => self.repo.version_at(*seq)?,
            rev => {
                let id = self.resolve_commit(rev)?;
                self.repo.snapshot(self.known_commit(id)?.root)?
            }
        };
        Ok(self.view.sibling(state))
    }

    /// A state by its root, if the store still has it.
    pub fn view_of_root(&self, root: Hash) -> Result<View, VersionError> {
        Ok(self.view.sibling(self.repo.snapshot(root)?))
    }

    pub fn branches(&self) -> Result<Vec<BranchInfo>, VersionError> {
        let mut branches = Vec::new();
        for (name, branch) in self.refs().branches()? {
            let is_open = name == self.branch;
            let root = if is_open { Some(self.root()) } else { branch.parked };
            let committed = self.known_commit(branch.tip)?.root;
            let is_dirty = root.is_some_and(|root| root != committed);
            let parked = !is_open && branch.parked.is_some();
            let draft_base = branch.base.filter(|base| parked && *base != branch.tip);
            branches.push(BranchInfo { name, tip: branch.tip, is_open, is_dirty, draft_base });
        }
        Ok(branches)
    }

    /// Makes a branch at a commit.
    pub fn branch(
        &mut self,
        name: &str,
        at: &Rev,
        meta: TxMeta,
    ) -> Result<Committed, VersionError> {
        self.check_new_branch(name)?;
        if *at == Rev::working() && self.detached()?.is_some() {
            // With all that was edited here; the new branch is the one that is open.
            let here = self.branch.clone();
            return self.rename_branch(&here, name, meta);
        }
        let tip = self.resolve_commit(at)?;
        self.edit_refs(format!("Branch {name}"), meta, |refs| {
            refs.branch(name, &Branch::at(tip));
        })
    }

    pub(crate) fn check_new_branch(&self, name: &str) -> Result<(), VersionError> {
        check_name(name)?;
        match self.refs().branch(name)? {
            Some(_) => Err(VersionError::BranchExists { name: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// Points a branch at another commit. Where it is open, the working copy moves along, as an
    /// edit that can be undone.
    pub fn move_branch(
        &mut self,
        name: &str,
        to: &Rev,
        meta: TxMeta,
    ) -> Result<Committed, VersionError> {
        check_name(name)?;
        let known = self.refs().branch(name)?;
        let branch = known.ok_or_else(|| VersionError::UnknownBranch { name: name.to_owned() })?;
        let tip = self.resolve_commit(to)?;
        let label = format!("Move branch {name} to {to}");
        if name != self.branch {
            return self.edit_refs(label, meta, |refs| {
                refs.branch(name, &Branch { tip, ..branch });
            });
        }
        let state = self.repo.snapshot(self.known_commit(tip)?.root)?;
        let mut tx = self.begin(TxMeta { label, ..meta });
        tx.stage_state(&state)?;
        tx.refs.branch(name, &Branch::at(tip));
        Ok(tx.finish(false, false)?)
    }

    pub fn delete_branch(&mut self, name: &str, meta: TxMeta) -> Result<Committed, VersionError> {
        if name == self.branch {
            return Err(VersionError::BranchOpen { name: name.to_owned() });
        }
        if self.refs().branch(name)?.is_none() {
            return Err(VersionError::UnknownBranch { name: name.to_owned() });
        }
        self.edit_refs(format!("Delete branch {name}"), meta, |refs| refs.remove_branch(name))
    }

    pub fn rename_branch(
        &mut self,
        from: &str,
        to: &str,
        meta: TxMeta,
    ) -> Result<Committed, VersionError> {
        check_name(to)?;
        if self.refs().branch(to)?.is_some() {
            return Err(VersionError::BranchExists { name: to.to_owned() });
        }
        let branch = self.refs().branch(from)?;
        let branch = branch.ok_or_else(|| VersionError::UnknownBranch { name: from.to_owned() })?;
        let is_open = from == self.branch;
        let done = self.edit_refs(format!("Rename branch {from} to {to}"), meta, |refs| {
            refs.remove_branch(from);
            refs.branch(to, &branch);
            if is_open {
                refs.head(to);
            }
        })?;
        if is_open {
            self.branch = to.to_owned();
        }
        Ok(done)
    }

    /// Opens a branch as it was left; the draft of the one that was open is parked. Where the
    /// branch was moved since, its draft is brought onto where it stands now.
    pub fn switch(&mut self, name: &str, meta: TxMeta) -> Result<Committed, VersionError> {
        if name == self.branch {
            return Ok(self.nothing());
        }
        let unknown = || VersionError::UnknownBranch { name: name.to_owned() };
        let target = self.refs().branch(name)?.ok_or_else(unknown)?;
        self.go(name, target, meta)
    }

    /// Opens a commit without a branch: to look, to listen, and to edit; `pulse branch NAME`
    /// makes a branch of it. Edits stay parked at the commit when it is left.
    pub fn switch_to_commit(&mut self, at: &Rev, meta: TxMeta) -> Result<Committed, VersionError> {
        let id = self.resolve_commit(at)?;
        let name = detached_name(id);
        if name == self.branch {
            return Ok(self.nothing());
        }
        let known = self.refs().branch(&name)?;
        self.go(&name, known.unwrap_or_else(|| Branch::at(id)), meta)
    }

    /// Where the draft of a branch stands, if the branch was moved away from there.
    pub fn moved_under_draft(&self, name: &str) -> Result<Option<CommitId>, VersionError> {
        let branch = self.refs().branch(name)?;
        let parked = branch.filter(|branch| branch.parked.is_some());
        Ok(parked.and_then(|branch| branch.base.filter(|base| *base != branch.tip)))
    }

    fn go(&mut self, name: &str, target: Branch, meta: TxMeta) -> Result<Committed, VersionError> {
        let (from, here) = (self.branch.clone(), self.root());
        let left = self.open_branch()?;
        let parked = (self.known_commit(left.tip)?.root != here).then_some(here);
        let base = parked.map(|_| left.tip);
        if parked.is_some() {
            self.keep_draft(&meta)?;
        }
        let label = match is_detached(name) {
            true => format!("Switch to commit {}", &name[1..]),
            false => format!("Switch to {name}"),
        };
        let state = self.left_state(name, &target)?;
        let mut tx = self.begin_as(TxMeta { label, ..meta }, Action::Switch);
        tx.stage_state(&state)?;
        match parked.is_none() && left.merging.is_none() && is_detached(&from) {
            // A commit that was only looked at leaves nothing behind.
            true => tx.refs.remove_branch(&from),
            false => tx.refs.branch(&from, &Branch { parked, base, ..left }),
        }
        tx.refs.branch(name, &Branch { parked: None, base: None, ..target });
        tx.refs.head(name);
        let done = tx.finish(false, false)?;
        self.branch = name.to_owned();
        Ok(done)
    }

    /// The working copy that a branch opens with.
    fn left_state(&self, name: &str, target: &Branch) -> Result<Snapshot, VersionError> {
        let Some(parked) = target.parked else {
            return Ok(self.repo.snapshot(self.known_commit(target.tip)?.root)?);
        };
        if target.base.is_none_or(|base| base == target.tip) {
            return Ok(self.repo.snapshot(parked)?);
        }
        let draft = self.parked(name, target, parked)?;
        Ok(draft.adopted.state().clone())
    }

    /// The parked draft of a branch: what it did, and what adopting it would do.
    pub fn parked_draft(&self, name: &str) -> Result<Option<ParkedDraft>, VersionError> {
        let unknown = || VersionError::UnknownBranch { name: name.to_owned() };
        let branch = self.refs().branch(name)?.ok_or_else(unknown)?;
        let parked = branch.parked.filter(|_| name != self.branch);
        parked.map(|parked| self.parked(name, &branch, parked)).transpose()
    }

    /// Opened as it was, a draft would take back what its branch has gained, so it is merged.
    fn parked(
        &self,
        name: &str,
        branch: &Branch,
        parked: Hash,
    ) -> Result<ParkedDraft, VersionError> {
        let (tip, base) = (branch.tip, branch.base.unwrap_or(branch.tip));
        let tip_view = self.view_of_root(self.known_commit(tip)?.root)?;
        let begun = self.view_of_root(self.known_commit(base)?.root)?;
        let draft = self.view_of_root(parked)?;
        let (adopted, conflicts) = match base == tip {
            true => (draft.clone(), Vec::new()),
            false => self.brought(name, &tip_view, &begun, &draft)?,
        };
        Ok(ParkedDraft { base, tip, begun, draft, tip_view, adopted, conflicts })
    }

    fn brought(
        &self,
        name: &str,
        tip: &View,
        begun: &View,
        draft: &View,
    ) -> Result<(View, Vec<Conflict>), VersionError> {
        let rules = MergeRules {
            ours_label: name.to_owned(),
            theirs_label: format!("draft of {name}"),
            deleted: Deleted::Keep,
            cause: None,
        };
        let mut staging = Staging::new(tip.clone());
        // The switch itself makes no ids.
        let (actor, seq, mut ordinal) = (self.actor(), self.next_seq(), 0);
        let mut new_id = || {
            ordinal += 1;
            EntityId::derive(actor, seq, ordinal - 1)
        };
        let conflicts =
            merge::merge(&mut staging, std::slice::from_ref(begun), draft, &rules, &mut new_id)?;
        Ok((staging.finish()?.view, conflicts))
    }

    /// Has the next checkpoint store the working copy as a tree, because a branch will name it.
    pub(crate) fn keep_draft(&mut self, meta: &TxMeta) -> Result<(), VersionError> {
        let (branch, root) = (self.branch.clone(), self.root());
        let left = self.open_branch()?;
        let parked = Branch { parked: Some(root), base: Some(left.tip), ..left };
        let label = format!("Park the draft of {branch}");
        let mut tx = self.begin_as(TxMeta { label, ..meta.clone() }, Action::Refs);
        tx.refs.branch(&branch, &parked);
        tx.finish(false, true)?;
        Ok(())
    }

    pub fn tags(&self) -> Result<Vec<(String, Tag)>, VersionError> {
        Ok(self.refs().tags()?)
    }

    pub fn tag(
        &mut self,
        name: &str,
        at: &Rev,
        note: &str,
        meta: TxMeta,
    ) -> Result<Committed, VersionError> {
        check_name(name)?;
        if self.refs().tag(name)?.is_some() {
            return Err(VersionError::TagExists { name: name.to_owned() });
        }
        let tag = Tag { commit: self.resolve_commit(at)?, note: note.to_owned() };
        self.edit_refs(format!("Tag {name}"), meta, |refs| refs.tag(name, &tag))
    }

    pub fn delete_tag(&mut self, name: &str, meta: TxMeta) -> Result<Committed, VersionError> {
        if self.refs().tag(name)?.is_none() {
            return Err(VersionError::UnknownTag { name: name.to_owned() });
        }
        self.edit_refs(format!("Delete tag {name}"), meta, |refs| refs.remove_tag(name))
    }

    /// Gives the state of one arrangement at a commit a name.
    pub fn name_arrangement(
        &mut self,
        arrangement: ArrangementId,
        name: &str,
        at: &Rev,
        meta: TxMeta,
    ) -> Result<Committed, VersionError> {
        check_name(name)?;
        let commit = self.resolve_commit(at)?;
        let arrangement = arrangement.any();
        let known = self.view_of_root(self.known_commit(commit)?.root)?;
        if !known.contains(arrangement)? {
            return Err(TxError::NotFound { id: arrangement }.into());
        }
        if self.arrangement_version(arrangement, name)?.is_some() {
            return Err(VersionError::ArrangementVersionExists { name: name.to_owned() });
        }
        let version = ArrangementVersion { arrangement, name: name.to_owned(), commit };
        self.edit_refs(format!("Name arrangement version {name}"), meta, |refs| {
            refs.arrangement_version(&version);
        })
    }

    pub fn arrangement_versions(&self) -> Result<Vec<ArrangementVersion>, VersionError> {
        Ok(self.refs().arrangement_versions()?)
    }

    pub fn arrangement_version(
        &self,
        arrangement: AnyId,
        name: &str,
    ) -> Result<Option<ArrangementVersion>, VersionError> {
        let all = self.arrangement_versions()?;
        Ok(all.into_iter().find(|it| it.arrangement == arrangement && it.name == name))
    }

    /// The version of that name, which must be there.
    pub fn known_arrangement_version(
        &self,
        arrangement: AnyId,
        name: &str,
    ) -> Result<ArrangementVersion, VersionError> {
        let name = name.to_owned();
        let found = self.arrangement_version(arrangement, &name)?;
        found.ok_or(VersionError::UnknownArrangementVersion { arrangement, name })
    }

    pub fn delete_arrangement_version(
        &mut self,
        arrangement: ArrangementId,
        name: &str,
        meta: TxMeta,
    ) -> Result<Committed, VersionError> {
        let version = self.known_arrangement_version(arrangement.any(), name)?;
        self.edit_refs(format!("Delete arrangement version {name}"), meta, |refs| {
            refs.remove_arrangement_version(version.arrangement, name);
        })
    }

    fn edit_refs(
        &mut self,
        label: String,
        meta: TxMeta,
        edit: impl FnOnce(&mut RefEdits),
    ) -> Result<Committed, VersionError> {
        let mut tx = self.begin_as(TxMeta { label, ..meta }, Action::Refs);
        edit(&mut tx.refs);
        Ok(tx.finish(false, false)?)
    }
}
