//! The parts that patterns share: turns for receiving and sending, sending to many, subscriptions.

mod fair_queue;
mod fan_out;
mod load_balancer;
mod roomy;
pub mod subscriptions;
mod upstream;
mod upward;

pub(crate) use self::{
    fair_queue::FairQueue,
    fan_out::{count_drop, distribute, offer},
    load_balancer::LoadBalancer,
    roomy::Roomy,
    upstream::{Upstream, Wish},
    upward::{PassedUp, PassedUpKind, Upward},
};
