//! `nought demo` with its real processes, some of which do not live to its end.

mod common;

use std::{
    fs::{self, File},
    io::Read,
    process::{Command, Stdio},
};

use common::{Ended, Folder, Running, run, send_signal, start, wait_until_gone};
use image::{GenericImageView, Rgb, RgbImage};
use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
};

/// Enough that there is a middle to be disturbed in.
const MANY: u32 = 60;

/// Writes pictures, by turns PNG and JPEG.
fn pictures(count: u32) -> Folder {
    let folder = Folder::new();
    for number in 0..count {
        let picture = RgbImage::from_fn(240, 180, |x, y| Rgb([x as u8, y as u8, number as u8]));
        let extension = if number % 2 == 0 { "png" } else { "jpg" };
        picture.save(folder.path().join(format!("{number:02}.{extension}"))).unwrap();
    }
    folder
}

fn start_demo(input: &Folder, output: &Folder, more: &[&str]) -> Running {
    let folders = ["demo", "--input", input.path().to_str().unwrap(), "--output", output.path().to_str().unwrap()];
    start(&[&folders, more].concat())
}

/// The number of one of the demo's processes, which are told in a fixed order.
fn process(demo: &mut Running, name: &str) -> u32 {
    let line = demo.error_line(&format!("{name}: process "));
    let number = line.split("process ").nth(1).unwrap();
    number.split(',').next().unwrap().parse().unwrap()
}

fn processes(demo: &mut Running) -> Vec<u32> {
    let names = ["resize intermediary", "brighten intermediary", "worker-1", "worker-2", "worker-3"];
    names.iter().map(|name| process(demo, name)).collect()
}

/// Waits until the first pictures are through.
fn reach_the_middle(demo: &mut Running) {
    demo.error_line("/60 pictures");
}

#[track_caller]
fn assert_complete(ended: &Ended, input: &Folder, output: &Folder) {
    assert_eq!(input.names(), output.names(), "{ended:#?}");
    for name in output.names() {
        let picture = image::open(output.path().join(&name)).unwrap();
        assert_eq!(picture.dimensions(), (80, 60), "{name}");
    }
}

/// Both ends of a new terminal, which is nobody's: the end of one's own is a signal that ends the process.
fn terminal() -> (File, File) {
    const NOBODYS: OpenptFlags = OpenptFlags::RDWR.union(OpenptFlags::NOCTTY);
    let controller = openpt(NOBODYS).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let user = ioctl_tiocgptpeer(&controller, NOBODYS).unwrap();
    (controller.into(), user.into())
}

#[test]
fn a_terminal_shows_a_bar_and_a_pipe_gets_lines() {
    let (mut controller, user) = terminal();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_nought"))
        .args(["demo", "--pictures", "12", "--side", "50"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(user)
        .spawn()
        .unwrap();
    let mut shown = Vec::new();
    // A terminal whose last user is gone ends in an error.
    let _ = controller.read_to_end(&mut shown);
    assert!(demo.wait().unwrap().success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains('\u{2588}') && shown.contains("/12 pictures, ") && shown.contains('\u{1b}'), "{shown}");

    let ended = run(&["demo", "--pictures", "12", "--side", "50"]).ok();
    assert!(ended.errors.contains("12/12 pictures\n"), "{}", ended.errors);
    assert!(!ended.errors.contains(['\u{1b}', '\u{2588}', '\r']), "{}", ended.errors);
}

#[test]
fn pictures_are_drawn_where_there_are_none() {
    let ended = run(&["demo", "--pictures", "3", "--side", "100", "--brightness", "-10", "--grayscale"]).ok();
    let output = ended.output.lines().find_map(|line| line.strip_prefix("results: ")).expect("the folder is told");
    let mut names: Vec<_> = fs::read_dir(output).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["drawn-01.png", "drawn-02.jpg", "drawn-03.png"]);
    let picture = image::open(format!("{output}/drawn-01.png")).unwrap();
    assert_eq!(picture.dimensions(), (100, 75));
    assert!(picture.to_rgb8().pixels().all(|Rgb([red, green, blue])| red == green && green == blue));
    for text in ["3 pictures in ", "pictures/s", "p50", "p90", "p99", "max", "worker-1", "worker-3"] {
        assert!(ended.output.contains(text), "{text}: {ended:#?}");
    }
    fs::remove_dir_all(output).unwrap();
}

#[test]
fn a_folder_of_pictures_goes_through_both_topologies() {
    let (input, output) = (pictures(8), Folder::new());
    let dark = image::open(input.path().join("00.png")).unwrap().to_rgb8();
    let ended = start_demo(&input, &output, &["--side", "80", "--brightness", "50"]).end_of_input().wait().ok();
    assert_complete(&ended, &input, &output);
    let bright = image::open(output.path().join("00.png")).unwrap().to_rgb8();
    let mean = |picture: &RgbImage| picture.iter().map(|&byte| u64::from(byte)).sum::<u64>() / picture.len() as u64;
    assert!(mean(&bright) > mean(&dark) + 30, "{} is not brighter than {}", mean(&bright), mean(&dark));
}

#[test]
fn bad_pictures_are_named_and_stop_nothing() {
    let (input, output) = (pictures(4), Folder::new());
    fs::write(input.file("broken.png"), b"\x89PNG\r\n\x1a\nand no more").unwrap();
    fs::write(input.file("text.jpg"), b"no picture at all").unwrap();
    fs::write(input.file("notes.txt"), b"not even meant to be one").unwrap();
    let ended = start_demo(&input, &output, &["--side", "80"]).wait().with_code(1);
    let ended = ended.tells("2 of 6 pictures did not get through");
    assert!(ended.output.contains("\nbroken.png: worker-"), "{ended:#?}");
    assert!(ended.output.contains("\ntext.jpg: worker-"), "{ended:#?}");
    assert_eq!(output.names(), ["00.png", "01.jpg", "02.png", "03.jpg"]);
}

#[test]
fn a_killed_worker_costs_no_picture() {
    let (input, output) = (pictures(MANY), Folder::new());
    let mut demo = start_demo(&input, &output, &["--side", "80"]);
    let worker = process(&mut demo, "worker-2");
    reach_the_middle(&mut demo);
    send_signal(worker, Signal::KILL);
    let ended = demo.wait().ok().tells("worker-2 (process ").tells("was killed by signal: 9");
    assert_complete(&ended, &input, &output);
    wait_until_gone(worker);
}

#[test]
fn requests_to_a_worker_that_hangs_are_sent_again() {
    let (input, output) = (pictures(MANY), Folder::new());
    let mut demo = start_demo(&input, &output, &["--side", "80", "--timeout", "500ms"]);
    let worker = process(&mut demo, "worker-2");
    reach_the_middle(&mut demo);
    send_signal(worker, Signal::STOP);
    let ended = demo.wait().ok();
    assert_complete(&ended, &input, &output);
    assert!(ended.output.contains("requests sent again"), "{ended:#?}");
    wait_until_gone(worker);
}

#[test]
fn without_workers_the_demo_ends_with_an_error() {
    let (input, output) = (pictures(MANY), Folder::new());
    let mut demo = start_demo(&input, &output, &["--side", "80"]);
    let processes = processes(&mut demo);
    reach_the_middle(&mut demo);
    send_signal(processes[2], Signal::KILL);
    send_signal(processes[3], Signal::KILL);
    demo.wait().with_code(1).tells("no worker is left to resize pictures");
    processes.into_iter().for_each(wait_until_gone);
}

#[test]
fn without_an_intermediary_the_demo_ends_with_an_error() {
    let (input, output) = (pictures(MANY), Folder::new());
    let mut demo = start_demo(&input, &output, &["--side", "80"]);
    let processes = processes(&mut demo);
    reach_the_middle(&mut demo);
    send_signal(processes[1], Signal::KILL);
    demo.wait().with_code(1).tells("the brighten intermediary (process ").tells("was killed by signal: 9");
    processes.into_iter().for_each(wait_until_gone);
}

#[test]
fn ctrl_c_ends_all_processes() {
    let (input, output) = (pictures(MANY), Folder::new());
    let mut demo = start_demo(&input, &output, &["--side", "80"]);
    let processes = processes(&mut demo);
    reach_the_middle(&mut demo);
    demo.signal(Signal::INT);
    demo.wait().with_code(130).tells("of 60 pictures are done");
    processes.into_iter().for_each(wait_until_gone);
}

#[test]
fn a_killed_demo_leaves_no_orphan() {
    let (input, output) = (pictures(MANY), Folder::new());
    let mut demo = start_demo(&input, &output, &["--side", "80"]);
    let processes = processes(&mut demo);
    reach_the_middle(&mut demo);
    demo.signal(Signal::KILL);
    processes.into_iter().for_each(wait_until_gone);
}
