//! Handshakes of each version, so that a target need not find them byte by byte.

use nought_proto::{SocketType, wire::Version};

pub const SIGNATURE: &[u8] = b"\xFF\0\0\0\0\0\0\0\x01\x7F";
pub const VERSIONS: [Version; 4] = [Version::V1_0, Version::V2_0, Version::V3_0, Version::V3_1];

/// A type that may talk to this one.
pub fn fitting(socket_type: SocketType) -> SocketType {
    SocketType::ALL.into_iter().find(|peer| socket_type.accepts(*peer)).unwrap_or(SocketType::Pair)
}

/// All that a peer of this version and type sends before its first message.
pub fn hello(version: Version, socket_type: SocketType) -> Vec<u8> {
    match version {
        Version::V1_0 => b"\x01\0".to_vec(),
        Version::V2_0 => [SIGNATURE, &[1, socket_type.number(), 0, 0]].concat(),
        Version::V3_0 => hello_3(0, socket_type),
        Version::V3_1 => hello_3(1, socket_type),
    }
}

/// A greeting of ZMTP 3.
pub fn greeting(minor: u8, mechanism: &str) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([3, minor]);
    bytes.extend(mechanism.as_bytes());
    bytes.resize(64, 0);
    bytes
}

fn hello_3(minor: u8, socket_type: SocketType) -> Vec<u8> {
    let mut bytes = greeting(minor, "NULL");
    let name = socket_type.name().as_bytes();
    bytes.extend([4, 22 + name.len() as u8]);
    bytes.extend(b"\x05READY\x0BSocket-Type\0\0\0");
    bytes.push(name.len() as u8);
    bytes.extend(name);
    bytes
}
