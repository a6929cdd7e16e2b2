//! Orders in which threads can meet at a queue, by the model checker:
//! `RUSTFLAGS='--cfg loom' cargo test --release -p nought-lock --test loom_queue`.
#![cfg(loom)]

use loom::{sync::Arc, thread};
use nought_lock::Queue;

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    // All orders take hours.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(body);
}

fn spawn<T: 'static>(queue: &Arc<Queue<6>>, body: impl FnOnce(&Queue<6>) -> T + 'static) -> thread::JoinHandle<T> {
    let queue = Arc::clone(queue);
    thread::spawn(move || body(&queue))
}

/// What is left, but for the last, which stays.
fn rest(queue: &Queue<6>) -> Vec<usize> {
    std::iter::from_fn(|| queue.pop_beyond(0)).collect()
}

#[test]
fn two_who_push() {
    model(3, || {
        let queue = Arc::new(Queue::new());
        let other = spawn(&queue, |queue| [1, 2].iter().for_each(|&number| queue.push(number)));
        [3, 4].iter().for_each(|&number| queue.push(number));
        other.join().unwrap();
        queue.push(5);
        let all = rest(&queue);
        let of =
            |numbers: [usize; 2]| all.iter().filter(|number| numbers.contains(number)).copied().collect::<Vec<_>>();
        assert_eq!((all.len(), of([1, 2]), of([3, 4])), (4, vec![1, 2], vec![3, 4]));
    });
}

#[test]
fn two_who_pop() {
    model(3, || {
        let queue = Arc::new(Queue::new());
        (1..5).for_each(|number| queue.push(number));
        let pop = |queue: &Queue<6>| [queue.pop_beyond(0), queue.pop_beyond(0)];
        let other = spawn(&queue, pop);
        let (own, others) = (pop(&queue), other.join().unwrap());
        let mut all: Vec<_> = own.iter().chain(&others).flatten().copied().collect();
        assert!(
            own.is_sorted_by_key(|number| number.unwrap_or(9)) && others.is_sorted_by_key(|number| number.unwrap_or(9))
        );
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

/// Each may take what the other has put there, so that the same number comes again.
#[test]
fn two_who_pop_and_push_again() {
    model(2, || {
        let queue = Arc::new(Queue::new());
        (1..3).for_each(|number| queue.push(number));
        let go_round = |queue: &Queue<6>| {
            if let Some(number) = queue.pop_beyond(0) {
                queue.push(number);
            }
        };
        let other = spawn(&queue, go_round);
        go_round(&queue);
        other.join().unwrap();
        queue.push(3);
        let mut all = rest(&queue);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

/// One is held up in a pop, until what it saw first is first again, with nothing behind it.
#[test]
fn one_who_pops_while_the_same_number_comes_again() {
    model(3, || {
        let queue = Arc::new(Queue::new());
        (1..4).for_each(|number| queue.push(number));
        assert_eq!(queue.pop_beyond(0), Some(1));
        let other = spawn(&queue, |queue| queue.pop_beyond(0));
        if let Some(number) = queue.pop_beyond(0) {
            queue.push(number);
        }
        let own = queue.pop_beyond(0);
        let others = other.join().unwrap();
        queue.push(4);
        let mut all: Vec<_> = own.into_iter().chain(others).chain(rest(&queue)).collect();
        all.sort_unstable();
        assert_eq!(all, [2, 3]);
    });
}

#[test]
fn three_of_whom_one_pops() {
    model(2, || {
        let queue = Arc::new(Queue::new());
        let others = [1, 2].map(|number| spawn(&queue, move |queue| queue.push(number)));
        let popped = queue.pop_beyond(0);
        others.into_iter().for_each(|other| other.join().unwrap());
        queue.push(3);
        let mut all: Vec<_> = popped.into_iter().chain(rest(&queue)).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}
