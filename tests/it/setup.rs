//! The first five minutes: `setup.sh` on a machine that has everything, on one
//! that has nothing, and on one without apt. The machine is a folder of small
//! scripts that stand in for the tools `setup.sh` calls.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::workspace;

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// A machine with the shell's usual companions, cargo, and the given tools.
    fn with(tools: &[(&str, &str)]) -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        for companion in ["bash", "env", "ln", "tr", "uname", "touch"] {
            symlink(find(companion), machine.path(companion)).unwrap();
        }
        machine.add("cargo", "exit 0");
        for (name, body) in tools {
            machine.add(name, body);
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/usr/bin/env bash\n{body}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn set_up(&self) -> Output {
        Command::new(find("bash"))
            .arg(workspace::root().join("setup.sh"))
            .env_clear()
            .env("PATH", self.folder.path())
            .env("HOME", self.folder.path())
            .env("MACHINE", self.folder.path())
            .output()
            .unwrap()
    }

    /// How often and with what apt-get was called.
    fn apt_calls(&self) -> String {
        fs::read_to_string(self.path("apt-calls")).unwrap_or_default()
    }
}

fn find(tool: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(tool))
        .find(|path| Path::is_file(path))
        .unwrap_or_else(|| panic!("{tool} is on no folder of PATH"))
}

const PKG_CONFIG: &str = r#"[ "$1" = --exists ] && [ -e "$MACHINE/header-$2" ]"#;
const AS_ROOT: &str = "echo 0";
const AS_USER: &str = "echo 1000";
const APT_GET: &str = r#"
echo "$DEBIAN_FRONTEND $*" >> "$MACHINE/apt-calls"
case "$*" in *install*) touch "$MACHINE/header-alsa" "$MACHINE/header-jack" ;; esac"#;

fn check(machine: &Machine, status: i32, expect: &[&str]) {
    let output = machine.set_up();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in expect {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

fn debian(who: &str) -> Machine {
    let nothing = ["cc", "jackd", "python3"].map(|tool| (tool, ""));
    let tools = [("id", who), ("pkg-config", PKG_CONFIG), ("apt-get", APT_GET)];
    Machine::with(&[&nothing[..], &tools].concat())
}

#[test]
fn what_is_missing_is_installed_without_questions_and_once() {
    let machine = debian(AS_ROOT);
    check(&machine, 0, &["installing libasound2-dev libjack-jackd2-dev", "done"]);
    let calls = machine.apt_calls();
    assert!(calls.lines().all(|call| call.starts_with("noninteractive ")), "{calls}");
    assert!(calls.contains("install -y"), "{calls}");

    check(&machine, 0, &["everything is here"]);
    assert_eq!(machine.apt_calls(), calls, "a second run installs nothing");
}

#[test]
fn a_user_installs_through_sudo_that_may_not_ask() {
    let machine = debian(AS_USER);
    machine.add("sudo", r#"[ "$1" = -n ] && shift && exec "$@""#);
    check(&machine, 0, &["done"]);

    let machine = debian(AS_USER);
    machine.add("sudo", "exit 1");
    check(&machine, 1, &["sudo needs a password here; run this once as root:", "apt-get"]);

    check(&debian(AS_USER), 1, &["not root and no sudo; run this once as root:"]);
}

#[test]
fn without_apt_it_says_what_to_install() {
    let machine = Machine::with(&[("id", AS_ROOT), ("pkg-config", PKG_CONFIG)]);
    check(&machine, 1, &["Fedora: sudo dnf install", "Arch:", "macOS:  brew install"]);
}

#[test]
fn a_missing_rust_is_named() {
    let machine = debian(AS_ROOT);
    fs::remove_file(machine.path("cargo")).unwrap();
    check(&machine, 1, &["Rust is missing; install it from https://rustup.rs"]);
}

#[test]
fn a_failed_installation_fails() {
    let machine = debian(AS_ROOT);
    machine.add("apt-get", "exit 0");
    check(&machine, 1, &["still missing: libasound2-dev libjack-jackd2-dev"]);
}

/// A rustup that can't fetch anything and has a stable of one version.
fn offline_rustup(version: &str) -> String {
    format!(
        r#"case "$*" in
            "toolchain install"*) exit 1 ;;
            *sysroot) echo "$MACHINE/toolchains/stable-x86_64" ;;
            *--version) echo "rustc {version} (2026)" ;;
        esac"#
    )
}

#[test]
fn a_stable_of_the_pinned_version_stands_in_for_it_where_nothing_can_be_fetched() {
    let toolchain = fs::read_to_string(workspace::root().join("rust-toolchain.toml")).unwrap();
    let pinned = toolchain.split('"').nth(1).unwrap();
    let machine = debian(AS_ROOT);
    fs::create_dir_all(machine.path("toolchains/stable-x86_64")).unwrap();
    let link = format!("toolchains/{pinned}-x86_64");
    machine.add("cargo", &format!(r#"[ -e "$MACHINE/{link}" ]"#));
    check(&machine, 1, &["cargo does not run here", pinned]);
    machine.add("rustup", &offline_rustup("1.2.3"));
    check(&machine, 1, &["can't be had; install it with: rustup toolchain install"]);
    machine.add("rustup", &offline_rustup(pinned));
    check(&machine, 0, &["is the installed stable; linked"]);
    assert!(machine.path(&link).exists());
    check(&machine, 0, &["everything is here"]);
}
