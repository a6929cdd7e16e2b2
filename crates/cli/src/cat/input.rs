//! Where the messages to send come from.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, Read},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use anyhow::Context as _;
use nought::Message;

use super::{
    CatArgs, InputFormat,
    checks::Role,
    codec::{Address, Decoder},
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
    Arguments { arguments: Vec<Argument>, next: usize, repeat: bool },
    /// Standard input, of which so many lines are read.
    Lines(u64),
    /// Standard input as a whole.
    Whole,
    /// Nothing more.
    Empty,
}

#[derive(Debug)]
enum Argument {
    Message(Message),
    File(PathBuf),
}

impl Input {
    /// What the arguments say.
    ///
    /// # Errors
    /// If a message cannot be made of an argument.
    pub(super) fn new(args: &CatArgs) -> Result<Self, Failure> {
        let address = match args.addressee() {
            // A reply goes where its request came from.
            _ if Role::of(args) == Role::Answers => Address::None,
            Some(peer) => Address::Fixed(peer),
            None if args.has_addresses() => Address::InMessage,
            None => Address::None,
        };
        let (socket_type, format) = (args.socket_type, args.input_format());
        let decoder = Decoder { socket_type, format, delimiter: args.delimiter.clone(), address };
        let source = Source::new(args, &decoder).map_err(Failure::Usage)?;
        Ok(Self { decoder, source })
    }

    /// The next message; waits for standard input where that is the source. `None` at the end.
    ///
    /// # Errors
    /// If a message cannot be made of what is read, or it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Failure> {
        match &mut self.source {
            Source::Empty => Ok(None),
            Source::Arguments { arguments, next, repeat } => {
                let Some(argument) = arguments.get(*next) else { return Ok(None) };
                *next += 1;
                if *repeat {
                    *next %= arguments.len();
                }
                self.decoder.argument(argument).map(Some)
            }
            Source::Lines(read) => {
                *read += 1;
                self.decoder.line(*read)
            }
            Source::Whole => {
                self.source = Source::Empty;
                self.decoder.standard_input().map(Some)
            }
        }
    }

    /// Whether it is sure to end, without waiting for others.
    pub(super) fn is_finite(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Arguments { repeat, .. } => !repeat,
            Source::Lines(_) | Source::Whole => false,
        }
    }

    /// Whether it is known, without waiting, that there is no message left.
    pub(super) fn is_used_up(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Arguments { arguments, next, .. } => *next == arguments.len(),
            Source::Lines(_) | Source::Whole => false,
        }
    }
}

impl Source {
    fn new(args: &CatArgs, decoder: &Decoder) -> Result<Self, String> {
        let role = Role::of(args);
        if role == Role::Receives || args.echo {
            return Ok(Self::Empty);
        }
        let given = if args.messages.is_empty() { args.reply.as_slice() } else { &args.messages };
        if given.is_empty() {
            let is_whole = args.input_format() == InputFormat::File;
            return Ok(if is_whole { Self::Whole } else { Self::Lines(0) });
        }
        let counts_sent = matches!(role, Role::Sends | Role::Asks);
        let repeat = args.interval.is_some() || args.reply.is_some() || (args.count.is_some() && counts_sent);
        let arguments = given.iter().map(|text| Argument::new(text, decoder)).collect::<Result<_, _>>()?;
        Ok(Self::Arguments { arguments, next: 0, repeat })
    }
}

impl Argument {
    fn new(text: &OsStr, decoder: &Decoder) -> Result<Self, String> {
        match decoder.format {
            InputFormat::File => Ok(Self::File(text.into())),
            _ => decoder.decode(text.as_bytes()).map(Self::Message),
        }
    }
}

impl Decoder {
    fn argument(&self, argument: &Argument) -> Result<Message, Failure> {
        match argument {
            Argument::Message(message) => Ok(message.clone()),
            Argument::File(path) => {
                let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                self.decode(&bytes).map_err(Failure::error)
            }
        }
    }

    fn standard_input(&self) -> Result<Message, Failure> {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        self.decode(&bytes).map_err(Failure::error)
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
