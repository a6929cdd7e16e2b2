//! A file for each suite.

pub(crate) mod examples;
pub(crate) mod jupyter;
pub(crate) mod libzmq_source;
pub(crate) mod libzmq_tests;
pub(crate) mod perf;
pub(crate) mod pyzmq;
pub(crate) mod zmq_crate;
