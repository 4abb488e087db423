//! The licence gate of record: every crate that a build on this platform links
//! or runs has a licence that `deny.toml` allows. `cargo deny` reads the same
//! list; this test needs neither it nor a network.

use crate::workspace;

#[test]
fn every_dependency_has_an_allowed_licence() {
    let allowed = allowed();
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let flags: &[&str] = if cfg!(all(target_os = "linux", target_env = "gnu")) {
        &["--all-features", "--filter-platform", &target]
    } else {
        &["--all-features"]
    };
    let metadata = workspace::metadata(flags);
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 20, "cargo metadata listed {} packages only", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let name = &package["name"];
            match package["license"].as_str() {
                Some(licence) if allows(licence, &allowed) => None,
                Some(licence) => Some(format!("{name} is under {licence}")),
                None => Some(format!("{name} names no licence")),
            }
        })
        .collect();
    assert!(
        refused.is_empty(),
        "choose another crate, or decide on the licence in deny.toml:\n{}",
        refused.join("\n")
    );
}

/// The list in `deny.toml`.
fn allowed() -> Vec<String> {
    let deny: toml::Value = toml::from_str(&workspace::read("deny.toml")).unwrap();
    let list = deny["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
}

/// Whether an SPDX expression can be met with the allowed licences. `/` is the
/// old way of writing `OR`.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = either(&words, allowed);
    met && rest.is_empty()
}

fn either<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = both(words, allowed);
    while let [first, tail @ ..] = rest
        && *first == "OR"
    {
        let (other, after) = both(tail, allowed);
        (met, rest) = (met | other, after);
    }
    (met, rest)
}

fn both<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let [first, tail @ ..] = rest
        && *first == "AND"
    {
        let (other, after) = one(tail, allowed);
        (met, rest) = (met & other, after);
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => match either(inner, allowed) {
            (met, [")", rest @ ..]) => (met, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            let whole = format!("{licence} WITH {exception}");
            (allowed.contains(&whole) || allowed.iter().any(|known| known == licence), rest)
        }
        [licence, rest @ ..] => (allowed.iter().any(|known| known == licence), rest),
        [] => (false, words),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Unicode-3.0".to_owned()];
    let check = |expression: &str, expect: bool| {
        assert_eq!(allows(expression, &allowed), expect, "{expression}");
    };
    check("MIT", true);
    check("GPL-3.0-only", false);
    check("GPL-3.0-only OR MIT", true);
    check("GPL-3.0-only AND MIT", false);
    check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
    check("MIT AND (GPL-2.0-only OR LGPL-2.1-only)", false);
    check("MIT/GPL-2.0", true);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("MIT GPL-3.0-only", false);
    check("", false);
}
