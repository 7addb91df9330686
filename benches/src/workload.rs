//! What is run: which workflow, how long, with how much data.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::payload::LEAST_POINT_BYTES;
use crate::workflows::{MOST_ATOMIC, USUAL_LENGTH};

/// The workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Foreign steps that do nothing outside.
    Foreign5,
    /// Atomic steps without SQL of their own.
    Atomic5,
    /// Atomic with a row of the application's, foreign, atomic with a row, foreign.
    Checkout,
}

/// The steps of the checkout, and whether a row of the application's is written in each.
const CHECKOUT: [bool; 4] = [true, false, true, false];

/// A workflow and its sizes.
#[derive(Debug, Clone, Copy, Args)]
pub struct Workload {
    /// What each run does.
    #[arg(long = "workload", value_enum, default_value = "foreign5")]
    pub kind: Kind,
    /// How many steps foreign5 has, 1 to 100, or atomic5, 1 to 10.
    #[arg(long, value_name = "N", default_value_t = USUAL_LENGTH, value_parser = steps)]
    pub steps: usize,
    /// How many bytes of JSON each recovery point holds.
    #[arg(long, value_name = "B", default_value_t = 100, value_parser = point_bytes)]
    pub point_bytes: usize,
}

impl Workload {
    /// Whether there are so many steps of this kind.
    ///
    /// # Errors
    /// What is wrong, for who typed it.
    pub fn check(&self) -> Result<(), String> {
        if self.kind == Kind::Atomic5 && self.steps > MOST_ATOMIC {
            return Err(format!("atomic5 has at most {MOST_ATOMIC} steps"));
        }
        Ok(())
    }

    /// Of each step, whether a row of the application's is written in it.
    pub fn places(&self) -> Vec<bool> {
        match self.kind {
            Kind::Checkout => CHECKOUT.to_vec(),
            Kind::Foreign5 | Kind::Atomic5 => vec![false; self.steps],
        }
    }

    /// How it is given to a program of this family.
    pub fn arguments(&self) -> [String; 6] {
        let kind = self.kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let (steps, bytes) = (self.steps.to_string(), self.point_bytes.to_string());
        ["--workload".into(), kind, "--steps".into(), steps, "--point-bytes".into(), bytes]
    }
}

fn steps(text: &str) -> Result<usize, String> {
    within(text, 1, 100)
}

fn point_bytes(text: &str) -> Result<usize, String> {
    within(text, LEAST_POINT_BYTES, 64 << 20)
}

fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let wrong = || format!("a number from {least} to {most} is needed");
    text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(wrong)
}
