//! Each stable pattern, with each mechanism, over tcp and ipc: nought with itself, and with the system's libzmq in either
//! part.

#[allow(dead_code, reason = "other tests need more of it")]
mod system_libzmq;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nought::{
    Any, CurveClient, CurveServer, KeyPair, PlainClient, Security, Socket, SocketType, new_keys,
    security::{AccessRules, Authentication},
};
use nought_conformance::{Frames, Library, PATIENCE, body};

use self::system_libzmq::{Libzmq, Socket as LibzmqSocket};

const USER: &str = "admin";
const PASSWORD: &str = "secret";

/// Below and above the lengths from which a header is long, and a body goes by reference.
const SIZES: [usize; 5] = [0, 1, 255, 256, 65_536];

/// Who may talk to whom. Each of a pair binds once.
const PATTERNS: &[(SocketType, SocketType)] = &[
    (SocketType::Pair, SocketType::Pair),
    (SocketType::Push, SocketType::Pull),
    (SocketType::Req, SocketType::Rep),
    (SocketType::Req, SocketType::Router),
    (SocketType::Dealer, SocketType::Rep),
    (SocketType::Dealer, SocketType::Router),
    (SocketType::Dealer, SocketType::Dealer),
    (SocketType::Pub, SocketType::Sub),
    (SocketType::Pub, SocketType::XSub),
    (SocketType::XPub, SocketType::Sub),
    (SocketType::XPub, SocketType::XSub),
];

const LIBRARIES: [(Library, Library); 3] =
    [(Library::Nought, Library::Nought), (Library::Nought, Library::Libzmq), (Library::Libzmq, Library::Nought)];

#[test]
fn without_a_mechanism() {
    try_all(&Mechanism::Null, Libzmq::open());
}

#[test]
fn with_plain() {
    let libzmq = Libzmq::open();
    let _handler = libzmq.authenticate_plain(USER, PASSWORD);
    try_all(&Mechanism::Plain, libzmq);
}

#[test]
fn with_curve() {
    try_all(&Mechanism::Curve { server: new_keys(), client: new_keys() }, Libzmq::open());
}

fn try_all(mechanism: &Mechanism, libzmq: &'static Libzmq) {
    for &(left, right) in PATTERNS {
        for (binding, connecting) in [(left, right), (right, left)] {
            for libraries in LIBRARIES {
                for endpoint in endpoints() {
                    println!("{binding:?} <- {connecting:?}, {libraries:?}, {endpoint}");
                    let server = End::server(libraries.0, binding, mechanism, libzmq);
                    let endpoint = server.bind(&endpoint);
                    let client = End::client(libraries.1, connecting, mechanism, libzmq);
                    if binding == left {
                        exchange((left, &server), (right, &client), || client.connect(&endpoint));
                    } else {
                        exchange((left, &client), (right, &server), || client.connect(&endpoint));
                    }
                }
            }
        }
    }
}

fn endpoints() -> [String; 2] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("nought-matrix-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    ["tcp://127.0.0.1:*".into(), format!("ipc://{}", std::env::temp_dir().join(name).display())]
}

// ---- what they say to each other

/// Lets a pair do what their pattern is for.
fn exchange(left: (SocketType, &End), right: (SocketType, &End), connect: impl FnOnce()) {
    let ((left_type, left), (right_type, right)) = (left, right);
    match right_type {
        SocketType::Sub => right.subscribe(b"m"),
        SocketType::XSub => {}
        _ => {
            connect();
            return SIZES.iter().for_each(|&len| talk((left_type, left), (right_type, right), body(len)));
        }
    }
    connect();
    if right_type == SocketType::XSub {
        right.send(vec![b"\x01m".to_vec()]);
    }
    publish(left, right);
    for len in SIZES {
        let message = vec![b"m".to_vec(), body(len)];
        left.send(vec![b"other".to_vec()]);
        left.send(message.clone());
        while right.recv() != message {}
    }
}

/// Publishes until the subscription has come, of which a PUB does not tell.
fn publish(publisher: &End, subscriber: &End) {
    thread::scope(|scope| {
        let first = scope.spawn(|| subscriber.recv());
        while !first.is_finished() {
            publisher.send(vec![b"m".to_vec()]);
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(first.join().unwrap(), [b"m"]);
    });
}

/// A message there, and one back where the pattern has that.
fn talk(left: (SocketType, &End), right: (SocketType, &End), body: Vec<u8>) {
    // A DEALER makes what a REQ does by itself; a ROUTER sees it, behind the name of the peer.
    let request = match left.0 {
        SocketType::Dealer => vec![Vec::new(), body.clone()],
        _ => vec![body.clone()],
    };
    left.1.send(request.clone());
    let received = right.1.recv();
    assert!(received.last() == Some(&body), "{} bytes", body.len());
    if right.0 == SocketType::Pull {
        return;
    }
    right.1.send(received);
    assert!(left.1.recv() == request, "{} bytes, back", body.len());
}

// ---- the two libraries behind one face

enum Mechanism {
    Null,
    Plain,
    Curve { server: KeyPair, client: KeyPair },
}

enum End {
    Nought { socket: Socket<Any>, _authentication: Option<Authentication> },
    Libzmq(LibzmqSocket<'static>),
}

impl End {
    fn server(library: Library, socket_type: SocketType, mechanism: &Mechanism, libzmq: &'static Libzmq) -> Self {
        if library == Library::Libzmq {
            let socket = libzmq.socket(socket_type);
            match mechanism {
                Mechanism::Null => {}
                Mechanism::Plain => socket.be_plain_server(),
                Mechanism::Curve { server, .. } => socket.be_curve_server(server),
            }
            return Self::Libzmq(socket);
        }
        Self::nought(
            socket_type,
            match mechanism {
                Mechanism::Null => Security::Null,
                Mechanism::Plain => Security::PlainServer,
                Mechanism::Curve { server, .. } => CurveServer::new(server.clone()).into(),
            },
        )
    }

    fn client(library: Library, socket_type: SocketType, mechanism: &Mechanism, libzmq: &'static Libzmq) -> Self {
        if library == Library::Libzmq {
            let socket = libzmq.socket(socket_type);
            match mechanism {
                Mechanism::Null => {}
                Mechanism::Plain => socket.be_plain_client(USER, PASSWORD),
                Mechanism::Curve { server, client } => socket.be_curve_client(server.public_key(), client),
            }
            return Self::Libzmq(socket);
        }
        Self::nought(
            socket_type,
            match mechanism {
                Mechanism::Null => Security::Null,
                Mechanism::Plain => PlainClient::new(USER, PASSWORD).unwrap().into(),
                Mechanism::Curve { server, client } => CurveClient::new(*server.public_key(), client.clone()).into(),
            },
        )
    }

    fn nought(socket_type: SocketType, security: Security) -> Self {
        let context = nought::Context::new();
        let is_plain = matches!(security, Security::PlainServer);
        let authentication =
            is_plain.then(|| context.authenticate(AccessRules::new().plain_user(USER, PASSWORD)).unwrap());
        let socket = context
            .any_socket_builder(socket_type)
            .security(security)
            .linger(Some(Duration::ZERO))
            .send_timeout(Some(PATIENCE))
            .recv_timeout(Some(PATIENCE))
            .build();
        Self::Nought { socket: socket.unwrap(), _authentication: authentication }
    }

    fn bind(&self, endpoint: &str) -> String {
        match self {
            Self::Nought { socket, .. } => socket.bind(endpoint).unwrap().to_string(),
            Self::Libzmq(socket) => socket.bind(endpoint),
        }
    }

    fn connect(&self, endpoint: &str) {
        match self {
            Self::Nought { socket, .. } => socket.connect(endpoint).unwrap(),
            Self::Libzmq(socket) => socket.connect(endpoint),
        }
    }

    fn subscribe(&self, prefix: &[u8]) {
        match self {
            Self::Nought { socket, .. } => socket.subscribe(prefix).unwrap(),
            Self::Libzmq(socket) => socket.subscribe(prefix),
        }
    }

    fn send(&self, frames: Frames) {
        match self {
            Self::Nought { socket, .. } => socket.send(frames).unwrap(),
            Self::Libzmq(socket) => socket.send(&frames),
        }
    }

    fn recv(&self) -> Frames {
        match self {
            Self::Nought { socket, .. } => socket.recv().unwrap().frames().map(|frame| frame.to_vec()).collect(),
            Self::Libzmq(socket) => socket.recv(),
        }
    }
}
