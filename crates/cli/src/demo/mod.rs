//! `nought demo`: a picture service of two topologies, as real processes over tcp.
//!
//! Two topologies, one that resizes pictures and one that adjusts their brightness. In the middle of each is an
//! intermediary that balances the load; three workers are around them, the second of which serves both:
//!
//! ```text
//!            ┌─ resize intermediary ───┬─ worker-1
//!   client ──┤                         ├─ worker-2
//!            └─ brighten intermediary ─┼─ (worker-2)
//!                                      └─ worker-3
//! ```
//!
//! The client knows the address of each topology and nothing of the workers. It sends each picture to the one, and
//! what comes back to the other.

mod broker;
mod client;
mod crew;
mod pictures;
mod progress;
mod service;
mod summary;
mod worker;

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use nought::Context;

pub(crate) use self::{
    broker::{BrokerArgs, run as run_broker},
    worker::{WorkerArgs, run as run_worker},
};
use self::{
    client::{Client, Outcome, Step},
    crew::Crew,
    pictures::Source,
    progress::Progress,
    service::Service,
    summary::Summary,
};
use crate::{
    failure::{Failure, Signal},
    interrupt,
    offspring::News,
    units,
};

const EXAMPLES: &str = "\
Examples:
  nought demo                                       pictures that the program draws
  nought demo --input ~/Pictures --output /tmp/out  your own
While it runs, kill one of the workers: the pictures that it had go to another.";

/// Run a picture service: two topologies, two intermediaries, three workers, one client
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Folder with PNG and JPEG pictures [default: the program draws some]
    #[arg(short, long, value_name = "DIR")]
    input: Option<PathBuf>,

    /// Folder for the results [default: a new one, which is named at the end]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// How many pictures to draw
    #[arg(long, value_name = "N", default_value = "48", conflicts_with = "input")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000), allow_negative_numbers = true)]
    pictures: u32,

    /// Longest side of the results, in pixels; smaller pictures keep their size
    #[arg(long, value_name = "PIXELS", default_value = "320")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16_384), allow_negative_numbers = true)]
    side: u32,

    /// How much brighter to make them, -255 to 255
    #[arg(long, value_name = "N", default_value = "40", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(-255..=255))]
    brightness: i32,

    /// Make them gray as well
    #[arg(long)]
    grayscale: bool,

    /// Pictures on their way at a time
    #[arg(short, long, value_name = "N", default_value = "6")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256), allow_negative_numbers = true)]
    parallel: u16,

    /// How long a reply may take before the request is sent again; doubled each time
    #[arg(short, long, value_name = "TIME", default_value = "10s")]
    #[arg(value_parser = units::parse_positive_duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// What the demo's own thread hears of.
#[derive(Debug)]
enum Event {
    /// A picture is through, or given up.
    Picture(Outcome),
    /// A child says something; it is known by its place in the crew.
    Child(usize, News),
    /// The user wants to stop.
    Interrupted(Signal),
}

/// Runs the demo from end to end.
pub(crate) fn run(args: DemoArgs) -> Result<(), Failure> {
    let sources = sources(&args)?;
    let output = output_folder(&args)?;
    let (events, inbox) = mpsc::channel();
    let interrupted = events.clone();
    interrupt::on_interrupt(move |signal| drop(interrupted.send(Event::Interrupted(signal))))?;
    let mut crew = Crew::assemble(&events, &inbox)?;
    let steps = steps(&args, &crew);
    let client = Client { steps, output: output.clone(), patience: args.timeout, lanes: args.parallel.into() };

    let start = Instant::now();
    let context = Context::builder().build()?;
    let total = sources.len();
    let summary = client.run(&context, sources, &events, || {
        let summary = collect(&inbox, &mut crew, total, &output);
        // Whatever the reason, no lane is to wait any longer.
        context.shutdown();
        summary
    });
    drop(crew);
    summary?.print(start.elapsed(), &output)
}

fn sources(args: &DemoArgs) -> Result<Vec<Source>, Failure> {
    let Some(folder) = &args.input else {
        return Ok((1..=args.pictures).map(Source::Drawn).collect());
    };
    let sources = pictures::list(folder)?;
    if sources.is_empty() {
        return Err(Failure::Usage(format!(
            "{} holds no PNG or JPEG picture: write another --input, or none to have some drawn",
            folder.display()
        )));
    }
    Ok(sources)
}

fn output_folder(args: &DemoArgs) -> Result<PathBuf, Failure> {
    let Some(folder) = &args.output else { return fresh_folder() };
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let is_same = |input: &PathBuf| matches!((input.canonicalize(), folder.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if args.input.as_ref().is_some_and(is_same) {
        return Err(Failure::Usage("the results would replace the pictures: write another --output".into()));
    }
    Ok(folder.clone())
}

/// A folder in the system's place for temporary files that was not there before.
fn fresh_folder() -> Result<PathBuf, Failure> {
    let parent = std::env::temp_dir();
    for number in 0.. {
        let folder = parent.join(format!("nought-demo-{}-{number}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(anyhow::Error::new(error).context(format!("cannot make {}", folder.display())).into());
            }
        }
    }
    unreachable!("some number is free")
}

fn steps(args: &DemoArgs, crew: &Crew) -> Vec<Step> {
    let step = |service: Service, parameter: String| Step { service, parameter, endpoint: crew.frontend(service) };
    let gray = if args.grayscale { " gray" } else { "" };
    vec![step(Service::Resize, args.side.to_string()), step(Service::Brighten, format!("{}{gray}", args.brightness))]
}

/// Hears of every picture, and of children that end.
fn collect(inbox: &Receiver<Event>, crew: &mut Crew, total: usize, output: &Path) -> Result<Summary, Failure> {
    let progress = Progress::new(total);
    let mut summary = Summary::default();
    while summary.pictures() < total {
        match inbox.recv().expect("the caller holds a sender") {
            Event::Picture(outcome) => {
                progress.advance(&outcome);
                summary.add(outcome);
            }
            Event::Child(index, News::Ended) => progress.say(&crew.lose(index)?),
            Event::Child(_, News::Ready(_)) => {}
            Event::Interrupted(signal) => {
                let done = summary.pictures();
                let message = format!("{done} of {total} pictures are done, in {}", output.display());
                return Err(Failure::Interrupted(signal, message));
            }
        }
    }
    progress.finish();
    Ok(summary)
}

/// Runs each task on a thread, and ends with the first that ends: the process is not to live on by halves.
fn run_until_first_end(tasks: Vec<Task>) -> Result<(), Failure> {
    let (end, first_end) = mpsc::channel();
    for task in tasks {
        let end = end.clone();
        thread::spawn(move || {
            let result = panic::catch_unwind(AssertUnwindSafe(task));
            // Only the first is heard.
            let _ = end.send(result.unwrap_or_else(|_| Err(Failure::error("a thread panicked"))));
        });
    }
    first_end.recv().expect("this function holds a sender")
}

/// What one thread of a child does until it ends.
type Task = Box<dyn FnOnce() -> Result<(), Failure> + Send>;

/// A file's name as a person reads it.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
