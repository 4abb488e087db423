//! Undo, redo and what the journal's rows mean to people.
//!
//! The rows are the history: nothing else is stored. Which entries can be undone follows from
//! reading them in order, once, when somebody first asks; from then on it is kept up to date.
//! Undo is per branch and per client: nobody takes back what somebody else did.

use std::collections::BTreeMap;

use pulse_schemas::entity::HistoryContext;

use crate::codec::{Malformed, Reader, put_bytes, put_number};

/// What a journal row did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Changed the project.
    Edit,
    /// Took back the entry that began with this sequence.
    Undo { entry: u64 },
    /// Did the entry again.
    Redo { entry: u64 },
    /// Changed no entity: a commit, branch or tag.
    Refs,
    /// Left one branch for another.
    Switch,
}

/// What the semantic layer notes with every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowInfo {
    pub action: Action,
    pub contexts: Vec<HistoryContext>,
    /// Milliseconds since 1970, as the caller said.
    pub time: i64,
    pub branch: String,
    pub client: String,
    pub author: String,
    pub label: String,
    /// Rows of one client with the same key are one entry.
    pub coalesce: String,
    pub command: Vec<u8>,
}

const VERSION: u8 = 1;

impl RowInfo {
    pub fn encode(&self) -> Vec<u8> {
        let (action, entry) = match self.action {
            Action::Edit => (0, 0),
            Action::Undo { entry } => (1, entry),
            Action::Redo { entry } => (2, entry),
            Action::Refs => (3, 0),
            Action::Switch => (4, 0),
        };
        let contexts = self.contexts.iter().fold(0u8, |bits, context| bits | 1 << *context as u8);
        let mut out = vec![VERSION, action, contexts];
        put_number(&mut out, entry);
        put_number(&mut out, self.time as u64);
        let texts = [&self.branch, &self.client, &self.author, &self.label, &self.coalesce];
        texts.iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
        put_bytes(&mut out, &self.command);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<RowInfo, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed);
        }
        let (action, bits) = (reader.byte()?, reader.byte()?);
        let entry = reader.number()?;
        let time = reader.number()? as i64;
        let action = match action {
            0 => Action::Edit,
            1 => Action::Undo { entry },
            2 => Action::Redo { entry },
            3 => Action::Refs,
            4 => Action::Switch,
            _ => return Err(Malformed),
        };
        let contexts = HistoryContext::ALL.into_iter();
        let contexts = contexts.filter(|context| bits & (1 << *context as u8) != 0).collect();
        let mut text = || -> Result<String, Malformed> {
            String::from_utf8(reader.bytes()?.to_vec()).map_err(|_| Malformed)
        };
        let [branch, client, author, label, coalesce] =
            [text()?, text()?, text()?, text()?, text()?];
        let command = reader.bytes()?.to_vec();
        Ok(RowInfo { action, contexts, time, branch, client, author, label, coalesce, command })
    }
}

/// What people undo at once: one transaction, or all those of a gesture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Sequences of its rows; the first one is the entry's name.
    pub rows: Vec<u64>,
    pub label: String,
    pub contexts: Vec<HistoryContext>,
    coalesce: String,
}

impl Entry {
    pub fn id(&self) -> u64 {
        self.rows.first().copied().unwrap_or_default()
    }

    fn concerns(&self, context: Option<HistoryContext>) -> bool {
        context.is_none_or(|context| self.contexts.contains(&context))
    }
}

/// What one client can take back and do again on one branch, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stacks {
    pub done: Vec<Entry>,
    pub undone: Vec<Entry>,
}

impl Stacks {
    fn edit(&mut self, seq: u64, info: &RowInfo) {
        self.undone.clear();
        if let Some(top) = self.done.last_mut()
            && !info.coalesce.is_empty()
            && top.coalesce == info.coalesce
        {
            top.rows.push(seq);
            top.contexts.extend(&info.contexts);
            top.contexts.sort();
            top.contexts.dedup();
            return;
        }
        self.done.push(Entry {
            rows: vec![seq],
            label: info.label.clone(),
            contexts: info.contexts.clone(),
            coalesce: info.coalesce.clone(),
        });
    }

    /// The entry that undo would take back.
    pub fn to_undo(&self, context: Option<HistoryContext>) -> Option<&Entry> {
        self.done.iter().rev().find(|entry| entry.concerns(context))
    }

    /// The entry that redo would do again.
    pub fn to_redo(&self, context: Option<HistoryContext>) -> Option<&Entry> {
        self.undone.iter().rev().find(|entry| entry.concerns(context))
    }
}

fn shift(from: &mut Vec<Entry>, to: &mut Vec<Entry>, entry: u64) {
    if let Some(at) = from.iter().rposition(|it| it.id() == entry) {
        let mut moved = from.remove(at);
        // A gesture that was taken back is over.
        moved.coalesce.clear();
        to.push(moved);
    }
}

/// The stacks of all clients on all branches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    stacks: BTreeMap<(String, String), Stacks>,
}

impl History {
    pub fn take(&mut self, seq: u64, info: &RowInfo) {
        let key = (info.branch.clone(), info.client.clone());
        let stacks = self.stacks.entry(key).or_default();
        match info.action {
            Action::Edit => stacks.edit(seq, info),
            Action::Undo { entry } => shift(&mut stacks.done, &mut stacks.undone, entry),
            Action::Redo { entry } => shift(&mut stacks.undone, &mut stacks.done, entry),
            Action::Refs | Action::Switch => {}
        }
    }

    pub fn stacks(&self, branch: &str, client: &str) -> Option<&Stacks> {
        self.stacks.get(&(branch.to_owned(), client.to_owned()))
    }

    /// Forgets entries whose rows are gone.
    pub fn prune(&mut self, first: u64) {
        for stacks in self.stacks.values_mut() {
            stacks.done.retain(|entry| entry.id() >= first);
            stacks.undone.retain(|entry| entry.id() >= first);
        }
    }

    /// Every entry that is taken back at present, by its first row.
    pub fn undone(&self) -> impl Iterator<Item = &Entry> {
        self.stacks.values().flat_map(|stacks| &stacks.undone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(client: &str, action: Action, coalesce: &str) -> RowInfo {
        RowInfo {
            action,
            contexts: vec![HistoryContext::Mixer, HistoryContext::Global],
            time: 1_700_000_000_000,
            branch: "main".into(),
            client: client.into(),
            author: "Ada".into(),
            label: "Set gain".into(),
            coalesce: coalesce.into(),
            command: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_row_says_its_info_in_the_bytes_of_the_file_format() {
        let info = info("a", Action::Undo { entry: 300 }, "g");
        let expect: [&[u8]; 9] = [
            &[1, 1, 0b100_0010],
            &[0xac, 2],
            &[0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31],
            b"\x04main",
            b"\x01a",
            b"\x03Ada",
            b"\x08Set gain",
            b"\x01g",
            b"\x02{}",
        ];
        assert_eq!(info.encode(), expect.concat());
        assert_eq!(RowInfo::decode(&expect.concat()), Ok(info));
    }

    /// Feeds rows and says what client `a` could undo and redo: first rows of the entries.
    fn check(rows: &[(&str, Action, &str)], done: &[u64], undone: &[u64]) {
        let mut history = History::default();
        for (at, (client, action, coalesce)) in rows.iter().enumerate() {
            history.take(at as u64 + 1, &info(client, *action, coalesce));
        }
        let stacks = history.stacks("main", "a").cloned().unwrap_or_default();
        let ids = |entries: &[Entry]| entries.iter().map(Entry::id).collect::<Vec<_>>();
        assert_eq!((ids(&stacks.done), ids(&stacks.undone)), (done.to_vec(), undone.to_vec()));
    }

    #[test]
    fn a_row_survives_its_bytes() {
        for action in [
            Action::Edit,
            Action::Undo { entry: 300 },
            Action::Redo { entry: 7 },
            Action::Refs,
            Action::Switch,
        ] {
            let row = info("a", action, "g1");
            assert_eq!(RowInfo::decode(&row.encode()), Ok(row.clone()));
            for cut in 0..row.encode().len() {
                assert_eq!(RowInfo::decode(&row.encode()[..cut]), Err(Malformed));
            }
        }
    }

    #[test]
    fn each_client_has_its_own_past() {
        use Action::{Edit, Redo, Undo};
        check(&[("a", Edit, ""), ("b", Edit, ""), ("a", Edit, "")], &[1, 3], &[]);
        check(&[("a", Edit, ""), ("b", Edit, ""), ("a", Undo { entry: 1 }, "")], &[], &[1]);
        check(
            &[("a", Edit, ""), ("a", Undo { entry: 1 }, ""), ("a", Redo { entry: 1 }, "")],
            &[1],
            &[],
        );
    }

    #[test]
    fn a_new_edit_ends_what_could_be_redone() {
        use Action::{Edit, Undo};
        check(&[("a", Edit, ""), ("a", Undo { entry: 1 }, ""), ("a", Edit, "")], &[3], &[]);
        check(&[("a", Edit, ""), ("a", Undo { entry: 1 }, ""), ("b", Edit, "")], &[], &[1]);
    }

    #[test]
    fn a_gesture_is_one_entry() {
        use Action::{Edit, Undo};
        check(&[("a", Edit, "g"), ("a", Edit, "g"), ("a", Edit, "h")], &[1, 3], &[]);
        check(&[("a", Edit, "g"), ("b", Edit, "x"), ("a", Edit, "g")], &[1], &[]);
        check(&[("a", Edit, "g"), ("a", Undo { entry: 1 }, ""), ("a", Edit, "g")], &[3], &[]);
    }
}
