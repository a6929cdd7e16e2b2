//! Arguments that contradict each other, and what to write instead.

use nought::SocketType;

use super::{
    CatArgs, InputFormat, OutputFormat,
    address::{self, Words},
};
use crate::failure::Failure;

/// What a socket type does, as far as this command is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Only sends.
    Sends,
    /// Only receives.
    Receives,
    /// Sends a request, then receives its reply.
    Asks,
    /// Receives a request, then sends its reply.
    Answers,
    /// Sends and receives as it comes.
    Talks,
}

impl Role {
    pub(super) fn of(args: &CatArgs) -> Self {
        match args.socket_type {
            SocketType::Push | SocketType::Pub | SocketType::Radio | SocketType::Scatter => Self::Sends,
            SocketType::Pull | SocketType::Sub | SocketType::Dish | SocketType::Gather => Self::Receives,
            SocketType::Req => Self::Asks,
            SocketType::Rep => Self::Answers,
            _ if args.echo || args.reply.is_some() || gives_replies(args) => Self::Answers,
            _ => Self::Talks,
        }
    }
}

/// Whether the MESSAGEs are replies: nobody knows their peers' numbers before those are there.
fn gives_replies(args: &CatArgs) -> bool {
    matches!(args.socket_type, SocketType::Server | SocketType::Peer)
        && !args.messages.is_empty()
        && !args.has_only_peer()
}

/// The type at the other end of one that only sends or only receives.
fn counterpart(socket_type: SocketType) -> &'static str {
    match socket_type {
        SocketType::Push => "pull",
        SocketType::Pull => "push",
        SocketType::Pub => "sub",
        SocketType::Radio => "dish",
        SocketType::Dish => "radio",
        SocketType::Gather => "scatter",
        SocketType::Scatter => "gather",
        _ => "pub",
    }
}

/// Says what is wrong with the arguments as a whole.
pub(super) fn check(args: &CatArgs) -> Result<(), Failure> {
    let checks =
        [check_endpoints, check_direction, check_pattern, check_groups, check_formats, check_addressee, check_tls];
    checks.iter().try_for_each(|check| check(args)).map_err(Failure::Usage)
}

fn check_endpoints(args: &CatArgs) -> Result<(), String> {
    if args.socket_type == SocketType::Dgram && !args.connect.is_empty() {
        return Err("DGRAM connects to nobody: write --bind 'udp://*:*', and --to IP:PORT".to_owned());
    }
    if !args.bind.is_empty() || !args.connect.is_empty() {
        return Ok(());
    }
    let mistaken = args.messages.iter().filter_map(|message| message.to_str()).find(|message| message.contains("://"));
    Err(match mistaken {
        Some(endpoint) => format!("write --connect {endpoint}, or --bind {endpoint}, to say what to do with it"),
        None => "write where to: --bind ENDPOINT to listen, or --connect ENDPOINT".to_owned(),
    })
}

fn check_tls(args: &CatArgs) -> Result<(), String> {
    args.tls.check(&args.bind, &args.connect)
}

fn check_direction(args: &CatArgs) -> Result<(), String> {
    let socket_type = args.socket_type;
    let (role, peer) = (Role::of(args), counterpart(socket_type));
    if role == Role::Receives {
        let given = [
            (!args.messages.is_empty(), "the MESSAGE"),
            (args.input.is_some(), "--in"),
            (args.interval.is_some(), "--interval"),
            (args.wait_for.is_some(), "--wait-for"),
        ];
        refuse(&given, |what| format!("{socket_type} only receives: leave out {what}, or write {peer} to send"))?;
    }
    if role == Role::Sends && args.output.is_some() {
        return Err(format!("{socket_type} only sends: leave out --out, or write {peer} to receive"));
    }
    Ok(())
}

fn check_pattern(args: &CatArgs) -> Result<(), String> {
    let socket_type = args.socket_type;
    let refuse_for = |given: bool, option: &str, allowed: &[SocketType]| {
        let names: Vec<String> = allowed.iter().map(|kind| kind.name().to_ascii_lowercase()).collect();
        let advice = format!("{option} is for {}: leave it out for {socket_type}", names.join(", "));
        if given && !allowed.contains(&socket_type) { Err(advice) } else { Ok(()) }
    };
    use SocketType::{Dealer, Dgram, Dish, Peer, Radio, Rep, Req, Router, Server, Stream, Sub, XSub};
    refuse_for(!args.subscribe.is_empty(), "--subscribe", &[Sub, XSub])?;
    refuse_for(args.reply.is_some(), "--reply", &[Rep, Server, Peer, Dgram])?;
    refuse_for(args.echo, "--echo", &[Rep, Server, Peer, Dgram])?;
    refuse_for(args.to.is_some(), "--to", &[Router, Stream, Dgram])?;
    refuse_for(args.id.is_some(), "--id", &[Req, Dealer, Router])?;
    refuse_for(!args.group.is_empty(), "--group", &[Radio, Dish])?;
    if gives_replies(args) && args.socket_type == Peer && args.bind.is_empty() {
        return Err("MESSAGEs go to the one that a PEER connects to: write one --connect".into());
    }
    if (args.reply.is_some() || args.echo) && !args.messages.is_empty() {
        return Err("MESSAGEs are replies to one request each: leave them out, or leave out --reply and --echo".into());
    }
    Ok(())
}

fn check_groups(args: &CatArgs) -> Result<(), String> {
    match (args.socket_type, args.group.len()) {
        (SocketType::Dish, 0) => Err("DISH receives what is for the groups that it joins: write --group GROUP".into()),
        (SocketType::Radio, 2..) => {
            Err("--group names one group for RADIO: write one, or name it in each message".into())
        }
        _ => Ok(()),
    }
}

fn check_formats(args: &CatArgs) -> Result<(), String> {
    let (input, output) = (args.input_format(), args.output_format());
    let Some(delimiter) = &args.delimiter else { return Ok(()) };
    if delimiter.is_empty() {
        return Err("an empty --delimiter separates nothing: write a text, as in --delimiter ,".into());
    }
    if input == InputFormat::Hex && delimiter.bytes().any(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("--delimiter {delimiter} is a hex digit: write another, as in --delimiter ,"));
    }
    if args.socket_type.is_single_frame() && !args.has_addresses() {
        return Err(format!("messages of a {} have one frame: leave out --delimiter", args.socket_type));
    }
    let role = Role::of(args);
    let splits = role != Role::Receives && !matches!(input, InputFormat::File | InputFormat::Json);
    let joins = role != Role::Sends && !matches!(output, OutputFormat::Raw | OutputFormat::Json);
    if !splits && !joins {
        return Err("neither format has a use for --delimiter: leave it out, or write --in lines or --out text".into());
    }
    Ok(())
}

fn check_addressee(args: &CatArgs) -> Result<(), String> {
    if args.to.is_some() && args.connect.len() > 1 {
        return Err("--to names one peer: write one --connect, or name the peer in each message".into());
    }
    if let (SocketType::Dgram, Some(to)) = (args.socket_type, &args.to) {
        address::check_ip_and_port(to)?;
    }
    let names_none = args.has_addresses() && args.addressee().is_none() && args.input_format() == InputFormat::File;
    if names_none && matches!(Role::of(args), Role::Sends | Role::Talks) {
        let Words { what, option, .. } = Words::of(args.socket_type);
        return Err(format!("a whole file names no {what}: write {}", option.unwrap_or("lines, or JSON")));
    }
    Ok(())
}

fn refuse(given: &[(bool, &str)], advice: impl Fn(&str) -> String) -> Result<(), String> {
    match given.iter().find(|(is_given, _)| *is_given) {
        Some((_, what)) => Err(advice(what)),
        None => Ok(()),
    }
}
