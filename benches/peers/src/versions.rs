//! The peers' versions, out of the lock file that they were built from.

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a package.
#[must_use]
pub fn of(package: &str) -> &'static str {
    let line = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|l| *l != line).skip(1);
    lines.next().and_then(|l| l.strip_prefix("version = \"")?.strip_suffix('"')).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lock_file_names_what_is_measured() {
        for package in ["dbos", "durare", "duroxide", "duroxide-pg", "underway", "apalis-workflow"] {
            let version = super::of(package);
            assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{package} {version}");
        }
        assert_eq!(super::of("no such package"), "unknown");
    }
}
