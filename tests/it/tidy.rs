//! The house: what a script would check elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files hold two nouns.
const MOST_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a folder, what was built or installed left out; links are not followed.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = entry.file_name();
        let ours = !["target", "node_modules", ".git"].iter().any(|other| name == *other);
        if kind.is_dir() && ours {
            files(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let sources = found.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    sources.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn no_file_is_too_long() {
    let sources = sources();
    assert!(sources.len() > 50, "the sources were not found");
    let long: Vec<_> =
        sources.iter().filter(|(_, text)| text.lines().count() > MOST_LINES).map(|(p, _)| p).collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines: {long:?}");
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent = |(path, text): &(PathBuf, String)| {
        let documented = text.starts_with("//!") || text.starts_with("#![doc");
        // The cases of the compile errors are read by their names.
        (!documented && !path.components().any(|c| c.as_os_str() == "cases")).then(|| path.clone())
    };
    let silent: Vec<_> = sources().iter().filter_map(silent).collect();
    assert!(silent.is_empty(), "without `//!` at the top: {silent:?}");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |database: &str| {
        let folder = fs::read_dir(root().join("migrations").join(database)).unwrap();
        let mut names: Vec<_> = folder.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
    for store in ["sqlite", "postgres"] {
        let link = root().join("crates").join(format!("workflow-{store}")).join("migrations");
        assert_eq!(
            fs::canonicalize(link).unwrap(),
            fs::canonicalize(root().join("migrations").join(store)).unwrap()
        );
    }
}

#[test]
fn both_stores_have_the_same_files() {
    let names = |store: &str| {
        let folder = fs::read_dir(root().join("crates").join(store).join("src")).unwrap();
        let mut names: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        // Each has its handle, and one guard that the other database does not need.
        names.retain(|name| {
            !["sqlite.rs", "postgres.rs", "journal_mode.rs", "guard.rs"].contains(&name.as_str())
        });
        names.sort();
        names
    };
    assert_eq!(names("workflow-sqlite"), names("workflow-postgres"));
}

#[test]
fn the_core_knows_no_sql() {
    let manifest = fs::read_to_string(root().join("crates/workflow/Cargo.toml")).unwrap();
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    assert!(!manifest.contains("sqlx"));
    let core = lock.split("[[package]]").find(|package| package.contains("\nname = \"workflow\"\n")).unwrap();
    assert!(!core.contains("sqlx") && !core.contains("sqlite"), "{core}");
}

#[test]
fn user_text_becomes_sql_in_one_place_only() {
    let allowed = ["names.rs", "migrate.rs"];
    for (path, text) in sources() {
        let in_a_store = path.components().any(|c| c.as_os_str() == "crates");
        let allowed = allowed.iter().any(|name| path.ends_with(name));
        assert!(allowed || !in_a_store || !text.contains("AssertSqlSafe"), "{} builds SQL", path.display());
    }
}

#[test]
fn the_changelog_has_the_version() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    assert!(changelog.contains(version) || changelog.contains("Unreleased"), "no entry for {version}");
}
