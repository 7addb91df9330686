//! SQLite's WAL from the outside. The index (`-shm`) begins with a header that every commit writes; its layout is part
//! of
//! the file format ("WAL-Index Format" of SQLite's documentation).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Often enough that no generation of the log, a thousand pages at least, is missed.
const PAUSE: Duration = Duration::from_millis(1);

/// The header of the log, and that of a frame.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// How often a header is read that a writer is just writing.
const TRIES: u32 = 1000;

/// What the header of the index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Counted up by every commit.
    pub commits: u32,
    page: u64,
    /// How many frames the log has.
    frames: u64,
    /// Of this generation of the log; counted up whenever it begins anew.
    salt: u32,
}

impl Index {
    /// The header of this database's index.
    ///
    /// # Errors
    /// If there is none, or no moment was found at which nobody wrote it.
    pub fn read(database: &Path) -> io::Result<Self> {
        Self::from(&File::open(beside(database, "-shm"))?)
    }

    /// It is there twice, so that a reader sees whether a writer was in the middle of it.
    fn from(index: &File) -> io::Result<Self> {
        let mut both = [0; 96];
        for _ in 0..TRIES {
            index.read_exact_at(&mut both, 0)?;
            let (one, two) = both.split_at(48);
            if one == two {
                return Ok(Self::parse(one));
            }
            thread::yield_now();
        }
        Err(io::Error::other("the header of the WAL index stood never still"))
    }

    fn parse(header: &[u8]) -> Self {
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let page = u64::from(u16::from_ne_bytes([header[14], header[15]]));
        Self {
            commits: u32::from_ne_bytes(word(8)),
            // 65536 does not fit, and is 1.
            page: if page == 1 { 65_536 } else { page },
            frames: u64::from(u32::from_ne_bytes(word(16))),
            salt: u32::from_be_bytes(word(32)),
        }
    }
}

/// Counts the frames that are written into the log, through all its generations, until it is dropped.
pub struct Watch {
    bytes: Arc<AtomicU64>,
    lost: Arc<AtomicBool>,
    _stop: mpsc::Sender<()>,
}

impl Watch {
    /// Counts from now on.
    ///
    /// # Errors
    /// If there is no log.
    pub fn start(database: &Path) -> io::Result<Self> {
        let index = File::open(beside(database, "-shm"))?;
        let log = File::open(beside(database, "-wal"))?;
        let (bytes, lost) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (stop, stopped) = mpsc::channel::<()>();
        let mut last = Index::from(&index)?;
        let (counted, failed) = (bytes.clone(), lost.clone());
        thread::Builder::new().name("wal watch".to_owned()).spawn(move || {
            while stopped.recv_timeout(PAUSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                match Index::from(&index).and_then(|now| Ok((now, written(&log, last, now)?))) {
                    Ok((now, frames)) => {
                        counted.fetch_add(frames * (now.page + FRAME_HEADER), Ordering::Relaxed);
                        last = now;
                    }
                    Err(_) => failed.store(true, Ordering::Relaxed),
                }
            }
        })?;
        Ok(Self { bytes, lost, _stop: stop })
    }

    /// The bytes so far; `None` if a generation was missed.
    pub fn bytes(&self) -> Option<f64> {
        // The thread looks once more before what was written last is asked for.
        thread::sleep(2 * PAUSE);
        (!self.lost.load(Ordering::Relaxed)).then(|| self.bytes.load(Ordering::Relaxed) as f64)
    }
}

/// How many frames were written between two looks. If the log has begun anew, the frames that the new generation has
/// not
/// overwritten yet still show where the old one ended.
fn written(log: &File, last: Index, now: Index) -> io::Result<u64> {
    if now.salt == last.salt {
        return Ok(now.frames.saturating_sub(last.frames));
    }
    if last.frames == 0 {
        // The first generation has no salt before its first frame.
        return Ok(now.frames);
    }
    let mut end = now.frames.max(last.frames);
    let overwritten = now.frames > last.frames && salt(log, now.page, end)? != Some(last.salt);
    if now.salt != last.salt.wrapping_add(1) || overwritten {
        return Err(io::Error::other("the end of a generation of the log was not seen"));
    }
    while salt(log, now.page, end)? == Some(last.salt) {
        end += 1;
    }
    Ok(end - last.frames + now.frames)
}

/// The generation of a frame; `None` beyond the end of the file.
fn salt(log: &File, page: u64, frame: u64) -> io::Result<Option<u32>> {
    let mut salt = [0; 4];
    match log.read_exact_at(&mut salt, LOG_HEADER + frame * (page + FRAME_HEADER) + 8) {
        Ok(()) => Ok(Some(u32::from_be_bytes(salt))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn every_commit_and_every_frame_is_counted_through_the_generations_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let conn = Connection::open(&path).unwrap();
        // Checkpoints come when this test says so.
        conn.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)").unwrap();
        let (watch, before) = (Watch::start(&path).unwrap(), Index::read(&path).unwrap());
        let mut frames = 0;
        for generation in [40, 7, 60] {
            for n in 0..generation {
                conn.execute("INSERT INTO t VALUES (randomblob(?1))", [300 * n]).unwrap();
            }
            watch.bytes().unwrap();
            let restart = "PRAGMA wal_checkpoint(RESTART)";
            frames += conn.query_row(restart, [], |row| row.get::<_, u32>(1)).unwrap();
        }
        let after = Index::read(&path).unwrap();
        assert_eq!(after.commits - before.commits, 107);
        let expected = (u64::from(frames) - before.frames) * (before.page + FRAME_HEADER);
        assert_eq!(watch.bytes(), Some(expected as f64));
    }
}
