//! Real threads at one gate.
#![cfg(not(loom))]

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use nought_lock::Gate;

/// How often the gate is closed and opened again.
const ROUNDS: u32 = 300;

/// Says until its end that it is there, and counts how many have ended.
struct Value(AtomicBool, Arc<AtomicU32>);

impl Drop for Value {
    fn drop(&mut self) {
        assert!(self.0.swap(false, Ordering::Relaxed));
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn value(ended: &Arc<AtomicU32>) -> Value {
    Value(AtomicBool::new(true), Arc::clone(ended))
}

#[test]
fn a_value_is_there_during_each_visit_and_ends_once() {
    let gate: Gate<Value> = Gate::new();
    let (ended, is_over) = (Arc::new(AtomicU32::new(0)), AtomicBool::new(false));
    let visit = || {
        let Some(visit) = gate.enter() else { return };
        // A visit within another is counted.
        let inner = gate.enter();
        assert!(visit.0.load(Ordering::Relaxed));
        drop(visit);
        assert!(inner.is_none_or(|inner| inner.0.load(Ordering::Relaxed)));
    };
    thread::scope(|scope| {
        // Two that stay, and some that come and go: places pass from one thread to another.
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    visit();
                }
            });
        }
        for _ in 0..ROUNDS {
            let mut next = value(&ended);
            while let Err(refused) = gate.open(next) {
                next = refused;
                thread::yield_now();
            }
            scope.spawn(visit);
            thread::yield_now();
            assert!(gate.enter().expect("nobody else closes it").close());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(gate.enter().is_none());
    assert_eq!(ended.load(Ordering::Relaxed), ROUNDS);
}

#[test]
fn whoever_closes_is_told_of_others_who_are_inside() {
    let gate = Gate::new();
    for others in 0..3 {
        assert!(gate.open(others).is_ok());
        let own = gate.enter().unwrap();
        let [inside, may_leave] = [others + 1; 2].map(Barrier::new);
        thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(|| {
                    let visit = gate.enter();
                    inside.wait();
                    may_leave.wait();
                    assert!(visit.is_some_and(|visit| *visit == others));
                });
            }
            inside.wait();
            assert!(own.close() && !own.close());
            let has_company = own.has_company();
            may_leave.wait();
            assert_eq!(has_company, others > 0);
        });
    }
}
