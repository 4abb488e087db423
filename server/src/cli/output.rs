//! What people and programs get to read.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where output is printed")]

use std::{
    io::{IsTerminal, Write},
    process::{Command, ExitCode, Stdio},
};

use pulse_schemas::error::{ErrorBody, ErrorClass};
use serde_json::{Value, json};

use super::Colour;
use crate::refusal::Refusal;

/// A text in a reply; empty where there is none.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_default()
}

pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// How the program ends when it does not end well.
#[derive(Debug)]
pub enum Failure {
    /// The request failed, for this reason.
    Refused(ErrorBody),
    /// The words of the command were wrong.
    Usage(String),
    /// It was done, and conflicts remain.
    Conflicts { count: u64 },
}

impl From<Refusal> for Failure {
    fn from(Refusal(body): Refusal) -> Failure {
        Failure::Refused(body)
    }
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Failure {
        Failure::Refused(body)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::from(Refusal::from(error))
    }
}

pub struct Output {
    pub json: bool,
    quiet: u8,
    colour: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: u8, colour: Colour) -> Output {
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
            }
        };
        Output { json, quiet, colour: colour && !json }
    }

    /// The result: JSON for programs, else what `human` makes of it.
    pub fn result(&self, value: &Value, human: impl FnOnce(&Output) -> String) -> ExitCode {
        if self.json {
            self.text(&format!("{value}\n"));
        } else if self.quiet == 0 {
            self.text(&human(self));
        }
        ExitCode::SUCCESS
    }

    /// A result that may be longer than a screen: on a terminal it goes through
    /// the pager (`PAGER`, else `less`), which ends at once where it fits.
    pub fn long(&self, value: &Value, human: impl FnOnce(&Output) -> String) -> ExitCode {
        if self.json || self.quiet > 0 || !std::io::stdout().is_terminal() {
            return self.result(value, human);
        }
        let page = human(self);
        if !paged(&page) {
            self.text(&page);
        }
        ExitCode::SUCCESS
    }

    /// How far some work is, on stderr, where somebody is looking.
    pub fn progress(&self, what: &str, done: usize, of: usize, about: &str) {
        if self.quiet == 0 && of > 1 && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{what} {}/{of} {about}", done + 1);
        }
    }

    pub fn progress_done(&self) {
        if self.quiet == 0 && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }

    /// Writes to stdout; a reader that went away is no error.
    pub fn text(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).is_err() || out.flush().is_err() {
            // `pulse log | head` closes the pipe early.
        }
    }

    /// A note for people, on stderr.
    pub fn note(&self, text: &str) {
        if self.quiet == 0 {
            eprintln!("{text}");
        }
    }

    pub fn failure(&self, failure: &Failure) -> ExitCode {
        match failure {
            Failure::Refused(error) => {
                if self.json {
                    eprintln!("{}", json!({ "error": error }));
                } else {
                    eprintln!(
                        "{} {} ({})",
                        self.paint("31;1", "error:"),
                        error.message,
                        error.code
                    );
                    if let Some(hint) = error.details.get("hint").and_then(Value::as_str) {
                        eprintln!("{} {hint}", self.paint("2", "hint:"));
                    }
                }
                let internal =
                    error.known().is_some_and(|code| code.class() == ErrorClass::Internal);
                ExitCode::from(if internal { 4 } else { 1 })
            }
            Failure::Usage(text) => {
                if self.json {
                    eprintln!("{}", json!({"error": {"code": "usage", "message": text}}));
                } else {
                    eprintln!("{} {text}", self.paint("31;1", "usage:"));
                }
                ExitCode::from(2)
            }
            Failure::Conflicts { count } => {
                let conflicts = if *count == 1 { "conflict remains" } else { "conflicts remain" };
                self.note(&format!(
                    "{count} {conflicts}; `pulse resolve` lists them, \
                     `pulse resolve --ours|--theirs` decides"
                ));
                ExitCode::from(3)
            }
        }
    }

    /// Text in a colour of the terminal, where there is one.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// Whether a pager took the page; none does where `PAGER` is empty or `cat`.
fn paged(page: &str) -> bool {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    let mut words = pager.split_whitespace();
    let Some(program) = words.next().filter(|program| *program != "cat") else { return false };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // End where it fits, let colours through, leave the screen as it is.
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut pipe) = child.stdin.take()
        && pipe.write_all(page.as_bytes()).is_err()
    {
        // Somebody left before the end; that is what a pager is for.
    }
    child.wait().is_ok()
}
