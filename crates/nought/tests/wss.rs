//! wss://: what goes over it arrives as over ws, to and from whom it should, and what a peer does wrong in TLS ends its
//! connection with an event that says what.

mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use nought::{
    Any, BindError, ConnectError, Context, CurveClient, CurveServer, Dealer, DisconnectReason, Kind, Monitor, Pull,
    Push, Rep, Req, Socket, SocketBuilder, SocketEventKind, SocketType, Stream, Sub, XPub, new_keys,
    transport::{TlsError, TlsIdentity, TlsName, TlsTrust},
};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use support::{
    PATIENCE, await_event, body,
    exchanges::{a_slow_reader_gets_all_in_order, a_subscription_passes_and_ends, bodies_arrive},
    recv, until, watchdog,
};
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

const LIMIT: Duration = Duration::from_secs(60);
const ANYWHERE: &str = "wss://127.0.0.1:*";

// ---- certificates

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Signed {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // No two have the same name.
        params.distinguished_name.push(DnType::OrganizationName, support::unique());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }

    fn trust(&self) -> TlsTrust {
        TlsTrust::from_pem(self.pem.as_bytes()).unwrap()
    }
}

impl Signed {
    /// By its own key, for these names and this common name.
    fn by_itself(names: &[&str], common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = called(common_name);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, key: key.serialize_pem() }
    }

    /// Trust in this certificate itself.
    fn trust(&self) -> TlsTrust {
        TlsTrust::from_pem(self.certificate.as_bytes()).unwrap()
    }

    fn identity(&self) -> TlsIdentity {
        TlsIdentity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

/// What a certificate says of its owner beside the names: more than a length of one byte can tell.
fn called(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "o".repeat(200));
    name.push(DnType::CommonName, common_name);
    name
}

/// Whom all trust, unless a test says otherwise.
static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

static LOCAL: LazyLock<Signed> = LazyLock::new(|| AUTHORITY.sign(&["localhost", "127.0.0.1"], |_| {}));

/// Options for either side.
fn secured<K>(builder: SocketBuilder<K>) -> SocketBuilder<K>
where
    K: Kind,
{
    builder.wss_identity(Some(LOCAL.identity())).wss_trust(AUTHORITY.trust())
}

fn socket<K: Kind>(context: &Context) -> Socket<K> {
    secured(context.socket_builder()).build().unwrap()
}

fn connected<A: Kind, B: Kind>(context: &Context) -> (Socket<A>, Socket<B>) {
    let (bound, near) = (socket(context), socket(context));
    near.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
    (bound, near)
}

/// Why the peer was given up, as the event has it.
fn loss(monitor: &Monitor) -> String {
    await_event(monitor, "the loss", |event| match event {
        SocketEventKind::Disconnected { reason: DisconnectReason::Transport(error) } => Some(error.to_string()),
        SocketEventKind::Disconnected { reason } => Some(reason.to_string()),
        SocketEventKind::HandshakeFailed { error } => Some(error.to_string()),
        _ => None,
    })
}

// ---- between two of ours

#[test]
fn bodies_of_all_lengths_arrive_both_ways() {
    const LENS: [usize; 9] = [0, 1, 125, 255, 8191, 16_384, 65_535, 3_000_000, 0];
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (bound, near) = connected::<Dealer, Dealer>(&context);
    for (from, to) in [(&near, &bound), (&bound, &near)] {
        bodies_arrive(from, to, &LENS);
    }
}

/// Its queue and the kernel's buffers fill, so that records go out in part.
#[test]
fn a_stream_to_a_slow_reader_keeps_its_order() {
    const MESSAGES: u64 = 50_000;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context);
    a_slow_reader_gets_all_in_order(&push, &pull, MESSAGES, 908);
}

#[test]
fn every_legal_pair_shakes_hands() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let framed = SocketType::ALL.into_iter().filter(|kind| !matches!(kind, SocketType::Stream | SocketType::Dgram));
    let types: Vec<SocketType> = framed.collect();
    for (&one, &other) in types.iter().flat_map(|one| types.iter().map(move |other| (one, other))) {
        if !one.accepts(other) || matches!(one, SocketType::Dish) {
            continue;
        }
        let (bound, near): (Socket<Any>, Socket<Any>) = (
            secured(context.any_socket_builder(one)).build().unwrap(),
            secured(context.any_socket_builder(other)).build().unwrap(),
        );
        let endpoint = bound.bind("wss://127.0.0.1:*/path").unwrap();
        assert!(endpoint.starts_with("wss://127.0.0.1:") && endpoint.ends_with("/path"), "{endpoint}");
        near.connect(&endpoint).unwrap();
        until("both are connected", || bound.stats().peers > 0 && near.stats().peers > 0);
        assert_eq!(bound.peers()[0].peer.socket_type, Some(other));
        assert!(bound.peers()[0].peer.address.as_deref().unwrap().starts_with("wss://127.0.0.1:"));
    }
}

#[test]
fn subscriptions_pass_and_end() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (publisher, sub) = connected::<XPub, Sub>(&context);
    a_subscription_passes_and_ends(&publisher, &sub);
}

#[test]
fn curve_goes_within_it() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let server = new_keys();
    let client = CurveClient::new(*server.public_key(), new_keys());
    let bound = secured(context.socket_builder::<Rep>()).security(CurveServer::new(server)).build().unwrap();
    let near = secured(context.socket_builder::<Req>()).security(client).build().unwrap();
    near.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
    near.send("secret").unwrap();
    let request = recv(&bound);
    bound.send(request).unwrap();
    assert_eq!(recv(&near), "secret");
}

/// The peer reads late: what was accepted waits in the queue, in TLS and in the kernel, and the end comes after it.
#[test]
fn what_was_sent_before_a_close_arrives() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = socket::<Pull>(&context);
    let monitor = pull.monitor();
    let endpoint = pull.bind(ANYWHERE).unwrap();
    for round in 0..10 {
        let push = socket::<Push>(&context);
        push.connect(&endpoint).unwrap();
        (0..200).for_each(|n| push.send(body(n, 5000 * round)).unwrap());
        drop(push);
        thread::sleep(Duration::from_millis(20));
        (0..200).for_each(|n| assert_eq!(recv(&pull), body(n, 5000 * round)));
        let why = loss(&monitor);
        assert!(why.contains("closed"), "{why}");
    }
    until("all have gone", || pull.stats().peers == 0);
}

#[test]
fn a_listener_that_comes_back_is_found_again() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let req = socket::<Req>(&context);
    let first = socket::<Rep>(&context);
    let endpoint = first.bind(ANYWHERE).unwrap();
    req.connect(&endpoint).unwrap();
    for rep in [Some(first), None] {
        let rep = rep.unwrap_or_else(|| {
            until("the loss is noticed", || req.stats().peers == 0);
            let rep = socket::<Rep>(&context);
            until("the port is free", || rep.bind(&endpoint).is_ok());
            rep
        });
        req.send("?").unwrap();
        let request = recv(&rep);
        rep.send(request).unwrap();
        assert_eq!(recv(&req), "?");
    }
}

/// What the server says in its handshake does not fit into the kernel's buffer, and nothing but room for more of it will
/// come.
#[test]
fn a_handshake_is_written_in_pieces() {
    let _bounded = watchdog(LIMIT);
    let names: Vec<String> = (0..1500).map(|n| format!("host-{n}.example.net")).collect();
    let mut names: Vec<&str> = names.iter().map(|name| &name[..]).collect();
    names.push("127.0.0.1");
    let large = AUTHORITY.sign(&names, |_| {});
    assert!(large.certificate.len() > 30_000);
    let context = Context::new();
    let bound = secured(context.socket_builder::<Pull>()).wss_identity(Some(large.identity())).send_buffer(Some(1));
    let bound = bound.build().unwrap();
    let push = secured(context.socket_builder::<Push>()).receive_buffer(Some(1)).build().unwrap();
    push.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
    // Nobody calls, who would look for what can be read and write on.
    until("both are connected", || bound.stats().peers > 0 && push.stats().peers > 0);
    push.send("through").unwrap();
    assert_eq!(recv(&bound), "through");
}

// ---- who is refused

/// The reason is told on both sides, and the connection is tried again, after pauses.
#[test]
fn certificates_that_are_not_right_are_refused() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let other = Authority::new();
    let named = |name: &str| Some(TlsName::new(name).unwrap());
    let expired = AUTHORITY.sign(&["127.0.0.1"], |params| params.not_after = date_time_ymd(2001, 1, 1));
    let early = AUTHORITY.sign(&["127.0.0.1"], |params| params.not_before = date_time_ymd(3001, 1, 1));
    let foreign = AUTHORITY.sign(&["elsewhere.example"], |_| {});
    let cases = [
        (LOCAL.clone(), other.trust(), None, "no authority that wss_trust trusts"),
        (LOCAL.clone(), TlsTrust::nobody(), None, "no authority that wss_trust trusts"),
        (LOCAL.clone(), AUTHORITY.trust(), named("other.example"), "not valid for name \"other.example\""),
        (foreign, AUTHORITY.trust(), None, "not valid for name \"127.0.0.1\""),
        (expired, AUTHORITY.trust(), None, "expired"),
        (early, AUTHORITY.trust(), None, "not valid yet"),
    ];
    for (signed, trust, name, expected) in cases {
        let bound = context.socket_builder::<Pull>().wss_identity(Some(signed.identity())).build().unwrap();
        let push = context.socket_builder::<Push>().wss_trust(trust).wss_host_name(name);
        let push = push.reconnect_interval(Some(Duration::from_millis(5))).build().unwrap();
        let (at_server, at_client) = (bound.monitor(), push.monitor());
        push.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
        for _ in 0..2 {
            let why = loss(&at_client);
            assert!(why.contains("certificate is refused") && why.contains(expected), "{why}");
            let retried =
                |event: &SocketEventKind| matches!(event, SocketEventKind::ConnectRetried { .. }).then_some(());
            await_event(&at_client, "another try", retried);
            let why = loss(&at_server);
            assert!(why.contains("the peer refuses the certificate of this side"), "{why}");
        }
        assert_eq!((bound.stats().peers, push.stats().peers), (0, 0));
    }
}

/// An authority's own certificate, and one without a subjectAltName, are a server's if they are trusted by name.
#[test]
fn a_certificate_that_is_trusted_itself_is_taken() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let cases = [
        (Signed::by_itself(&["127.0.0.1"], "anything", authority), None),
        (Signed::by_itself(&["server.example"], "anything", authority), Some("server.example")),
        (Signed::by_itself(&[], "server.example", authority), Some("server.example")),
        (Signed::by_itself(&[], "Server.Example", |_| {}), Some("server.example")),
    ];
    for (signed, name) in cases {
        let bound = context.socket_builder::<Pull>().wss_identity(Some(signed.identity())).build().unwrap();
        let push = context.socket_builder::<Push>().wss_trust(signed.trust());
        let push = push.wss_host_name(name.map(|name| TlsName::new(name).unwrap())).build().unwrap();
        push.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
        push.send("hello").unwrap();
        assert_eq!(recv(&bound), "hello");
    }
}

/// Nothing else is forgiven it, and nobody else is.
#[test]
fn what_is_trusted_itself_must_be_right_else() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let of_itself = |names: &[&str], common_name, change: fn(&mut CertificateParams)| {
        let signed = Signed::by_itself(names, common_name, |params| {
            authority(params);
            change(params);
        });
        (signed.clone(), signed.trust())
    };
    let signed_by_authority = AUTHORITY.sign(&[], |params| params.distinguished_name = called("server.example"));
    let (impostor, _) = of_itself(&[], "server.example", |_| {});
    let cases = [
        (of_itself(&[], "other.example", |_| {}), "not valid for name"),
        (of_itself(&[], "*.example", |_| {}), "not valid for name"),
        // The common name counts only where nothing better is there.
        (of_itself(&["other.example"], "server.example", |_| {}), "not valid for name"),
        (of_itself(&[], "server.example", |params| params.not_after = date_time_ymd(2001, 1, 1)), "expired"),
        (of_itself(&[], "server.example", |params| params.not_before = date_time_ymd(3001, 1, 1)), "not valid yet"),
        ((signed_by_authority, AUTHORITY.trust()), "not valid for name"),
        ((impostor, of_itself(&[], "server.example", |_| {}).1), "an authority's own"),
    ];
    for ((signed, trust), expected) in cases {
        let bound = context.socket_builder::<Pull>().wss_identity(Some(signed.identity())).build().unwrap();
        let push = context.socket_builder::<Push>().wss_trust(trust);
        let push = push.wss_host_name(Some(TlsName::new("server.example").unwrap())).build().unwrap();
        let monitor = push.monitor();
        push.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
        let why = loss(&monitor);
        assert!(why.contains("certificate is refused") && why.contains(expected), "{expected}: {why}");
    }
}

#[test]
fn a_name_in_the_place_of_the_host_is_verified() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let elsewhere = AUTHORITY.sign(&["elsewhere.example"], |_| {});
    let bound = context.socket_builder::<Pull>().wss_identity(Some(elsewhere.identity())).build().unwrap();
    let push = secured(context.socket_builder::<Push>());
    let push = push.wss_host_name(Some(TlsName::new("elsewhere.example").unwrap())).build().unwrap();
    push.connect(&bound.bind(ANYWHERE).unwrap()).unwrap();
    push.send("hello").unwrap();
    assert_eq!(recv(&bound), "hello");
}

#[test]
fn peers_that_speak_no_tls_are_told_of() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for scheme in ["ws", "tcp"] {
        // A listener of TLS, and a client of another kind; then the other way.
        for (bound_scheme, near_scheme) in [("wss", scheme), (scheme, "wss")] {
            let (bound, near) = (socket::<Pull>(&context), socket::<Push>(&context));
            let (at_bound, at_near) = (bound.monitor(), near.monitor());
            let endpoint = bound.bind(&format!("{bound_scheme}://127.0.0.1:*")).unwrap();
            let address = endpoint.split_once("://").unwrap().1.trim_end_matches('/');
            near.connect(&format!("{near_scheme}://{address}")).unwrap();
            let (why_bound, why_near) = (loss(&at_bound), loss(&at_near));
            let at_wss = if bound_scheme == "wss" { &why_bound } else { &why_near };
            assert!(at_wss.contains("does not speak TLS"), "{bound_scheme}, {near_scheme}: {at_wss}");
            assert_eq!((bound.stats().peers, near.stats().peers), (0, 0));
        }
    }
}

// ---- options

#[test]
fn what_cannot_be_used_is_refused_at_once() {
    let context = Context::new();
    let pem = |text: &str| TlsTrust::from_pem(text.as_bytes());
    assert_eq!(pem("").unwrap_err(), TlsError::NoCertificate);
    assert_eq!(pem(&LOCAL.key).unwrap_err(), TlsError::NoCertificate);
    assert!(matches!(
        pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap_err(),
        TlsError::Unfit(_)
    ));
    let identity = |chain: &str, key: &str| TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert_eq!(identity(&LOCAL.key, &LOCAL.key), TlsError::NoCertificate);
    assert_eq!(identity(&LOCAL.certificate, &LOCAL.certificate), TlsError::NoKey);
    let other = AUTHORITY.sign(&["127.0.0.1"], |_| {});
    assert!(matches!(identity(&LOCAL.certificate, &other.key), TlsError::Unfit(_)));

    let without = context.socket::<Pull>().unwrap();
    let error = without.bind(ANYWHERE).unwrap_err();
    assert!(matches!(error, BindError::Listen(_)) && error.to_string().contains("wss_identity"), "{error}");
    let error = without.connect("wss://under_score-.example:1").unwrap_err();
    assert!(error.to_string().contains("wss_host_name"), "{error}");
    let stream = socket::<Stream>(&context);
    assert!(matches!(stream.bind(ANYWHERE), Err(BindError::NotForStream)));
    assert!(matches!(stream.connect("wss://127.0.0.1:1"), Err(ConnectError::NotForStream)));
}

#[test]
fn settings_tell_them_and_never_the_key() {
    let context = Context::new();
    let (identity, trust) = (LOCAL.identity(), AUTHORITY.trust());
    let name = TlsName::new("localhost").unwrap();
    let socket = context.socket_builder::<Pull>().wss_identity(Some(identity.clone())).wss_trust(trust.clone());
    let socket = socket.wss_host_name(Some(name.clone())).build().unwrap();
    let transport = socket.settings().transport;
    assert_eq!(transport.wss_identity.as_ref(), Some(&identity));
    assert_eq!((&transport.wss_trust, &transport.wss_host_name), (&trust, &Some(name)));
    let told = CertificateDer::from_pem_slice(LOCAL.certificate.as_bytes()).unwrap();
    assert_eq!(identity.certificates().collect::<Vec<_>>(), [&told[..]]);
    let shown = format!("{transport:?}");
    assert!(shown.contains("wss_identity: Some(TlsIdentity { certificates: 1, .. })"), "{shown}");
    let defaults = context.socket::<Pull>().unwrap().settings().transport;
    assert_eq!((defaults.wss_identity, defaults.wss_trust), (None, TlsTrust::system()));
}

// ---- peers that are made of other libraries

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A client of rustls, through its handshake.
fn tls_client(endpoint: &str) -> Tls {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(session, tcp(endpoint))
}

fn tcp(endpoint: &str) -> TcpStream {
    let address = endpoint.strip_prefix("wss://").unwrap().trim_end_matches('/');
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ready(socket_type: &str) -> Vec<u8> {
    let mut payload = b"\x02\x05READY\x0BSocket-Type\0\0\0".to_vec();
    payload.push(socket_type.len() as u8);
    payload.extend_from_slice(socket_type.as_bytes());
    payload
}

fn next_binary<S: Read + Write>(peer: &mut WebSocket<S>) -> Vec<u8> {
    match peer.read().unwrap() {
        Message::Binary(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A client of tungstenite, through the handshake of ZWS.
fn foreign_client(endpoint: &str, socket_type: &str) -> WebSocket<Tls> {
    let mut request = endpoint.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "ZWS2.0/NULL".parse().unwrap());
    let (mut client, response) = tungstenite::client(request, tls_client(endpoint)).unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "ZWS2.0/NULL");
    client.send(Message::binary(ready(socket_type))).unwrap();
    assert_eq!(next_binary(&mut client)[..7], b"\x02\x05READY"[..]);
    client
}

#[test]
fn a_client_of_other_libraries_is_served() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let bound = socket::<Dealer>(&context);
    let monitor = bound.monitor();
    let mut client = foreign_client(&bound.bind(ANYWHERE).unwrap(), "DEALER");
    client.send(Message::binary(b"\x01first".to_vec())).unwrap();
    client.send(Message::binary([b"\0", &body(1, 100_000)[..]].concat())).unwrap();
    let message = recv(&bound);
    assert_eq!((&message[0], &message[1][..]), (&"first".into(), &body(1, 100_000)[..]));
    bound.send(["back", "again"]).unwrap();
    assert_eq!((next_binary(&mut client), next_binary(&mut client)), (b"\x01back".to_vec(), b"\0again".to_vec()));
    client.close(None).unwrap();
    while client.read().is_ok() {}
    let why = loss(&monitor);
    assert!(why.contains("closed"), "{why}");
}

#[test]
#[allow(clippy::result_large_err, reason = "tungstenite wants it so")]
fn a_server_of_other_libraries_is_used() {
    use tungstenite::handshake::server::{Request, Response};

    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = socket::<Dealer>(&context);
    near.connect(&format!("wss://{}/where", listener.local_addr().unwrap())).unwrap();
    near.send("hello").unwrap();

    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(LOCAL.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(LOCAL.key.as_bytes()).unwrap();
    let session = rustls::ServerConnection::new(Arc::new(config.with_single_cert(chain, key).unwrap())).unwrap();
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut peer = tungstenite::accept_hdr(
        rustls::StreamOwned::new(session, stream),
        |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), "/where");
            assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "ZWS2.0/NULL");
            response.headers_mut().insert("Sec-WebSocket-Protocol", "ZWS2.0/NULL".parse().unwrap());
            Ok(response)
        },
    )
    .unwrap();
    peer.send(Message::binary(ready("DEALER"))).unwrap();
    assert_eq!(next_binary(&mut peer)[..7], b"\x02\x05READY"[..]);
    assert_eq!(next_binary(&mut peer), b"\0hello");
    peer.send(Message::binary(b"\0back".to_vec())).unwrap();
    assert_eq!(recv(&near), "back");
}

// ---- peers that mean harm

/// Whoever sits between may end the connection, but not make it look as if the peer had.
#[test]
fn a_connection_that_is_cut_off_is_told_from_one_that_ends() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = socket::<Pull>(&context);
    let monitor = pull.monitor();
    let mut client = foreign_client(&pull.bind(ANYWHERE).unwrap(), "PUSH");
    client.send(Message::binary(b"\0before".to_vec())).unwrap();
    client.get_ref().sock.shutdown(std::net::Shutdown::Write).unwrap();
    let why = loss(&monitor);
    assert!(why.contains("close_notify"), "{why}");
    assert_eq!(recv(&pull), "before");
}

/// It ends the connection and not what came before it, which is whole and authentic.
#[test]
fn what_came_before_a_record_that_was_changed_is_received() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = socket::<Pull>(&context);
    let monitor = pull.monitor();
    let mut client = foreign_client(&pull.bind(ANYWHERE).unwrap(), "PUSH");
    let Tls { conn, sock } = client.get_mut();
    let mut record = |plaintext: &[u8]| {
        let mut record = Vec::new();
        conn.writer().write_all(plaintext).unwrap();
        conn.write_tls(&mut record).unwrap();
        record
    };
    let mut records = [record(b"\x82\x87\0\0\0\0\0before"), record(b"changed")].concat();
    *records.last_mut().unwrap() ^= 1;
    sock.write_all(&records).unwrap();
    let why = loss(&monitor);
    assert!(why.contains("cannot decrypt"), "{why}");
    assert_eq!(recv(&pull), "before");
}

#[test]
fn a_handshake_that_does_not_go_on_is_given_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = secured(context.socket_builder::<Pull>()).handshake_timeout(Some(Duration::from_secs(3)));
    let pull = pull.build().unwrap();
    let monitor = pull.monitor();
    let endpoint = pull.bind(ANYWHERE).unwrap();
    // Nothing at all; the beginning of a record; TLS and no request; a request and no READY.
    let silent = tcp(&endpoint);
    let mut begun = tcp(&endpoint);
    begun.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    let mut idle = tls_client(&endpoint);
    idle.conn.complete_io(&mut idle.sock).unwrap();
    let mut halfway = tls_client(&endpoint);
    halfway.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
    for _ in 0..4 {
        let why = loss(&monitor);
        assert!(why.contains("not over in time"), "{why}");
    }
    for mut stream in [silent, begun, idle.sock, halfway.sock] {
        while stream.read(&mut [0; 4096]).is_ok_and(|len| len > 0) {}
    }
}

/// A handshake message may be 64 KiB at most; a stranger cannot have more kept.
#[test]
fn a_stranger_cannot_fill_the_memory() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = socket::<Pull>(&context);
    let monitor = pull.monitor();
    let mut stream = tcp(&pull.bind(ANYWHERE).unwrap());
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // A ClientHello of 16 MiB less one, in records of 16 KiB.
    let mut record = vec![0; 5 + 0x4000];
    record[..5].copy_from_slice(b"\x16\x03\x01\x40\x00");
    record[5..9].copy_from_slice(b"\x01\xFF\xFF\xFF");
    let sent = (0..1000).take_while(|_| stream.write_all(&record).is_ok()).count();
    assert!(sent < 1000, "it takes all");
    let why = loss(&monitor);
    assert!(why.contains("TLS") || why.contains("reset"), "{why}");
}
