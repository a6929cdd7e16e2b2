//! Every order in which threads can meet at a gate, by the model checker:
//! `RUSTFLAGS='--cfg loom' cargo test --release -p nought-lock --test loom_gate`.
#![cfg(loom)]

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use nought_lock::Gate;

/// A value that the model checker watches: it fails if it is used while it is dropped, or after that.
struct Watched {
    memory: UnsafeCell<u32>,
    drops: Arc<AtomicUsize>,
}

// SAFETY: that it is written to by one thread alone is what is checked.
unsafe impl Sync for Watched {}

impl Watched {
    fn look(&self) -> u32 {
        // SAFETY: as above.
        self.memory.with(|memory| unsafe { *memory })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: as above.
        self.memory.with_mut(|memory| unsafe { *memory = 0 });
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open gate, and how many values were dropped behind it.
fn open() -> (Arc<Gate<Watched>>, Arc<AtomicUsize>) {
    let (gate, drops) = (Arc::new(Gate::new()), Arc::new(AtomicUsize::new(0)));
    assert!(gate.open(watched(7, &drops)).is_ok());
    (gate, drops)
}

fn watched(number: u32, drops: &Arc<AtomicUsize>) -> Watched {
    Watched { memory: UnsafeCell::new(number), drops: Arc::clone(drops) }
}

/// Uses the value, if it is there.
fn visit(gate: &Gate<Watched>) -> Option<u32> {
    gate.enter().map(|visit| visit.look())
}

fn close(gate: &Gate<Watched>) -> bool {
    gate.enter().is_some_and(|visit| visit.close())
}

fn spawn<T: 'static>(
    gate: &Arc<Gate<Watched>>,
    body: impl FnOnce(&Gate<Watched>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let gate = Arc::clone(gate);
    thread::spawn(move || body(&gate))
}

#[test]
fn one_who_visits_again_and_one_who_closes() {
    loom::model(|| {
        let (gate, drops) = open();
        let visitor = spawn(&gate, |gate| [visit(gate), visit(gate)]);
        assert!(close(&gate));
        let seen = visitor.join().unwrap();
        assert!([[None, None], [Some(7), None], [Some(7), Some(7)]].contains(&seen));
        assert_eq!((drops.load(Ordering::Relaxed), visit(&gate)), (1, None));
    });
}

#[test]
fn visits_within_another_are_counted() {
    // All orders take minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let (gate, drops) = open();
        let visitor = spawn(&gate, |gate| {
            let outer = gate.enter();
            let inner = visit(gate);
            assert!(outer.is_some() || inner.is_none());
            // The outer one is left first.
            let inner = outer.as_ref().and_then(|_| gate.enter());
            drop(outer);
            inner.iter().for_each(|inner| assert_eq!(inner.look(), 7));
        });
        assert!(close(&gate));
        visitor.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_who_leave_when_it_is_closed() {
    loom::model(|| {
        let (gate, drops) = open();
        let own = gate.enter().unwrap();
        let other = spawn(&gate, |gate| visit(gate));
        assert!(own.close());
        drop(own);
        other.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_who_close() {
    loom::model(|| {
        let (gate, drops) = open();
        let other = spawn(&gate, close);
        let closed = close(&gate);
        assert!(other.join().unwrap() != closed);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn whoever_closes_knows_who_is_inside() {
    loom::model(|| {
        let (gate, _) = open();
        let is_told = Arc::new(AtomicUsize::new(0));
        let visitor = spawn(&gate, {
            let is_told = Arc::clone(&is_told);
            move |gate| {
                let visit = gate.enter()?;
                // It ends before the other looks, or the other knows of it.
                let looked = is_told.load(Ordering::Acquire);
                assert!(looked != 1, "it is inside, and was not seen");
                drop(visit);
                Some(())
            }
        });
        let own = gate.enter().unwrap();
        assert!(own.close());
        is_told.store(if own.has_company() { 2 } else { 1 }, Ordering::Release);
        drop(own);
        visitor.join().unwrap();
    });
}

#[test]
fn one_who_is_late_visits_what_came_after() {
    loom::model(|| {
        let (gate, drops) = open();
        let late = spawn(&gate, |gate| visit(gate));
        assert!(close(&gate));
        let reopened = gate.open(watched(8, &drops)).is_ok();
        let seen = late.join().unwrap();
        assert!(matches!(seen, None | Some(7)) || reopened && seen == Some(8));
        assert_eq!((close(&gate), visit(&gate)), (reopened, None));
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn three_of_whom_one_closes() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (gate, drops) = open();
        let others = [spawn(&gate, |gate| visit(gate)), spawn(&gate, |gate| visit(gate))];
        assert!(close(&gate));
        others.into_iter().for_each(|other| drop(other.join().unwrap()));
        assert_eq!((drops.load(Ordering::Relaxed), visit(&gate)), (1, None));
    });
}
