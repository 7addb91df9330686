#![doc = include_str!("../README.md")]
#![allow(clippy::result_large_err, reason = "a refusal is a response, as everywhere in axum")]

mod answer;
mod body;
mod effect;
mod keys;
mod layer;
mod plain;
mod prefer;
mod problem;
mod run;
mod scope;
mod settings;
mod status;
mod wait;

pub use effect::EffectKey;
pub use keys::{HEADER, KeyHeader, KeyHeaderError, parse};
pub use layer::{IdempotencyLayer, IdempotencyService};
pub use plain::{Live, Plain};
pub use problem::{Kind, Problem};
pub use run::{Run, run};
pub use scope::{EVERYBODY, Idempotency};
pub use settings::Settings;
pub use status::{Standing, Status, status};
