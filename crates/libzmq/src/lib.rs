//! libzmq's C interface on nought: the same names and numbers, a file for each noun of `include/zmq.h`.
//!
//! The border: a panic does not cross it (`border`); a `void *` of the application's is no handle until its address
//! says so (`handle`); what a pointer owns is a type (`message`, `handle`). Unsafe code is
//! here, and in `nought-lock` alone.

#![allow(non_camel_case_types, reason = "the names are libzmq's")]

mod atomic_counter;
mod border;
mod context;
mod errno;
mod handle;
mod iov;
mod message;
mod monitor;
mod options;
mod poll;
mod poller;
mod proxy;
mod security;
mod socket;
mod stopwatch;
mod thread;
mod timers;
mod version;
mod wss;
mod z85;
