//! Commits, branches, tags, differences, merges.
//!
//! The store makes the transactions of all of these, because a commit and the
//! branch that points at it are one row. Three of them are edits all the same
//! (`revert`, `pick`, `restore`): they come through [`whole`].

pub mod describe;
mod list;
mod merge;

pub use list::branch_info;

use pulse_schemas::{
    command::{
        Command as Any,
        types::Rev as RevText,
        version::{
            Branch, Branched, Command, Commit, Committed as CommitReply, ConflictInfo,
            DeleteBranch, DeleteTag, ParkedChoice, RenameBranch, Switch, Switched, Tag, TagInfo,
            Tagged,
        },
    },
    error::ErrorCode,
    hash::Hash,
};
use pulse_store::{
    project::Project,
    refs::is_detached,
    rev::{Rev, RevBase},
    tx::{Committed, TxMeta},
    version::{CommitOptions, VersionError},
};
use serde_json::json;

use super::{
    edit::{Edit, done, reply},
    rendering::bounce,
};
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

/// A revision as people write it.
pub fn rev(text: &RevText) -> Result<Rev, Refusal> {
    Ok(Rev::parse(&text.0)?)
}

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Resolve(payload) => merge::resolve(edit, payload),
        other => Err(super::alone(other.spec())),
    }
}

/// Edits whose transaction the store makes.
pub fn whole(session: &mut Session, command: &Command, meta: TxMeta) -> Option<super::Whole> {
    match command {
        Command::Revert(payload) => Some(merge::revert(session, payload, meta)),
        Command::Pick(payload) => Some(merge::pick(session, payload, meta)),
        Command::Restore(payload) => Some(merge::restore(session, payload, meta)),
        _ => None,
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Branches(_) => list::branches(session),
        Command::Tags(_) => list::tags(session),
        Command::Draft(payload) => list::draft(session, payload),
        Command::Log(payload) => list::log(session, payload),
        Command::Show(payload) => list::show(session, payload),
        Command::Diff(payload) => list::diff(session, payload),
        Command::MergePreview(payload) => merge::preview(session, payload),
        Command::Conflicts(payload) => merge::conflicts(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    let meta = session.unlabelled(caller, &Any::Version(command.clone()))?;
    match command {
        Command::Commit(payload) => commit(session, payload, meta),
        Command::Branch(payload) => branch(session, payload, meta),
        Command::RenameBranch(payload) => rename_branch(session, payload, meta),
        Command::DeleteBranch(payload) => delete_branch(session, payload, meta),
        Command::Switch(payload) => switch(session, payload, meta),
        Command::Tag(payload) => tag(session, payload, meta),
        Command::DeleteTag(payload) => delete_tag(session, payload, meta),
        Command::Merge(payload) => merge::merge(session, payload, meta),
        Command::AbortMerge(_) => merge::abort(session, meta),
        other => Err(super::not_here(other.spec())),
    }
}

/// Tells where a branch or a tag points now.
pub fn moved(session: &mut Session, name: &str, tag: bool, commit: Option<Hash>) {
    session.publish("version", "moved", json!({"name": name, "tag": tag, "commit": commit}));
}

/// Tells where the open branch points now.
pub fn branch_moved(session: &mut Session) -> Result<(), Refusal> {
    let project = session.project()?;
    let (name, tip) = (project.branch_name().to_owned(), project.tip()?);
    moved(session, &name, false, Some(tip));
    session.settled()
}

fn commit(session: &mut Session, payload: &Commit, meta: TxMeta) -> Reply {
    let (message, notes) = payload.message.split_once('\n').unwrap_or((&payload.message, ""));
    let options = CommitOptions {
        message: message.trim().to_owned(),
        notes: notes.trim().to_owned(),
        allow_empty: payload.allow_empty,
        amend: payload.amend,
    };
    let id = session.project_mut()?.commit_with(options, meta)?;
    branch_moved(session)?;
    let commit = list::commit_info(session.project()?, id)?;
    reply(CommitReply { commit })
}

fn branch(session: &mut Session, payload: &Branch, meta: TxMeta) -> Reply {
    let at = payload.at.as_ref().map(rev).transpose()?.unwrap_or_else(Rev::working);
    let project = session.project_mut()?;
    let known = project.refs().branch(&payload.name)?.is_some();
    if payload.switch && known && payload.force && project.parked_draft(&payload.name)?.is_some() {
        let text = format!(
            "{} has unsaved edits; move it without `switch`, then switch and say what becomes of \
             them",
            payload.name
        );
        let refusal = Refusal::new(ErrorCode::ProjectDraftPending, text);
        return Err(refusal.with("branch", payload.name.clone()));
    }
    let committed = match known && payload.force {
        true => project.move_branch(&payload.name, &at, meta.clone())?,
        false => project.branch(&payload.name, &at, meta.clone())?,
    };
    session.committed(committed);
    let tip = session.project()?.resolve_commit(&Rev::name(payload.name.as_str()))?;
    moved(session, &payload.name, false, Some(tip));
    if payload.switch {
        go(session, &payload.name, None, meta)?;
    }
    let branch = list::branch_info(session.project()?, &payload.name)?;
    reply(Branched { branch })
}

fn rename_branch(session: &mut Session, payload: &RenameBranch, meta: TxMeta) -> Reply {
    let committed = session.project_mut()?.rename_branch(&payload.name, &payload.to, meta)?;
    session.committed(committed);
    let tip = session.project()?.resolve_commit(&Rev::name(payload.to.as_str()))?;
    moved(session, &payload.name, false, None);
    moved(session, &payload.to, false, Some(tip));
    done()
}

fn delete_branch(session: &mut Session, payload: &DeleteBranch, meta: TxMeta) -> Reply {
    let project = session.project_mut()?;
    if !payload.force && !list::is_kept_elsewhere(project, &payload.name)? {
        let text = format!(
            "commits of {} are on no other branch and under no tag; merge it, tag it, or say `force`",
            payload.name
        );
        return Err(Refusal::new(ErrorCode::EntityInUse, text).with("branch", payload.name.clone()));
    }
    let committed = project.delete_branch(&payload.name, meta)?;
    session.committed(committed);
    moved(session, &payload.name, false, None);
    done()
}

fn switch(session: &mut Session, payload: &Switch, meta: TxMeta) -> Reply {
    let to = rev(&payload.to)?;
    let project = session.project()?;
    let branch = match &to {
        Rev { base: RevBase::Name(name), back: 0 } => project.refs().branch(name)?,
        _ => None,
    };
    let has_draft = branch.as_ref().is_some_and(|branch| branch.parked.is_some());
    let mut conflicts = Vec::new();
    match &to.base {
        RevBase::Name(name) if branch.is_some() => {
            conflicts = go(session, name, payload.draft, meta)?;
        }
        // A tag or a commit: open without a branch.
        _ => {
            let committed = session.project_mut()?.switch_to_commit(&to, meta)?;
            switched(session, committed)?;
        }
    }
    let project = session.project()?;
    let branch = Some(project.branch_name().to_owned()).filter(|name| !is_detached(name));
    let (head, root) = (Some(project.tip()?), project.root());
    let draft_restored = has_draft && payload.draft != Some(ParkedChoice::Discard);
    reply(Switched { branch, head, root, draft_restored, conflicts })
}

/// Opens a branch. A draft whose branch was moved waits for somebody's choice.
pub fn go(
    session: &mut Session,
    name: &str,
    choice: Option<ParkedChoice>,
    meta: TxMeta,
) -> Result<Vec<ConflictInfo>, Refusal> {
    let project = session.project()?;
    let was_moved = name != project.branch_name() && project.moved_under_draft(name)?.is_some();
    if was_moved && choice.is_none() {
        return Err(draft_pending(project, name)?);
    }
    let has_draft = project.parked_draft(name)?.is_some();
    let committed = session.project_mut()?.switch(name, meta.clone())?;
    switched(session, committed)?;
    if has_draft && choice == Some(ParkedChoice::Discard) {
        let label = format!("Discard the draft of {name}");
        let committed = session.project_mut()?.discard_draft(TxMeta { label, ..meta })?;
        session.committed(committed);
        session.settled()?;
        return Ok(Vec::new());
    }
    bounce::settle(session)?;
    let project = session.project()?;
    let known = project.view_of_root(project.known_commit(project.tip()?)?.root)?;
    let mut conflicts = Vec::new();
    for conflict in project.conflicts()? {
        if was_moved && !known.contains(conflict.id)? {
            conflicts.push(conflict);
        }
    }
    describe::told_conflicts(&project.stored(), conflicts)
}

/// What a branch and its draft stand on, and how to decide.
fn draft_pending(project: &Project, name: &str) -> Result<Refusal, Refusal> {
    let parked = project.parked_draft(name)?;
    let short = |id: Hash| id.hex().chars().take(10).collect::<String>();
    let (base, tip) = parked.as_ref().map_or_else(Default::default, |it| (it.base, it.tip));
    let undecided = parked.map_or(0, |it| it.conflicts.len());
    let clash = match undecided {
        0 => "no conflict".to_owned(),
        1 => "1 conflict".to_owned(),
        count => format!("{count} conflicts"),
    };
    let text = format!(
        "{name} has unsaved edits from commit {}, and was moved to {} since: adopt them there \
         ({clash}), discard them, or look first (`pulse switch {name} --draft \
         adopt|discard|inspect`)",
        short(base),
        short(tip)
    );
    Ok(Refusal::new(ErrorCode::ProjectDraftPending, text)
        .with("branch", name)
        .with("base", base.to_string())
        .with("head", tip.to_string())
        .with("conflicts", undecided))
}

/// Tells what is open now.
fn switched(session: &mut Session, committed: Committed) -> Result<(), Refusal> {
    session.committed(committed);
    let project = session.project()?;
    let (name, root, head) = (project.branch_name().to_owned(), project.root(), project.tip()?);
    let (branch, to) = match is_detached(&name) {
        true => (None, head.to_string()),
        false => (Some(&name), name.clone()),
    };
    let payload = json!({"branch": branch, "to": to, "root": root});
    session.publish("version", "switched", payload);
    session.settled()
}

fn tag(session: &mut Session, payload: &Tag, meta: TxMeta) -> Reply {
    let at = payload.at.as_ref().map(rev).transpose()?.unwrap_or_else(Rev::working);
    let note = payload.message.clone().unwrap_or_default();
    let project = session.project_mut()?;
    if payload.force && project.refs().tag(&payload.name)?.is_some() {
        project.resolve_commit(&at)?;
        let gone = project.delete_tag(&payload.name, meta.clone())?;
        session.committed(gone);
    }
    let made = session.project_mut()?.tag(&payload.name, &at, &note, meta)?;
    session.committed(made);
    let commit = session.project()?.resolve_commit(&at)?;
    moved(session, &payload.name, true, Some(commit));
    let message = payload.message.clone();
    reply(Tagged { tag: TagInfo { name: payload.name.clone(), commit, message } })
}

fn delete_tag(session: &mut Session, payload: &DeleteTag, meta: TxMeta) -> Reply {
    let committed = session.project_mut()?.delete_tag(&payload.name, meta)?;
    session.committed(committed);
    moved(session, &payload.name, true, None);
    done()
}

/// The commit that stands for "nothing to save", for `project.save`.
pub fn save(session: &mut Session, message: &str, meta: TxMeta) -> Result<(Hash, bool), Refusal> {
    match session.project_mut()?.commit(message, meta) {
        Ok(id) => {
            branch_moved(session)?;
            Ok((id, true))
        }
        Err(VersionError::NothingToCommit) => Ok((session.project()?.tip()?, false)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
