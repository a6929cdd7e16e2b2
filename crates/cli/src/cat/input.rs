//! Where the messages to send come from.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, Read},
    os::unix::ffi::OsStrExt,
};

use anyhow::Context as _;
use nought::Message;

use super::{
    CatArgs, InputFormat,
    checks::Role,
    codec::{Address, Decoder},
    names_peers,
};
use crate::failure::Failure;

/// The messages to send, in their order.
#[derive(Debug)]
pub(super) struct Input {
    decoder: Decoder,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The arguments; over and over if `repeat` is set.
    Arguments { messages: Vec<OsString>, next: usize, repeat: bool },
    /// Standard input, of which so many lines are read.
    Lines(u64),
    /// Standard input as a whole.
    Whole,
    /// Nothing more.
    Empty,
}

impl Input {
    /// What the arguments say.
    pub(super) fn new(args: &CatArgs) -> Self {
        let address = match args.addressee() {
            Some(peer) => Address::Fixed(peer),
            None if names_peers(args.socket_type) => Address::InMessage,
            None => Address::None,
        };
        let decoder = Decoder { format: args.input_format(), delimiter: args.delimiter.clone(), address };
        Self { decoder, source: Source::new(args) }
    }

    /// The next message; waits for standard input where that is the source. `None` at the end.
    ///
    /// # Errors
    /// If a message cannot be made of what is read, or it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Failure> {
        match &mut self.source {
            Source::Empty => Ok(None),
            Source::Arguments { messages, next, repeat } => {
                let Some(message) = messages.get(*next) else { return Ok(None) };
                *next += 1;
                if *repeat {
                    *next %= messages.len();
                }
                self.decoder.argument(message).map(Some)
            }
            Source::Lines(read) => {
                *read += 1;
                self.decoder.line(*read)
            }
            Source::Whole => {
                self.source = Source::Empty;
                let mut bytes = Vec::new();
                io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
                self.decoder.decode(&bytes).map(Some).map_err(Failure::error)
            }
        }
    }
}

impl Source {
    fn new(args: &CatArgs) -> Self {
        match Role::of(args.socket_type) {
            Role::Receives => return Self::Empty,
            Role::Answers if args.echo => return Self::Empty,
            _ => {}
        }
        let fixed_reply = args.reply.as_slice();
        let messages = if args.messages.is_empty() { fixed_reply } else { &args.messages };
        if messages.is_empty() {
            return if args.input_format() == InputFormat::File { Self::Whole } else { Self::Lines(0) };
        }
        let counts_sent = matches!(Role::of(args.socket_type), Role::Sends | Role::Asks);
        let repeat = args.interval.is_some() || args.reply.is_some() || (args.count.is_some() && counts_sent);
        Self::Arguments { messages: messages.to_vec(), next: 0, repeat }
    }
}

impl Decoder {
    fn argument(&self, argument: &OsString) -> Result<Message, Failure> {
        if self.format == InputFormat::File {
            let bytes = fs::read(argument).with_context(|| format!("cannot read {}", argument.display()))?;
            return self.decode(&bytes).map_err(Failure::error);
        }
        self.decode(argument.as_bytes()).map_err(Failure::Usage)
    }

    /// The message in the next line of standard input, which is number `number`.
    fn line(&self, number: u64) -> Result<Option<Message>, Failure> {
        let mut line = Vec::new();
        if io::stdin().lock().read_until(b'\n', &mut line).context("cannot read standard input")? == 0 {
            return Ok(None);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        self.decode(line).map(Some).map_err(|what| Failure::error(format!("line {number}: {what}")))
    }
}
