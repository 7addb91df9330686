//! What each key was first answered, kept outside the database: so that a later run can tell whether a replay is the
//! same to the byte.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use workflow::{Answered, Key};

use crate::failure::Failure;
use crate::figures::sha256;

/// The file: `key hash, blank, SHA-256 of the body`, one line a key, written when it was first answered.
pub(super) struct Answers {
    path: PathBuf,
    file: File,
    known: HashMap<String, String>,
    /// Replays that are the same to the byte.
    pub(super) identical: usize,
    /// Keys that were answered in another way than at first, or executed again.
    pub(super) broken: Vec<String>,
}

impl Answers {
    /// Opens the file. A last line that a killed demo did not finish is cut off.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        match opened(&path) {
            Ok((file, known)) => Ok(Self { path, file, known, identical: 0, broken: Vec::new() }),
            Err(source) => Err(Failure::File { path, doing: "cannot be read", source }),
        }
    }

    /// Takes an answer in: the first one is written down, each later one compared with it.
    pub(super) fn take(&mut self, key: &Key, answered: &Answered) -> Result<(), Failure> {
        let (key, sha256) = (key.hash(), sha256(answered.body()));
        match self.known.get(&key) {
            Some(first) if answered.replayed() && *first == sha256 => self.identical += 1,
            Some(_) => self.broken.push(key),
            // Its demo was killed between the answer and this line.
            None => {
                let written = writeln!(self.file, "{key} {sha256}");
                let failed =
                    |source| Failure::File { path: self.path.clone(), doing: "cannot be written", source };
                written.map_err(failed)?;
                self.known.insert(key, sha256);
            }
        }
        Ok(())
    }
}

fn opened(path: &PathBuf) -> io::Result<(File, HashMap<String, String>)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        file.set_len(whole as u64)?;
    }
    let lines = text[..whole].lines().filter_map(|line| line.split_once(' '));
    let known = lines.map(|(key, sha256)| (key.to_owned(), sha256.to_owned())).collect();
    Ok((file, known))
}
