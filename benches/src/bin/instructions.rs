//! One run, for a machine that counts instructions: `benches/instructions` runs this under callgrind, which counts what
//! happens inside of [`one_run`] and nothing else.

use std::error::Error;
use std::hint::black_box;
use std::io;

use benches::payload::Request;
use benches::workflows::{App, foreign};
use tokio::runtime::{Builder, Runtime};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use workflow::{Answered, Key, Runner};
use workflow_testkit::Memory;

/// Runs that are not counted: they fill what is filled once.
const WARM_UP: u64 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::default().add_directive(Level::INFO.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(io::sink).init();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let runner = Runner::builder(Memory::new(), App::new(100)).with(foreign).build()?;
    for run in 0..=WARM_UP {
        let (key, request) = (Key::new("bench", format!("key-{run}"))?, Request::new(run));
        let answered = if run < WARM_UP {
            runtime.block_on(runner.run(foreign, key, request))
        } else {
            one_run(&runtime, &runner, key, request)
        };
        assert!(!black_box(answered?).replayed(), "a fresh key was known already");
    }
    Ok(())
}

/// What is counted: a whole run, the claim and the answer included.
#[inline(never)]
fn one_run(
    runtime: &Runtime,
    runner: &Runner<Memory, App>,
    key: Key,
    request: Request,
) -> Result<Answered, workflow::Error> {
    runtime.block_on(runner.run(foreign, key, request))
}
