//! Validation: every rule an entity breaks, with the path of the field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::EntityId, time::POSITION_LIMIT};

/// One rule that one field breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Path of the field inside the entity: `fades[1].length`.
    pub field: String,
    #[serde(flatten)]
    pub rule: Rule,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.field)?;
        match &self.rule {
            Rule::Missing => write!(f, "must name something"),
            Rule::NotFinite => write!(f, "must be a finite number"),
            Rule::Range { min, max, found } => {
                write!(f, "must lie between {min} and {max}, found {found}")
            }
            Rule::TooShort { min, found } => write!(f, "must be at least {min}, found {found}"),
            Rule::TooLong { max, found } => {
                write!(f, "may have at most {max} characters or items, found {found}")
            }
            Rule::Form { expected } => write!(f, "must be {expected}"),
            Rule::Order => write!(f, "must be in ascending order without repetition"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "rule")]
pub enum Rule {
    Missing,
    NotFinite,
    Range { min: f64, max: f64, found: f64 },
    TooShort { min: i64, found: i64 },
    TooLong { max: usize, found: usize },
    Form { expected: String },
    Order,
}

/// Collects violations; an empty one means that the entity is well formed.
#[derive(Default)]
pub struct Checker {
    violations: Vec<Violation>,
}

/// Longest name of anything, in characters.
const NAME_MAX: usize = 1_000;
/// Longest free text, in characters.
const TEXT_MAX: usize = 100_000;

impl Checker {
    pub fn finish(self) -> Vec<Violation> {
        self.violations
    }

    pub fn add(&mut self, field: impl Into<String>, rule: Rule) {
        self.violations.push(Violation { field: field.into(), rule });
    }

    pub fn identity(&mut self, field: &str, id: EntityId) {
        if id == EntityId::default() {
            self.add(field, Rule::Missing);
        }
    }

    pub fn name(&mut self, field: &str, name: &str) {
        self.length(field, name.chars().count(), NAME_MAX);
    }

    pub fn text(&mut self, field: &str, text: &str) {
        self.length(field, text.chars().count(), TEXT_MAX);
    }

    pub fn required(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(field, Rule::Missing);
        }
        self.name(field, text);
    }

    pub fn length(&mut self, field: &str, found: usize, max: usize) {
        if found > max {
            self.add(field, Rule::TooLong { max, found });
        }
    }

    pub fn finite(&mut self, field: &str, value: f64) {
        if !value.is_finite() {
            self.add(field, Rule::NotFinite);
        }
    }

    pub fn range(&mut self, field: &str, value: f64, min: f64, max: f64) {
        if !value.is_finite() {
            self.add(field, Rule::NotFinite);
        } else if value < min || value > max {
            self.add(field, Rule::Range { min, max, found: value });
        }
    }

    /// A position or length: not below `min`, not beyond what every part holds exactly.
    pub fn at_least(&mut self, field: &str, value: i64, min: i64) {
        if value < min {
            self.add(field, Rule::TooShort { min, found: value });
        } else if value > POSITION_LIMIT {
            let max = POSITION_LIMIT as f64;
            self.add(field, Rule::Range { min: min as f64, max, found: value as f64 });
        }
    }

    pub fn order(&mut self, field: &str, key: &crate::order::OrderKey) {
        if !key.is_valid() {
            self.add(field, Rule::Form { expected: "an order key such as `a0`".into() });
        }
    }

    pub fn form(&mut self, field: &str, holds: bool, expected: &str) {
        if !holds {
            self.add(field, Rule::Form { expected: expected.into() });
        }
    }

    pub fn ascending<T: PartialOrd>(&mut self, field: &str, values: impl Iterator<Item = T>) {
        let values: Vec<T> = values.collect();
        if values
            .windows(2)
            .any(|pair| pair[0].partial_cmp(&pair[1]) != Some(std::cmp::Ordering::Less))
        {
            self.add(field, Rule::Order);
        }
    }
}
