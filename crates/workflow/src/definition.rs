//! The checks of a definition that types cannot make: names.

use std::collections::HashSet;

use crate::Workflow;
use crate::point::{FINISHED, STARTED};
use crate::workflow::Table;

/// The longest name of a workflow, step or point, in characters.
const MAX_NAME: usize = 100;

/// What is wrong with a workflow's definition. Found when the runner is built, never at a customer's request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// A workflow without a step.
    #[error("workflow `{workflow}` has no step")]
    NoStep {
        /// The workflow.
        workflow: &'static str,
    },
    /// A name that cannot be stored.
    #[error(
        "workflow `{workflow}`: {what} `{name}` is no name: 1 to {MAX_NAME} characters of a-z, 0-9 and _"
    )]
    Name {
        /// The workflow.
        workflow: &'static str,
        /// `workflow`, `step` or `recovery point`.
        what: &'static str,
        /// The name.
        name: &'static str,
    },
    /// Two steps with one name.
    #[error("workflow `{workflow}` has two steps named `{step}`")]
    DuplicateStep {
        /// The workflow.
        workflow: &'static str,
        /// The name.
        step: &'static str,
    },
    /// Two steps with one effect name: the other side would take the second call for a repetition of the first.
    #[error("workflow `{workflow}` has two foreign steps with the effect name `{effect}`")]
    DuplicateEffect {
        /// The workflow.
        workflow: &'static str,
        /// The name.
        effect: &'static str,
    },
    /// Two steps that start from one point, by its name or an alias.
    #[error("workflow `{workflow}`: two steps start from recovery point `{point}` (by its name or an alias)")]
    DuplicatePoint {
        /// The workflow.
        workflow: &'static str,
        /// The point.
        point: &'static str,
    },
    /// The request is not named `started`.
    #[error(
        "workflow `{workflow}`: the request's recovery point is named `{point}`, but it must be `{STARTED}`"
    )]
    NotStarted {
        /// The workflow.
        workflow: &'static str,
        /// The point.
        point: &'static str,
    },
    /// A point that is not the request is named `started`, or one is named `finished`.
    #[error("workflow `{workflow}`: the name `{point}` is reserved, step `{step}` may not reach it")]
    Reserved {
        /// The workflow.
        workflow: &'static str,
        /// The step.
        step: &'static str,
        /// The point.
        point: &'static str,
    },
    /// Two points of no return.
    #[error(
        "workflow `{workflow}` has a second point of no return at step `{step}`: only the first one counts"
    )]
    SecondPointOfNoReturn {
        /// The workflow.
        workflow: &'static str,
        /// The second step.
        step: &'static str,
    },
    /// Two workflows with one name in one runner.
    #[error("two workflows are named `{workflow}`")]
    DuplicateWorkflow {
        /// The name.
        workflow: &'static str,
    },
}

impl<C, A, In> Workflow<C, A, In> {
    /// Checks the names. The runner does the same when it is built; this is for a unit test of the definition.
    ///
    /// # Errors
    /// The first [`DefinitionError`].
    pub fn verify(&self) -> Result<(), DefinitionError> {
        verify(&self.0)
    }
}

/// The builder's own shape, which `verify` relies on: the last step reaches the response and no other does.
fn verify<C, A, In>(table: &Table<C, A, In>) -> Result<(), DefinitionError> {
    let workflow = table.name;
    let named = |what, name| match is_name(name) {
        true => Ok(()),
        false => Err(DefinitionError::Name { workflow, what, name }),
    };
    named("workflow", workflow)?;
    let first = table.steps.first().ok_or(DefinitionError::NoStep { workflow })?;
    if first.from != STARTED {
        return Err(DefinitionError::NotStarted { workflow, point: first.from });
    }
    let mut ends = table.steps.iter().filter(|step| step.point_of_no_return).skip(1);
    if let Some(step) = ends.next() {
        return Err(DefinitionError::SecondPointOfNoReturn { workflow, step: step.name });
    }
    let (mut steps, mut effects, mut points) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (i, step) in table.steps.iter().enumerate() {
        named("step", step.name)?;
        if !steps.insert(step.name) {
            return Err(DefinitionError::DuplicateStep { workflow, step: step.name });
        }
        if step.is_foreign() && !effects.insert(step.effect_name) {
            return Err(DefinitionError::DuplicateEffect { workflow, effect: step.effect_name });
        }
        let last = i + 1 == table.steps.len();
        let reserved = |point: &&&'static str| **point == STARTED || (**point == FINISHED && !last);
        if let Some(point) = step.reaches.iter().find(reserved) {
            return Err(DefinitionError::Reserved { workflow, step: step.name, point });
        }
        for &point in std::iter::once(&step.from).chain(step.aliases) {
            named("recovery point", point)?;
            if point == FINISHED {
                return Err(DefinitionError::Reserved { workflow, step: step.name, point });
            }
            if !points.insert(point) {
                return Err(DefinitionError::DuplicatePoint { workflow, point });
            }
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
