//! The table of cases: what is measured, with whom, and the bars that nought is to clear.

use crate::contender::Contender;
use crate::metric::Metric;
use crate::work::{Connections, FanOut, Idle, Matching, Proxied, RoundTrip, Security, Stream, Transport, Work};

/// What one thread waiting for messages may use of a core and still count as idle: a thousandth.
const NO_LOAD: f64 = 0.001;

/// Everybody who is measured where nothing else is said.
const ALL: &[Contender] =
    &[Contender::Nought, Contender::Libzmq, Contender::Omq, Contender::Rzmq, Contender::Zeromq, Contender::Raw];

/// The same, and the system's limit for those who wait without sleeping.
const ALL_AND_SPINNING: &[Contender] = &[
    Contender::Nought,
    Contender::Libzmq,
    Contender::Omq,
    Contender::Rzmq,
    Contender::Zeromq,
    Contender::Raw,
    Contender::RawSpinning,
];

/// nought's asynchronous API against its blocking one.
const ASYNC: &[Contender] = &[Contender::Nought, Contender::NoughtTokio, Contender::NoughtTokioCurrent];

/// A piece of work, who does it, and what is expected.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Names it in every report, and for `--cases`.
    pub(crate) name: String,
    pub(crate) work: Work,
    /// The figure that it is about.
    pub(crate) metric: Metric,
    pub(crate) contenders: &'static [Contender],
    pub(crate) bars: Vec<Bar>,
}

/// An expectation of one contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) subject: Contender,
    pub(crate) metric: Metric,
    pub(crate) demand: Demand,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Demand {
    /// At least so many times the other's figure.
    AtLeast(f64, Contender),
    /// At most so many times the other's figure.
    AtMost(f64, Contender),
    /// At most so much more than the other's figure.
    AtMostMore(f64, Contender),
    /// At most so much.
    Within(f64),
}

impl Demand {
    /// Whom the figure is compared with.
    pub(crate) fn reference(self) -> Option<Contender> {
        match self {
            Self::AtLeast(_, other) | Self::AtMost(_, other) | Self::AtMostMore(_, other) => Some(other),
            Self::Within(_) => None,
        }
    }

    /// Whether `figure` is as demanded, the other's being `reference`; `None` if that is needed and unknown.
    pub(crate) fn is_met(self, figure: f64, reference: Option<f64>) -> Option<bool> {
        match self {
            Self::AtLeast(times, _) => reference.map(|other| figure >= times * other),
            Self::AtMost(times, _) => reference.map(|other| figure <= times * other),
            Self::AtMostMore(by, _) => reference.map(|other| figure <= other + by),
            Self::Within(limit) => Some(figure <= limit),
        }
    }

    /// The demand in a few signs.
    pub(crate) fn describe(self, metric: Metric) -> String {
        match self {
            Self::AtLeast(times, _) => format!("≥ {times} ×"),
            Self::AtMost(times, _) => format!("≤ {times} ×"),
            Self::AtMostMore(by, _) => format!("≤ + {}", metric.format(by)),
            Self::Within(limit) => format!("≤ {}", metric.format(limit)),
        }
    }
}

impl Case {
    fn new(name: impl Into<String>, work: Work, metric: Metric) -> Self {
        Self { name: name.into(), work, metric, contenders: ALL, bars: Vec::new() }
    }

    fn among(mut self, contenders: &'static [Contender]) -> Self {
        self.contenders = contenders;
        self
    }

    /// Demands something of nought's figure for what the case is about.
    fn demand(self, demand: Demand) -> Self {
        let metric = self.metric;
        self.demand_of(Contender::Nought, metric, demand)
    }

    fn demand_of(mut self, subject: Contender, metric: Metric, demand: Demand) -> Self {
        self.bars.push(Bar { subject, metric, demand });
        self
    }
}

/// All cases, in the order of the reports.
pub(crate) fn all() -> Vec<Case> {
    [
        throughput(Transport::Tcp, [Some(4.0), Some(5.0), Some(2.2), Some(1.4)]),
        throughput(Transport::Ipc, [Some(4.0), Some(4.0), Some(2.0), Some(1.4)]),
        throughput(Transport::Inproc, [Some(5.0), Some(4.0), None, None]),
        encrypted(),
        round_trips(),
        asynchronous(),
        many_sockets(),
        proxies(),
        idling(),
        matching(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// PUSH → PULL at four sizes; `bars` are multiples of libzmq's rate.
fn throughput(transport: Transport, bars: [Option<f64>; 4]) -> Vec<Case> {
    [1, 64, 1024, 65536].into_iter().zip(bars).map(|(size, bar)| stream(transport, size, bar)).collect()
}

fn stream(transport: Transport, size: usize, bar: Option<f64>) -> Case {
    let work = Work::Stream(Stream { transport, security: Security::None, size, connections: 1 });
    let mut case = Case::new(format!("throughput/{transport}/{size}"), work, Metric::Rate);
    if let Some(times) = bar {
        case = case.demand(Demand::AtLeast(times, Contender::Libzmq));
    }
    if (transport, size) == (Transport::Tcp, 64) {
        case = case.demand(Demand::AtLeast(4.0, Contender::Omq));
    }
    if transport == Transport::Ipc {
        case = case.demand_of(Contender::Nought, Metric::Lost, Demand::Within(0.0));
    }
    case
}

/// PUSH → PULL with CURVE, beside a libzmq that has it.
fn encrypted() -> Vec<Case> {
    let (transport, security) = (Transport::Tcp, Security::Curve);
    let case = |size| {
        let work = Work::Stream(Stream { transport, security, size, connections: 1 });
        Case::new(format!("curve/{transport}/{size}"), work, Metric::Rate)
            .among(&[Contender::Nought, Contender::SystemLibzmq])
            .demand(Demand::AtLeast(1.5, Contender::SystemLibzmq))
    };
    [64, 1024, 65536].map(case).into()
}

fn round_trips() -> Vec<Case> {
    let mut cases: Vec<_> = [(Transport::Tcp, 0.2), (Transport::Ipc, 0.2), (Transport::Inproc, 0.1)]
        .into_iter()
        .map(|(transport, times)| {
            round_trip("roundtrip", transport).among(ALL_AND_SPINNING).demand(Demand::AtMost(times, Contender::Libzmq))
        })
        .collect();
    let sleeping = round_trip("roundtrip-sleeping", Transport::Tcp)
        .among(&[Contender::NoughtSleeping, Contender::Libzmq, Contender::Raw])
        .demand_of(Contender::NoughtSleeping, Metric::P50, Demand::AtMost(0.6, Contender::Libzmq));
    cases.push(sleeping);
    cases
}

fn round_trip(group: &str, transport: Transport) -> Case {
    let work = Work::RoundTrip(RoundTrip { transport, size: 1 });
    Case::new(format!("{group}/{transport}/1"), work, Metric::P50)
}

/// nought's asynchronous API against its blocking one, which is measured again beside it.
fn asynchronous() -> Vec<Case> {
    let transports = [Transport::Tcp, Transport::Ipc, Transport::Inproc];
    let streams = transports.into_iter().map(|transport| {
        let work = Work::Stream(Stream { transport, security: Security::None, size: 64, connections: 1 });
        let enough = Demand::AtLeast(0.6, Contender::Nought);
        Case::new(format!("async-throughput/{transport}/64"), work, Metric::Rate)
            .among(ASYNC)
            .demand_of(Contender::NoughtTokio, Metric::Rate, enough)
            .demand_of(Contender::NoughtTokioCurrent, Metric::Rate, enough)
    });
    let round_trips = transports.into_iter().map(|transport| {
        round_trip("async-roundtrip", transport)
            .among(ASYNC)
            .demand_of(Contender::NoughtTokio, Metric::P50, Demand::AtMost(2.0, Contender::Nought))
            .demand_of(Contender::NoughtTokioCurrent, Metric::P50, Demand::AtMost(1.5, Contender::Nought))
    });
    streams.chain(round_trips).collect()
}

fn many_sockets() -> Vec<Case> {
    let mut cases: Vec<_> = [1, 8, 64]
        .into_iter()
        .map(|subscribers| {
            let work = Work::FanOut(FanOut { subscribers, size: 64 });
            Case::new(format!("fan-out/{subscribers}/64"), work, Metric::Rate)
                .demand(Demand::AtLeast(3.0, Contender::Libzmq))
        })
        .collect();
    let (transport, security) = (Transport::Tcp, Security::None);
    let work = Work::Stream(Stream { transport, security, size: 64, connections: 1000 });
    cases.push(Case::new("fan-in/1000/64", work, Metric::Rate).demand(Demand::AtLeast(2.0, Contender::Libzmq)));
    cases
}

fn proxies() -> Vec<Case> {
    [("requests", Proxied::Requests), ("topics", Proxied::Topics)]
        .into_iter()
        .map(|(name, proxied)| {
            Case::new(format!("proxy/{name}/64"), Work::Proxied(proxied), Metric::Rate)
                .demand(Demand::AtLeast(3.0, Contender::Libzmq))
        })
        .collect()
}

fn idling() -> Vec<Case> {
    let connections = Work::Connections(Connections { count: 10_000 });
    let waiting = Work::Idle(Idle { ticking: false, milliseconds: 2_000 });
    let ticking = Work::Idle(Idle { ticking: true, milliseconds: 2_000 });
    vec![
        Case::new("connections/10000", connections, Metric::ConnectionMemory)
            .demand(Demand::Within(6.0 * 1024.0))
            .demand_of(Contender::Nought, Metric::Load, Demand::Within(NO_LOAD))
            .demand_of(Contender::Nought, Metric::ConnectionRate, Demand::AtLeast(1.0, Contender::Libzmq)),
        Case::new("idle/recv", waiting, Metric::Load).demand(Demand::Within(NO_LOAD)),
        Case::new("idle/ticking", ticking, Metric::Load).demand(Demand::AtMostMore(0.05, Contender::Libzmq)),
    ]
}

/// Speed has no bar here: it is to be seen how little it falls.
fn matching() -> Vec<Case> {
    let case = |subscriptions| {
        let work = Work::Matching(Matching { subscriptions });
        Case::new(format!("matching/{subscriptions}"), work, Metric::Rate)
            .among(&[Contender::Nought, Contender::Libzmq])
    };
    let memory = Demand::Within(100.0);
    vec![case(1), case(1_000), case(1_000_000).demand_of(Contender::Nought, Metric::SubscriptionMemory, memory)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let cases = all();
        let names: HashSet<_> = cases.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), cases.len());
    }

    #[test]
    fn who_is_compared_takes_part() {
        for case in all() {
            for bar in &case.bars {
                assert!(case.contenders.contains(&bar.subject), "{}", case.name);
                assert!(bar.demand.reference().is_none_or(|other| case.contenders.contains(&other)), "{}", case.name);
            }
        }
    }

    #[test]
    fn curve_is_for_those_who_have_it() {
        for case in encrypted() {
            assert!(Contender::SystemLibzmq.supports(case.work), "{}", case.name);
            assert!(!Contender::Libzmq.supports(case.work), "{}", case.name);
        }
    }

    #[test]
    fn demands_are_judged() {
        assert_eq!(Demand::AtLeast(4.0, Contender::Libzmq).is_met(4.0, Some(1.0)), Some(true));
        assert_eq!(Demand::AtMost(0.2, Contender::Libzmq).is_met(0.3, Some(1.0)), Some(false));
        assert_eq!(Demand::AtMostMore(0.05, Contender::Libzmq).is_met(0.07, Some(0.03)), Some(true));
        assert_eq!(Demand::AtLeast(4.0, Contender::Libzmq).is_met(4.0, None), None);
        assert_eq!(Demand::Within(1.0).is_met(2.0, None), Some(false));
    }
}
