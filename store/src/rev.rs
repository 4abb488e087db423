//! How people name a state: `main`, `@`, `@~2`, `op:17`, a tag, or the start of a commit id.

use std::{fmt, str::FromStr};

/// A state by name. What the name means is looked up when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rev {
    pub base: RevBase,
    /// How many commits back along first parents. From `@`, the first step leads to the last
    /// commit where there is unsaved work.
    pub back: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevBase {
    /// `@`: the working copy.
    Working,
    /// `op:17`: the state behind a history entry.
    Op(u64),
    /// A branch, a tag or the start of a commit id, in this order.
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRevError {
    #[error("a revision is a branch, a tag, a commit id, `@`, `@~2` or `op:17`; found nothing")]
    Empty,
    #[error("`op:` needs the number of a history entry, found {found:?}; see `pulse log --ops`")]
    Op { found: String },
    #[error("`~` needs a number of commits, found {found:?}")]
    Back { found: String },
}

impl Rev {
    pub fn working() -> Rev {
        Rev { base: RevBase::Working, back: 0 }
    }

    pub fn name(name: impl Into<String>) -> Rev {
        Rev { base: RevBase::Name(name.into()), back: 0 }
    }

    pub fn op(seq: u64) -> Rev {
        Rev { base: RevBase::Op(seq), back: 0 }
    }

    pub fn parse(text: &str) -> Result<Rev, ParseRevError> {
        let (base, back) = match text.trim().split_once('~') {
            Some((base, back)) => (base.trim_end(), parse_back(back)?),
            None => (text.trim(), 0),
        };
        let base = match base.strip_prefix("op:") {
            Some(number) => RevBase::Op(
                number.parse().map_err(|_| ParseRevError::Op { found: number.to_owned() })?,
            ),
            None if base == "@" => RevBase::Working,
            None if base.is_empty() => return Err(ParseRevError::Empty),
            None => RevBase::Name(base.to_owned()),
        };
        Ok(Rev { base, back })
    }
}

/// `~`, `~3`, `~~`: one, three, two.
fn parse_back(text: &str) -> Result<u32, ParseRevError> {
    let wrong = || ParseRevError::Back { found: text.to_owned() };
    let mut back = 0u32;
    for step in text.split('~') {
        let count = if step.is_empty() { 1 } else { step.parse().map_err(|_| wrong())? };
        back = back.checked_add(count).ok_or_else(wrong)?;
    }
    Ok(back)
}

impl FromStr for Rev {
    type Err = ParseRevError;

    fn from_str(text: &str) -> Result<Rev, ParseRevError> {
        Rev::parse(text)
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            RevBase::Working => f.write_str("@")?,
            RevBase::Op(seq) => write!(f, "op:{seq}")?,
            RevBase::Name(name) => f.write_str(name)?,
        }
        if self.back > 0 { write!(f, "~{}", self.back) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        let check = |text: &str, base: RevBase, back: u32, shown: &str| {
            let rev = Rev::parse(text).unwrap();
            assert_eq!(rev, Rev { base, back });
            assert_eq!(rev.to_string(), shown);
        };
        check("@", RevBase::Working, 0, "@");
        check("@~2", RevBase::Working, 2, "@~2");
        check("main~", RevBase::Name("main".into()), 1, "main~1");
        check(" main ~0", RevBase::Name("main".into()), 0, "main");
        check("b3:12ab~~", RevBase::Name("b3:12ab".into()), 2, "b3:12ab~2");
        check("op:17", RevBase::Op(17), 0, "op:17");
    }

    #[test]
    fn a_bad_revision_says_what_is_wrong() {
        for text in ["", "  ", "op:", "op:x", "main~x", "~1"] {
            assert!(Rev::parse(text).is_err(), "{text}");
        }
    }
}
