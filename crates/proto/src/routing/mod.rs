//! The parts that patterns share: turns for receiving and sending, subscriptions.

mod fair_queue;
mod load_balancer;
pub mod subscriptions;
mod upward;

pub(crate) use self::{fair_queue::FairQueue, load_balancer::LoadBalancer, upward::Upward};
