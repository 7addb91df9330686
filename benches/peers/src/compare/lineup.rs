//! Who is measured, and by which command.

use std::path::{Path, PathBuf};

use super::Failure;

/// One system on one store.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name on the command line.
    pub id: String,
    /// Its name in the table.
    pub name: &'static str,
    /// `postgres` or `sqlite`.
    pub store: &'static str,
    /// What starts it.
    pub start: Start,
}

/// How a system is started.
#[derive(Clone, Debug)]
pub enum Start {
    /// The library itself, by the main workspace's own benchmark.
    Ours {
        /// The main workspace.
        root: PathBuf,
    },
    /// A program of this workspace.
    Program {
        /// Its path.
        path: PathBuf,
        /// `--database`, unless the server's.
        database: Option<String>,
    },
    /// A program in Python.
    Python {
        /// The interpreter.
        python: PathBuf,
        /// The program.
        path: PathBuf,
        /// `--database`, unless the server's.
        database: Option<String>,
    },
}

/// All of them, in the order in which they are measured.
pub struct Lineup(Vec<System>);

/// The name of the library itself, against which all are compared.
pub const OURS: &str = "workflow";

impl Lineup {
    /// All systems that there are programs for.
    ///
    /// # Errors
    /// Where this program is must be known: the others are beside it.
    pub fn new(root: &Path, python: &Path, scratch: &Path) -> Result<Self, Failure> {
        let me = std::env::current_exe().map_err(|error| Failure::File("this program".into(), error))?;
        let beside = me.parent().unwrap_or(Path::new(".")).to_owned();
        let file = format!("sqlite:{}", scratch.display());
        let database = |store| (store == "sqlite").then(|| file.clone());
        let program =
            |name: &str, store| Start::Program { path: beside.join(name), database: database(store) };
        let script = |name: &str, store| Start::Python {
            python: python.to_owned(),
            path: root.join("benches/peers/python").join(name),
            database: database(store),
        };
        let ours = || Start::Ours { root: root.to_owned() };
        let all = [
            ("workflow", OURS, "postgres", ours()),
            ("dbos", "DBOS (Rust)", "postgres", program("peer_dbos", "postgres")),
            ("durare", "durare", "postgres", program("peer_durare", "postgres")),
            ("duroxide", "duroxide-pg", "postgres", program("peer_duroxide", "postgres")),
            ("underway", "Underway", "postgres", program("peer_underway", "postgres")),
            ("apalis", "apalis-workflow", "postgres", program("peer_apalis", "postgres")),
            ("dbos-python", "DBOS (Python)", "postgres", script("peer_dbos.py", "postgres")),
            ("absurd", "Absurd (Python)", "postgres", script("peer_absurd.py", "postgres")),
            ("workflow", OURS, "sqlite", ours()),
            ("durare", "durare", "sqlite", program("peer_durare", "sqlite")),
            ("duroxide", "duroxide", "sqlite", program("peer_duroxide", "sqlite")),
            ("apalis", "apalis-workflow", "sqlite", program("peer_apalis", "sqlite")),
            ("dbos-python", "DBOS (Python)", "sqlite", script("peer_dbos.py", "sqlite")),
        ];
        let system = |(id, name, store, start)| System { id: format!("{id}-{store}"), name, store, start };
        Ok(Self(all.into_iter().map(system).collect()))
    }

    /// Those of these names; all, if there are none.
    ///
    /// # Errors
    /// [`Failure::NoSystem`].
    pub fn only(self, names: &[String]) -> Result<Self, Failure> {
        if let Some(unknown) = names.iter().find(|name| self.0.iter().all(|system| system.id != **name)) {
            return Err(Failure::NoSystem(unknown.clone()));
        }
        Ok(Self(self.0.into_iter().filter(|s| names.is_empty() || names.contains(&s.id)).collect()))
    }

    /// The systems.
    #[must_use]
    pub fn systems(&self) -> &[System] {
        &self.0
    }

    /// Their names on the command line.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|system| system.id.as_str())
    }
}
