//! What the machine must have beyond Rust, Node.js and a C compiler, and how it gets it.
//!
//! As root on Debian, what is missing is installed. Elsewhere it is named, and the caller decides what that means.

use std::path::Path;

use crate::process;

/// A program or library, and the Debian package that has it.
#[derive(Debug)]
pub(crate) struct Need {
    /// The name that tests ask for in `NODETLS_MISSING`.
    pub(crate) name: &'static str,
    package: &'static str,
    probe: Probe,
}

#[derive(Debug)]
enum Probe {
    /// It is a program on the PATH.
    Program,
    /// This command succeeds.
    Succeeds(&'static [&'static str]),
}

impl Need {
    const fn program(name: &'static str, package: &'static str) -> Self {
        Self { name, package, probe: Probe::Program }
    }

    const fn succeeds(name: &'static str, package: &'static str, probe: &'static [&'static str]) -> Self {
        Self { name, package, probe: Probe::Succeeds(probe) }
    }

    fn is_met(&self) -> bool {
        match self.probe {
            Probe::Program => process::is_on_path(self.name),
            Probe::Succeeds(words) => process::succeeds(process::command(words[0]).args(&words[1..])),
        }
    }
}

/// Building OpenSSL from source; perl-base alone lacks the modules that its Configure script loads.
pub(crate) const BUILD: &[Need] = &[
    Need::program("make", "make"),
    Need::succeeds("perl", "perl", &["perl", "-MIPC::Cmd", "-MFindBin", "-MPod::Usage", "-e", "1"]),
];

/// Programs that the tests talk to. The legacy provider reads and writes old PKCS#12 files; Debian 13 packs it apart.
pub(crate) const INTEROP: &[Need] = &[
    Need::program("openssl", "openssl"),
    Need::succeeds(
        "openssl-legacy",
        "openssl-provider-legacy",
        &["openssl", "list", "-providers", "-provider", "legacy"],
    ),
    Need::program("curl", "curl"),
    Need::program("python3", "python3"),
    Need::program("gnutls-cli", "gnutls-bin"),
    Need::program("gnutls-serv", "gnutls-bin"),
    Need::program("node", "nodejs"),
    Need::program("tshark", "tshark"),
    Need::program("softhsm2-util", "softhsm2"),
    Need::succeeds("pkcs11-engine", "libengine-pkcs11-openssl", &["openssl", "engine", "pkcs11"]),
];

/// The npm package's own tests.
pub(crate) const NPM: &[Need] = &[Need::program("node", "nodejs"), Need::program("npm", "npm")];

/// Servers that published programs talk to on top of the npm package.
pub(crate) const SERVERS: &[Need] = &[
    Need::program("redis-server", "redis-server"),
    // Debian keeps each version's programs in a directory of its own.
    Need::succeeds("postgresql", "postgresql", &["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb"]),
    // Not on everybody's PATH.
    Need::succeeds("mariadbd", "mariadb-server-core", &["ls", "/usr/sbin/mariadbd"]),
    // The program that makes the server's tables, which is in the package above, calls it.
    Need::program("my_print_defaults", "mariadb-client-core"),
];

/// Linking against the system's OpenSSL.
pub(crate) const SYSTEM: &[Need] = &[
    Need::program("pkg-config", "pkg-config"),
    Need::succeeds("libssl-dev", "libssl-dev", &["pkg-config", "--atleast-version=3.0", "openssl"]),
];

/// Installs what is missing, if this machine lets us, and returns the names of what still is.
pub(crate) fn prepare(needs: &[&[Need]]) -> Vec<&'static str> {
    let mut missing = unmet(needs);
    if !missing.is_empty() && can_install() {
        install(&missing);
        missing = unmet(needs);
    }
    missing.into_iter().map(|need| need.name).collect()
}

/// [`prepare`] for what nothing works without.
pub(crate) fn require(needs: &[&[Need]]) -> crate::Outcome {
    let missing = prepare(needs);
    let error = |name: &&str| format!("{name} is missing and could not be installed");
    if missing.is_empty() { Ok(()) } else { Err(missing.iter().map(error).collect()) }
}

fn unmet<'a>(needs: &[&'a [Need]]) -> Vec<&'a Need> {
    needs.iter().copied().flatten().filter(|need| !need.is_met()).collect()
}

fn can_install() -> bool {
    let is_root = || process::command("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    Path::new("/etc/debian_version").exists() && process::is_on_path("apt-get") && is_root()
}

/// One package at a time, because a name that this release does not know must not spoil the others.
fn install(missing: &[&Need]) {
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.dedup();
    report(apt_get(&["update", "-q"]));
    for package in packages {
        report(apt_get(&["install", "-y", "-q", "--no-install-recommends", package]));
    }
}

fn apt_get(arguments: &[&str]) -> crate::Outcome {
    process::run(process::command("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// A failed installation is no failure yet: what matters is whether the need is met afterwards.
fn report(outcome: crate::Outcome) {
    if let Err(errors) = outcome {
        println!("{}", errors.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_machine_lacks_is_unmet() {
        const NEEDS: &[Need] = &[
            Need::program("cargo", "cargo"),
            Need::program("nodetls-no-such-program", "none"),
            Need::succeeds("works", "none", &["cargo", "--version"]),
            Need::succeeds("fails", "none", &["cargo", "--no-such-flag"]),
            Need::succeeds("absent", "none", &["nodetls-no-such-program"]),
        ];
        let names: Vec<_> = unmet(&[NEEDS]).iter().map(|need| need.name).collect();
        assert_eq!(names, ["nodetls-no-such-program", "fails", "absent"]);
    }
}
