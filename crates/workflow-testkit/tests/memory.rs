//! The conformance suite over `Memory`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;
use workflow::{BoxError, Clock, StagedJob};
use workflow_testkit::conformance::Factory;
use workflow_testkit::{Memory, MemoryConn};

/// Memory has no migrations: the factory pretends that it has, so that those cases run as well.
#[derive(Clone, Default)]
struct InMemory {
    migrated: Arc<AtomicBool>,
}

impl Factory for InMemory {
    type Store = Memory;

    async fn blank(&self) -> Memory {
        Memory::new()
    }

    async fn migrate(&self, _: &Memory) -> Result<(), BoxError> {
        self.migrated.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn verify(&self, _: &Memory) -> Result<(), BoxError> {
        if self.migrated.load(Ordering::SeqCst) { Ok(()) } else { Err("not migrated".into()) }
    }

    async fn reopen(&self, store: &Memory) -> Memory {
        store.clone()
    }

    fn clock(&self, store: &Memory) -> Clock {
        store.clock()
    }

    async fn note(&self, conn: &mut MemoryConn, text: &str) -> Result<(), BoxError> {
        let notes = conn.add("notes", 1);
        conn.put(&format!("note {notes}"), text);
        Ok(())
    }

    async fn notes(&self, store: &Memory) -> Vec<String> {
        let text = |i| store.get(&format!("note {i}")).and_then(|note| note.as_str().map(str::to_owned));
        (1..).map_while(text).collect()
    }

    async fn staged(&self, store: &Memory) -> Vec<StagedJob> {
        store.jobs()
    }

    async fn deliver(&self, store: &Memory, message_id: Uuid) {
        assert!(store.deliver(message_id).await);
    }
}

workflow_testkit::conformance!(InMemory::default());
