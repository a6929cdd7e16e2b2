//! Messages as text: lines with separated frames, hex digits, JSON.

use nought::{Frame, Message, SocketType};
use serde_json::Value;

use super::{
    InputFormat,
    address::{self, Words},
};

/// What separates printed frames, and the frames of hex input, unless something else is asked for.
pub(super) const DELIMITER_DEFAULT: &str = "\t";

/// Makes messages of what is read.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) socket_type: SocketType,
    pub(super) format: InputFormat,
    pub(super) delimiter: Option<String>,
    pub(super) address: Address,
}

/// How a message says to which peer or group it goes.
#[derive(Debug)]
pub(super) enum Address {
    /// Not at all.
    None,
    /// All go to the same one.
    Fixed(Frame),
    /// Its first frame names it.
    InMessage,
}

impl Decoder {
    /// Makes a message of a line, an argument or a file's bytes.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(super) fn decode(&self, text: &[u8]) -> Result<Message, String> {
        let mut message = match self.format {
            InputFormat::File => Message::from(text),
            InputFormat::Lines => self.split_line(text)?,
            InputFormat::Hex => split(text, self.delimiter.as_deref().unwrap_or(DELIMITER_DEFAULT), usize::MAX)
                .map(parse_hex)
                .collect::<Result<Message, _>>()?,
            InputFormat::Json => parse_json(text)?,
        };
        match &self.address {
            Address::Fixed(peer) => message.push_front(peer),
            Address::InMessage if message.len() < 2 => return Err(self.lacks_address(text)),
            Address::InMessage | Address::None => {}
        }
        let is_addressed = !matches!(self.address, Address::None);
        let frames = message.len() - usize::from(is_addressed);
        if self.takes_one_frame() && frames != 1 {
            return Err(format!("{frames} frames are no message of a {}: write one", self.socket_type));
        }
        if is_addressed { address::take_from_front(self.socket_type, message) } else { Ok(message) }
    }

    fn takes_one_frame(&self) -> bool {
        self.socket_type.is_single_frame() || self.socket_type == SocketType::Dgram
    }

    fn split_line(&self, line: &[u8]) -> Result<Message, String> {
        let (delimiter, names_peer) = match (&self.delimiter, &self.address) {
            (None, Address::InMessage) => (DELIMITER_DEFAULT, true),
            (None, _) => return Ok(Message::from(line)),
            (Some(delimiter), address) => (delimiter.as_str(), matches!(address, Address::InMessage)),
        };
        // Behind the address of a message of one frame a delimiter is text as any other.
        let frames_max = if names_peer && self.takes_one_frame() { 2 } else { usize::MAX };
        let mut frames: Vec<Frame> = split(line, delimiter, frames_max).map(Frame::from).collect();
        if names_peer && let Ok(text) = str::from_utf8(&frames[0]) {
            let parse = if self.socket_type == SocketType::Radio { parse_group } else { parse_routing_id };
            frames[0] = parse(text)?;
        }
        Ok(Message::from(frames))
    }

    fn lacks_address(&self, text: &[u8]) -> String {
        let delimiter = self.delimiter.as_deref().unwrap_or(DELIMITER_DEFAULT).replace('\t', "a tab");
        let Words { what, placeholder, option } = Words::of(self.socket_type);
        let how = match self.format {
            InputFormat::Json => format!("[\"{placeholder}\", \"MESSAGE\"]"),
            _ => format!("{placeholder}, {delimiter} and the message"),
        };
        let option = option.map(|option| format!(", or {option}")).unwrap_or_default();
        format!("{:?} names no {what}: write {how}{option}", String::from_utf8_lossy(text))
    }
}

/// The parts between the delimiters, at most `parts_max`.
fn split<'a>(text: &'a [u8], delimiter: &'a str, parts_max: usize) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    let mut cuts_left = parts_max - 1;
    std::iter::from_fn(move || {
        let current = rest?;
        let mut places = current.windows(delimiter.len());
        let at = if cuts_left > 0 { places.position(|window| window == delimiter.as_bytes()) } else { None };
        cuts_left -= usize::from(at.is_some());
        rest = at.map(|at| &current[at + delimiter.len()..]);
        Some(&current[..at.unwrap_or(current.len())])
    })
}

/// Reads hex digits; blanks between them do not count.
pub(super) fn parse_hex(text: &[u8]) -> Result<Frame, String> {
    let shown = || String::from_utf8_lossy(text);
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{:?} has an odd number of hex digits: write two for each byte", shown()));
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    bytes.map(Frame::from).ok_or_else(|| format!("{:?} has other characters than hex digits", shown()))
}

/// Writes hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a routing id: text, or `0x` and hex digits.
pub(super) fn parse_routing_id(text: &str) -> Result<Frame, String> {
    let id = match text.strip_prefix("0x") {
        Some(digits) => parse_hex(digits.as_bytes())?,
        None => Frame::from(text),
    };
    if id.is_empty() { Err("an empty ID names nobody: write text, or 0x and hex digits".to_owned()) } else { Ok(id) }
}

/// Reads the routing id that this socket is to have.
pub(super) fn parse_own_routing_id(text: &str) -> Result<Frame, String> {
    let id = parse_routing_id(text)?;
    let is_legal = id.len() <= 255 && id[0] != 0;
    if is_legal { Ok(id) } else { Err("write at most 255 bytes, the first of them not zero".to_owned()) }
}

/// Reads the name of a group: text, or `0x` and hex digits.
pub(super) fn parse_group(text: &str) -> Result<Frame, String> {
    let group = match text.strip_prefix("0x") {
        Some(digits) => parse_hex(digits.as_bytes())?,
        None => Frame::from(text),
    };
    let is_legal = group.len() <= 255 && !group.contains(&0);
    if is_legal { Ok(group) } else { Err("write a GROUP of at most 255 bytes, none of them zero".to_owned()) }
}

/// Writes a routing id as [`parse_routing_id`] reads it.
pub(super) fn show_routing_id(id: &[u8]) -> String {
    match str::from_utf8(id) {
        Ok(text) if !text.chars().any(char::is_control) && !text.starts_with("0x") => text.to_owned(),
        _ => format!("0x{}", hex(id)),
    }
}

fn parse_json(text: &[u8]) -> Result<Message, String> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| format!("no JSON ({error}): write a string, or an array of strings for several frames"))?;
    match value {
        Value::Array(frames) if frames.is_empty() => {
            Err("an empty array has no frame: write [\"\"] for an empty message".into())
        }
        Value::Array(frames) => frames.iter().map(json_frame).collect(),
        frame => json_frame(&frame).map(Message::from),
    }
}

fn json_frame(value: &Value) -> Result<Frame, String> {
    match value {
        Value::String(text) => Ok(Frame::from(text.as_str())),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("hex") => {
            let digits = fields["hex"].as_str().ok_or("write the hex digits as a string: {\"hex\": \"00ff\"}")?;
            parse_hex(digits.as_bytes())
        }
        _ => Err(format!("{value} is no frame: write a string, or {{\"hex\": \"00ff\"}} for bytes")),
    }
}

/// A message as JSON: an array of strings; an object with hex digits for what is not text.
pub(super) fn to_json(message: &Message) -> String {
    let frame = |frame: &Frame| match str::from_utf8(frame) {
        Ok(text) => Value::from(text),
        Err(_) => serde_json::json!({ "hex": hex(frame) }),
    };
    Value::Array(message.frames().map(frame).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(format: InputFormat, delimiter: Option<&str>) -> Decoder {
        let socket_type = SocketType::Dealer;
        Decoder { socket_type, format, delimiter: delimiter.map(str::to_owned), address: Address::None }
    }

    #[test]
    fn a_line_is_one_frame_unless_a_delimiter_is_given() {
        assert_eq!(decoder(InputFormat::Lines, None).decode(b"a\tb").unwrap(), Message::from("a\tb"));
        let split = decoder(InputFormat::Lines, Some("::")).decode(b"a::::b").unwrap();
        assert_eq!(split, Message::from(["a", "", "b"]));
    }

    #[test]
    fn hex_is_read_and_written() {
        let message = decoder(InputFormat::Hex, None).decode(b"00 fF\t\t41").unwrap();
        assert_eq!(message, Message::from([&b"\x00\xff"[..], b"", b"A"]));
        assert_eq!(hex(&message[0]), "00ff");
        assert!(parse_hex(b"123").unwrap_err().contains("odd"));
        assert!(parse_hex(b"zz").unwrap_err().contains("other characters"));
    }

    #[test]
    fn json_is_read_and_written() {
        let json = decoder(InputFormat::Json, None);
        let message = json.decode(br#"["a\n", {"hex": "ff00"}]"#).unwrap();
        assert_eq!(message, Message::from([&b"a\n"[..], b"\xff\x00"]));
        assert_eq!(to_json(&message), r#"["a\n",{"hex":"ff00"}]"#);
        assert_eq!(json.decode(br#""one""#).unwrap(), Message::from("one"));
        for wrong in ["", "[]", "1", "[1]", r#"{"hex": 1}"#, r#"{"hex": "f"}"#, "a"] {
            json.decode(wrong.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn a_routing_id_leads_back() {
        for id in [&b"worker"[..], b"\0\x01\x02\x03\x04", b"0x", b"\xff", "é".as_bytes()] {
            assert_eq!(parse_routing_id(&show_routing_id(id)).unwrap(), id);
        }
        assert!(parse_routing_id("0xZ").is_err());
    }

    #[test]
    fn messages_to_named_peers_have_a_name() {
        let mut decoder = Decoder { address: Address::InMessage, ..decoder(InputFormat::Lines, None) };
        assert_eq!(decoder.decode(b"0x0001\thello").unwrap(), Message::from([&b"\x00\x01"[..], b"hello"]));
        assert!(decoder.decode(b"hello").unwrap_err().contains("--to ID"));
        decoder.address = Address::Fixed(Frame::from("w"));
        assert_eq!(decoder.decode(b"a\tb").unwrap(), Message::from(["w", "a\tb"]));
    }

    #[test]
    fn behind_an_address_all_is_one_frame_where_messages_have_one() {
        let radio =
            |format| Decoder { socket_type: SocketType::Radio, address: Address::InMessage, ..decoder(format, None) };
        let message = radio(InputFormat::Lines).decode(b"news\ta\tb").unwrap();
        assert_eq!(message, Message::from("a\tb").with_group("news"));
        assert_eq!(radio(InputFormat::Lines).decode(b"\ta").unwrap(), Message::from("a").with_group(""));
        assert!(radio(InputFormat::Lines).decode(b"a").unwrap_err().contains("write GROUP, a tab and the message"));
        assert!(radio(InputFormat::Json).decode(br#"["a", "b", "c"]"#).unwrap_err().contains("2 frames"));
        let client = Decoder { socket_type: SocketType::Client, ..decoder(InputFormat::Json, None) };
        assert!(client.decode(br#"["a", "b"]"#).unwrap_err().contains("2 frames are no message of a CLIENT"));
        assert!(parse_group("a\0").is_err() && parse_group(&"a".repeat(256)).is_err());
    }
}
