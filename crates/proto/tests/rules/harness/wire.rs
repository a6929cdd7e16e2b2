//! Bytes as the RFCs have them, written without the library's own encoder.

/// What a machine without a routing id sends first, as every ZMTP 3 does: signature and major version.
pub(crate) const SIGNATURE: &[u8] = b"\xFF\0\0\0\0\0\0\0\x01\x7F";

/// The whole greeting of ZMTP 3.x (RFC 37, "Greeting").
pub(crate) fn greeting(major: u8, minor: u8, mechanism: &str) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([major, minor]);
    bytes.extend(mechanism.as_bytes());
    bytes.resize(64, 0);
    bytes
}

/// The same of a server of the mechanism.
pub(crate) fn greeting_of_server(mechanism: &str) -> Vec<u8> {
    let mut bytes = greeting(3, 1, mechanism);
    bytes[32] = 1;
    bytes
}

/// A frame of ZMTP 2.0 and newer.
pub(crate) fn frame(flags: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = match u8::try_from(body.len()) {
        Ok(len) => vec![flags, len],
        Err(_) => [&[flags | 2][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    bytes.extend(body);
    bytes
}

/// Takes a frame of ZMTP 2.0 and newer off: its flags and its body.
pub(crate) fn take_frame<'a>(bytes: &mut &'a [u8]) -> (u8, &'a [u8]) {
    let (flags, header_len, body_len) = match **bytes {
        [flags, len, ..] if flags & 2 == 0 => (flags, 2, usize::from(len)),
        [flags, ..] => (flags, 9, u64::from_be_bytes(bytes[1..9].try_into().unwrap()) as usize),
        [] => panic!("a frame"),
    };
    let (frame, rest) = bytes.split_at(header_len + body_len);
    *bytes = rest;
    (flags, &frame[header_len..])
}

/// Takes a command off, which must have this name; its data.
pub(crate) fn take_command<'a>(name: &str, bytes: &mut &'a [u8]) -> &'a [u8] {
    let (flags, body) = take_frame(bytes);
    assert_eq!(flags & !2, 4, "a command");
    let name = [&[name.len() as u8], name.as_bytes()].concat();
    body.strip_prefix(&name[..]).unwrap_or_else(|| panic!("{} begins with another name", body.escape_ascii()))
}

/// A frame of ZMTP 1.0 (RFC 13): the length counts the flags.
pub(crate) fn old_frame(flags: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = match body.len() + 1 {
        len @ 0..255 => vec![len as u8],
        len => [&[0xFF][..], &(len as u64).to_be_bytes()].concat(),
    };
    bytes.push(flags);
    bytes.extend(body);
    bytes
}

pub(crate) fn message(frames: &[&str]) -> Vec<u8> {
    let last = frames.len() - 1;
    frames.iter().enumerate().flat_map(|(index, body)| frame(u8::from(index < last), body)).collect()
}

pub(crate) fn old_message(frames: &[&str]) -> Vec<u8> {
    let last = frames.len() - 1;
    frames.iter().enumerate().flat_map(|(index, body)| old_frame(u8::from(index < last), body)).collect()
}

/// A command: COMMAND is bit 2.
pub(crate) fn command(name: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    frame(4, [&[name.len() as u8], name.as_bytes(), data.as_ref()].concat())
}

pub(crate) fn property(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [&[name.len() as u8], name.as_bytes(), &(value.len() as u32).to_be_bytes(), value].concat()
}

pub(crate) fn ready(socket_type: &str) -> Vec<u8> {
    command("READY", property("Socket-Type", socket_type))
}

pub(crate) fn ready_as(socket_type: &str, identity: impl AsRef<[u8]>) -> Vec<u8> {
    command("READY", [property("Socket-Type", socket_type), property("Identity", identity)].concat())
}

pub(crate) fn error(reason: &str) -> Vec<u8> {
    command("ERROR", [&[reason.len() as u8], reason.as_bytes()].concat())
}

/// All that a peer of ZMTP 3.1 sends before its first message.
pub(crate) fn hello(socket_type: &str) -> Vec<u8> {
    [greeting(3, 1, "NULL"), ready(socket_type)].concat()
}

pub(crate) fn hello_as(socket_type: &str, identity: impl AsRef<[u8]>) -> Vec<u8> {
    [greeting(3, 1, "NULL"), ready_as(socket_type, identity)].concat()
}

/// All that a peer of ZMTP 3.0 sends before its first message.
pub(crate) fn hello_3_0(socket_type: &str) -> Vec<u8> {
    [greeting(3, 0, "NULL"), ready(socket_type)].concat()
}

/// All that a peer of ZMTP 2.0 sends before its first message (RFC 15).
pub(crate) fn hello_2_0(socket_type: u8, identity: &str) -> Vec<u8> {
    [SIGNATURE, &[1, socket_type], &frame(0, identity)].concat()
}

pub(crate) fn subscribe(prefix: &str) -> Vec<u8> {
    command("SUBSCRIBE", prefix)
}

pub(crate) fn cancel(prefix: &str) -> Vec<u8> {
    command("CANCEL", prefix)
}

pub(crate) fn join(group: &str) -> Vec<u8> {
    command("JOIN", group)
}

pub(crate) fn leave(group: &str) -> Vec<u8> {
    command("LEAVE", group)
}

pub(crate) fn ping(ttl_deciseconds: u16, context: &str) -> Vec<u8> {
    command("PING", [&ttl_deciseconds.to_be_bytes(), context.as_bytes()].concat())
}

pub(crate) fn pong(context: &str) -> Vec<u8> {
    command("PONG", context)
}
