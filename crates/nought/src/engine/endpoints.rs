//! Where a socket listens and where it connects: resolving, accepting, connecting, and connecting again.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io,
    num::NonZeroU32,
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

use nought_proto::{ConnectionId, Frame, SocketType, connection::ConnectionTable, mechanism::Security, socket::Reopen};

use super::{
    Core, State,
    datagrams::Datagrams,
    link::{Link, Origin},
    poller::Token,
    random,
};
use crate::{
    error::{BindError, ConnectError, UnknownEndpoint, UnknownPeer, WrongKind},
    monitor::{SocketEvent, SocketEventKind},
    resolver::Lookup,
    socket::kind::Ability,
    transport::{
        Connecting, DatagramChannel, Endpoint, Target, Transport, TransportOptions, is_exhaustion, is_transient,
        shield::{Shielded, ShieldedChannel, ShieldedListener, shield},
    },
};

/// The longest pause before connecting again: for ever, but a number that can be reckoned with.
const PAUSE_MAX: Duration = Duration::from_secs(u32::MAX as u64);

const INPROC: &str = "inproc";

/// How long to wait before accepting again when descriptors or memory have run out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Peers accepted at once before others have their turn; the rest follow at the next look.
const ACCEPTS_PER_TURN: usize = 256;

/// What a socket is bound to and connects to.
#[derive(Default)]
pub(crate) struct Endpoints {
    listeners: Vec<Option<Listening>>,
    connectors: Vec<Option<Connector>>,
    /// Which connector keeps a connection.
    keepers: ConnectionTable<u32>,
    names: Vec<String>,
    memory_connections: HashMap<ConnectionId, String>,
    timers: BTreeSet<(Instant, Timer)>,
    pub(crate) last: Option<String>,
}

/// What becomes of messages that have come from an endpoint and are not received when the socket leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Keep,
    Discard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Accept(u32),
    Connect(u32),
}

/// Where peers arrive.
struct Listening {
    listener: ShieldedListener,
    /// With the wildcards resolved.
    endpoint: String,
    /// When to accept again, though the kernel tells of nobody.
    timer: Option<Instant>,
}

/// What keeps one endpoint connected.
struct Connector {
    endpoint: String,
    transport: Arc<dyn Transport>,
    address: String,
    options: Arc<TransportOptions>,
    id: ConnectionId,
    /// What the last lookup gave and was not tried yet.
    targets: VecDeque<Target>,
    /// Attempts since the last handshake that succeeded.
    attempts: u32,
    /// When to try again, or to give the present attempt up.
    timer: Option<Instant>,
    waiting: bool,
    /// The handshake with the present peer has succeeded.
    established: bool,
    /// The last peer that was met has refused the connection in the handshake.
    refused: bool,
    /// It is disconnected, and only there for what is queued.
    leaving: bool,
}

impl Endpoints {
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether something of the kernel's can happen here beside the links.
    pub(crate) fn any(&self) -> bool {
        !self.listeners.is_empty() || !self.connectors.is_empty()
    }

    pub(super) fn add_memory_connection(&mut self, id: ConnectionId, name: &str) {
        self.memory_connections.insert(id, name.to_owned());
    }

    pub(super) fn remove_memory_connection(&mut self, id: ConnectionId) -> Option<String> {
        self.memory_connections.remove(&id)
    }

    pub(super) fn is_memory_connection(&self, id: ConnectionId) -> bool {
        self.memory_connections.contains_key(&id)
    }

    pub(super) fn memory_connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.memory_connections.keys().copied()
    }

    /// The endpoint, as it was given to `connect`, that keeps this connection.
    pub(crate) fn endpoint_of(&self, origin: Origin) -> Option<String> {
        match origin {
            Origin::Listener(index) => Some(self.listeners.get(index as usize)?.as_ref()?.endpoint.clone()),
            Origin::Connector(index) => Some(self.connectors.get(index as usize)?.as_ref()?.endpoint.clone()),
            Origin::Place => None,
        }
    }

    /// What is known of a connection that has no link: its inproc name, or the endpoint it is to be connected to.
    pub(crate) fn name_of(&self, id: ConnectionId) -> Option<String> {
        if let Some(name) = self.memory_connections.get(&id) {
            return Some(format!("{INPROC}://{name}"));
        }
        self.endpoint_of(Origin::Connector(self.keeper_of(id)?))
    }

    /// Whether the connection is one that a connector keeps.
    pub(super) fn keeps(&self, origin: Origin, id: ConnectionId) -> bool {
        self.keeper_of(id).is_some_and(|index| origin == Origin::Connector(index))
    }

    /// The connector that keeps this connection.
    pub(super) fn keeper_of(&self, id: ConnectionId) -> Option<u32> {
        self.keepers.get(id).copied()
    }

    /// The peer of this connection has refused it.
    pub(super) fn note_refusal_of(&mut self, id: ConnectionId) {
        if let Some(connector) = self.keeper_of(id).and_then(|index| self.connector(index)) {
            connector.refused = true;
        }
    }

    /// Whether a connection that is not up may be made, as far as is known.
    pub(super) fn may_connect(&self, id: ConnectionId) -> bool {
        let keeper = self.keeper_of(id).and_then(|index| self.connectors.get(index as usize)?.as_ref());
        keeper.is_some_and(|connector| !connector.refused)
    }

    fn add_connector(&mut self, connector: Connector) -> u32 {
        let id = connector.id;
        let index = insert(&mut self.connectors, connector);
        self.keepers.insert(id, index);
        index
    }

    /// Has the connector keep another connection from now on.
    fn keep_instead(&mut self, index: u32, next: ConnectionId) {
        if let Some(connector) = self.connector(index) {
            let before = std::mem::replace(&mut connector.id, next);
            self.keepers.remove(before);
            self.keepers.insert(next, index);
        }
    }

    /// All connectors are there only for what is queued from now on; returns the connections that are kept by them, or
    /// within the process.
    pub(super) fn leave_all(&mut self) -> Vec<ConnectionId> {
        let connectors = self.connectors.iter_mut().flatten();
        let kept = connectors.map(|connector| {
            connector.leaving = true;
            connector.id
        });
        kept.chain(self.memory_connections.keys().copied()).collect()
    }

    fn connector(&mut self, index: u32) -> Option<&mut Connector> {
        self.connectors.get_mut(index as usize)?.as_mut()
    }

    fn set_connect_timer(&mut self, index: u32, at: Option<Instant>) {
        let Some(connector) = self.connectors.get_mut(index as usize).and_then(Option::as_mut) else { return };
        move_timer(&mut self.timers, Timer::Connect(index), &mut connector.timer, at);
    }

    fn set_accept_timer(&mut self, index: u32, at: Option<Instant>) {
        let Some(listening) = self.listeners.get_mut(index as usize).and_then(Option::as_mut) else { return };
        move_timer(&mut self.timers, Timer::Accept(index), &mut listening.timer, at);
    }

    fn take_listener(&mut self, index: u32) -> Option<Listening> {
        self.set_accept_timer(index, None);
        self.listeners.get_mut(index as usize)?.take()
    }

    /// Gives up the connector of this connection; the connection itself stays.
    pub(super) fn give_up_keeper_of(&mut self, id: ConnectionId) {
        if let Some(index) = self.keeper_of(id) {
            self.take_connector(index);
        }
    }

    fn take_connector(&mut self, index: u32) -> Option<Connector> {
        self.set_connect_timer(index, None);
        let connector = self.connectors.get_mut(index as usize)?.take()?;
        self.keepers.remove(connector.id);
        Some(connector)
    }

    fn is_connecting_to(&self, endpoint: &str) -> bool {
        self.connectors.iter().flatten().any(|connector| connector.is_for(endpoint))
    }
}

/// Sets a timer anew; `None`: not at all. `set` is for when it is set.
fn move_timer(timers: &mut BTreeSet<(Instant, Timer)>, timer: Timer, set: &mut Option<Instant>, at: Option<Instant>) {
    if let Some(before) = std::mem::replace(set, at) {
        timers.remove(&(before, timer));
    }
    timers.extend(at.map(|at| (at, timer)));
}

impl Connector {
    /// Whether it keeps this endpoint connected, as the application knows it.
    fn is_for(&self, endpoint: &str) -> bool {
        !self.leaving && self.endpoint == endpoint
    }
}

/// Where [`insert`] will put the next item.
fn free_slot<T>(slots: &[Option<T>]) -> u32 {
    slots.iter().position(Option::is_none).unwrap_or(slots.len()) as u32
}

fn insert<T>(slots: &mut Vec<Option<T>>, item: T) -> u32 {
    let index = free_slot(slots);
    match slots.get_mut(index as usize) {
        Some(slot) => *slot = Some(item),
        None => slots.push(Some(item)),
    }
    index
}

// ---- binding

impl Core {
    /// Listens at an endpoint; returns it with the wildcards resolved.
    pub(crate) fn bind(&self, endpoint: &str) -> Result<String, BindError> {
        let parsed = Endpoint::parse(endpoint)?;
        if parsed.scheme() == INPROC {
            return self.bind_name(parsed.address());
        }
        let transport = Arc::clone(self.context.transports.find(parsed.scheme())?);
        let (options, socket_type, has_security, is_raw) = {
            let state = self.lock();
            (state.options.transport.clone(), state.machine.socket_type(), state.has_security(), state.machine.is_raw())
        };
        if !may_bind(socket_type, transport.has_datagrams()) {
            return Err(BindError::WrongTransport { socket_type, scheme: parsed.scheme().to_owned() });
        }
        if is_raw && !transport.carries_streams() {
            return Err(BindError::NotForStream);
        }
        if transport.has_datagrams() && has_security {
            return Err(BindError::Unprotected { scheme: parsed.scheme().to_owned() });
        }
        if transport.has_datagrams() {
            let channel = transport.bind_datagrams(parsed.address(), &options)?;
            return self.bind_place(channel, socket_type);
        }
        // Outside of the lock: a host name may take its time.
        let listener = Shielded::new(transport.bind(parsed.address(), &options)?);
        let refused = |source| BindError::System { endpoint: endpoint.to_owned(), source };
        let resolved = listener.endpoint().map_err(refused)?.to_owned();
        let mut state = self.lock();
        if state.terminated {
            return Err(BindError::Terminated);
        }
        let index = free_slot(&state.endpoints.listeners);
        let fd = listener.readiness().map_err(refused)?;
        self.poller.add(fd, Token::Listener(index)).map_err(refused)?;
        let event = SocketEvent::new(resolved.clone(), None, SocketEventKind::Listening).at(Ok(fd));
        insert(&mut state.endpoints.listeners, Listening { listener, endpoint: resolved.clone(), timer: None });
        state.endpoints.last = Some(resolved.clone());
        self.publish(&mut state, event);
        drop(self.settle(state));
        Ok(resolved)
    }

    /// Opens a place for datagrams.
    fn bind_place(&self, channel: Arc<dyn DatagramChannel>, socket_type: SocketType) -> Result<String, BindError> {
        let resolved = channel.local_endpoint();
        let mut state = self.lock();
        if state.terminated {
            return Err(BindError::Terminated);
        }
        let id = state.machine.accept();
        let link = Link::of_datagrams(id, Datagrams::new(channel, socket_type), Origin::Place);
        if let Err(source) = self.add_link(&mut state, link) {
            state.machine.remove(id);
            return Err(BindError::System { endpoint: resolved, source });
        }
        state.endpoints.last = Some(resolved.clone());
        self.publish(&mut state, SocketEvent::new(resolved.clone(), None, SocketEventKind::Listening));
        self.start(&mut state, id, Instant::now());
        drop(self.settle(state));
        Ok(resolved)
    }

    fn bind_name(&self, name: &str) -> Result<String, BindError> {
        if self.lock().terminated {
            return Err(BindError::Terminated);
        }
        let socket_type = self.lock().machine.socket_type();
        if self.lock().machine.is_raw() {
            return Err(BindError::NotForStream);
        }
        if !may_bind(socket_type, false) {
            return Err(BindError::WrongTransport { socket_type, scheme: INPROC.to_owned() });
        }
        self.context.names.bind(name, &self.arc())?;
        let endpoint = format!("{INPROC}://{name}");
        let mut state = self.lock();
        state.endpoints.names.push(name.to_owned());
        state.endpoints.last = Some(endpoint.clone());
        self.publish(&mut state, SocketEvent::new(endpoint.clone(), None, SocketEventKind::Listening));
        Ok(endpoint)
    }

    /// Stops listening at an endpoint, and ends the connections that were accepted there, after what is queued for them;
    /// those within the process stay.
    pub(crate) fn unbind(&self, endpoint: &str) -> Result<(), UnknownEndpoint> {
        let mut state = self.lock();
        let name = endpoint.strip_prefix("inproc://");
        if let Some(position) = name.and_then(|name| state.endpoints.names.iter().position(|other| other == name)) {
            let name = state.endpoints.names.swap_remove(position);
            self.publish(&mut state, SocketEvent::new(endpoint.to_owned(), None, SocketEventKind::Closed));
            drop(state);
            self.context.names.unbind(&name, self);
            return Ok(());
        }
        let is_place = |link: &&Link| link.origin == Origin::Place && link.channel.local_endpoint() == endpoint;
        let place = state.links.iter().find(is_place).map(|link| link.id);
        if let Some(id) = place {
            self.retire(&mut state, id);
            drop(self.settle(state));
            return Ok(());
        }
        let is_it =
            |listening: &Option<Listening>| listening.as_ref().is_some_and(|listening| listening.endpoint == endpoint);
        let position = state.endpoints.listeners.iter().position(is_it).ok_or(UnknownEndpoint)?;
        let origin = Origin::Listener(position as u32);
        self.stop_listening(&mut state, position as u32);
        let accepted: Vec<ConnectionId> =
            state.links.iter().filter(|link| link.origin == origin).map(|link| link.id).collect();
        accepted.into_iter().for_each(|id| self.retire(&mut state, id));
        drop(self.settle(state));
        Ok(())
    }

    fn stop_listening(&self, state: &mut State, index: u32) {
        let Some(Listening { listener, endpoint, .. }) = state.endpoints.take_listener(index) else { return };
        if let Ok(fd) = listener.readiness() {
            self.poller.remove(fd);
        }
        let event = SocketEvent::new(endpoint, None, SocketEventKind::Closed).at(listener.readiness());
        drop(listener);
        self.publish(state, event);
    }

    /// Stops listening everywhere.
    pub(super) fn unbind_all(&self, state: &mut State) -> Vec<String> {
        for index in 0..state.endpoints.listeners.len() as u32 {
            self.stop_listening(state, index);
        }
        std::mem::take(&mut state.endpoints.names)
    }

    /// Accepts the peers that wait at a listener.
    pub(super) fn accept_all(&self, state: &mut State, index: u32, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Some(listening)) = state.endpoints.listeners.get(index as usize) else { return };
            match listening.listener.accept() {
                Ok(channel) => self.accepted(state, index, channel, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhaustion(&error) || !is_transient(&error) => {
                    return self.accept_failed(state, index, error, now);
                }
                // The peer gave up while it waited, or the like: the next one may not have.
                Err(_) => {}
            }
        }
        state.endpoints.set_accept_timer(index, Some(now));
    }

    fn accepted(&self, state: &mut State, index: u32, channel: ShieldedChannel, now: Instant) {
        // Of whom nothing can be said nobody knows whether the filter accepts him.
        let known = channel.remote_endpoint().and_then(|remote| Ok((remote, channel.peer_credentials()?)));
        let (remote, credentials) = match known {
            Ok(known) => known,
            Err(error) => return self.accept_failed(state, index, error, now),
        };
        let id = state.machine.accept();
        let origin = Origin::Listener(index);
        let event = SocketEvent::new(channel.local_endpoint(), Some(remote.clone()), SocketEventKind::Accepted);
        let event = event.of(origin).at(channel.readiness());
        let filter = &state.options.transport.accept;
        if !filter.accepts(&remote, credentials) {
            state.machine.remove(id);
            let error = io::ErrorKind::PermissionDenied.into();
            let kind = SocketEventKind::AcceptFailed { error: Arc::new(error) };
            return self.publish(state, SocketEvent { kind, ..event });
        }
        if let Err(error) = self.add_link(state, Link::new(id, channel, origin, false)) {
            state.machine.remove(id);
            return self.accept_failed(state, index, error, now);
        }
        self.publish(state, event);
        self.start(state, id, now);
    }

    /// Descriptors or memory ran out: others may give some back.
    fn accept_failed(&self, state: &mut State, index: u32, error: io::Error, now: Instant) {
        let endpoint = state.endpoints.endpoint_of(Origin::Listener(index)).unwrap_or_default();
        let kind = SocketEventKind::AcceptFailed { error: Arc::new(error) };
        self.publish(state, SocketEvent::new(endpoint, None, kind));
        state.endpoints.set_accept_timer(index, Some(now + ACCEPT_RETRY));
    }
}

// ---- connecting

impl Core {
    /// Begins to connect to an endpoint, and to keep connected. Returns the number by which messages name the peer, where
    /// they do and it is known by now.
    pub(crate) fn connect(
        &self,
        endpoint: &str,
        routing_id: Option<Frame>,
    ) -> Result<Option<NonZeroU32>, ConnectError> {
        let parsed = Endpoint::parse(endpoint)?;
        if parsed.scheme() == INPROC {
            return self.connect_name(parsed.address(), routing_id);
        }
        let transport = Arc::clone(self.context.transports.find(parsed.scheme())?);
        let mut state = self.lock();
        if state.terminated {
            return Err(ConnectError::Terminated);
        }
        let socket_type = state.machine.socket_type();
        if !may_connect(socket_type, transport.has_datagrams()) {
            return Err(ConnectError::WrongTransport { socket_type, scheme: parsed.scheme().to_owned() });
        }
        if transport.has_datagrams() && state.has_security() {
            return Err(ConnectError::Unprotected { scheme: parsed.scheme().to_owned() });
        }
        if state.machine.is_raw() && !transport.carries_streams() {
            return Err(ConnectError::NotForStream);
        }
        let options = Arc::new(state.options.transport.clone());
        transport.check(parsed.address(), &options)?;
        state.endpoints.last = Some(endpoint.to_owned());
        if keeps_one_connection(state.machine.socket_type()) && state.endpoints.is_connecting_to(endpoint) {
            return Ok(None);
        }
        let id = state.machine.open(routing_id);
        let number = state.machine.routing_id_of(id);
        let connector = Connector {
            endpoint: endpoint.to_owned(),
            transport,
            address: parsed.address().to_owned(),
            options,
            id,
            targets: VecDeque::new(),
            attempts: 0,
            timer: None,
            waiting: false,
            established: false,
            refused: false,
            leaving: false,
        };
        let index = state.endpoints.add_connector(connector);
        self.resolve(&mut state, index, Instant::now());
        drop(self.settle(state));
        Ok(number)
    }

    fn connect_name(&self, name: &str, routing_id: Option<Frame>) -> Result<Option<NonZeroU32>, ConnectError> {
        let mut state = self.lock();
        if state.terminated {
            return Err(ConnectError::Terminated);
        }
        if state.machine.is_raw() {
            return Err(ConnectError::NotForStream);
        }
        let socket_type = state.machine.socket_type();
        if !may_connect(socket_type, false) {
            return Err(ConnectError::WrongTransport { socket_type, scheme: INPROC.to_owned() });
        }
        let id = state.machine.open(routing_id);
        let number = state.machine.routing_id_of(id);
        state.endpoints.last = Some(format!("{INPROC}://{name}"));
        state.endpoints.add_memory_connection(id, name);
        drop(state);
        self.context.names.connect(name, &self.arc(), id);
        Ok(number)
    }

    /// Stops connecting to an endpoint. What is queued for it is sent within the linger time.
    pub(crate) fn disconnect(&self, endpoint: &str, unread: Unread) -> Result<(), UnknownEndpoint> {
        let mut state = self.lock();
        if let Some(name) = endpoint.strip_prefix("inproc://") {
            let is_it = |(id, other): &(&ConnectionId, &String)| *other == name && !state.retiring.contains(**id);
            let id = state.endpoints.memory_connections.iter().find(is_it).map(|(id, _)| *id).ok_or(UnknownEndpoint)?;
            self.leave_peer(&mut state, id, unread);
            drop(self.settle(state));
            return Ok(());
        }
        let is_it = |connector: &&mut Connector| connector.is_for(endpoint);
        let connector = state.endpoints.connectors.iter_mut().flatten().find(is_it).ok_or(UnknownEndpoint)?;
        connector.leaving = true;
        let (id, waits) = (connector.id, connector.waiting);
        self.leave_peer(&mut state, id, unread);
        if waits
            && state.options.reconnect_stop.after_disconnect
            && let Some(index) = state.endpoints.keeper_of(id)
        {
            self.stop_connecting(&mut state, index, id);
        }
        drop(self.settle(state));
        Ok(())
    }

    fn leave_peer(&self, state: &mut State, id: ConnectionId, unread: Unread) {
        if unread == Unread::Discard {
            state.machine.discard(id);
        }
        self.retire(state, id);
    }

    /// Ends the connection to the peer that messages name by this number, as [`disconnect`](Self::disconnect) does.
    pub(crate) fn disconnect_peer(&self, routing_id: NonZeroU32) -> Result<(), UnknownPeer> {
        let mut state = self.lock();
        WrongKind::check(Ability::Addresses, "disconnect_peer", state.machine.socket_type())?;
        let id = state.machine.peer_with(routing_id).ok_or(UnknownPeer::RoutingId)?;
        if let Some(index) = state.endpoints.keeper_of(id)
            && let Some(connector) = state.endpoints.connector(index)
        {
            connector.leaving = true;
        }
        self.retire(&mut state, id);
        drop(self.settle(state));
        Ok(())
    }

    fn resolve(&self, state: &mut State, index: u32, now: Instant) {
        let Some(connector) = state.endpoints.connector(index) else { return };
        connector.waiting = false;
        let resolve_now = || connector.transport.resolve_now(&connector.address, &connector.options);
        if let Some(answer) = shield("resolve_now", resolve_now).unwrap_or_else(|error| Some(Err(error))) {
            return self.resolved(state, index, answer, now);
        }
        let lookup = Lookup {
            transport: Arc::clone(&connector.transport),
            address: connector.address.clone(),
            options: Arc::clone(&connector.options),
        };
        let (id, core) = (connector.id, Arc::downgrade(&self.arc()));
        let begun = self.context.resolver.look_up(lookup, move |answer| {
            let Some(core) = core.upgrade() else { return };
            let driver = Arc::clone(core.driver());
            driver.run_later(Box::new(move || core.resolved_later(index, id, answer)));
        });
        if let Err(error) = begun {
            self.retry_later(state, index, now, error);
        }
    }

    fn resolved_later(&self, index: u32, id: ConnectionId, answer: io::Result<Vec<Target>>) {
        let mut state = self.lock();
        // Another connector may have its place by now.
        if state.endpoints.connector(index).is_some_and(|connector| connector.id == id) {
            self.resolved(&mut state, index, answer, Instant::now());
        }
        self.go_on_closing(self.settle(state));
    }

    fn resolved(&self, state: &mut State, index: u32, answer: io::Result<Vec<Target>>, now: Instant) {
        let Some(connector) = state.endpoints.connector(index) else { return };
        match answer {
            Ok(targets) => {
                connector.targets = targets.into();
                self.connect_next(state, index, now, None);
            }
            Err(error) => self.retry_later(state, index, now, error),
        }
    }

    /// Tries the next of the connector's targets.
    fn connect_next(&self, state: &mut State, index: u32, now: Instant, mut failure: Option<io::Error>) {
        loop {
            let Some(connector) = state.endpoints.connector(index) else { return };
            let Some(target) = connector.targets.pop_front() else {
                let error = failure.unwrap_or_else(|| io::Error::other("the name has no address"));
                return self.retry_later(state, index, now, error);
            };
            if let Some(error) = failure.take() {
                self.tell_of_failure(state, index, error);
            }
            let Some(connector) = state.endpoints.connector(index) else { return };
            let (id, options) = (connector.id, Arc::clone(&connector.options));
            let begin = shield("connect", || connector.transport.connect(&target, &options)).flatten();
            let socket_type = state.machine.socket_type();
            let begun = begin.and_then(|connecting| {
                let origin = Origin::Connector(index);
                let (mut link, pending) = match connecting {
                    Connecting::Done(channel) => (Link::new(id, Shielded::new(channel), origin, false), false),
                    Connecting::Pending(channel) => (Link::new(id, Shielded::new(channel), origin, true), true),
                    Connecting::Datagrams(channel) => {
                        (Link::of_datagrams(id, Datagrams::new(channel, socket_type), origin), false)
                    }
                };
                link.remote = target.endpoint().into();
                self.add_link(state, link).map(|()| pending)
            });
            match begun {
                Ok(true) => {
                    let endpoint = target.endpoint().to_owned();
                    let event = SocketEvent::new(endpoint.clone(), Some(endpoint), SocketEventKind::Connecting);
                    self.publish(state, event);
                    // The system gives up on whom it cannot reach, and not on a proxy that does not answer.
                    let for_proxy = options.socks_proxy.as_ref().and(state.machine.options().handshake_timeout);
                    let timeout = options.connect_timeout.or(for_proxy);
                    let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
                    return state.endpoints.set_connect_timer(index, deadline);
                }
                Ok(false) => return self.connected(state, index, id, now),
                Err(error) => failure = Some(error),
            }
        }
    }

    /// A pending connection can go on, or failed.
    pub(super) fn finish_connecting(&self, state: &mut State, id: ConnectionId, now: Instant) {
        let Some(link) = state.links.get_mut(id) else { return };
        let Origin::Connector(index) = link.origin else { return };
        match link.channel.connected() {
            Ok(()) => {
                link.become_connected();
                // The event that told of it may have told of the peer's first bytes, too.
                state.mark_ready(id);
                self.connected(state, index, id, now);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                self.drop_connecting_link(state, id);
                if state.endpoints.keeps(Origin::Connector(index), id) {
                    self.connect_next(state, index, now, Some(error));
                } else {
                    state.machine.lose(id, Reopen::No);
                    state.note_change(id);
                }
            }
        }
    }

    fn connected(&self, state: &mut State, index: u32, id: ConnectionId, now: Instant) {
        if state.endpoints.keeps(Origin::Connector(index), id) {
            state.endpoints.set_connect_timer(index, None);
        }
        if let Some(link) = state.links.get(id) {
            let event = SocketEvent::new(
                link.channel.local_endpoint(),
                Some(link.remote.to_string()),
                SocketEventKind::Connected,
            )
            .at(link.channel.readiness());
            self.publish(state, event);
        }
        self.start(state, id, now);
    }

    fn start(&self, state: &mut State, id: ConnectionId, now: Instant) {
        let Some(link) = state.links.get(id) else { return };
        let credentials = link.channel.peer_credentials().ok().flatten();
        let descriptor = link.channel.readiness().ok().map(|fd| fd.as_raw_fd());
        state.machine.know_peer(id, Arc::clone(&link.remote), credentials, descriptor);
        if link.datagrams.is_some() {
            return state.machine.start_datagrams(id);
        }
        if !link.channel.carries_sealed_heartbeats().unwrap_or(true) {
            state.machine.seal_no_heartbeats(id);
        }
        state.machine.start(id, now, &mut random::fill);
    }

    fn drop_connecting_link(&self, state: &mut State, id: ConnectionId) {
        if let Some(link) = state.links.remove(id) {
            self.stop_watching(&link);
        }
    }

    /// The handshake is over.
    pub(super) fn established(&self, state: &mut State, id: ConnectionId) {
        let Some(link) = state.links.get(id) else { return };
        let (local, remote, origin) = (link.channel.local_endpoint(), link.remote.to_string(), link.origin);
        if let Origin::Connector(index) = origin
            && let Some(connector) = state.endpoints.connector(index)
        {
            connector.attempts = 0;
            connector.established = true;
            connector.refused = false;
        }
        let Some(peer) = state.machine.connection(id).map(|connection| Arc::clone(connection.peer())) else {
            return;
        };
        let kind = SocketEventKind::HandshakeSucceeded { peer };
        self.publish(state, SocketEvent::new(local, Some(remote), kind).of(origin));
    }

    /// A connection that a connector keeps is gone.
    pub(super) fn connector_lost(&self, state: &mut State, index: u32, id: ConnectionId) {
        let unsent = state.machine.connection(id).is_some_and(|connection| !connection.is_flushed());
        let Some(connector) = state.endpoints.connector(index).filter(|connector| connector.id == id) else {
            state.machine.lose(id, Reopen::No);
            return;
        };
        let has_ended = connector.leaving && (!unsent || state.options.reconnect_stop.after_disconnect);
        if has_ended || state.options.reconnect_interval.is_none() {
            return self.stop_connecting(state, index, id);
        }
        let Some(next) = state.machine.lose(id, Reopen::Yes) else { return };
        self.go_on_retiring_as(state, id, next);
        state.endpoints.keep_instead(index, next);
        let Some(connector) = state.endpoints.connector(index) else { return };
        let has_failed = !std::mem::take(&mut connector.established);
        let now = Instant::now();
        if has_failed && !connector.targets.is_empty() {
            // Whoever listens there is not the one: the name's next address may be.
            return self.connect_next(state, index, now, None);
        }
        self.schedule_retry(state, index, now);
    }

    /// Forgets the endpoint, with what is queued for it.
    pub(super) fn stop_connecting(&self, state: &mut State, index: u32, id: ConnectionId) {
        if state.endpoints.connector(index).is_some_and(|connector| connector.id == id) {
            state.endpoints.take_connector(index);
        }
        state.machine.lose(id, Reopen::No);
        state.note_change(id);
    }

    fn retry_later(&self, state: &mut State, index: u32, now: Instant, error: io::Error) {
        let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
        self.tell_of_failure(state, index, error);
        let Some(connector) = state.endpoints.connector(index) else { return };
        let (id, leaving) = (connector.id, connector.leaving);
        let stop = state.options.reconnect_stop;
        let stops = is_refused && stop.refused || leaving && stop.after_disconnect;
        if stops || state.options.reconnect_interval.is_none() {
            return self.stop_connecting(state, index, id);
        }
        self.schedule_retry(state, index, now);
    }

    fn tell_of_failure(&self, state: &mut State, index: u32, error: io::Error) {
        let Some(connector) = state.endpoints.connector(index) else { return };
        let endpoint = connector.endpoint.clone();
        let kind = SocketEventKind::ConnectFailed { error: Arc::new(error) };
        self.publish(state, SocketEvent::new(endpoint.clone(), Some(endpoint), kind));
    }

    fn schedule_retry(&self, state: &mut State, index: u32, now: Instant) {
        let Some(interval) = state.options.reconnect_interval else { return };
        let longest = state.options.reconnect_interval_max.max(interval);
        let Some(connector) = state.endpoints.connector(index) else { return };
        let delay = back_off(interval, longest, connector.attempts);
        connector.attempts = connector.attempts.saturating_add(1);
        connector.waiting = true;
        connector.targets.clear();
        let endpoint = connector.endpoint.clone();
        let id = connector.id;
        state.note_change(id);
        state.reconnects += 1;
        state.endpoints.set_connect_timer(index, now.checked_add(delay));
        let kind = SocketEventKind::ConnectRetried { delay };
        self.publish(state, SocketEvent::new(endpoint.clone(), Some(endpoint), kind));
    }

    pub(super) fn endpoint_timeouts(&self, state: &mut State, now: Instant) {
        while let Some(&(at, timer)) = state.endpoints.timers.first().filter(|(at, _)| *at <= now) {
            state.endpoints.timers.remove(&(at, timer));
            match timer {
                Timer::Accept(index) => {
                    state.endpoints.set_accept_timer(index, None);
                    self.accept_all(state, index, now + Duration::from_nanos(1));
                }
                Timer::Connect(index) => self.connect_timeout(state, index, now),
            }
        }
    }

    fn connect_timeout(&self, state: &mut State, index: u32, now: Instant) {
        let Some(connector) = state.endpoints.connector(index) else { return };
        connector.timer = None;
        if connector.waiting {
            return self.resolve(state, index, now);
        }
        let id = connector.id;
        if state.links.get(id).is_some_and(|link| link.connecting) {
            self.drop_connecting_link(state, id);
            self.connect_next(state, index, now, Some(io::ErrorKind::TimedOut.into()));
        }
    }
}

impl State {
    fn has_security(&self) -> bool {
        self.machine.options().security != Security::Null
    }
}

/// Whether a socket of this type may be bound to endpoints of a transport with datagrams, or with connections.
fn may_bind(socket_type: SocketType, has_datagrams: bool) -> bool {
    match socket_type {
        SocketType::Dgram => has_datagrams,
        SocketType::Dish => true,
        _ => !has_datagrams,
    }
}

/// Whether it may connect to such ones.
fn may_connect(socket_type: SocketType, has_datagrams: bool) -> bool {
    match socket_type {
        SocketType::Dgram => false,
        SocketType::Radio => true,
        _ => !has_datagrams,
    }
}

/// Whether a second `connect` to the same endpoint does nothing, as in libzmq.
fn keeps_one_connection(socket_type: SocketType) -> bool {
    matches!(socket_type, SocketType::Dealer | SocketType::Sub | SocketType::Pub | SocketType::Req)
}

/// The pause before the next attempt: doubled after each failure up to `longest`, and between half and all of that,
/// so that peers which lost the same server do not come back all at once.
fn back_off(interval: Duration, longest: Duration, attempts: u32) -> Duration {
    let doubled = interval.saturating_mul(1_u32.checked_shl(attempts.min(30)).unwrap_or(u32::MAX));
    doubled.min(longest).min(PAUSE_MAX).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_are_not_all_the_same() {
        let (interval, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        for attempts in [0, 1, 2, 3, 4, 31, u32::MAX] {
            let whole = interval.saturating_mul(1 << attempts.min(20)).min(longest);
            let pause = back_off(interval, longest, attempts);
            assert!(pause >= whole / 2 && pause <= whole, "{attempts}: {pause:?}");
        }
        let pause = back_off(Duration::MAX, Duration::MAX, u32::MAX);
        assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX);
        let pauses: std::collections::HashSet<_> = (0..20).map(|_| back_off(interval, longest, 0)).collect();
        assert!(pauses.len() > 1);
    }
}
