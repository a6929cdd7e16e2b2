//! The parts that patterns share: turns for receiving and sending, sending to many, subscriptions.

mod fair_queue;
mod fan_out;
mod load_balancer;
pub mod subscriptions;
mod upstream;
mod upward;

pub(crate) use self::{
    fair_queue::FairQueue,
    fan_out::{count_drop, distribute},
    load_balancer::LoadBalancer,
    upstream::{Upstream, Wish},
    upward::Upward,
};
