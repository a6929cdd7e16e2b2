//! When there are as many handles as there can be, the next is refused: nothing is aborted. Alone in its process, since the
//! handles are the process's.

mod support;

use support::Library;

#[test]
fn handles_run_out_with_an_error() {
    let library = Library::nought();
    let mut counters = Vec::new();
    loop {
        // SAFETY: the calls are as zmq.h declares them; so below.
        let counter = unsafe { (library.atomic_counter_new)() };
        if counter.is_null() {
            break;
        }
        counters.push(counter);
    }
    // SAFETY: see above.
    assert_eq!(unsafe { (library.errno)() }, libc::EMFILE);
    assert!(counters.len() > 100_000);
    // SAFETY: see above.
    counters.iter_mut().for_each(|counter| unsafe { (library.atomic_counter_destroy)(counter) });
}
