//! `zmq_ctx_*`: contexts.
//!
//! The threads of a context start with its first socket, so that options can be set before, and a process may fork
//! before. In a child of the process that made it a context is of no more use than to be closed: its threads did not
//! come along. So a child leaves it, and its sockets, untouched.

use std::{
    collections::BTreeSet,
    ffi::{CString, c_int, c_void},
    mem::ManuallyDrop,
    num::NonZeroU64,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    pin::pin,
    process, ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{self, Wake, Waker},
};

use nought::Context;

use crate::{
    border,
    errno::{Errno, Result},
    handle,
    options::Value,
    poll,
};

const IO_THREADS: c_int = 1;
const MAX_SOCKETS: c_int = 2;
/// To be set, the priority of threads; to be read, the largest value for [`MAX_SOCKETS`].
const SOCKET_LIMIT_OR_THREAD_PRIORITY: c_int = 3;
const MAX_MSGSZ: c_int = 5;
const MSG_T_SIZE: c_int = 6;
const THREAD_SCHED_POLICY: c_int = 4;
const THREAD_AFFINITY_CPU_ADD: c_int = 7;
const THREAD_AFFINITY_CPU_REMOVE: c_int = 8;
const THREAD_NAME_PREFIX: c_int = 9;
/// Whether a body may be received where it is, with what was received beside it. None ever keeps more memory than its own,
/// and none is copied where that costs more than it saves: either is true whatever is set.
const ZERO_COPY_RECV: c_int = 10;
const IPV6: c_int = 42;
const BLOCKY: c_int = 70;

/// The most sockets that can be asked for.
const SOCKET_LIMIT: c_int = 65_535;

/// A context, as its handle and its sockets share it.
pub(crate) struct Shared {
    /// The process whose threads it has.
    process: u32,
    settings: Mutex<Settings>,
    running: Mutex<Running>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    io_threads: c_int,
    max_sockets: c_int,
    max_message_size: c_int,
    zero_copy_recv: c_int,
    threads: Threads,
    pub(crate) ipv6: bool,
    /// Whether sockets linger for ever by default.
    pub(crate) blocky: bool,
}

#[derive(Default)]
struct Running {
    context: Option<ManuallyDrop<Context>>,
    /// Rung when the last socket is closed: it comes with the context, since its end needs it, whatever descriptors are
    /// left then.
    bell: Option<Arc<Bell>>,
    /// As many as were set when it started: what is set later is for no context.
    io_threads: u32,
    is_shut_down: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            io_threads: 1,
            max_sockets: 1023,
            max_message_size: c_int::MAX,
            zero_copy_recv: 1,
            threads: Threads::default(),
            ipv6: false,
            blocky: true,
        }
    }
}

/// What a context's handle stands for.
pub(crate) struct ContextHandle(pub(crate) Arc<Shared>);

impl Shared {
    fn new(settings: Settings) -> Self {
        Self { process: process::id(), settings: Mutex::new(settings), running: Mutex::default() }
    }

    /// Whether this process is a child of the one that made it.
    pub(crate) fn is_inherited(&self) -> bool {
        self.process != process::id()
    }

    pub(crate) fn settings(&self) -> Settings {
        self.lock_settings().clone()
    }

    fn lock_settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context itself, which starts now if it has not yet.
    pub(crate) fn running(&self) -> Result<Context> {
        let mut running = self.lock_running();
        if running.is_shut_down {
            return Err(Errno::TERMINATED);
        }
        if let Some(context) = &running.context {
            return Ok(Context::clone(context));
        }
        let settings = self.settings();
        running.io_threads = settings.io_threads.unsigned_abs();
        let (bell, context) = (Bell::new()?, settings.start()?);
        running.bell = Some(Arc::new(bell));
        running.context = Some(ManuallyDrop::new(context.clone()));
        Ok(context)
    }

    /// Of a socket's set of threads, those that the context has started with; an empty set stands for all.
    pub(crate) fn threads_of(&self, affinity: u64) -> Option<NonZeroU64> {
        let all = 1_u64.checked_shl(self.lock_running().io_threads).unwrap_or(0).wrapping_sub(1);
        NonZeroU64::new(if affinity == 0 { all } else { affinity & all })
    }

    fn shut_down(&self) {
        let mut running = self.lock_running();
        running.is_shut_down = true;
        if let Some(context) = &running.context {
            context.shutdown();
        }
    }

    /// Shuts down, and waits until all sockets are closed and have sent what they had to. A signal ends the wait.
    fn terminate(&self) -> Result<()> {
        self.shut_down();
        let started = {
            let running = self.lock_running();
            running.context.as_deref().cloned().zip(running.bell.clone())
        };
        started.map_or(Ok(()), |(context, bell)| wait_for_sockets(&context, &bell))
    }

    fn set(&self, option: c_int, value: c_int) -> Result<()> {
        let mut settings = self.lock_settings();
        match (option, value) {
            (IO_THREADS, 0..) => settings.io_threads = value,
            (MAX_SOCKETS, 1..=SOCKET_LIMIT) => settings.max_sockets = value,
            (ZERO_COPY_RECV, 0..) => settings.zero_copy_recv = c_int::from(value != 0),
            (MAX_MSGSZ, 0..) => settings.max_message_size = value,
            (THREAD_SCHED_POLICY, 0..) => settings.threads.policy = Some(value),
            (SOCKET_LIMIT_OR_THREAD_PRIORITY, 0..) => settings.threads.priority = Some(value),
            (THREAD_AFFINITY_CPU_ADD, 0..) => drop(settings.threads.processors.insert(value.unsigned_abs() as usize)),
            (THREAD_AFFINITY_CPU_REMOVE, 0..) => {
                let was_there = settings.threads.processors.remove(&(value.unsigned_abs() as usize));
                return if was_there { Ok(()) } else { Err(Errno::INVALID) };
            }
            (THREAD_NAME_PREFIX, 0..) => settings.threads.name_prefix = value.to_string(),
            (IPV6, 0..) => settings.ipv6 = value != 0,
            (BLOCKY, 0..) => settings.blocky = value != 0,
            _ => return Err(Errno::INVALID),
        }
        Ok(())
    }

    fn set_name_prefix(&self, prefix: &[u8]) -> Result<()> {
        const PREFIX_LEN_MAX: usize = 16;
        let prefix = prefix.split(|&byte| byte == 0).next().unwrap_or_default();
        if prefix.is_empty() || prefix.len() > PREFIX_LEN_MAX {
            return Err(Errno::INVALID);
        }
        self.lock_settings().threads.name_prefix = str::from_utf8(prefix).map_err(|_| Errno::INVALID)?.to_owned();
        Ok(())
    }

    fn get(&self, option: c_int) -> Result<c_int> {
        let settings = self.settings();
        Ok(match option {
            IO_THREADS => settings.io_threads,
            MAX_SOCKETS => settings.max_sockets,
            SOCKET_LIMIT_OR_THREAD_PRIORITY => SOCKET_LIMIT,
            MAX_MSGSZ => settings.max_message_size,
            MSG_T_SIZE => size_of::<crate::message::Message>() as c_int,
            THREAD_SCHED_POLICY => settings.threads.policy.unwrap_or(-1),
            THREAD_NAME_PREFIX => settings.threads.name_prefix.parse().unwrap_or(0),
            ZERO_COPY_RECV => settings.zero_copy_recv,
            IPV6 => c_int::from(settings.ipv6),
            BLOCKY => c_int::from(settings.blocky),
            _ => return Err(Errno::INVALID),
        })
    }
}

/// Sleeps on a descriptor, since a sleep on the context itself would not hear of signals.
fn wait_for_sockets(context: &Context, bell: &Arc<Bell>) -> Result<()> {
    let waker = Waker::from(Arc::clone(bell));
    let mut ending = pin!(context.term_async());
    while ending.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending() {
        bell.wait()?;
    }
    Ok(())
}

/// Somebody waits for it to be rung, which may be before. Once rung it stays so.
struct Bell(OwnedFd);

impl Bell {
    fn new() -> Result<Self> {
        // SAFETY: it takes no pointers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(Errno::last());
        }
        // SAFETY: it was just opened, and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Until it is rung; a signal that is handled meanwhile is an error.
    fn wait(&self) -> Result<()> {
        let mut items = [libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        Ok(poll::ppoll(&mut items, None, ptr::null())?)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let one = 1_u64;
        // SAFETY: the descriptor is open, and the number is there. It fails only where it was rung before.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of_val(&one)) };
    }
}

impl Settings {
    /// The longest frame that may be sent. The most that can be set, which is the default, is no limit, as in libzmq.
    pub(crate) fn max_message_size(&self) -> usize {
        let size = self.max_message_size;
        if size == c_int::MAX { usize::MAX } else { size.unsigned_abs() as usize }
    }

    fn start(self) -> Result<Context> {
        let threads = self.threads;
        let context = Context::builder()
            .on_thread_start(move || threads.apply())
            // Without a thread there are inproc connections alone; their timers want one nevertheless.
            .io_threads(self.io_threads.max(1).unsigned_abs() as usize)
            .max_sockets(self.max_sockets.unsigned_abs() as usize)
            .build()?;
        Ok(context)
    }
}

/// How the threads of a context run.
#[derive(Clone, Debug, Default)]
struct Threads {
    policy: Option<c_int>,
    priority: Option<c_int>,
    /// Where they run; if there are none: anywhere.
    processors: BTreeSet<usize>,
    name_prefix: String,
}

impl Threads {
    /// Sets the calling thread up. What the system refuses, as it may without privileges, stays as it is.
    fn apply(&self) {
        if self.policy.is_some() || self.priority.is_some() {
            self.schedule();
        }
        if !self.processors.is_empty() {
            self.stay_on_processors();
        }
        if let Some(name) = Some(&self.name_prefix).filter(|prefix| !prefix.is_empty()) {
            self.name(&format!("{name}/ZMQbg"));
        }
    }

    fn schedule(&self) {
        // SAFETY: the calls take this thread and places that are there.
        unsafe {
            let mut policy = 0;
            let mut parameters = std::mem::zeroed();
            if libc::pthread_getschedparam(libc::pthread_self(), &raw mut policy, &raw mut parameters) != 0 {
                return;
            }
            let policy = self.policy.unwrap_or(policy);
            match (self.priority, policy) {
                // These have no priorities, but can be nice.
                (Some(priority), libc::SCHED_OTHER | libc::SCHED_BATCH | libc::SCHED_IDLE) => {
                    let _ = libc::nice(-priority);
                }
                (Some(priority), _) => parameters.sched_priority = priority,
                (None, _) => {}
            }
            libc::pthread_setschedparam(libc::pthread_self(), policy, &raw const parameters);
        }
    }

    fn stay_on_processors(&self) {
        // SAFETY: a set of processors is plain bits, of which none is set here but those within it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            let within = self.processors.iter().filter(|processor| **processor < libc::CPU_SETSIZE as usize);
            within.for_each(|processor| libc::CPU_SET(*processor, &mut set));
            libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
        }
    }

    fn name(&self, name: &str) {
        const NAME_LEN_MAX: usize = 15;
        let shown: String = name.chars().filter(char::is_ascii_graphic).take(NAME_LEN_MAX).collect();
        let Ok(shown) = CString::new(shown) else { return };
        // SAFETY: the name ends with a zero, and is no longer than the system takes.
        unsafe { libc::pthread_setname_np(libc::pthread_self(), shown.as_ptr()) };
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let inherited = self.is_inherited();
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = running.context.take().filter(|_| !inherited) {
            drop(ManuallyDrop::into_inner(context));
        }
    }
}

/// A new context.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_ctx_new() -> *mut c_void {
    border::pointer(|| handle::open(ContextHandle(Arc::new(Shared::new(Settings::default())))))
}

/// A new context with so many threads.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_init(io_threads: c_int) -> *mut c_void {
    border::pointer(|| {
        if io_threads < 0 {
            return Err(Errno::INVALID);
        }
        handle::open(ContextHandle(Arc::new(Shared::new(Settings { io_threads, ..Settings::default() }))))
    })
}

/// Ends a context: waits until its sockets are closed and have sent what they had to. Where a signal ends the wait, it is to
/// be called again.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_ctx_term(context: *mut c_void) -> c_int {
    border::unit(|| {
        let call = handle::enter::<ContextHandle>(context)?;
        if !call.0.is_inherited() {
            call.0.terminate()?;
        }
        handle::close::<ContextHandle>(context)
    })
}

/// The older name of [`zmq_ctx_term`].
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_term(context: *mut c_void) -> c_int {
    zmq_ctx_term(context)
}

/// Another older name of [`zmq_ctx_term`].
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_ctx_destroy(context: *mut c_void) -> c_int {
    zmq_ctx_term(context)
}

/// Makes all calls on sockets of a context return, now and from now on.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_ctx_shutdown(context: *mut c_void) -> c_int {
    border::unit(|| {
        handle::enter::<ContextHandle>(context)?.0.shut_down();
        Ok(())
    })
}

/// Sets an option of a context.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_ctx_set(context: *mut c_void, option: c_int, value: c_int) -> c_int {
    border::unit(|| handle::enter::<ContextHandle>(context)?.0.set(option, value))
}

/// The value of an option of a context.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_ctx_get(context: *mut c_void, option: c_int) -> c_int {
    border::status(|| handle::enter::<ContextHandle>(context)?.0.get(option))
}

/// Sets an option of a context, given as bytes.
///
/// # Safety
/// `value` points to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_ctx_set_ext(
    context: *mut c_void,
    option: c_int,
    value: *const c_void,
    len: usize,
) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, value) = unsafe { (handle::enter::<ContextHandle>(context)?, border::bytes(value.cast(), len)?) };
        if option == THREAD_NAME_PREFIX && value.len() != size_of::<c_int>() {
            return call.0.set_name_prefix(value);
        }
        let number = value.try_into().map(c_int::from_ne_bytes).map_err(|_| Errno::INVALID)?;
        call.0.set(option, number)
    })
}

/// The value of an option of a context, as bytes: `*len` is the room for it, and then its length.
///
/// # Safety
/// `value` points to `*len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_ctx_get_ext(
    context: *mut c_void,
    option: c_int,
    value: *mut c_void,
    len: *mut usize,
) -> c_int {
    border::unit(|| {
        let call = handle::enter::<ContextHandle>(context)?;
        let told = match option {
            THREAD_NAME_PREFIX => Value::text(call.0.settings().threads.name_prefix.as_bytes()),
            _ => Value::int(call.0.get(option)?),
        };
        // SAFETY: as the caller says.
        unsafe { told.write(value.cast(), len) }
    })
}
