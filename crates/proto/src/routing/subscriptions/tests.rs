use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::node::LABEL_MAX;
use super::*;

type Prefix = Vec<u8>;

// Against a naive model.

/// What [`Subscriptions`] ought to be.
#[derive(Default)]
struct Model {
    holders: BTreeMap<Prefix, BTreeMap<u8, u32>>,
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(Prefix, u8),
    Cancel(Prefix, u8),
    CancelHeld(prop::sample::Index),
    RemovePeer(u8),
    Match(Prefix),
}

impl Model {
    fn subscribe(&mut self, prefix: &[u8], peer: u8) -> Subscribed {
        let holders = self.holders.entry(prefix.to_vec()).or_default();
        let before = holders.len();
        let count = holders.entry(peer).or_default();
        *count += 1;
        match (before, *count) {
            (0, _) => Subscribed::NewPrefix,
            (_, 1) => Subscribed::NewPeer,
            _ => Subscribed::Again,
        }
    }

    fn cancel(&mut self, prefix: &[u8], peer: u8) -> Cancelled {
        let Some(holders) = self.holders.get_mut(prefix) else { return Cancelled::Unknown };
        let Some(count) = holders.get_mut(&peer) else { return Cancelled::Unknown };
        *count -= 1;
        if *count > 0 {
            return Cancelled::StillHeld;
        }
        holders.remove(&peer);
        if !holders.is_empty() {
            return Cancelled::GoneForPeer;
        }
        self.holders.remove(prefix);
        Cancelled::Gone
    }

    fn remove_peer(&mut self, peer: u8) -> Vec<Prefix> {
        let leave = |(prefix, holders): (&Prefix, &mut BTreeMap<u8, u32>)| {
            let held = holders.remove(&peer).is_some();
            (held && holders.is_empty()).then(|| prefix.clone())
        };
        let gone: Vec<_> = self.holders.iter_mut().filter_map(leave).collect();
        self.holders.retain(|_, holders| !holders.is_empty());
        gone
    }

    fn matches(&self, topic: &[u8]) -> Vec<u8> {
        let matching = self.holders.iter().filter(|(prefix, _)| topic.starts_with(prefix));
        matching.flat_map(|(_, holders)| holders.keys().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn held_by(&self, peer: u8) -> Held {
        let held = self.holders.iter().filter(|(_, holders)| holders.contains_key(&peer));
        held.fold(Held::default(), |sum, (prefix, _)| Held {
            prefixes: sum.prefixes + 1,
            bytes: sum.bytes + prefix.len() as u64,
        })
    }

    fn nth(&self, index: prop::sample::Index) -> Option<(Prefix, u8)> {
        let held: Vec<_> = self.holders.iter().flat_map(|(p, peers)| peers.keys().map(move |&q| (p, q))).collect();
        let (prefix, peer) = *held.get(index.index(held.len().max(1)))?;
        Some((prefix.clone(), peer))
    }
}

/// Prefixes that share much (few letters, few long runs), and some that branch widely.
fn prefix() -> impl Strategy<Value = Prefix> {
    let runs = vec((0..3_u8, 1..40_usize), 0..5);
    prop_oneof![
        4 => vec(0..2_u8, 0..8),
        3 => runs.prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect()),
        2 => vec(any::<u8>(), 0..3),
        1 => vec(any::<u8>(), 0..60),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..6_u8;
    prop_oneof![
        8 => (prefix(), peer.clone()).prop_map(|(prefix, peer)| Step::Subscribe(prefix, peer)),
        2 => (prefix(), peer.clone()).prop_map(|(prefix, peer)| Step::Cancel(prefix, peer)),
        5 => any::<prop::sample::Index>().prop_map(Step::CancelHeld),
        1 => peer.prop_map(Step::RemovePeer),
        4 => prefix().prop_map(Step::Match),
    ]
}

fn sorted<T: Ord>(visited: impl FnOnce(&mut Vec<T>)) -> Vec<T> {
    let mut items = Vec::new();
    visited(&mut items);
    items.sort();
    items
}

fn matched(subscriptions: &mut Subscriptions<u8>, topic: &[u8]) -> Vec<u8> {
    sorted(|peers| subscriptions.matches(topic, |peer| peers.push(peer)))
}

fn removed(subscriptions: &mut Subscriptions<u8>, peer: u8) -> Vec<Prefix> {
    sorted(|gone| subscriptions.remove_peer(peer, |prefix| gone.push(prefix.to_vec())))
}

fn prefixes(subscriptions: &Subscriptions<u8>) -> Vec<Prefix> {
    let mut all = Vec::new();
    subscriptions.for_each(|prefix| all.push(prefix.to_vec()));
    all
}

fn agree(subscriptions: &mut Subscriptions<u8>, model: &mut Model, step: Step) {
    match step {
        Step::Subscribe(prefix, peer) => {
            assert_eq!(subscriptions.subscribe(&prefix, peer), Ok(model.subscribe(&prefix, peer)));
        }
        Step::Cancel(prefix, peer) => {
            assert_eq!(subscriptions.cancel(&prefix, peer), model.cancel(&prefix, peer));
        }
        Step::CancelHeld(index) => {
            let Some((prefix, peer)) = model.nth(index) else { return };
            assert_eq!(subscriptions.cancel(&prefix, peer), model.cancel(&prefix, peer));
        }
        Step::RemovePeer(peer) => assert_eq!(removed(subscriptions, peer), model.remove_peer(peer)),
        Step::Match(topic) => assert_eq!(matched(subscriptions, &topic), model.matches(&topic)),
    }
}

fn assert_same(subscriptions: &mut Subscriptions<u8>, model: &Model) {
    subscriptions.tree.check();
    assert_eq!(subscriptions.len(), model.holders.len());
    assert_eq!(prefixes(subscriptions), model.holders.keys().cloned().collect::<Vec<_>>());
    for peer in 0..6 {
        assert_eq!(subscriptions.held_by(peer), model.held_by(peer));
    }
    for prefix in model.holders.keys() {
        assert_eq!(matched(subscriptions, prefix), model.matches(prefix));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn subscriptions_agree_with_the_model(steps in vec(step(), 0..300)) {
        let (mut subscriptions, mut model) = (Subscriptions::new(), Model::default());
        for step in steps {
            agree(&mut subscriptions, &mut model, step);
            subscriptions.tree.check();
        }
        assert_same(&mut subscriptions, &model);
        for peer in 0..6 {
            agree(&mut subscriptions, &mut model, Step::RemovePeer(peer));
        }
        prop_assert_eq!(subscriptions.tree.check(), (0, 1, 0));
    }

    #[test]
    fn equal_sole_matches_have_the_same_peers(steps in vec(step(), 0..60), topics in vec(prefix(), 1..6)) {
        let (mut subscriptions, mut model) = (Subscriptions::new(), Model::default());
        let mut seen: Vec<(SoleMatch, Vec<u8>)> = Vec::new();
        for step in steps {
            agree(&mut subscriptions, &mut model, step);
            for topic in &topics {
                let matching = model.holders.keys().filter(|prefix| topic.starts_with(prefix)).count();
                let sole_match = subscriptions.sole_match(topic);
                prop_assert_eq!(sole_match.is_some(), matching == 1);
                let Some(sole_match) = sole_match else { continue };
                let peers = model.matches(topic);
                match seen.iter().find(|(other, _)| *other == sole_match) {
                    Some((_, before)) => prop_assert_eq!(before, &peers),
                    None => seen.push((sole_match, peers)),
                }
            }
        }
    }

    #[test]
    fn a_filter_agrees_with_the_model(steps in vec(step(), 0..300)) {
        let (mut filter, mut model) = (Filter::new(), Model::default());
        for step in steps {
            match step {
                Step::Subscribe(prefix, _) => {
                    let new = model.subscribe(&prefix, 0) == Subscribed::NewPrefix;
                    prop_assert_eq!(filter.subscribe(&prefix), Ok(new));
                }
                Step::Cancel(prefix, _) => prop_assert_eq!(filter.cancel(&prefix), released(model.cancel(&prefix, 0))),
                Step::CancelHeld(index) => {
                    let Some((prefix, _)) = model.nth(index) else { continue };
                    prop_assert_eq!(filter.cancel(&prefix), released(model.cancel(&prefix, 0)));
                }
                Step::Match(topic) => prop_assert_eq!(filter.matches(&topic), !model.matches(&topic).is_empty()),
                Step::RemovePeer(_) => {}
            }
            prop_assert_eq!(filter.len(), model.holders.len());
            prop_assert_eq!(filter.is_empty(), model.holders.is_empty());
        }
        let mut all = Vec::new();
        filter.for_each(|prefix| all.push(prefix.to_vec()));
        prop_assert_eq!(all, model.holders.keys().cloned().collect::<Vec<_>>());
    }

    /// Cancelling in any order leaves nothing behind, and what is subscribed to again finds the nodes it needs.
    #[test]
    fn nodes_are_used_again(all in proptest::collection::btree_set(prefix(), 0..100), seed in any::<u64>()) {
        let mut filter = Filter::new();
        let mut shuffled: Vec<_> = all.iter().collect();
        shuffled.sort_by_key(|prefix| hash(prefix, seed));
        let mut nodes = None;
        for _ in 0..3 {
            all.iter().for_each(|prefix| assert_eq!(filter.subscribe(prefix), Ok(true)));
            filter.tree.check();
            let used = *nodes.get_or_insert(filter.tree.size());
            prop_assert_eq!(filter.tree.size(), used);
            for prefix in &shuffled {
                prop_assert_eq!(filter.cancel(prefix), Released::Gone);
                filter.tree.check();
            }
            prop_assert_eq!(filter.tree.check(), (0, 1, 0));
        }
    }

    /// A chain's links stay long enough, whatever splits and merges it went through.
    #[test]
    fn idle_nodes_are_few(steps in vec((0..400_usize, any::<bool>()), 0..400)) {
        let mut filter = Filter::new();
        let long = [7; 400];
        filter.subscribe(&long).unwrap();
        for (len, subscribe) in steps {
            if subscribe { filter.subscribe(&long[..len]).unwrap(); } else { filter.cancel(&long[..len]); }
            let (valued, branching, idle) = filter.tree.check();
            prop_assert!(idle <= 2 * (valued + branching) + 2 * long.len().div_ceil(LABEL_MAX));
        }
    }
}

fn released(cancelled: Cancelled) -> Released {
    match cancelled {
        Cancelled::Unknown => Released::Unknown,
        Cancelled::StillHeld => Released::StillHeld,
        Cancelled::GoneForPeer | Cancelled::Gone => Released::Gone,
    }
}

/// Any function that shuffles.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    bytes.iter().fold(seed | 1, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23))
}

// The rules, one by one.

#[test]
fn the_empty_prefix_matches_everything() {
    let mut subscriptions = Subscriptions::new();
    assert_eq!(subscriptions.subscribe(b"", 1), Ok(Subscribed::NewPrefix));
    assert_eq!(matched(&mut subscriptions, b""), [1]);
    assert_eq!(matched(&mut subscriptions, b"anything"), [1]);
    assert_eq!(subscriptions.cancel(b"", 1), Cancelled::Gone);
    assert_eq!(matched(&mut subscriptions, b"anything"), []);
}

#[test]
fn nothing_matches_an_empty_filter() {
    let filter = Filter::default();
    assert!(filter.is_empty() && !filter.matches(b"") && !filter.matches(b"anything"));
}

#[test]
fn subscriptions_are_counted_for_each_peer() {
    let mut subscriptions = Subscriptions::default();
    assert_eq!(subscriptions.subscribe(b"a", 1), Ok(Subscribed::NewPrefix));
    assert_eq!(subscriptions.subscribe(b"a", 2), Ok(Subscribed::NewPeer));
    assert_eq!(subscriptions.subscribe(b"a", 1), Ok(Subscribed::Again));
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(subscriptions.cancel(b"a", 3), Cancelled::Unknown);
    assert_eq!(subscriptions.cancel(b"a", 1), Cancelled::StillHeld);
    assert_eq!(subscriptions.cancel(b"a", 1), Cancelled::GoneForPeer);
    assert_eq!(subscriptions.cancel(b"a", 1), Cancelled::Unknown);
    assert_eq!(subscriptions.cancel(b"a", 2), Cancelled::Gone);
    assert!(subscriptions.is_empty());
}

#[test]
fn a_peer_is_visited_once_however_many_of_its_prefixes_match() {
    let mut subscriptions = Subscriptions::new();
    for (prefix, peer) in [("", 1), ("a", 1), ("ab", 1), ("ab", 2), ("abc", 2), ("abd", 3)] {
        subscriptions.subscribe(prefix.as_bytes(), peer).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(matched(&mut subscriptions, b"abcd"), [1, 2]);
        assert_eq!(matched(&mut subscriptions, b"abd"), [1, 2, 3]);
        assert_eq!(matched(&mut subscriptions, b"x"), [1]);
    }
}

#[test]
fn removing_a_peer_tells_only_of_prefixes_that_nobody_else_holds() {
    let mut subscriptions = Subscriptions::new();
    for (prefix, peer) in [("mine", 1), ("mine", 1), ("ours", 1), ("ours", 2), ("", 1)] {
        subscriptions.subscribe(prefix.as_bytes(), peer).unwrap();
    }
    assert_eq!(removed(&mut subscriptions, 1), [b"".to_vec(), b"mine".to_vec()]);
    assert_eq!(removed(&mut subscriptions, 1), Vec::<Prefix>::new());
    assert_eq!(subscriptions.held_by(1), Held::default());
    assert_eq!(subscriptions.held_by(2), Held { prefixes: 1, bytes: 4 });
    assert_eq!(prefixes(&subscriptions), [b"ours".to_vec()]);
}

#[test]
fn a_full_tree_takes_no_new_prefix_and_keeps_what_it_has() {
    let mut filter = Filter::bounded(4);
    assert_eq!(filter.subscribe(&[1; 2 * LABEL_MAX]), Ok(true));
    assert_eq!(filter.subscribe(b"no room"), Err(Full));
    assert_eq!(filter.subscribe(&[1; 2 * LABEL_MAX]), Ok(false));
    assert_eq!((filter.len(), filter.matches(b"no room")), (1, false));
    filter.cancel(&[1; 2 * LABEL_MAX]);
    assert_eq!(filter.cancel(&[1; 2 * LABEL_MAX]), Released::Gone);
    assert_eq!(filter.subscribe(b"room"), Ok(true));

    let mut subscriptions = Subscriptions::bounded(0);
    assert_eq!(subscriptions.subscribe(b"", 1), Err(Full));
    assert_eq!(subscriptions.held_by(1), Held::default());
}

// Hostile shapes. Each would take minutes, or the stack, if an operation were quadratic or recursive.

#[test]
fn prefixes_of_a_megabyte() {
    const LEN: usize = 1 << 20;
    let mut subscriptions = Subscriptions::new();
    let mut long = vec![7; LEN];
    for last in 0..8 {
        long[LEN - 1] = last;
        subscriptions.subscribe(&long, last).unwrap();
    }
    assert_eq!(matched(&mut subscriptions, &long), [7]);
    for peer in 0..8 {
        assert_eq!(removed(&mut subscriptions, peer).len(), 1);
    }
    assert_eq!(subscriptions.tree.check(), (0, 1, 0));
}

#[test]
fn short_prefixes_of_a_long_one_split_and_merge_it_in_bounded_time() {
    let mut filter = Filter::new();
    let long = vec![7; 1 << 20];
    filter.subscribe(&long).unwrap();
    for round in 0..300_000 {
        let short = &long[..1 + round % 40];
        assert_eq!(filter.subscribe(short), Ok(true));
        assert_eq!(filter.cancel(short), Released::Gone);
    }
    assert!(filter.matches(&long) && !filter.matches(&long[1..]));
}

#[test]
fn a_chain_of_prefixes_each_one_byte_longer() {
    let mut subscriptions = Subscriptions::new();
    let long = [7; 3_000];
    for len in 0..=long.len() {
        subscriptions.subscribe(&long[..len], (len % 5) as u8).unwrap();
    }
    assert_eq!(matched(&mut subscriptions, &long), [0, 1, 2, 3, 4]);
    assert_eq!(prefixes(&subscriptions).len(), long.len() + 1);
    for peer in 0..5 {
        assert_eq!(removed(&mut subscriptions, peer).len(), 600 + usize::from(peer == 0));
    }
    assert_eq!(subscriptions.tree.check(), (0, 1, 0));
}

#[test]
fn every_width_of_branching_both_ways_and_again() {
    let mut filter = Filter::new();
    for stride in [167_u8, 59] {
        let scattered = |index: u8| [b'x', index.wrapping_mul(stride)];
        for count in 0..=255 {
            assert_eq!(filter.subscribe(&scattered(count)), Ok(true));
            assert!((0..=255).all(|index| filter.matches(&scattered(index)) == (index <= count)));
            filter.tree.check();
        }
        for count in (0..=255).rev() {
            assert_eq!(filter.cancel(&scattered(count)), Released::Gone);
            assert!((0..=255).all(|index| filter.matches(&scattered(index)) == (index < count)));
            filter.tree.check();
        }
    }
}

#[test]
fn many_peers_on_one_prefix_leave_in_any_order() {
    const PEERS: u32 = 100_000;
    let mut subscriptions = Subscriptions::new();
    for peer in (0..PEERS).rev() {
        subscriptions.subscribe(b"same", peer).unwrap();
    }
    for peer in (0..PEERS).map(|index| index * 7 % PEERS) {
        let expected = if peer == 99_993 { Cancelled::Gone } else { Cancelled::GoneForPeer };
        assert_eq!(subscriptions.cancel(b"same", peer), expected);
    }
    assert!(subscriptions.is_empty());
}

#[test]
fn many_peers_with_many_prefixes_each_are_removed_in_time_proportional_to_their_own() {
    let mut subscriptions = Subscriptions::new();
    for peer in 0..1_000_u32 {
        for own in 0..200_u32 {
            subscriptions.subscribe(&[&peer.to_le_bytes()[..], &own.to_le_bytes()[..]].concat(), peer).unwrap();
            subscriptions.subscribe(&own.to_be_bytes(), peer).unwrap();
        }
    }
    let mut gone = 0;
    for peer in 0..1_000 {
        subscriptions.remove_peer(peer, |_| gone += 1);
    }
    assert_eq!((gone, subscriptions.len()), (200_200, 0));
}

#[test]
fn an_empty_tree_gives_its_memory_back() {
    let mut filter = Filter::new();
    for index in 0..10_000_u32 {
        filter.subscribe(&index.to_le_bytes()).unwrap();
    }
    for index in 0..10_000_u32 {
        filter.cancel(&index.to_le_bytes());
    }
    assert_eq!(filter.tree.size(), 1);
}

#[test]
fn peers_that_come_and_go_leave_nothing_behind() {
    let mut subscriptions = Subscriptions::new();
    subscriptions.subscribe(b"same", 0).unwrap();
    for peer in 1..1_000_u32 {
        subscriptions.subscribe(b"same", peer).unwrap();
        subscriptions.subscribe(&peer.to_le_bytes(), peer).unwrap();
        subscriptions.remove_peer(peer, |prefix| assert_eq!(prefix, peer.to_le_bytes()));
    }
    let sizes = (subscriptions.peers.size(), subscriptions.crowds.size(), subscriptions.tree.size());
    assert_eq!(sizes, (2, 1, 4));
}

#[test]
fn nodes_are_as_small_as_documented() {
    assert_eq!(size_of::<super::node::Node<std::num::NonZeroU32>>(), 32);
    assert_eq!(size_of::<super::node::Node<Audience>>(), 36);
}
