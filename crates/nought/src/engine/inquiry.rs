//! Asking the authenticator of the process whether a peer may come in (RFC 27).
//!
//! The authenticator is a REP or ROUTER that is bound to a name within the process. It is asked by a machine of a DEALER
//! that is made for the one question, and has no descriptors and no thread: what comes back is looked at on the driver of
//! the socket that wants to know. So nobody is kept waiting, however long the answer takes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use nought_proto::{
    ConnectionId, Event, Message, Options, Outgoing, Socket, SocketType,
    connection::{Notify, Pipe, Verdict},
    zap::{self, Reply},
};

use super::{Core, State, driver::Driver, memory::Joining};

/// The request id of each inquiry: it has a connection of its own.
const REQUEST_ID: &[u8] = b"1";

/// A question that is not answered. Dropped, it takes its question back.
pub(crate) struct Inquiry {
    asker: Weak<Core>,
    about: ConnectionId,
    driver: Arc<Driver>,
    machine: Mutex<Socket>,
    connection: ConnectionId,
}

/// Hears of the answer.
struct Ear(Weak<Inquiry>);

impl Notify for Ear {
    fn notify(&self) {
        let Some(inquiry) = self.0.upgrade() else { return };
        let driver = Arc::clone(&inquiry.driver);
        driver.run_later(Box::new(move || inquiry.look()));
    }
}

impl Core {
    /// Asks about the peer of a connection, as soon as no lock is held.
    pub(super) fn inquire(&self, about: ConnectionId, request: zap::Request) {
        let core = self.arc();
        self.driver().run_later(Box::new(move || core.ask(about, &request)));
    }

    fn ask(&self, about: ConnectionId, request: &zap::Request) {
        let Some(handler) = self.context.names.owner(zap_name()) else {
            return self.judged(about, Verdict::NobodyAsked);
        };
        match Inquiry::begin(self, about, &handler, request) {
            Ok(inquiry) => {
                let mut state = self.lock();
                if state.machine.connections().get(about).is_some() {
                    state.inquiries.insert(about, inquiry);
                }
            }
            Err(verdict) => self.judged(about, verdict),
        }
    }

    /// Goes on with the handshake of the peer that was asked about.
    fn judged(&self, about: ConnectionId, verdict: Verdict) {
        let mut state = self.lock();
        let inquiry = state.inquiries.remove(&about);
        state.machine.judge(about, verdict, Instant::now());
        drop(self.settle(state));
        drop(inquiry);
    }
}

impl State {
    /// Nobody wants to know of this peer any more.
    pub(super) fn forget_inquiry(&mut self, about: ConnectionId) {
        self.inquiries.remove(&about);
    }
}

/// Where the authenticator is bound, without the scheme.
fn zap_name() -> &'static str {
    zap::ENDPOINT.strip_prefix("inproc://").unwrap_or(zap::ENDPOINT)
}

impl Inquiry {
    /// Sends the question to the socket that is bound.
    ///
    /// # Errors
    /// The verdict, if that socket cannot be asked.
    fn begin(
        asker: &Core,
        about: ConnectionId,
        handler: &Arc<Core>,
        request: &zap::Request,
    ) -> Result<Arc<Self>, Verdict> {
        let mut machine = Socket::new(SocketType::Dealer, Options::default());
        let connection = machine.open(None);
        let introduction = machine.introduction();
        let inquiry = Arc::new(Self {
            asker: Arc::downgrade(&asker.arc()),
            about,
            driver: Arc::clone(asker.driver()),
            machine: Mutex::new(machine),
            connection,
        });
        let ear = || Arc::new(Ear(Arc::downgrade(&inquiry)));
        let joining = handler.join_bare(zap_name(), introduction, ear()).map_err(|refusal| match refusal {
            Some(reason) => Verdict::Reply(Reply::internal_error(reason.to_string())),
            None => Verdict::NobodyAsked,
        })?;
        let Joining { out, input, peer } = joining;
        inquiry.send(request, out, input, peer);
        Ok(inquiry)
    }

    fn lock(&self) -> MutexGuard<'_, Socket> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, request: &zap::Request, out: Arc<Pipe>, input: Arc<Pipe>, peer: nought_proto::connection::PeerInfo) {
        let mut machine = self.lock();
        machine.attach(self.connection, out, input, peer);
        let question = Outgoing::Owned(request.to_message(REQUEST_ID));
        // There is room for it: it is the first.
        let _ = machine.send(&question);
    }

    /// Looks whether the answer is there.
    fn look(&self) {
        let Some(verdict) = self.verdict() else { return };
        if let Some(asker) = self.asker.upgrade() {
            asker.judged(self.about, verdict);
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        let mut machine = self.lock();
        machine.pipe_changed(self.connection);
        let mut has_ended = false;
        while let Some(event) = machine.poll_event() {
            has_ended |= matches!(event, Event::PeerClosed(_) | Event::Failed(..));
        }
        let mut message = Message::new();
        if machine.recv(&mut message).is_ok() {
            let reply = Reply::decode(&message, REQUEST_ID);
            return Some(reply.map_or_else(Verdict::IllegalReply, Verdict::Reply));
        }
        has_ended.then_some(Verdict::Unanswered)
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        let machine = self.machine.get_mut().unwrap_or_else(PoisonError::into_inner);
        machine.remove(self.connection);
    }
}
