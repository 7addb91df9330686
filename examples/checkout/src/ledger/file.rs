//! The ledger on disk, shared by several processes under a file lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::book::{Book, Found, Refusal};
use super::line::{Caller, Line};
use crate::card::Card;
use crate::gateway::{Charge, Verdict};
use crate::import::chain;

/// The ledger: an append-only file that several processes share.
///
/// A request takes the file's lock, reads what others have appended, decides, appends its line, brings it to the
/// disk, and gives the lock back. All of it blocks. Charges that wait in this process meanwhile go together: one
/// lock, one write, one way to the disk.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    waiting: Mutex<Vec<Waiting>>,
    state: Mutex<State>,
}

/// A charge that waits for its turn.
#[derive(Debug)]
struct Waiting {
    caller: Caller,
    charge: Charge,
    answer: SyncSender<Result<Verdict, LedgerError>>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// How far the file has been read into the book.
    read_to: u64,
    book: Book,
}

/// Why the ledger did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The file failed. Nothing was promised: ask again with the same key.
    #[error("the ledger {} could not be {doing}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A whole line that is not one of a ledger.
    #[error("the ledger {} is damaged at byte {at}: restore it, or begin a new one in another file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the line begins.
        at: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The caller is at fault. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Ledger {
    /// Opens the ledger, creates it if it is not there, and reads it.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be read, or is none.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LedgerError> {
        let path = path.into();
        let file = created(&path).map_err(|source| LedgerError::File {
            path: path.clone(),
            doing: "opened",
            source,
        })?;
        let state = Mutex::new(State { file, read_to: 0, book: Book::default() });
        let ledger = Self { path, waiting: Mutex::default(), state };
        ledger.under_lock(&mut locked(&ledger.state), |_, _| Ok(()))?;
        Ok(ledger)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Charges, at most once for each effect key.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was promised.
    pub fn charge(&self, caller: &Caller, charge: &Charge) -> Result<Verdict, LedgerError> {
        let (answer, answered) = sync_channel(1);
        locked(&self.waiting).push(Waiting { caller: caller.clone(), charge: charge.clone(), answer });
        let mut state = locked(&self.state);
        // Whoever had the lock before may have served this one too; else everybody waiting is ours to serve.
        if let Ok(answer) = answered.try_recv() {
            return answer;
        }
        let batch = std::mem::take(&mut *locked(&self.waiting));
        self.serve(&mut state, batch);
        drop(state);
        answered.recv().unwrap_or_else(|e| Err(self.failed("served", io::Error::other(e))))
    }

    /// Decides and writes a batch, and answers when all of it is on disk.
    fn serve(&self, state: &mut State, batch: Vec<Waiting>) {
        let written = self.under_lock(state, |ledger, state| {
            let (mut text, mut verdicts) = (Vec::new(), Vec::with_capacity(batch.len()));
            for Waiting { caller, charge, .. } in &batch {
                verdicts.push(state.book.charge(caller, charge).map(|(verdict, line)| {
                    ledger.enter(state, &line, Some(&charge.card), &mut text).map(|()| verdict)
                }));
            }
            ledger.append(state, &text)?;
            Ok(verdicts)
        });
        match written {
            Ok(verdicts) => {
                for (waiting, verdict) in batch.iter().zip(verdicts) {
                    let _ = waiting.answer.send(verdict.map_err(LedgerError::from).flatten());
                }
            }
            Err(error) => {
                for waiting in &batch {
                    let _ = waiting.answer.send(Err(self.failed("written", io::Error::other(chain(&error)))));
                }
            }
        }
    }

    /// Gives the money of a charge back, at most once: the refund's id.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was promised.
    pub fn refund(&self, caller: &Caller, charge_id: &str) -> Result<String, LedgerError> {
        self.under_lock(&mut locked(&self.state), |ledger, state| {
            let (refund_id, line) = state.book.refund(caller, charge_id)?;
            let mut text = Vec::new();
            ledger.enter(state, &line, None, &mut text)?;
            ledger.append(state, &text)?;
            Ok(refund_id)
        })
    }

    /// The charge that was made under this key, if there is one.
    ///
    /// # Errors
    /// [`LedgerError`]: nobody knows.
    pub fn find(&self, effect_key: &str) -> Result<Option<Found>, LedgerError> {
        self.under_lock(&mut locked(&self.state), |ledger, state| {
            // What another process wrote and died over may not be on disk yet.
            state.file.sync_data().map_err(|e| ledger.failed("brought to the disk", e))?;
            Ok(state.book.find(effect_key))
        })
    }

    /// Under the file's lock, with everything read that others have appended. After a failure nobody knows what is
    /// in the file: all of it is read again by the next one.
    fn under_lock<T>(
        &self,
        state: &mut State,
        work: impl FnOnce(&Self, &mut State) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        state.file.lock().map_err(|e| self.failed("locked", e))?;
        let done = self.catch_up(state).and_then(|()| work(self, state));
        if matches!(done, Err(LedgerError::File { .. } | LedgerError::Damaged { .. })) {
            (state.book, state.read_to) = (Book::default(), 0);
        }
        // The lock also goes with the process.
        let unlocked = state.file.unlock().map_err(|e| self.failed("unlocked", e));
        done.and_then(|done| unlocked.map(|()| done))
    }

    /// Reads the whole lines that are new, and cuts off what a killed writer left behind the last of them.
    fn catch_up(&self, state: &mut State) -> Result<(), LedgerError> {
        let failed = |e| self.failed("read", e);
        let length = state.file.metadata().map_err(failed)?.len();
        if length == state.read_to {
            return Ok(());
        }
        let mut text = Vec::new();
        state.file.seek(SeekFrom::Start(state.read_to)).map_err(failed)?;
        state.file.read_to_end(&mut text).map_err(failed)?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                return state.file.set_len(state.read_to).map_err(|e| self.failed("cut", e));
            }
            let parsed: Line = serde_json::from_slice(line).map_err(|source| LedgerError::Damaged {
                path: self.path.clone(),
                at: state.read_to,
                source,
            })?;
            state.book.record(&parsed, None);
            state.read_to += line.len() as u64;
        }
        Ok(())
    }

    /// Takes a line into the book, for the text that is about to be written.
    fn enter(
        &self,
        state: &mut State,
        line: &Line,
        card: Option<&Card>,
        text: &mut Vec<u8>,
    ) -> Result<(), LedgerError> {
        serde_json::to_writer(&mut *text, line).map_err(|e| self.failed("written", e.into()))?;
        text.push(b'\n');
        state.book.record(line, card);
        Ok(())
    }

    /// Lines that fail half way are cut off by the next request, whoever makes it.
    fn append(&self, state: &mut State, text: &[u8]) -> Result<(), LedgerError> {
        let failed = |e| self.failed("written", e);
        if text.is_empty() {
            return Ok(());
        }
        state.file.write_all(text).map_err(failed)?;
        state.file.sync_data().map_err(failed)?;
        state.read_to += text.len() as u64;
        Ok(())
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> LedgerError {
        LedgerError::File { path: self.path.clone(), doing, source }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file, and the directory's entry for it on disk, so that a power cut does not take it away as a whole.
fn created(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}
