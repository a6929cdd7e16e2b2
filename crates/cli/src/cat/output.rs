//! Printing what is received.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, StdoutLock, Write},
};

use nought::Message;

use super::{
    OutputFormat,
    codec::{self, DELIMITER_DEFAULT},
};
use crate::failure::Failure;

/// Prints messages to standard output.
pub(super) struct Printer {
    output: io::BufWriter<StdoutLock<'static>>,
    format: OutputFormat,
    delimiter: String,
    has_addresses: bool,
    escapes: bool,
}

impl Printer {
    /// A printer; with `has_addresses`, the first frame of each message is shown as a routing id.
    pub(super) fn new(format: OutputFormat, delimiter: Option<&str>, has_addresses: bool) -> Self {
        let stdout = io::stdout();
        let escapes = stdout.is_terminal();
        let delimiter = delimiter.unwrap_or(DELIMITER_DEFAULT).to_owned();
        Self { output: io::BufWriter::new(stdout.lock()), format, delimiter, has_addresses, escapes }
    }

    /// Prints a message; it may stay in a buffer until [`flush`](Self::flush).
    ///
    /// # Errors
    /// If standard output cannot be written to, or is closed.
    pub(super) fn print(&mut self, message: &Message) -> Result<(), Failure> {
        let result = match self.format {
            OutputFormat::Json => writeln!(self.output, "{}", codec::to_json(message)),
            OutputFormat::Hex => self.print_frames(message, |frame| codec::hex(frame).into_bytes()),
            OutputFormat::Raw => message.frames().try_for_each(|frame| self.output.write_all(frame)),
            OutputFormat::Text if self.escapes => self.print_frames(message, |frame| escape(frame).into_bytes()),
            OutputFormat::Text => self.print_frames(message, <[u8]>::to_vec),
        };
        result.map_err(Failure::of_output)
    }

    /// Lets the reader see what was printed.
    ///
    /// # Errors
    /// If standard output cannot be written to, or is closed.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.output.flush().map_err(Failure::of_output)
    }

    fn print_frames(&mut self, message: &Message, show: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
        for (index, frame) in message.frames().enumerate() {
            if index > 0 {
                self.output.write_all(self.delimiter.as_bytes())?;
            }
            let is_id = index == 0 && self.has_addresses && self.format == OutputFormat::Text;
            let shown = if is_id { codec::show_routing_id(frame).into_bytes() } else { show(frame) };
            self.output.write_all(&shown)?;
        }
        self.output.write_all(b"\n")
    }
}

/// Text that does nothing to a terminal: control characters, and bytes that are no text, as escapes.
fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' | '\t' => shown.push(character),
                _ if character.is_control() => shown.extend(character.escape_default()),
                _ => shown.push(character),
            }
        }
        // Writing to a string does not fail.
        let _ = write!(shown, "{}", chunk.invalid().escape_ascii());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_touched_by_what_is_received() {
        assert_eq!(escape(b"a\tb\x1b[2J\xff\xc3\xa9"), "a\tb\\u{1b}[2J\\xff\u{e9}");
    }
}
