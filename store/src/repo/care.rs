//! Keeping a store small: garbage collection and compaction.

use pulse_schemas::hash::Hash;

use super::{HistoryRow, PAGE, Repo, RepoError};
use crate::{
    backend::Swept,
    gc::Marks,
    tree::{TreeError, lock},
};

/// Jumps of the history as far as somebody looked; rows never change.
#[derive(Default)]
pub(super) struct Jumps {
    until: u64,
    found: Vec<(u64, [Hash; 2])>,
}

/// A store this small is not worth collecting.
const GC_FLOOR: u64 = 20_000;

impl Repo {
    /// Drops every stored node which nothing reaches: not `live_roots` (refs, commits, whatever
    /// the layer above names), not the current version or metadata, not an open snapshot, not a
    /// jump in the history.
    pub fn gc(&mut self, live_roots: &[Hash]) -> Result<Swept, RepoError> {
        self.checkpoint()?;
        let marks = self.mark(live_roots)?;
        let keeper = self.keeper.as_mut();
        let Some(keeper) = keeper else {
            return Err(RepoError::ReadOnly { file: self.path.clone() });
        };
        let swept = keeper.run(move |backend| backend.sweep(&|hash| marks.contains(hash)));
        let swept = swept.map_err(RepoError::Failed)?.unwrap_or_default();
        // A collected version must not come back half from memory and be built upon.
        self.tree.drop_cache();
        (self.nodes_written, self.nodes_live) = (0, swept.kept);
        Ok(swept)
    }

    /// What [`Repo::gc`] would drop and keep; drops nothing.
    pub fn gc_preview(&mut self, live_roots: &[Hash]) -> Result<Swept, RepoError> {
        self.checkpoint()?;
        let marks = self.mark(live_roots)?;
        let Some(keeper) = &mut self.keeper else {
            return Err(RepoError::ReadOnly { file: self.path.clone() });
        };
        let seen = keeper.run(move |backend| {
            let mut seen = Swept::default();
            backend.visit_nodes(&mut |hash, bytes| {
                if marks.contains(&hash) {
                    seen.kept += 1;
                } else {
                    seen.nodes += 1;
                    seen.bytes += bytes.len() as u64;
                }
            })?;
            Ok(seen)
        });
        Ok(seen.map_err(RepoError::Failed)?.unwrap_or_default())
    }

    /// Whether so many nodes were written since the last collection that another one pays off.
    pub fn gc_due(&self) -> bool {
        self.nodes_written > self.nodes_live.max(GC_FLOOR)
    }

    fn mark(&self, live_roots: &[Hash]) -> Result<Marks, RepoError> {
        let mut marks = Marks::default();
        let mut roots = vec![self.head.root(), self.meta.root()];
        roots.extend_from_slice(live_roots);
        roots.extend(self.jump_roots()?);
        for root in roots {
            marks.add(&self.tree, root)?;
        }
        for root in self.tree.pinned_roots() {
            // A reader may hold a version that another thread lets go of right now.
            match marks.add(&self.tree, root) {
                Err(TreeError::Missing { .. }) if !self.tree.is_pinned(&root) => {}
                result => result?,
            }
        }
        Ok(marks)
    }

    /// The versions that the history's jumps lead from and to.
    pub fn jump_roots(&self) -> Result<Vec<Hash>, RepoError> {
        let mut known = lock(&self.jumps);
        let Jumps { until, found } = &mut *known;
        self.visit_history(*until, &mut |row| {
            if row.is_jump() {
                found.push((row.seq, [row.before, row.after]));
            }
        })?;
        *until = self.seq + 1;
        found.retain(|(seq, _)| *seq >= self.rows_from);
        Ok(found.iter().flat_map(|(_, roots)| *roots).collect())
    }

    /// Shows every transaction from `from` on, a page of them at a time.
    pub(crate) fn visit_history(
        &self,
        mut from: u64,
        visit: &mut dyn FnMut(&HistoryRow),
    ) -> Result<(), RepoError> {
        from = from.max(self.rows_from);
        while from <= self.seq {
            let until = from.saturating_add(PAGE).min(self.seq + 1);
            self.history(from, until)?.iter().for_each(|row| visit(row));
            from = until;
        }
        Ok(())
    }

    /// Gives free space back to the file system.
    pub fn compact(&mut self) -> Result<(), RepoError> {
        self.checkpoint()?;
        let Some(keeper) = &mut self.keeper else {
            return Err(RepoError::ReadOnly { file: self.path.clone() });
        };
        keeper.run(|backend| backend.compact()).map_err(RepoError::Failed)?;
        Ok(())
    }

    /// Bytes that the backend takes on disk.
    pub fn size(&self) -> Result<u64, RepoError> {
        Ok(self.backend.size()?)
    }
}
