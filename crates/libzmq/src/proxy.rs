//! `zmq_proxy`, `zmq_proxy_steerable`, `zmq_device`: intermediaries.

use std::{
    ffi::{c_int, c_void},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nought::{Message, Proxy, ProxyControl, ProxyStatistics, RecvError, SocketType};

use crate::{
    border,
    errno::{Errno, Result},
    handle::Call,
    socket::{self, SocketHandle},
};

/// How soon the end of a proxy is seen by the thread that listens to its control, where no command comes.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The sockets of a proxy.
struct Ends {
    frontend: Call<SocketHandle>,
    backend: Call<SocketHandle>,
    capture: Option<Call<SocketHandle>>,
}

impl Ends {
    fn enter(frontend: *mut c_void, backend: *mut c_void, capture: *mut c_void) -> Result<Self> {
        if frontend.is_null() || backend.is_null() {
            return Err(Errno::FAULT);
        }
        Ok(Self {
            frontend: socket::enter(frontend)?,
            backend: socket::enter(backend)?,
            capture: if capture.is_null() { None } else { Some(socket::enter(capture)?) },
        })
    }

    fn proxy(&self) -> Proxy<'_> {
        let proxy = Proxy::new(&*self.frontend.socket, &*self.backend.socket);
        match &self.capture {
            Some(capture) => proxy.capture_all(&*capture.socket),
            None => proxy,
        }
    }

    /// Forwards until the context is over.
    fn run(&self) -> Result<()> {
        self.proxy().run()?;
        Err(Errno::TERMINATED)
    }

    /// Forwards until a command ends it, or the context is over.
    fn run_steered(&self, steering: &SocketHandle) -> Result<()> {
        let (proxy, control) = self.proxy().controlled()?;
        let has_ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| obey(steering, &control, &has_ended));
            let result = proxy.run();
            has_ended.store(true, Ordering::Relaxed);
            result
        })?;
        self.frontend.check_alive()?;
        self.backend.check_alive()
    }
}

/// Does what comes over the control socket, until the proxy has ended or is to end.
fn obey(steering: &SocketHandle, control: &ProxyControl, has_ended: &AtomicBool) {
    while !has_ended.load(Ordering::Relaxed) {
        let command = match steering.socket.recv_timeout(LOOK_INTERVAL) {
            Ok(command) => command,
            Err(RecvError::TimedOut | RecvError::Interrupted) => continue,
            // It cannot be steered any more; the context's end is the proxy's, too.
            Err(_) => return,
        };
        let mut answer = Message::empty_frame();
        let is_over = command.as_slice() == b"TERMINATE";
        match command.as_slice() {
            b"PAUSE" => control.pause(),
            b"RESUME" => control.resume(),
            b"TERMINATE" => control.terminate(),
            b"STATISTICS" => answer = statistics(&control.statistics()),
            // libzmq ends the program. One who sends what is no command is told as little as for one that is.
            _ => {}
        }
        let wants_answer = steering.socket_type == SocketType::Rep || answer.len() > 1;
        if wants_answer {
            // Who has asked and gone needs no answer.
            let _ = steering.socket.try_send(answer);
        }
        if is_over {
            return;
        }
    }
}

/// Received and sent by the frontend, then by the backend; messages, then bytes.
fn statistics(counted: &ProxyStatistics) -> Message {
    let (up, down) = (counted.to_backend, counted.to_frontend);
    [up.messages, up.bytes, down.messages, down.bytes, down.messages, down.bytes, up.messages, up.bytes]
        .map(|number| number.to_ne_bytes().to_vec())
        .into()
}

/// Forwards messages both ways between two sockets, until their context is over.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_proxy(frontend: *mut c_void, backend: *mut c_void, capture: *mut c_void) -> c_int {
    border::unit(|| Ends::enter(frontend, backend, capture)?.run())
}

/// The same, with a socket over which it is paused, resumed, asked and ended.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_proxy_steerable(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: *mut c_void,
    control: *mut c_void,
) -> c_int {
    border::unit(|| {
        let ends = Ends::enter(frontend, backend, capture)?;
        if control.is_null() {
            return ends.run();
        }
        let steering = socket::enter(control)?;
        ends.run_steered(&steering)
    })
}

/// The older name of [`zmq_proxy`]; the kind of device says nothing.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_device(_kind: c_int, frontend: *mut c_void, backend: *mut c_void) -> c_int {
    zmq_proxy(frontend, backend, std::ptr::null_mut())
}
