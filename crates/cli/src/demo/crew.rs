//! The demo's processes: an intermediary for each topology, and the workers.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use super::{Event, service::Service};
use crate::{
    failure::Failure,
    offspring::{self, News, Offspring},
    output,
};

/// How long a process may take to become ready.
const START_MAX: Duration = Duration::from_secs(20);

/// The workers and the topologies that they serve.
const WORKERS: [(&str, &[Service]); 3] = [
    ("worker-1", &[Service::Resize]),
    ("worker-2", &[Service::Resize, Service::Brighten]),
    ("worker-3", &[Service::Brighten]),
];

/// All processes of the demo but its own. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Crew {
    members: Vec<Member>,
    posts: HashMap<&'static str, Post>,
}

#[derive(Debug)]
struct Member {
    name: String,
    services: &'static [Service],
    is_worker: bool,
    process: Offspring,
    is_there: bool,
}

/// The two sides of an intermediary.
#[derive(Clone, Debug)]
struct Post {
    frontend: String,
    backend: String,
}

impl Crew {
    /// Starts all processes, and waits until each is ready.
    ///
    /// # Errors
    /// If one cannot be started, or ends at once.
    pub(super) fn assemble(events: &Sender<Event>, inbox: &Receiver<Event>) -> Result<Self, Failure> {
        let mut crew = Self { members: Vec::new(), posts: HashMap::new() };
        crew.start_brokers(events, inbox)?;
        crew.start_workers(events, inbox)?;
        Ok(crew)
    }

    /// Where clients of a topology connect to.
    pub(super) fn frontend(&self, service: Service) -> String {
        self.posts[service.name()].frontend.clone()
    }

    /// A process has ended, which none should. Returns what to tell the user.
    ///
    /// # Errors
    /// If the demo cannot go on without it.
    pub(super) fn lose(&mut self, index: usize) -> Result<String, Failure> {
        let member = &mut self.members[index];
        member.is_there = false;
        let how = member.process.wait().map_or_else(|error| error.to_string(), offspring::describe);
        let what = format!("{} (process {}) {how}", member.name, member.process.id());
        if !member.is_worker {
            return Err(Failure::error(format!("the {what}; nobody else knows the workers")));
        }
        let services = member.services;
        match services.iter().find(|service| !self.is_served(**service)) {
            Some(service) => Err(Failure::error(format!("{what}; no worker is left to {service} pictures"))),
            None => Ok(format!("{what}; others take over what it was doing")),
        }
    }

    fn is_served(&self, service: Service) -> bool {
        self.members.iter().any(|member| member.is_worker && member.is_there && member.services.contains(&service))
    }

    fn start_brokers(&mut self, events: &Sender<Event>, inbox: &Receiver<Event>) -> Result<(), Failure> {
        for service in &Service::ALL {
            let args = vec!["broker".to_owned(), service.to_string()];
            self.start(format!("{service} intermediary"), std::slice::from_ref(service), false, &args, events)?;
        }
        for (service, line) in Service::ALL.iter().zip(self.hear_of_all(inbox)?) {
            let (frontend, backend) = line.split_once(' ').ok_or_else(|| Failure::error("a child speaks nonsense"))?;
            let post = Post { frontend: frontend.to_owned(), backend: backend.to_owned() };
            self.posts.insert(service.name(), post);
        }
        Ok(())
    }

    fn start_workers(&mut self, events: &Sender<Event>, inbox: &Receiver<Event>) -> Result<(), Failure> {
        for (name, services) in WORKERS {
            let posts = services.iter().map(|service| format!("{service}={}", self.posts[service.name()].backend));
            let args: Vec<String> = ["worker".to_owned(), name.to_owned()].into_iter().chain(posts).collect();
            self.start(name.to_owned(), services, true, &args, events)?;
        }
        self.hear_of_all(inbox)?;
        Ok(())
    }

    fn start(
        &mut self,
        name: String,
        services: &'static [Service],
        is_worker: bool,
        args: &[String],
        events: &Sender<Event>,
    ) -> Result<(), Failure> {
        let index = self.members.len();
        let events = events.clone();
        let process = Offspring::start(args, move |news| drop(events.send(Event::Child(index, news))))?;
        if is_worker {
            let names: Vec<&str> = services.iter().map(|service| service.name()).collect();
            output::tell(format_args!("{name}: process {}, serves {}", process.id(), names.join(" and ")));
        } else {
            output::tell(format_args!("{name}: process {}", process.id()));
        }
        self.members.push(Member { name, services, is_worker, process, is_there: true });
        Ok(())
    }

    /// The first lines of the members that have been started last: those that have not said theirs yet.
    fn hear_of_all(&mut self, inbox: &Receiver<Event>) -> Result<Vec<String>, Failure> {
        let first = if self.posts.is_empty() { 0 } else { Service::ALL.len() };
        let mut lines = vec![None; self.members.len() - first];
        let deadline = Instant::now() + START_MAX;
        while lines.contains(&None) {
            match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Child(index, News::Ready(line))) => lines[index - first] = Some(line),
                Ok(Event::Child(index, News::Ended)) => return Err(self.failed_to_start(index)),
                Ok(Event::Interrupted(signal)) => {
                    return Err(Failure::Interrupted(signal, "nothing is done yet".into()));
                }
                Ok(Event::Picture(_)) | Err(RecvTimeoutError::Disconnected) => unreachable!("no picture is sent yet"),
                Err(RecvTimeoutError::Timeout) => return Err(Failure::TimedOut("a process does not get ready".into())),
            }
        }
        Ok(lines.into_iter().flatten().collect())
    }

    fn failed_to_start(&mut self, index: usize) -> Failure {
        let member = &mut self.members[index];
        let how = member.process.wait().map_or_else(|error| error.to_string(), offspring::describe);
        Failure::error(format!("{} {how} while the others got ready", member.name))
    }
}
