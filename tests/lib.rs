//! Only tests live here. The code in the book is compiled with them.

#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../docs/testing.md")]
mod testing {}

#[cfg(doctest)]
#[doc = include_str!("../docs/versioning.md")]
mod versioning {}

#[cfg(doctest)]
#[doc = include_str!("../docs/http.md")]
mod http {}
