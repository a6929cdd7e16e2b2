//! Whom messages go to and come from: a frame before the body in all that is read and printed, whatever the socket's type
//! makes of it.

use std::{net::SocketAddr, num::NonZeroU32};

use nought::{
    Frame, Message,
    SocketType::{self, Dgram, Peer, Radio, Server},
};

/// How the user writes the addresses of a socket type.
pub(super) struct Words {
    /// What is addressed.
    pub(super) what: &'static str,
    /// What stands for an address.
    pub(super) placeholder: &'static str,
    /// The option that gives all messages the same one.
    pub(super) option: Option<&'static str>,
}

impl Words {
    pub(super) fn of(socket_type: SocketType) -> Self {
        let (what, placeholder, option) = match socket_type {
            Radio => ("group", "GROUP", Some("--group GROUP")),
            // Peers have numbers only once they are there.
            Server | Peer => ("peer", "NUMBER", None),
            Dgram => ("peer", "IP:PORT", Some("--to IP:PORT")),
            _ => ("peer", "ID", Some("--to ID")),
        };
        Self { what, placeholder, option }
    }
}

/// The message whose first frame is its address, as a socket of this type sends it.
///
/// # Errors
/// If it is no address of this type's; and what to write instead.
pub(super) fn take_from_front(socket_type: SocketType, mut message: Message) -> Result<Message, String> {
    match socket_type {
        Server | Peer => {
            let number = parse_number(&message.pop_front().unwrap_or_default())?;
            Ok(message.with_routing_id(number))
        }
        Radio => {
            let group = message.pop_front().unwrap_or_default();
            Ok(message.with_group(group))
        }
        Dgram => check_ip_and_port(&message[0]).map(|()| message),
        _ => Ok(message),
    }
}

/// The message with its address, if it has one, as its first frame.
pub(super) fn put_in_front(mut message: Message) -> Message {
    let number = message.routing_id().map(|number| Frame::from(number.to_string().as_bytes()));
    let Some(address) = number.or_else(|| message.group().cloned()) else { return message };
    message.set_address(None);
    message.push_front(address);
    message
}

/// The reply for whoever sent the request.
pub(super) fn back_to_sender(socket_type: SocketType, request: &Message, mut reply: Message) -> Message {
    match socket_type {
        Dgram => reply.push_front(request[0].clone()),
        _ => reply.set_address(request.address().cloned()),
    }
    reply
}

fn parse_number(text: &[u8]) -> Result<NonZeroU32, String> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        format!("{:?} is no peer's number: write one that was printed before a message", String::from_utf8_lossy(text))
    })
}

/// Checks what a DGRAM sends to.
pub(super) fn check_ip_and_port(text: &[u8]) -> Result<(), String> {
    match str::from_utf8(text).ok().and_then(|text| text.parse::<SocketAddr>().ok()) {
        Some(_) => Ok(()),
        None => Err(format!("{:?} is no address: write IP:PORT, as in 192.0.2.1:5555", String::from_utf8_lossy(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back() {
        for (socket_type, address) in [(Server, "7"), (Peer, "4294967295"), (Radio, "news"), (Radio, "")] {
            let written = Message::from([address, "body"]);
            let sent = take_from_front(socket_type, written.clone()).unwrap();
            assert!(sent.address().is_some() && sent.len() == 1, "{sent:?}");
            assert_eq!(put_in_front(sent), written);
        }
        let written = Message::from(["[::1]:5", "body"]);
        assert_eq!(put_in_front(take_from_front(Dgram, written.clone()).unwrap()), written);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (socket_type, address) in [(Server, "0"), (Peer, "x"), (Server, ""), (Dgram, "localhost:5"), (Dgram, "")] {
            assert!(take_from_front(socket_type, Message::from([address, "body"])).unwrap_err().contains("write"));
        }
    }
}
