// scratch: thr <push|pull> endpoint size count ; lat
use nought::*;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let ctx = Context::new();
    match a[1].as_str() {
        "pull" => {
            let s = ctx.socket::<Pull>().unwrap();
            let ep = s.bind(&a[2]).unwrap();
            println!("{ep}");
            let n: u64 = a[4].parse().unwrap();
            let size: usize = a[3].parse().unwrap();
            let m = s.recv().unwrap();
            assert_eq!(m.as_slice().len(), size);
            let t = Instant::now();
            for i in 1..n {
                let m = s.recv().unwrap();
                if size >= 8 {
                    assert_eq!(u64::from_le_bytes(m.as_slice()[..8].try_into().unwrap()), i);
                }
            }
            let d = t.elapsed().as_secs_f64();
            println!("{size} B: {:.2} M msg/s {:.1} MB/s", n as f64 / d / 1e6, n as f64 * size as f64 / d / 1e6);
        }
        "push" => {
            let s = ctx.socket::<Push>().unwrap();
            s.connect(&a[2]).unwrap();
            let n: u64 = a[4].parse().unwrap();
            let mut b = vec![7u8; a[3].parse().unwrap()];
            let t = Instant::now();
            for i in 0..n {
                if b.len() >= 8 {
                    b[..8].copy_from_slice(&i.to_le_bytes());
                }
                s.send(&b).unwrap();
            }
            eprintln!("sent in {:?} {:?}", t.elapsed(), s.stats());
        }
        "inproc" => {
            let p = ctx.socket::<Pull>().unwrap();
            p.bind("inproc://x").unwrap();
            let c2 = ctx.clone();
            let n: u64 = a[4].parse().unwrap();
            let size: usize = a[3].parse().unwrap();
            let h = std::thread::spawn(move || {
                let s = c2.socket::<Push>().unwrap();
                s.connect("inproc://x").unwrap();
                let b = vec![7u8; size];
                for _ in 0..n {
                    s.send(&b).unwrap();
                }
            });
            p.recv().unwrap();
            let t = Instant::now();
            for _ in 1..n {
                p.recv().unwrap();
            }
            println!("inproc {size} B: {:.2} M msg/s", n as f64 / t.elapsed().as_secs_f64() / 1e6);
            h.join().unwrap();
        }
        "rep" => {
            let s = ctx.socket::<Rep>().unwrap();
            let ep = s.bind(&a[2]).unwrap();
            println!("{ep}");
            let n: u64 = a[4].parse().unwrap();
            for _ in 0..n {
                let m = s.recv().unwrap();
                s.send(m).unwrap();
            }
        }
        "req" => {
            let s = ctx.socket::<Req>().unwrap();
            s.connect(&a[2]).unwrap();
            let n: u64 = a[4].parse().unwrap();
            let b = vec![7u8; a[3].parse().unwrap()];
            let mut l = vec![];
            for _ in 0..n {
                let t = Instant::now();
                s.send(&b).unwrap();
                s.recv().unwrap();
                l.push(t.elapsed());
            }
            l.sort();
            println!("rtt p50 {:?} p99 {:?}", l[l.len() / 2], l[l.len() * 99 / 100]);
        }
        "reqinproc" => {
            let p = ctx.socket::<Rep>().unwrap();
            p.bind("inproc://x").unwrap();
            let n: u64 = a[4].parse().unwrap();
            let h = std::thread::spawn(move || {
                for i in 0..n {
                    let m = match p.recv() {
                        Ok(m) => m,
                        Err(e) => {
                            eprintln!("REP HANG at {i}: {e} {:?}", p.peers());
                            std::thread::sleep(std::time::Duration::from_secs(5));
                            panic!()
                        }
                    };
                    p.send(m).unwrap();
                }
            });
            let s = ctx.socket::<Req>().unwrap();
            s.connect("inproc://x").unwrap();
            let mut l = vec![];
            for i in 0..n {
                let t = Instant::now();
                s.send(b"x").unwrap();
                if s.recv().is_err() {
                    eprintln!("HANG at {i}: req {:?}", s.peers());
                    std::process::exit(1)
                }
                l.push(t.elapsed());
            }
            l.sort();
            println!("inproc rtt p50 {:?} p99 {:?}", l[l.len() / 2], l[l.len() * 99 / 100]);
            h.join().unwrap();
        }
        _ => {}
    }
}
