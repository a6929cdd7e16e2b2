//! PUB and SUB: each subscriber receives what it subscribed to (RFC 29).

use std::{thread, time::Duration};

use anyhow::Result;
use nought::{Context, Pub, Sub};

fn main() -> Result<()> {
    let context = Context::new();
    let publisher = context.socket::<Pub>()?;
    let endpoint = publisher.bind("tcp://127.0.0.1:*")?;

    let berlin = context.socket::<Sub>()?;
    berlin.subscribe("weather.berlin")?;
    berlin.connect(&endpoint)?;

    // A prefix: all topics that start with it. The empty prefix is everything.
    let weather = context.socket::<Sub>()?;
    weather.subscribe("weather.")?;
    weather.connect(&endpoint)?;

    // What is published before a subscription has arrived is not for that subscriber. A program that needs to know
    // looks at the count, or takes an XPUB, which receives the subscriptions as messages.
    while publisher.stats().subscriptions < 2 {
        thread::sleep(Duration::from_millis(1));
    }

    // The topic is the start of the first frame; here it is a frame of its own.
    publisher.send(["weather.paris", "24 °C"])?;
    publisher.send(["traffic.berlin", "none"])?;
    publisher.send(["weather.berlin", "21 °C"])?;

    let message = berlin.recv()?;
    assert_eq!((&message[0], &message[1]), (&"weather.berlin".into(), &"21 °C".into()));
    let topics = [weather.recv()?, weather.recv()?].map(|message| message[0].clone());
    assert_eq!(topics, ["weather.paris", "weather.berlin"]);

    // Subscriptions are counted: the second end of the same prefix is an error.
    weather.unsubscribe("weather.")?;
    assert!(weather.unsubscribe("weather.").is_err());
    println!("Berlin's subscriber received one message, the other one two; nobody received the traffic");
    Ok(())
}
