//! Commands that are declared and not handled yet: they answer
//! `command.notImplemented` and stand so in docs/reference/coverage.md.
//!
//! The server's tests compare this list with what its dispatcher does, so a
//! handler that lands takes its line out of here.

/// `*` is the whole domain.
const PENDING: &[(&str, &str)] = &[
    ("job", "*"),
    ("kit", "*"),
    ("library", "*"),
    ("pad", "*"),
    ("plugin", "*"),
    ("recording", "*"),
];

pub(super) fn is_pending(domain: &str, name: &str) -> bool {
    PENDING.iter().any(|(d, n)| *d == domain && (*n == "*" || *n == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Domain, find};

    #[test]
    fn every_pending_line_names_a_command() {
        for (domain, name) in PENDING {
            let known = match *name {
                "*" => Domain::from_name(domain).is_some(),
                name => find(domain, name).is_ok(),
            };
            assert!(known, "`{domain}.{name}` is no command");
        }
        assert!(PENDING.is_sorted());
    }
}
