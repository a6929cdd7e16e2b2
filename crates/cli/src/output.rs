//! Standard output, of which all is written, or it is an error; and standard error.

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

/// Tells the user something, on standard error. Where that cannot be written to, there is nobody to tell.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
