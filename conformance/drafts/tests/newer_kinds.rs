//! The types of RFC 41 to 52 and datagrams: nought and libzmq, each on either side, each binding and connecting.

use std::{num::NonZeroU32, time::Duration};

use nought::{Message, SocketType};
use nought_conformance_drafts::{
    Library::{self, Libzmq, Nought},
    Refusal, Socket, udp_port,
};

const SIZES: [usize; 7] = [0, 1, 33, 255, 256, 8192, 300_000];

/// How long is waited for what is not to come.
const SILENCE: Duration = Duration::from_millis(100);

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + len) as u8).collect()
}

/// Does the work for all pairs of libraries, over tcp and ipc, and with each side binding.
fn with_all(here: SocketType, there: SocketType, work: impl Fn(Socket, Socket)) {
    for [a, b] in Library::PAIRS {
        for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
            for here_binds in [true, false] {
                eprintln!("{a:?} {here}, {b:?} {there}, {endpoint}, {here_binds}");
                let (here, there) = (a.socket(here), b.socket(there));
                let (binding, connecting) = if here_binds { (&here, &there) } else { (&there, &here) };
                connecting.connect(&binding.bind(endpoint));
                work(here, there);
            }
        }
    }
}

fn assert_all_arrive(from: &Socket, to: &Socket) {
    for len in SIZES {
        from.send(body(len));
        assert_eq!(to.recv(), body(len));
    }
}

#[test]
fn a_server_answers_its_client() {
    with_all(SocketType::Server, SocketType::Client, |server, client| {
        for len in SIZES {
            client.send(body(len));
            let request = server.recv();
            assert_eq!(request, Message::from(body(len)).with_routing_id(request.routing_id().unwrap()));
            server.send(request);
            assert_eq!(client.recv(), body(len));
        }
    });
}

#[test]
fn a_server_tells_its_clients_apart() {
    for [a, b] in Library::PAIRS {
        let server = a.socket(SocketType::Server);
        let endpoint = server.bind("tcp://127.0.0.1:*");
        let clients: Vec<Socket> = (0..5).map(|_| b.socket(SocketType::Client)).collect();
        for (index, client) in clients.iter().enumerate() {
            client.connect(&endpoint);
            client.send(index.to_string().as_str());
        }
        let mut requests: Vec<Message> = clients.iter().map(|_| server.recv()).collect();
        let mut numbers: Vec<NonZeroU32> = requests.iter().map(|request| request.routing_id().unwrap()).collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), clients.len());
        requests.reverse();
        requests.into_iter().for_each(|request| server.send(request));
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(client.recv(), index.to_string().as_str());
        }
        let unknown = (1..).filter_map(NonZeroU32::new).find(|number| !numbers.contains(number)).unwrap();
        let refused = server.try_send(Message::from("to nobody").with_routing_id(unknown));
        assert_eq!(refused, Err(Refusal::Unroutable), "{a:?}");
    }
}

#[test]
fn a_client_spreads_over_its_servers() {
    for [a, b] in Library::PAIRS {
        let client = a.socket(SocketType::Client);
        let servers = [b.socket(SocketType::Server), b.socket(SocketType::Server)];
        for server in &servers {
            client.connect(&server.bind("tcp://127.0.0.1:*"));
        }
        (0..8).for_each(|_| client.send("work"));
        for server in &servers {
            (0..4).for_each(|_| server.send(server.recv()));
        }
        (0..8).for_each(|_| assert_eq!(client.recv(), "work"));
    }
}

#[test]
fn what_is_scattered_is_gathered() {
    with_all(SocketType::Scatter, SocketType::Gather, |scatter, gather| assert_all_arrive(&scatter, &gather));
}

#[test]
fn many_scatter_to_one_who_gathers() {
    for [a, b] in Library::PAIRS {
        let gather = a.socket(SocketType::Gather);
        let endpoint = gather.bind("tcp://127.0.0.1:*");
        let scatters: Vec<Socket> = (0..4).map(|_| b.socket(SocketType::Scatter)).collect();
        for scatter in &scatters {
            scatter.connect(&endpoint);
            (0..100_u32).for_each(|number| scatter.send(number.to_string().as_str()));
        }
        let mut got: Vec<u32> =
            (0..400).map(|_| String::from_utf8(gather.recv().as_slice().to_vec()).unwrap().parse().unwrap()).collect();
        got.sort();
        assert_eq!(got, (0..100).flat_map(|number| [number; 4]).collect::<Vec<_>>());
    }
}

#[test]
fn one_scatters_in_turns() {
    for [a, b] in Library::PAIRS {
        let scatter = a.socket(SocketType::Scatter);
        let gathers = [b.socket(SocketType::Gather), b.socket(SocketType::Gather)];
        for gather in &gathers {
            scatter.connect(&gather.bind("tcp://127.0.0.1:*"));
        }
        (0..8).for_each(|_| scatter.send("work"));
        for gather in &gathers {
            (0..4).for_each(|_| assert_eq!(gather.recv(), "work"));
            assert_eq!(gather.recv_within(SILENCE), None);
        }
    }
}

fn in_group(group: &str, body: impl Into<Message>) -> Message {
    body.into().with_group(group)
}

#[test]
fn a_dish_receives_what_is_for_its_groups() {
    with_all(SocketType::Radio, SocketType::Dish, |radio, dish| {
        dish.join("news");
        dish.join("weather");
        radio.reach(&dish, &in_group("weather", "is it there?"));
        radio.reach(&dish, &in_group("news", "is it there?"));
        for len in SIZES {
            radio.send(in_group("other", "nobody's"));
            // A group is no prefix.
            radio.send(in_group("newspaper", "nobody's"));
            radio.send(in_group("news", body(len)));
            assert_eq!(dish.recv(), in_group("news", body(len)));
        }
        dish.leave("news");
        dish.join("sports");
        // Once it has joined the one, it has left the other.
        radio.reach(&dish, &in_group("sports", "is it there?"));
        radio.send(in_group("news", "nobody's"));
        radio.send(in_group("weather", "sunny"));
        assert_eq!(dish.recv(), in_group("weather", "sunny"));
    });
}

#[test]
fn each_dish_has_its_groups() {
    for [a, b] in Library::PAIRS {
        let radio = a.socket(SocketType::Radio);
        let endpoint = radio.bind("tcp://127.0.0.1:*");
        let groups = ["a", "b", "c"];
        let dishes = groups.map(|group| {
            let dish = b.socket(SocketType::Dish);
            dish.connect(&endpoint);
            dish.join("all");
            dish.join(group);
            radio.reach(&dish, &in_group(group, "is it there?"));
            dish
        });
        radio.send(in_group("all", "to all"));
        groups.iter().for_each(|group| radio.send(in_group(group, *group)));
        for (dish, group) in dishes.iter().zip(groups) {
            assert_eq!(dish.recv(), in_group("all", "to all"));
            assert_eq!(dish.recv(), in_group(group, group));
            assert_eq!(dish.recv_within(SILENCE), None);
        }
    }
}

#[test]
fn radio_and_dish_over_udp() {
    for [a, b] in Library::PAIRS {
        let (radio, dish) = (a.socket(SocketType::Radio), b.socket(SocketType::Dish));
        let endpoint = format!("udp://127.0.0.1:{}", udp_port());
        dish.join("news");
        dish.join("weather");
        dish.bind(&endpoint);
        radio.connect(&endpoint);
        radio.reach(&dish, &in_group("news", "is it there?"));
        for len in [0, 1, 255, 8000] {
            radio.send(in_group("other", body(len)));
            radio.send(in_group("weather", body(len)));
            assert_eq!(dish.recv(), in_group("weather", body(len)));
        }
    }
}

#[test]
fn datagrams_are_answered() {
    for [a, b] in Library::PAIRS {
        let ports = [udp_port(), udp_port()];
        let sockets = [a.socket(SocketType::Dgram), b.socket(SocketType::Dgram)];
        for (socket, port) in sockets.iter().zip(ports) {
            socket.bind(&format!("udp://127.0.0.1:{port}"));
        }
        let [here, there] = &sockets;
        let to = |port: u16, body: Vec<u8>| Message::from([format!("127.0.0.1:{port}").into_bytes(), body]);
        here.reach(there, &to(ports[1], b"are you there?".to_vec()));
        for len in [0, 1, 255, 8000] {
            here.send(to(ports[1], body(len)));
            let question = there.recv();
            assert_eq!((question.len(), &question[1][..]), (2, &body(len)[..]));
            there.send(Message::from([&question[0][..], b"yes"]));
            assert_eq!(here.recv()[1], *"yes");
        }
    }
}

#[test]
fn peers_know_each_other_by_number() {
    for [a, b] in Library::PAIRS {
        for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
            let bound = a.socket(SocketType::Peer);
            let endpoint = bound.bind(endpoint);
            let others = [b.socket(SocketType::Peer), b.socket(SocketType::Peer)];
            let numbers = others.each_ref().map(|other| other.connect_peer(&endpoint));
            for (other, number) in others.iter().zip(numbers) {
                for len in SIZES {
                    other.send(Message::from(body(len)).with_routing_id(number));
                    let heard = bound.recv();
                    assert_eq!(heard, Message::from(body(len)).with_routing_id(heard.routing_id().unwrap()));
                    bound.send(heard);
                    assert_eq!(other.recv(), Message::from(body(len)).with_routing_id(number));
                }
            }
        }
    }
}

#[test]
fn a_channel_has_both_directions() {
    with_all(SocketType::Channel, SocketType::Channel, |here, there| {
        assert_all_arrive(&here, &there);
        assert_all_arrive(&there, &here);
    });
}

#[test]
fn a_channel_has_one_peer() {
    for [a, b] in Library::PAIRS {
        let bound = a.socket(SocketType::Channel);
        let endpoint = bound.bind("tcp://127.0.0.1:*");
        let first = b.socket(SocketType::Channel);
        first.connect(&endpoint);
        first.send("first");
        assert_eq!(bound.recv(), "first");
        let second = b.socket(SocketType::Channel);
        second.connect(&endpoint);
        second.send("second");
        assert_eq!(bound.recv_within(SILENCE), None);
        bound.send("to the first");
        assert_eq!(first.recv(), "to the first");
    }
}

/// Who does not belong together is not connected: a message goes to the one that came later and does.
#[test]
fn misfits_are_refused() {
    let misfits = [
        (SocketType::Server, SocketType::Peer, SocketType::Client),
        (SocketType::Gather, SocketType::Push, SocketType::Scatter),
        (SocketType::Gather, SocketType::Client, SocketType::Scatter),
        (SocketType::Channel, SocketType::Pair, SocketType::Channel),
        (SocketType::Peer, SocketType::Client, SocketType::Peer),
    ];
    for [a, b] in [[Nought, Libzmq], [Libzmq, Nought]] {
        for (bound, misfit, fit) in misfits {
            let here = a.socket(bound);
            let endpoint = here.bind("tcp://127.0.0.1:*");
            let (stranger, friend) = (b.socket(misfit), b.socket(fit));
            send_first(&stranger, misfit, &endpoint);
            send_first(&friend, fit, &endpoint);
            assert_eq!(here.recv().as_slice(), fit.name().as_bytes(), "{a:?} {bound}, {b:?} {misfit}");
            assert_eq!(here.recv_within(SILENCE), None, "{a:?} {bound}, {b:?} {misfit}");
        }
    }
}

/// Connects, and sends its name.
fn send_first(socket: &Socket, socket_type: SocketType, endpoint: &str) {
    let message = Message::from(socket_type.name());
    if socket_type == SocketType::Peer {
        let number = socket.connect_peer(endpoint);
        return socket.send(message.with_routing_id(number));
    }
    socket.connect(endpoint);
    socket.send(message);
}

#[test]
fn messages_of_several_frames_are_refused() {
    let pairs = [
        (SocketType::Client, SocketType::Server),
        (SocketType::Scatter, SocketType::Gather),
        (SocketType::Channel, SocketType::Channel),
    ];
    for library in [Nought, Libzmq] {
        for (sends, other) in pairs {
            let (here, there) = (library.socket(sends), library.socket(other));
            here.connect(&there.bind("tcp://127.0.0.1:*"));
            assert_eq!(here.try_send(["two", "frames"]), Err(Refusal::Malformed), "{library:?} {sends}");
            here.send("one");
            assert_eq!(there.recv().as_slice(), b"one");
            if other == SocketType::Server {
                let number = NonZeroU32::new(1).unwrap();
                let refused = there.try_send(Message::from(["two", "frames"]).with_routing_id(number));
                assert_eq!(refused, Err(Refusal::Malformed), "{library:?} {other}");
            }
        }
        let radio = library.socket(SocketType::Radio);
        radio.bind("tcp://127.0.0.1:*");
        assert_eq!(radio.try_send(Message::from(["two", "frames"]).with_group("a")), Err(Refusal::Malformed));
        let dgram = library.socket(SocketType::Dgram);
        dgram.bind(&format!("udp://127.0.0.1:{}", udp_port()));
        assert_eq!(dgram.try_send(["127.0.0.1:5", "two", "frames"]), Err(Refusal::Malformed));
    }
}
