//! `zmq_timers_*`: functions of the application's that it has called when they are due.

use std::{
    collections::BTreeMap,
    ffi::{c_int, c_long, c_void},
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    border,
    errno::{Errno, Result},
    handle,
};

/// What is called when a timer is due.
pub(crate) type zmq_timer_fn = unsafe extern "C" fn(timer: c_int, argument: *mut c_void);

#[derive(Default)]
pub(crate) struct Timers(Mutex<Schedule>);

#[derive(Default)]
struct Schedule {
    last_id: c_int,
    timers: BTreeMap<c_int, Timer>,
}

#[derive(Clone, Copy)]
struct Timer {
    interval: Duration,
    /// Never, if the clock does not go so far.
    due: Option<Instant>,
    handler: zmq_timer_fn,
    argument: *mut c_void,
}

// SAFETY: the argument is not looked at here: it is handed to the application's function, by the thread that the
// application has call zmq_timers_execute.
unsafe impl Send for Timer {}

impl Timer {
    fn restart(&mut self, now: Instant) {
        self.due = now.checked_add(self.interval);
    }
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, interval: Duration, handler: zmq_timer_fn, argument: *mut c_void) -> c_int {
        let mut schedule = self.lock();
        schedule.last_id += 1;
        let id = schedule.last_id;
        let due = Instant::now().checked_add(interval);
        schedule.timers.insert(id, Timer { interval, due, handler, argument });
        id
    }

    fn change(&self, id: c_int, change: impl FnOnce(&mut Timer)) -> Result<()> {
        let mut schedule = self.lock();
        let timer = schedule.timers.get_mut(&id).ok_or(Errno::INVALID)?;
        change(timer);
        timer.restart(Instant::now());
        Ok(())
    }

    /// The milliseconds until the first is due, rounded up; -1 if there is none.
    fn timeout(&self) -> c_long {
        let first = self.lock().timers.values().filter_map(|timer| timer.due).min();
        let Some(first) = first else { return -1 };
        let left = first.saturating_duration_since(Instant::now());
        c_long::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(c_long::MAX)
    }

    /// Calls those that are due, each once. They may change the timers.
    fn execute(&self) {
        let now = Instant::now();
        let is_due = |timer: &Timer| timer.due.is_some_and(|due| due <= now);
        let mut due: Vec<(Option<Instant>, c_int)> =
            self.lock().timers.iter().filter(|(_, timer)| is_due(timer)).map(|(id, timer)| (timer.due, *id)).collect();
        due.sort_unstable();
        for (_, id) in due {
            // It may have been cancelled or put off meanwhile.
            let Some(timer) = self.lock().timers.get_mut(&id).filter(|timer| is_due(timer)).map(|timer| {
                timer.restart(now);
                *timer
            }) else {
                continue;
            };
            // SAFETY: the application gave the function to be called with this.
            unsafe { (timer.handler)(id, timer.argument) };
        }
    }
}

/// No timers.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_new() -> *mut c_void {
    border::pointer(|| handle::open(Timers::default()))
}

/// Gives timers up, and makes the pointer to them null.
///
/// # Safety
/// `timers` is null or points to a handle.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_timers_destroy(timers: *mut *mut c_void) -> c_int {
    border::unit(|| {
        if timers.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as the caller says.
        unsafe {
            handle::close::<Timers>(*timers)?;
            *timers = ptr::null_mut();
        }
        Ok(())
    })
}

/// Adds a timer that is due again and again, after so many milliseconds; returns its number.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_add(
    timers: *mut c_void,
    interval: usize,
    handler: Option<zmq_timer_fn>,
    argument: *mut c_void,
) -> c_int {
    border::status(|| {
        let call = handle::enter::<Timers>(timers)?;
        let handler = handler.ok_or(Errno::FAULT)?;
        Ok(call.add(Duration::from_millis(interval as u64), handler, argument))
    })
}

/// Removes a timer.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_cancel(timers: *mut c_void, id: c_int) -> c_int {
    border::unit(|| {
        let call = handle::enter::<Timers>(timers)?;
        let removed = call.lock().timers.remove(&id);
        removed.map(drop).ok_or(Errno::INVALID)
    })
}

/// Changes a timer's interval, which begins anew.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_set_interval(timers: *mut c_void, id: c_int, interval: usize) -> c_int {
    border::unit(|| {
        let call = handle::enter::<Timers>(timers)?;
        call.change(id, |timer| timer.interval = Duration::from_millis(interval as u64))
    })
}

/// Begins a timer's interval anew.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_reset(timers: *mut c_void, id: c_int) -> c_int {
    border::unit(|| handle::enter::<Timers>(timers)?.change(id, |_| {}))
}

/// The milliseconds until the next timer is due; -1 if there is none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_timeout(timers: *mut c_void) -> c_long {
    match handle::enter::<Timers>(timers) {
        Ok(call) => call.timeout(),
        Err(errno) => {
            errno.set();
            -1
        }
    }
}

/// Calls the functions of the timers that are due.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_timers_execute(timers: *mut c_void) -> c_int {
    border::unit(|| {
        handle::enter::<Timers>(timers)?.execute();
        Ok(())
    })
}
