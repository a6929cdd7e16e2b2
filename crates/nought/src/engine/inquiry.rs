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
    ConnectionId, Message, Options, Outgoing, Socket, SocketType,
    connection::{Notify, Verdict},
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
        let Some(inquiry) = self.note_inquiry(about) else { return };
        if let Err(verdict) = inquiry.begin(&handler, request) {
            self.judged(about, verdict);
        }
    }

    /// An inquiry that can begin: the socket knows of it, for the answer may be looked at before the question's sender
    /// has returned, by another driver, if the socket has changed it meanwhile. `None`: the connection is gone.
    fn note_inquiry(&self, about: ConnectionId) -> Option<Arc<Inquiry>> {
        let mut state = self.lock();
        state.machine.connection(about)?;
        let inquiry = Inquiry::new(self, about);
        state.inquiries.insert(about, Arc::clone(&inquiry));
        Some(inquiry)
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
        if let Some(inquiry) = self.inquiries.remove(&about) {
            self.waiters.after_unlock.forget(inquiry);
        }
    }
}

/// Where the authenticator is bound, without the scheme.
fn zap_name() -> &'static str {
    zap::ENDPOINT.strip_prefix("inproc://").unwrap_or(zap::ENDPOINT)
}

impl Inquiry {
    fn new(asker: &Core, about: ConnectionId) -> Arc<Self> {
        let mut machine = Socket::new(SocketType::Dealer, Options::default());
        let connection = machine.open(None);
        Arc::new(Self {
            asker: Arc::downgrade(&asker.arc()),
            about,
            driver: Arc::clone(asker.driver()),
            machine: Mutex::new(machine),
            connection,
        })
    }

    /// Sends the question to the socket that is bound.
    ///
    /// # Errors
    /// The verdict, if that socket cannot be asked.
    fn begin(self: &Arc<Self>, handler: &Arc<Core>, request: &zap::Request) -> Result<(), Verdict> {
        // Held from before the two are joined: nobody looks at a machine that does not have its pipes.
        let mut machine = self.lock();
        let introduction = machine.introduction();
        let ear = Arc::new(Ear(Arc::downgrade(self)));
        let joining = handler.join_bare(zap_name(), introduction, ear).map_err(|refusal| match refusal {
            Some(reason) => Verdict::Reply(Reply::internal_error(reason.to_string())),
            None => Verdict::NobodyAsked,
        })?;
        let Joining { out, input, peer } = joining;
        machine.attach(self.connection, out, input, peer);
        let question = Outgoing::Owned(request.to_message(REQUEST_ID));
        // There is room for it: it is the first.
        let _ = machine.send(&question);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Socket> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether the answer is there.
    fn look(&self) {
        let Some(verdict) = self.verdict() else { return };
        if let Some(asker) = self.asker.upgrade() {
            asker.judged(self.about, verdict);
        }
    }

    /// An authenticator that goes away leaves its question open, and the peer outside until the handshake's time is over
    /// (as in libzmq): let go, the peer would be back at once, and let in where authentication is not enforced.
    fn verdict(&self) -> Option<Verdict> {
        let mut message = Message::new();
        let mut machine = self.lock();
        machine.pipe_changed(self.connection);
        while machine.poll_event().is_some() {}
        let received = machine.recv(&mut message);
        let waste = machine.take_waste();
        drop(machine);
        // It holds memory of the authenticator's.
        drop(waste);
        received.ok()?;
        Some(Reply::decode(&message, REQUEST_ID).map_or_else(Verdict::IllegalReply, Verdict::Reply))
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        let machine = self.machine.get_mut().unwrap_or_else(PoisonError::into_inner);
        machine.remove(self.connection);
    }
}
