//! The least pool: so many connections made at the start, handed out one by one.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failure::Failure;

/// A pool of connections, or of whatever goes with one.
pub struct Pool<T> {
    all: Vec<T>,
    /// Places in `all`: the last one given back is the next to be lent, whose server process is still warm.
    free: Mutex<Vec<usize>>,
    permits: Semaphore,
}

impl<T> Pool<T> {
    /// These, and no more.
    pub fn new(all: Vec<T>) -> Self {
        Self { free: Mutex::new((0..all.len()).collect()), permits: Semaphore::new(all.len()), all }
    }

    /// One of them, when one is free.
    ///
    /// # Errors
    /// None that can be met: the pool is never closed, and as many are free as there are permits.
    pub async fn get(&self) -> Result<Lent<'_, T>, Failure> {
        let permit = self.permits.acquire().await.map_err(|_| Failure::Committer)?;
        let at = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or(Failure::Committer)?;
        Ok(Lent { pool: self, at, _permit: permit })
    }
}

/// A connection out of the pool, which goes back by itself.
pub struct Lent<'p, T> {
    pool: &'p Pool<T>,
    at: usize,
    _permit: SemaphorePermit<'p>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.pool.all[self.at]
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.at);
    }
}
