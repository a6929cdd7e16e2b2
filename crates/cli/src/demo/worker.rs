//! A worker: takes pictures from the topologies that it serves, and sends back what it made of them.

use std::{panic, time::Duration};

use clap::Args;
use nought::{Context, Dealer, Message, Socket};

use super::{
    Task, pictures, run_until_first_end,
    service::{self, Reply, Request, Service},
};
use crate::{failure::Failure, offspring};

/// How long replies of a worker that ends may still take.
const LINGER: Duration = Duration::from_secs(1);

/// A worker as a process.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    /// The name by which intermediaries know it.
    name: String,
    /// A topology to serve, as `resize=tcp://127.0.0.1:5555`.
    #[arg(required = true, value_parser = parse_post)]
    posts: Vec<Post>,
}

/// A topology, and where its intermediary waits for workers.
#[derive(Clone, Debug)]
struct Post {
    service: Service,
    endpoint: String,
}

fn parse_post(text: &str) -> Result<Post, String> {
    let (name, endpoint) = text.split_once('=').ok_or("write SERVICE=ENDPOINT")?;
    let service = Service::ALL.into_iter().find(|service| service.name() == name).ok_or("no such service")?;
    Ok(Post { service, endpoint: endpoint.to_owned() })
}

/// Runs the worker until its parent ends: a thread for each topology, a picture at a time in each.
pub(crate) fn run(args: &WorkerArgs) -> Result<(), Failure> {
    let context = Context::builder().build()?;
    let mut tasks = Vec::new();
    for post in &args.posts {
        let (name, service, socket) = (args.name.clone(), post.service, connect(&context, args, post)?);
        tasks.push(Box::new(move || serve(&name, service, &socket)) as Task);
    }
    offspring::tell_ready(&args.name)?;
    run_until_first_end(tasks)
}

fn connect(context: &Context, args: &WorkerArgs, post: &Post) -> Result<Socket<Dealer>, Failure> {
    let builder = context.socket_builder::<Dealer>().routing_id(args.name.as_str()).probe_router(true);
    let socket = builder.linger(Some(LINGER)).build()?;
    socket.connect(&post.endpoint)?;
    Ok(socket)
}

fn serve(name: &str, service: Service, socket: &Socket<Dealer>) -> Result<(), Failure> {
    loop {
        let mut message = socket.recv()?;
        let envelope = service::take_envelope(&mut message);
        let mut reply = Reply { worker: name.to_owned(), result: work(service, &message) }.into_message();
        service::put_envelope(envelope, &mut reply);
        socket.send(reply)?;
    }
}

/// Does what is asked for. Whatever is wrong with the picture, it is the reply that says so.
fn work(service: Service, message: &Message) -> Result<nought::Frame, String> {
    let request = Request::from_message(message).ok_or("the request is not understood")?;
    let parameter = str::from_utf8(&request.parameter).map_err(|_| "the parameter is no text")?;
    let made = panic::catch_unwind(|| pictures::apply(service, parameter, &request.picture));
    made.unwrap_or_else(|_| Err("its decoder panicked".to_owned())).map(nought::Frame::from)
}
