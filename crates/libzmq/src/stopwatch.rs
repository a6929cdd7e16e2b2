//! `zmq_stopwatch_*`, `zmq_sleep`: time, for programs that measure.

use std::{
    ffi::{c_int, c_ulong, c_void},
    thread,
    time::{Duration, Instant},
};

use crate::{border, handle};

pub(crate) struct Stopwatch(Instant);

/// A stopwatch that runs from now on.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_stopwatch_start() -> *mut c_void {
    border::pointer(|| handle::open(Stopwatch(Instant::now())))
}

/// The microseconds since it was started; 0 for no stopwatch.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_stopwatch_intermediate(watch: *mut c_void) -> c_ulong {
    match handle::enter::<Stopwatch>(watch) {
        Ok(call) => call.0.elapsed().as_micros() as c_ulong,
        Err(errno) => {
            errno.set();
            0
        }
    }
}

/// The microseconds since it was started; it is gone then.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_stopwatch_stop(watch: *mut c_void) -> c_ulong {
    let elapsed = zmq_stopwatch_intermediate(watch);
    // That it is none was said above.
    let _ = handle::close::<Stopwatch>(watch);
    elapsed
}

/// Sleeps.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_sleep(seconds: c_int) {
    thread::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
}
