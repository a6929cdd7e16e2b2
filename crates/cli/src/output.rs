//! Standard output: all is written, or it is an error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use crate::failure::Failure;

/// Prints a text as it is.
///
/// # Errors
/// If standard output cannot be written to, or is closed.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    write!(output, "{text}").and_then(|()| output.flush()).map_err(Failure::of_output)
}
