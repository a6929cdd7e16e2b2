//! PUSH and PULL: a source, three workers, a sink (RFC 30).
//!
//! The source spreads its tasks over the workers in turns, the sink collects their results. Nobody knows how many
//! workers there are: start another one, and it gets its share.

use std::{thread, time::Duration};

use anyhow::Result;
use nought::{Context, Pull, Push};

const TASKS: u64 = 1000;

fn main() -> Result<()> {
    let context = Context::new();
    let source = context.socket::<Push>()?;
    let tasks_at = source.bind("tcp://127.0.0.1:*")?;
    let sink = context.socket::<Pull>()?;
    let results_at = sink.bind("tcp://127.0.0.1:*")?;

    thread::scope(|scope| {
        let worker = || work(&context, &tasks_at, &results_at);
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(worker)).collect();

        // `send` waits for the first worker, and that one would get all that is sent before the next one has connected.
        while source.stats().peers < workers.len() {
            thread::sleep(Duration::from_millis(1));
        }
        for number in 0..TASKS {
            source.send(number.to_string())?;
        }
        let mut sum = 0;
        for _ in 0..TASKS {
            sum += parse(&sink.recv()?)?;
        }
        assert_eq!(sum, (0..TASKS).map(|number| number * number).sum());

        // Every call in the context ends now; that is how the workers learn that the work is done.
        context.shutdown();
        let done = workers.into_iter().map(|worker| worker.join().expect("no worker panics"));
        let mut done = done.collect::<Result<Vec<u64>>>()?;
        done.sort_unstable();
        assert_eq!(done, [333, 333, 334]);
        println!("the sum of {TASKS} squares is {sum}; the three workers computed {done:?} of them");
        Ok(())
    })
}

/// Squares what comes until the context ends. Returns how many numbers that were.
fn work(context: &Context, tasks_at: &str, results_at: &str) -> Result<u64> {
    let tasks = context.socket::<Pull>()?;
    tasks.connect(tasks_at)?;
    let results = context.socket::<Push>()?;
    results.connect(results_at)?;
    let mut done = 0;
    while let Ok(task) = tasks.recv() {
        let number = parse(&task)?;
        results.send((number * number).to_string())?;
        done += 1;
    }
    Ok(done)
}

fn parse(message: &nought::Message) -> Result<u64> {
    Ok(std::str::from_utf8(message.as_slice())?.parse()?)
}
