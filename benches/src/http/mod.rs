//! What the contract of `Idempotency-Key` costs over HTTP: a server in one process, its clients in another.

pub mod client;
pub mod serve;

/// A way through the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// How it is called.
    pub name: &'static str,
    /// Its route.
    pub path: &'static str,
    /// Whether each request has a key of its own; else all of a client have one, whose response is stored.
    pub fresh: bool,
}

/// All of them; the first is the handler alone, beside which the others are held.
pub const WAYS: [Way; 5] = [
    Way { name: "handler alone", path: serve::ALONE, fresh: true },
    Way { name: "layer, first", path: serve::LAYER, fresh: true },
    Way { name: "layer, replay", path: serve::LAYER, fresh: false },
    Way { name: "workflow, first", path: serve::WORKFLOW, fresh: true },
    Way { name: "workflow, replay", path: serve::WORKFLOW, fresh: false },
];
