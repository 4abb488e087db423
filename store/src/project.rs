//! One open project: its content, its history and its versions, with a single writer.

mod care;
mod merging;
mod open;
mod resolving;
mod scope;
pub(crate) mod stamp;
mod undo;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use pulse_schemas::{hash::Hash, id::ActorId};

pub use self::{
    care::{CareError, Cleaned},
    merging::{MergeError, MergeKind, MergeOptions, MergeOutcome, MergePreview},
    open::{CreateOptions, DraftPolicy, OpenError, OpenOptions},
    resolving::{Resolution, ResolveError},
    scope::{Scope, ScopeError, Taken},
    undo::{HistoryEntry, HistoryError},
};
use crate::{
    changes::{self, Change, Changes},
    history::{Action, History, RowInfo},
    journal::keeper::OnDurable,
    refs::{Refs, RefsError},
    repo::{Repo, RepoError, Transaction},
    staging::{Staged, changes_between},
    tree::Edit,
    tx::{Committed, Ticket, Tx, TxError, TxMeta},
    version::VersionError,
    view::{ReadError, View},
};

/// The folder inside a project folder that holds the store.
pub const STORE_DIR: &str = ".pulse";
/// The folder inside a project folder that holds its media.
pub const MEDIA_DIR: &str = "Media";

/// So often what plays is derived from scratch while a variant is edited.
const RENEW_PLAYING: u64 = 512;

/// An open project. It is the only writer; views of it may be anywhere.
pub struct Project {
    pub(crate) repo: Repo,
    /// The working copy as it is stored.
    pub(crate) view: View,
    /// The working copy as it plays, where variants are in the place of originals.
    playing: Option<View>,
    /// The project's folder; none in memory.
    dir: Option<PathBuf>,
    actor: ActorId,
    pub(crate) branch: String,
    history: Option<History>,
    /// Gestures in progress, by client.
    gestures: BTreeMap<String, String>,
    stamp: stamp::Stamp,
    overlays: Mutex<care::PastOverlays>,
}

/// What plays behind a transaction.
pub(crate) struct Playing {
    /// None where no variant plays any more.
    pub view: Option<View>,
    pub changes: Vec<Change>,
}

/// Everything that one journal row is made of.
pub(crate) struct Append {
    pub staged: Staged,
    /// Where that is not what is stored.
    pub playing: Option<Playing>,
    pub refs: Vec<Edit>,
    pub meta: TxMeta,
    pub action: Action,
    pub keep: bool,
    pub on_durable: Option<OnDurable>,
}

impl Project {
    /// An immutable snapshot of the working copy as it plays: where a variant is active, it lies
    /// in the place of the original.
    pub fn view(&self) -> View {
        self.playing.as_ref().unwrap_or(&self.view).clone()
    }

    /// What plays, where any variant does.
    pub(crate) fn varied(&self) -> Option<View> {
        self.playing.clone()
    }

    /// An immutable snapshot of the working copy as it is stored, variants beside originals:
    /// what commits hold and what differences and merges compare.
    pub fn stored(&self) -> View {
        self.view.clone()
    }

    /// What plays once the stored state is `after`, and what leads there from what plays now;
    /// none where no variant plays, before and after.
    pub(crate) fn playing_after(&self, after: &View) -> Result<Option<Playing>, ReadError> {
        let varied = after.varied()?;
        if varied.is_none() && self.playing.is_none() {
            return Ok(None);
        }
        let shown = varied.as_ref().unwrap_or(after);
        let changes = changes_between(self.view().state(), shown.state())?;
        Ok(Some(Playing { view: varied, changes }))
    }

    /// The content hash of what is stored.
    pub fn root(&self) -> Hash {
        self.view.root()
    }

    /// The sequence of the last transaction.
    pub fn seq(&self) -> u64 {
        self.repo.seq()
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.repo.seq() + 1
    }

    /// Who makes the ids of this copy of the project.
    pub fn actor(&self) -> ActorId {
        self.actor
    }

    /// The branch that is open.
    pub fn branch_name(&self) -> &str {
        &self.branch
    }

    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    pub fn is_read_only(&self) -> bool {
        self.repo.is_read_only()
    }

    /// The byte-level store below: for care and for tools.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    pub fn repo_mut(&mut self) -> &mut Repo {
        &mut self.repo
    }

    pub fn refs(&self) -> Refs<'_> {
        Refs::new(self.repo.meta())
    }

    /// Starts a transaction.
    pub fn begin(&mut self, mut meta: TxMeta) -> Tx<'_> {
        if meta.coalesce.is_none() {
            meta.coalesce = self.gestures.get(&meta.client).cloned();
        }
        Tx::new(self, meta, Action::Edit)
    }

    /// From here on, what the client does is one entry of the history.
    pub fn begin_gesture(&mut self, client: &str) {
        let key = format!("gesture {}", self.next_seq());
        self.gestures.insert(client.to_owned(), key);
    }

    pub fn end_gesture(&mut self, client: &str) {
        self.gestures.remove(client);
    }

    pub(crate) fn begin_as(&mut self, meta: TxMeta, action: Action) -> Tx<'_> {
        Tx::new(self, meta, action)
    }

    /// What a transaction answers that changed nothing.
    pub(crate) fn nothing(&self) -> Committed {
        Committed {
            seq: self.repo.seq(),
            before: self.root(),
            after: self.root(),
            played: (self.view().root(), self.view().root()),
            changes: Changes::default(),
            ticket: Ticket::nothing(),
        }
    }

    pub(crate) fn append(&mut self, append: Append) -> Result<Committed, TxError> {
        let Append { staged, playing, refs, meta, action, keep, on_durable } = append;
        let Staged { view, edits, changes, inside } = staged;
        // What an edit is about follows from what it wrote, not from what plays because of it.
        let contexts = changes::contexts(changes.iter().chain(&inside), &meta.contexts);
        let Playing { view: playing, changes } = playing.unwrap_or(Playing { view: None, changes });
        let changes = Changes { list: changes, contexts };
        let info = RowInfo {
            action,
            contexts: changes.contexts.clone(),
            time: meta.time,
            branch: self.branch.clone(),
            client: meta.client,
            author: meta.author,
            label: meta.label,
            coalesce: meta.coalesce.unwrap_or_default(),
            command: meta.command,
        };
        let after = Some(view.state().clone());
        let info_bytes = info.encode();
        let transaction =
            Transaction { edits: &edits, meta: &refs, info: info_bytes, keep, after, on_durable };
        let committed = self.repo.commit(transaction)?;
        debug_assert_eq!(committed.after.root(), view.root());
        let (before, played) = (self.root(), self.view().root());
        self.view = view;
        self.playing = playing;
        if self.playing.is_some() && committed.seq % RENEW_PLAYING == 0 {
            // Built anew on what is stored, so that memory does not hold every state between.
            self.playing = self.view.varied().unwrap_or_else(|_| self.playing.clone());
        }
        if let Some(history) = &mut self.history {
            history.take(committed.seq, &info);
        }
        Ok(Committed {
            seq: committed.seq,
            before,
            after: self.root(),
            played: (played, self.view().root()),
            changes,
            ticket: Ticket::of(committed.ticket),
        })
    }

    /// Stands for the durability of everything so far.
    pub fn ticket(&self) -> Ticket {
        self.repo.ticket().map_or_else(Ticket::nothing, Ticket::of)
    }

    /// Waits until everything so far survives a power cut.
    pub fn flush(&self) -> Result<(), RepoError> {
        self.repo.flush()
    }

    /// Lets go of the project as a killed process would: what is durable stays, nothing is
    /// tidied up. For tests of recovery.
    pub fn abandon(self) {
        self.repo.abandon();
    }

    /// Finishes all work and closes the project.
    pub fn close(mut self) -> Result<(), RepoError> {
        self.save_stamp()?;
        self.repo.close()
    }
}

impl Project {
    /// Whether the working copy differs from the last commit of its branch.
    pub fn is_dirty(&self) -> Result<bool, RefsError> {
        let refs = self.refs();
        let Some(branch) = refs.branch(&self.branch)? else { return Ok(false) };
        Ok(refs.commit(branch.tip)?.is_none_or(|commit| commit.root != self.root()))
    }

    /// Goes back to the last commit of the branch; an entry that can be undone.
    pub fn discard_draft(&mut self, meta: TxMeta) -> Result<Committed, VersionError> {
        let tip = self.tip()?;
        let root = self.known_commit(tip)?.root;
        let target = self.repo.snapshot(root)?;
        Ok(self.begin(meta).become_state(&target)?)
    }
}
