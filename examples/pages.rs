//! The pages of the documentation, so that their code is compiled and run: `cargo test -p nought-examples --doc`.

#![cfg(doctest)]

#[doc = include_str!("../README.md")]
mod readme {}

#[doc = include_str!("../docs/async.md")]
mod r#async {}

#[doc = include_str!("../docs/endpoints.md")]
mod endpoints {}

#[doc = include_str!("../docs/options.md")]
mod options {}

#[doc = include_str!("../docs/patterns.md")]
mod patterns {}

#[doc = include_str!("../docs/security.md")]
mod security {}

#[doc = include_str!("../docs/performance.md")]
mod performance {}
