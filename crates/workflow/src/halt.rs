//! The halt: why a step did not reach its point.

use std::fmt;
use std::time::Duration;

use crate::{Response, Verdict};

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a step returns: the point that it reached, or why it did not.
pub type Step<T> = Result<T, Halt>;

/// Why a step did not reach its point. `?` makes one of any error.
///
/// The meaning of an error travels in its source chain: an error with a [`Response`] among its sources is final, one with
/// an [`InDoubt`] may have done its work unheard, and anything else means that nothing of this step happened and that it
/// is tried again. So a domain error needs only one line to be final:
///
/// ```
/// use workflow::{Halt, Meaning, Response};
///
/// #[derive(Debug, thiserror::Error)]
/// enum ShopError {
///     #[error(transparent)]
///     Refused(#[from] Response),
///     #[error("database")]
///     Db(#[from] std::io::Error),
/// }
///
/// let refused = Halt::from(ShopError::from(Response::empty(402)));
/// assert!(matches!(refused.meaning(), Meaning::Answer(r) if r.status() == 402));
/// ```
///
/// `Halt` is deliberately not an error itself: that is what lets `?` take every other one. The split into
/// retry-by-default and an explicit end is Restate's; that an application's own error type carries it, is ours.
#[derive(Debug)]
pub struct Halt(Meaning);

/// What a halt means to the runner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Meaning {
    /// This answer is final: it is stored and replayed.
    Answer(Response),
    /// Nothing of this step happened: the key stays at its point and the step is tried again.
    Retry(BoxError),
    /// Nobody knows whether it happened: the step is tried again, with the same effect key, and its key does not end
    /// before that is known.
    InDoubt(BoxError),
}

impl Meaning {
    fn of(error: BoxError) -> Self {
        if let Some(response) = Response::among(&*error) {
            return Self::Answer(response);
        }
        match among::<InDoubt>(&*error) {
            Some(_) => Self::InDoubt(error),
            None => Self::Retry(error),
        }
    }
}

/// The first error of this type among an error and its sources.
pub(crate) fn among<'e, E: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// An error after which nobody knows whether a foreign step has done its work: a call that was sent and not answered.
///
/// ```
/// use workflow::{Halt, InDoubt, Meaning};
///
/// let hung_up = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
/// assert!(matches!(Halt::from(InDoubt::new(hung_up)).meaning(), Meaning::InDoubt(_)));
/// ```
#[derive(Debug)]
pub struct InDoubt(BoxError);

impl InDoubt {
    /// This error leaves the step in doubt.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for InDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody knows whether it happened")
    }
}

impl std::error::Error for InDoubt {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// An error whose source said when to ask again: the `Retry-After` of HTTP. The step is not tried again before that.
#[derive(Debug)]
pub struct RetryAfter {
    pub(crate) after: Duration,
    error: BoxError,
}

impl RetryAfter {
    /// Not before so long from now.
    pub fn new(after: Duration, error: impl Into<BoxError>) -> Self {
        Self { after, error: error.into() }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asked to try again after {:?}", self.after)
    }
}

impl std::error::Error for RetryAfter {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

impl Halt {
    /// For errors that are not a `std::error::Error` themselves: a boxed one, an `anyhow::Error`.
    pub fn of(error: impl Into<BoxError>) -> Self {
        Self(Meaning::of(error.into()))
    }

    /// What it means.
    pub fn meaning(&self) -> &Meaning {
        &self.0
    }

    /// What it means, taken out.
    pub fn into_meaning(self) -> Meaning {
        self.0
    }

    /// What does not say what it means, means what the judge says.
    pub(crate) fn judged(self, judge: impl Fn(&BoxError) -> Verdict) -> Self {
        let Meaning::Retry(error) = self.0 else { return self };
        Self(match judge(&error) {
            Verdict::Answer(response) => Meaning::Answer(response),
            Verdict::InDoubt => Meaning::InDoubt(error),
            Verdict::Retry => Meaning::Retry(error),
        })
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::of(error)
    }
}

/// `.or_answer(…)?`: whatever this error is, it is final.
///
/// ```
/// use serde_json::json;
/// use workflow::{OrAnswer, Response, Step};
///
/// fn quantity(text: &str) -> Step<u32> {
///     Ok(text.parse().or_answer(|e| Response::new(422, json!({ "error": format!("{e}") })))?)
/// }
/// assert!(quantity("three").is_err());
/// ```
pub trait OrAnswer<T, E> {
    /// Turns the error into a final answer.
    ///
    /// # Errors
    /// The response, if this was an error.
    fn or_answer(self, answer: impl FnOnce(E) -> Response) -> Result<T, Response>;
}

impl<T, E> OrAnswer<T, E> for Result<T, E> {
    fn or_answer(self, answer: impl FnOnce(E) -> Response) -> Result<T, Response> {
        self.map_err(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Debug, thiserror::Error)]
    enum Domain {
        #[error(transparent)]
        Refused(#[from] Response),
        #[error("wrapped")]
        Wrapped(#[source] Response),
        #[error("shared")]
        Shared(#[source] Arc<Response>),
        #[error("boxed")]
        Boxed(#[source] Box<dyn std::error::Error + Send + Sync>),
        #[error("plain")]
        Plain,
    }

    fn status(halt: Halt) -> Option<u16> {
        match halt.into_meaning() {
            Meaning::Answer(response) => Some(response.status()),
            Meaning::Retry(_) | Meaning::InDoubt(_) => None,
        }
    }

    #[test]
    fn a_response_is_found_however_deep_it_is_wrapped() {
        let no = || Response::empty(402);
        assert_eq!(status(no().into()), Some(402));
        assert_eq!(status(Domain::Refused(no()).into()), Some(402));
        assert_eq!(status(Domain::Wrapped(no()).into()), Some(402));
        assert_eq!(status(Domain::Shared(Arc::new(no())).into()), Some(402));
        assert_eq!(status(Domain::Boxed(Box::new(Domain::Refused(no()))).into()), Some(402));
        assert_eq!(status(Halt::of(BoxError::from(Domain::Refused(no())))), Some(402));
        assert_eq!(status(Domain::Plain.into()), None);
        assert_eq!(status(Halt::of("just text")), None);
    }

    #[test]
    fn a_doubt_is_found_however_deep_it_is_wrapped_and_an_answer_goes_before_it() {
        let doubt = || Domain::Boxed(Box::new(InDoubt::new("hung up")));
        assert!(matches!(Halt::from(doubt()).meaning(), Meaning::InDoubt(_)));
        assert!(matches!(
            Halt::from(RetryAfter::new(Duration::ZERO, doubt())).meaning(),
            Meaning::InDoubt(_)
        ));
        assert_eq!(status(InDoubt::new(Response::empty(402)).into()), Some(402));
        let waits = Halt::from(Domain::Boxed(Box::new(RetryAfter::new(Duration::from_secs(7), "busy"))));
        let Meaning::Retry(error) = waits.meaning() else { panic!("{waits:?}") };
        assert_eq!(among::<RetryAfter>(&**error).map(|asked| asked.after), Some(Duration::from_secs(7)));
    }

    #[test]
    fn question_mark_keeps_the_meaning() {
        fn refuse() -> Result<(), Domain> {
            Err(Response::empty(409))?
        }
        fn step() -> Step<()> {
            Ok(refuse()?)
        }
        assert_eq!(step().map_err(status), Err(Some(409)));
    }
}
