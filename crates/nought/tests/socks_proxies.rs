//! Connecting through SOCKS 5 proxies: names that only the proxy knows, passwords, and proxies that say what they may not
//! or nothing at all.

mod support;

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use nought::{
    Context, Monitor, Pull, Push, Socket, SocketBuilder, SocketEventKind,
    transport::{AddressError, SocksProxy, SocksRefusal},
};
use support::{await_event, recv, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// A proxy that connects all who ask to one place, and tells what they asked for.
struct Proxy {
    address: String,
    asked: Receiver<Asked>,
}

#[derive(Debug, PartialEq, Eq)]
struct Asked {
    user_and_password: Option<(String, String)>,
    kind: u8,
    address: Vec<u8>,
}

impl Proxy {
    /// For connections to what is bound at `endpoint`.
    fn before(endpoint: &str) -> Self {
        let destination = endpoint.trim_start_matches("tcp://").trim_start_matches("ws://").trim_end_matches('/');
        let destination = destination.to_owned();
        let (tell, asked) = mpsc::channel();
        let address = listen(move |mut client| {
            tell.send(serve(&mut client)?).map_err(io::Error::other)?;
            let mut server = TcpStream::connect(&destination)?;
            // The destination's first bytes come together with the reply, as they may.
            let mut first = vec![5, 0, 0, 3, 1, b'x', 0, 0];
            let len = first.len();
            first.resize(len + 10, 0);
            let came = server.read(&mut first[len..])?;
            client.write_all(&first[..len + came])?;
            forward(client, server)
        });
        Self { address, asked }
    }
}

/// Calls `serve` for each who connects, on threads that end with the connection.
fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(client));
        }
    });
    address
}

fn read_exact<const LEN: usize>(from: &mut TcpStream) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_text(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let [len] = read_exact(from)?;
    let mut text = vec![0; usize::from(len)];
    from.read_exact(&mut text)?;
    Ok(text)
}

fn serve(client: &mut TcpStream) -> io::Result<Asked> {
    let [5, 1, method] = read_exact(client)? else { return Err(io::ErrorKind::InvalidData.into()) };
    client.write_all(&[5])?;
    client.write_all(&[method])?;
    let user_and_password = if method == 2 {
        let [1] = read_exact(client)? else { return Err(io::ErrorKind::InvalidData.into()) };
        let text = |bytes| String::from_utf8(bytes).map_err(io::Error::other);
        let both = (text(read_text(client)?)?, text(read_text(client)?)?);
        client.write_all(&[1, 0])?;
        Some(both)
    } else {
        None
    };
    let [5, 1, 0, kind] = read_exact(client)? else { return Err(io::ErrorKind::InvalidData.into()) };
    let address = match kind {
        1 => read_exact::<4>(client)?.to_vec(),
        4 => read_exact::<16>(client)?.to_vec(),
        _ => read_text(client)?,
    };
    let _port: [u8; 2] = read_exact(client)?;
    Ok(Asked { user_and_password, kind, address })
}

fn forward(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let back = (server.try_clone()?, client.try_clone()?);
    let other_way = thread::spawn(move || copy(back.0, back.1));
    copy(client, server)?;
    other_way.join().map_err(|_| io::Error::other("a thread panicked"))?
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    copied.map(drop)
}

fn through(proxy: SocksProxy) -> impl FnOnce(SocketBuilder<Push>) -> SocketBuilder<Push> {
    |builder| builder.socks_proxy(Some(proxy)).reconnect_interval(Some(Duration::from_millis(20)))
}

fn push(context: &Context, set: impl FnOnce(SocketBuilder<Push>) -> SocketBuilder<Push>) -> Socket<Push> {
    set(context.socket_builder::<Push>()).build().unwrap()
}

fn bound(context: &Context, endpoint: &str) -> (Socket<Pull>, String) {
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind(endpoint).unwrap();
    (pull, endpoint)
}

fn failure(monitor: &Monitor) -> (io::ErrorKind, Option<SocksRefusal>) {
    await_event(monitor, "a failure", |event| match event {
        SocketEventKind::ConnectFailed { error } => {
            Some((error.kind(), error.get_ref().and_then(|inner| inner.downcast_ref().copied())))
        }
        _ => None,
    })
}

#[test]
fn addresses_reach_the_proxy_as_they_are_written() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, endpoint) = bound(&context, "tcp://127.0.0.1:*");
    let proxy = Proxy::before(&endpoint);
    let v6 = [[0; 15].as_slice(), &[1]].concat();
    let cases = [
        ("tcp://192.0.2.1:5555", 1, vec![192, 0, 2, 1]),
        // That this machine is to use IPv4 alone does not concern the proxy.
        ("tcp://[::1]:5555", 4, v6),
        ("tcp://known-to-the-proxy.invalid:5555", 3, b"known-to-the-proxy.invalid".to_vec()),
        ("tcp://127.0.0.1:0;192.0.2.1:5555", 1, vec![192, 0, 2, 1]),
    ];
    for (endpoint, kind, address) in cases {
        let push = push(&context, through(SocksProxy::new(format!("127.0.0.1:0;{}", proxy.address))));
        let monitor = push.monitor();
        push.connect(endpoint).unwrap();
        push.send(endpoint).unwrap();
        assert_eq!(recv(&pull), endpoint);
        assert_eq!(proxy.asked.recv().unwrap(), Asked { user_and_password: None, kind, address });
        let is_connected = |event: &SocketEventKind| matches!(event, SocketEventKind::Connected).then_some(());
        await_event(&monitor, "a connection", is_connected);
        let peer = push.peers()[0].endpoint.clone();
        assert_eq!(peer, Some(endpoint.replace("127.0.0.1:0;", "")));
    }
}

#[test]
fn user_and_password_are_told() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, endpoint) = bound(&context, "tcp://127.0.0.1:*");
    let proxy = Proxy::before(&endpoint);
    let anna = SocksProxy::new(&proxy.address).with_credentials("anna", "secret").unwrap();
    let push = push(&context, through(anna));
    push.connect("tcp://somewhere.invalid:5555").unwrap();
    push.send("hello").unwrap();
    assert_eq!(recv(&pull), "hello");
    let both = Some(("anna".to_owned(), "secret".to_owned()));
    assert_eq!(proxy.asked.recv().unwrap().user_and_password, both);
}

#[test]
fn websockets_go_through_a_proxy() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, endpoint) = bound(&context, "ws://127.0.0.1:*");
    // A WebSocket server says nothing first.
    let destination = endpoint.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let address = listen(move |mut client| {
        serve(&mut client)?;
        let server = TcpStream::connect(&destination)?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        forward(client, server)
    });
    let push = push(&context, through(SocksProxy::new(address)));
    push.connect("ws://somewhere.invalid:80/path").unwrap();
    push.send("hello").unwrap();
    assert_eq!(recv(&pull), "hello");
}

#[test]
fn what_a_proxy_may_not_say_is_told_and_tried_again() {
    let _bounded = watchdog(LIMIT);
    let answers: [(&[u8], io::ErrorKind, SocksRefusal); 5] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", io::ErrorKind::InvalidData, SocksRefusal::Version(b'H')),
        (&[5, 0xFF], io::ErrorKind::PermissionDenied, SocksRefusal::Methods),
        (&[5, 2], io::ErrorKind::InvalidData, SocksRefusal::Method(2)),
        (&[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], io::ErrorKind::ConnectionRefused, SocksRefusal::Reply(5)),
        (&[5, 0, 5, 0, 0, 9, 0], io::ErrorKind::InvalidData, SocksRefusal::AddressType(9)),
    ];
    for (answer, kind, refusal) in answers {
        let address = listen(move |mut client| {
            client.write_all(answer)?;
            // What was not read would be lost with a reset.
            io::copy(&mut client, &mut io::sink()).map(drop)
        });
        let context = Context::new();
        let push = push(&context, through(SocksProxy::new(address)));
        let monitor = push.monitor();
        push.connect("tcp://192.0.2.1:5555").unwrap();
        for attempt in 0..4 {
            assert_eq!(failure(&monitor), (kind, Some(refusal)));
            let pause = await_event(&monitor, "another attempt", |event| match event {
                SocketEventKind::ConnectRetried { delay } => Some(*delay),
                _ => None,
            });
            let whole = Duration::from_millis(20) * (1 << attempt);
            assert!(pause >= whole / 2 && pause <= whole, "attempt {attempt}: {pause:?}");
        }
    }
}

#[test]
fn a_proxy_that_closes_is_told() {
    let _bounded = watchdog(LIMIT);
    let address = listen(|mut client| {
        read_exact::<3>(&mut client)?;
        client.write_all(&[5])
    });
    let context = Context::new();
    let push = push(&context, through(SocksProxy::new(address)));
    let monitor = push.monitor();
    push.connect("tcp://192.0.2.1:5555").unwrap();
    assert_eq!(failure(&monitor), (io::ErrorKind::UnexpectedEof, Some(SocksRefusal::Closed)));
}

#[test]
fn a_silent_proxy_is_given_up() {
    let _bounded = watchdog(LIMIT);
    let short = Some(Duration::from_millis(30));
    type Limit = fn(SocketBuilder<Push>, Option<Duration>) -> SocketBuilder<Push>;
    for limit in [SocketBuilder::connect_timeout as Limit, SocketBuilder::handshake_timeout] {
        let address = listen(|mut client| io::copy(&mut client, &mut io::sink()).map(drop));
        let context = Context::new();
        let push = push(&context, |builder| limit(through(SocksProxy::new(address))(builder), short));
        let monitor = push.monitor();
        push.connect("tcp://192.0.2.1:5555").unwrap();
        for _ in 0..2 {
            assert_eq!(failure(&monitor), (io::ErrorKind::TimedOut, None));
        }
    }
}

#[test]
fn what_is_no_proxy_or_no_place_beyond_one_is_an_error_of_connect() {
    let context = Context::new();
    let error = |proxy: &str, endpoint: &str| {
        let push = push(&context, through(SocksProxy::new(proxy)));
        push.connect(endpoint).unwrap_err().to_string()
    };
    let of = |error: AddressError| error.to_string();
    let nowhere = "tcp://192.0.2.1:5555";
    assert_eq!(error("proxy", nowhere), of(AddressError::NoPort { address: "proxy".to_owned() }));
    assert_eq!(error("*:1080", nowhere), of(AddressError::AnyHost { address: "*:1080".to_owned() }));
    assert_eq!(error("proxy:0", nowhere), of(AddressError::AnyPort { address: "proxy:0".to_owned() }));
    assert_eq!(error("[::1]:1080", nowhere), of(AddressError::Ipv6Off { host: "[::1]".to_owned() }));
    let zone = "[fe80::1%lo]".to_owned();
    assert_eq!(error("127.0.0.1:1080", "tcp://[fe80::1%lo]:5"), of(AddressError::BeyondProxy { host: zone }));
    let name = "x".repeat(256);
    assert_eq!(error("127.0.0.1:1080", &format!("tcp://{name}:5")), of(AddressError::BeyondProxy { host: name }));
}
