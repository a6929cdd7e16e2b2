//! RADIO and DISH over udp: one datagram for all who have joined the group, and no promise that it arrives (RFC 48).

use std::time::Duration;

use anyhow::Result;
use nought::{Context, Dish, Radio, RecvError};

fn main() -> Result<()> {
    let context = Context::new();
    // For many dishes, bind and connect to a multicast group, as in udp://eth0;239.0.0.1:5555.
    let dish = context.socket::<Dish>()?;
    dish.join("weather")?;
    let endpoint = dish.bind("udp://127.0.0.1:*")?;
    let radio = context.socket::<Radio>()?;
    radio.connect(&endpoint)?;

    // Whoever sends datagrams repeats them: each may be lost on the way.
    loop {
        radio.send_to_group("sports", "2:1")?;
        radio.send_to_group("weather", "21 °C")?;
        match dish.recv_timeout(Duration::from_millis(100)) {
            Ok(message) => {
                assert_eq!(message, "21 °C");
                let group = message.group().expect("a dish's message has one");
                println!("{}: {}", String::from_utf8_lossy(group), String::from_utf8_lossy(&message[0]));
                return Ok(());
            }
            Err(RecvError::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
