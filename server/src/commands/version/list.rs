//! What there is: commits, branches, tags and what lies between them.

use std::collections::BTreeSet;

use pulse_schemas::{
    command::version::{
        BranchInfo, BranchList, CommitInfo, Diff, DiffReply, Draft, DraftReply, Log, LogReply,
        ParkedDraft, Show, Shown, TagInfo, TagList,
    },
    envelope::Timestamp,
    hash::Hash,
    id::EntityKind,
};
use pulse_store::{project::Project, refs::is_detached, rev::Rev, view::View};

use super::{
    describe::{by_track, counts, describe, told_conflicts},
    rev,
};
use crate::{
    commands::{
        edit::reply,
        page::{cut, window},
    },
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn commit_info(project: &Project, id: Hash) -> Result<CommitInfo, Refusal> {
    let commit = project.known_commit(id)?;
    let (label, rest) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    let notes = [rest.trim(), commit.notes.trim()];
    let notes: Vec<&str> = notes.into_iter().filter(|text| !text.is_empty()).collect();
    // What stands for a branch where only a commit is open is no name of it.
    let named = |branch: &pulse_store::version::BranchInfo| !is_detached(&branch.name);
    let branches = project.branches()?.into_iter().filter(named).filter(|it| it.tip == id);
    let tags = project.tags()?.into_iter().filter(|(_, tag)| tag.commit == id);
    Ok(CommitInfo {
        id,
        root: commit.root,
        parents: commit.parents.clone(),
        author: commit.author.clone(),
        time: Timestamp(commit.time),
        label: label.to_owned(),
        notes: notes.join("\n\n"),
        branches: branches.map(|branch| branch.name).collect(),
        tags: tags.map(|(name, _)| name).collect(),
    })
}

/// A commit and all before it.
fn ancestors(project: &Project, tip: Hash) -> Result<BTreeSet<Hash>, Refusal> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![tip]);
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(project.known_commit(id)?.parents);
        }
    }
    Ok(seen)
}

/// Whether deleting a branch would leave its commits without a name.
pub fn is_kept_elsewhere(project: &Project, name: &str) -> Result<bool, Refusal> {
    let branches = project.branches()?;
    let Some(branch) = branches.iter().find(|branch| branch.name == name) else {
        return Ok(true);
    };
    let others = branches.iter().filter(|other| other.name != name).map(|other| other.tip);
    let tags = project.tags()?.into_iter().map(|(_, tag)| tag.commit);
    for tip in others.chain(tags) {
        if ancestors(project, tip)?.contains(&branch.tip) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub fn branch_info(project: &Project, name: &str) -> Result<BranchInfo, Refusal> {
    let all = branch_infos(project)?;
    all.into_iter().find(|branch| branch.name == name).ok_or_else(|| {
        pulse_store::version::VersionError::UnknownBranch { name: name.to_owned() }.into()
    })
}

fn branch_infos(project: &Project) -> Result<Vec<BranchInfo>, Refusal> {
    let here = ancestors(project, project.tip()?)?;
    let mut infos = Vec::new();
    for branch in project.branches()? {
        let there = ancestors(project, branch.tip)?;
        infos.push(BranchInfo {
            name: branch.name,
            head: Some(branch.tip),
            current: branch.is_open,
            draft: branch.is_dirty,
            draft_base: branch.draft_base,
            ahead: Some(there.difference(&here).count() as u64),
            behind: Some(here.difference(&there).count() as u64),
        });
    }
    Ok(infos)
}

pub fn branches(session: &Session) -> Reply {
    reply(BranchList { branches: branch_infos(session.project()?)? })
}

/// What the parked draft of a branch did, and what adopting it would do.
pub fn draft(session: &Session, payload: &Draft) -> Reply {
    let project = session.project()?;
    let Some(parked) = project.parked_draft(&payload.branch)? else {
        return reply(DraftReply { draft: None });
    };
    let changes = describe(&parked.begun, &parked.draft, &Default::default())?;
    // Conflicts are told beside it.
    let mut adopted = describe(&parked.tip_view, &parked.adopted, &Default::default())?;
    adopted.retain(|change| change.id.kind != EntityKind::Conflict);
    reply(DraftReply {
        draft: Some(ParkedDraft {
            branch: payload.branch.clone(),
            base: parked.base,
            head: parked.tip,
            base_moved: parked.base_moved(),
            counts: counts(&changes),
            changes,
            adopted,
            conflicts: told_conflicts(&parked.adopted, parked.conflicts)?,
        }),
    })
}

pub fn tags(session: &Session) -> Reply {
    let tags = session.project()?.tags()?.into_iter().map(|(name, tag)| TagInfo {
        name,
        commit: tag.commit,
        message: Some(tag.note).filter(|note| !note.is_empty()),
    });
    reply(TagList { tags: tags.collect() })
}

pub fn log(session: &Session, payload: &Log) -> Reply {
    let project = session.project()?;
    let from = payload.from.as_ref().map(rev).transpose()?.unwrap_or_else(Rev::working);
    let (skip, limit) = window(&payload.page);
    let everything = payload.scope.entities.is_empty() && payload.scope.contexts.is_empty();
    let wanted = skip.saturating_add(limit).saturating_add(1);
    let depth = if everything { wanted } else { usize::MAX };
    let mut found = Vec::new();
    for entry in project.log(&from, depth)? {
        if found.len() >= wanted {
            break;
        }
        if everything || !changed_by(project, entry.id, &payload.scope)?.is_empty() {
            found.push(entry.id);
        }
    }
    let (page, more) = cut(found, &payload.page);
    let commits = page.into_iter().map(|id| commit_info(project, id));
    reply(LogReply { commits: commits.collect::<Result<_, _>>()?, more })
}

fn changed_by(
    project: &Project,
    id: Hash,
    scope: &pulse_schemas::command::types::Scope,
) -> Result<Vec<pulse_schemas::command::version::EntityDiff>, Refusal> {
    let commit = project.known_commit(id)?;
    let after = project.view_of_root(commit.root)?;
    let before = match commit.parents.first() {
        Some(parent) => project.view_of_root(project.known_commit(*parent)?.root)?,
        None => View::of_state(after.state().store().empty()),
    };
    describe(&before, &after, scope)
}

pub fn show(session: &Session, payload: &Show) -> Reply {
    let project = session.project()?;
    let id = project.resolve_commit(&rev(&payload.rev)?)?;
    let changes = changed_by(project, id, &Default::default())?;
    let counts = counts(&changes);
    reply(Shown { commit: commit_info(project, id)?, changes, counts })
}

pub fn diff(session: &Session, payload: &Diff) -> Reply {
    let project = session.project()?;
    let before = match &payload.from {
        Some(from) => project.view_at(&rev(from)?)?,
        None => project.view_of_root(project.known_commit(project.tip()?)?.root)?,
    };
    let after = match &payload.to {
        Some(to) => project.view_at(&rev(to)?)?,
        None => project.stored(),
    };
    let changes = describe(&before, &after, &payload.scope)?;
    let counts = counts(&changes);
    let (changes, more) = cut(changes, &payload.page);
    let tracks = if more { by_track(&before, &after)? } else { Vec::new() };
    reply(DiffReply { from: before.root(), to: after.root(), changes, counts, tracks, more })
}
