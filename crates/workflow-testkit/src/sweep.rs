//! The crash sweep: a fault at each call of the store in turn, and a process that dies there.

use std::future::Future;

use tokio::sync::oneshot;
use workflow::Store;

use crate::{Fault, Faulty, How};

/// Tries a case with a fault at the first call of the store, at the second, and so on, until the case makes fewer
/// calls. The case returns how many faults have fired: [`Faulty::fired`]. Returns how many calls were tried.
pub async fn sweep<Fut>(how: How, mut case: impl FnMut(Fault) -> Fut) -> usize
where
    Fut: Future<Output = usize>,
{
    let mut at = 1;
    while case(Fault { at, how }).await > 0 {
        at += 1;
    }
    at - 1
}

impl<S: Store> Faulty<S> {
    /// Runs this as a process of its own, on a runtime of its own. `None` if it died: a call of this store was
    /// abandoned, and the runtime was dropped with all its tasks.
    ///
    /// # Panics
    /// If what runs there panics.
    pub async fn process<T, Fut>(&self, life: Fut) -> Option<T>
    where
        T: Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (faulty, (end, ended)) = (self.clone(), oneshot::channel());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let lived = runtime.block_on(async {
                tokio::select! {
                    lived = life => Some(lived),
                    () = faulty.abandoned() => None,
                }
            });
            // Whoever hears of the end must not meet a task that is still alive.
            drop(runtime);
            let _ = end.send(lived);
        });
        ended.await.expect("the process does not panic")
    }
}
