//! `ipc://`: Unix stream sockets, between processes of one machine.
//!
//! ```text
//! bind     PATH | @NAME | *      * makes a path of its own in a private temporary directory
//! connect  PATH | @NAME
//! ```

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::BuildHasher;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, process, thread};

use nix::sys::socket::{getsockopt, sockopt};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{
    AddressError, Channel, Connecting, ListenError, Listener, PeerCredentials, StreamSocket, Target, Transport,
    TransportOptions, foreign_target, inherited_socket,
};

/// The transport `ipc`.
///
/// - A path is taken as the system takes it: a relative one from the working directory. `bind` makes a socket file
///   there and removes it when the listener goes. A socket file that nobody listens at (its maker was killed) is
///   replaced; a file of any other kind, and a socket in use, are left alone.
/// - `@NAME` is a name in the kernel's abstract namespace, which needs no file and no permission.
/// - `*` (for `bind`) makes a fresh path in a directory that only this user can enter.
///
/// A path, or a name with its `@`, has at most 107 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ipc;

impl Transport for Ipc {
    fn scheme(&self) -> &'static str {
        "ipc"
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        if let Some(inherited) = &options.inherited {
            let socket = inherited_socket(inherited, &endpoint_of(address))?;
            return Ok(Box::new(IpcListener::inherited(socket, options)?));
        }
        let listener = match Place::parse(address)? {
            Place::Any => listen_anywhere(options),
            Place::Path(path) => listen_at_path(path, None, options),
            Place::Name => listen_at_name(address, options),
        };
        Ok(Box::new(listener?))
    }

    fn check(&self, address: &str, _: &TransportOptions) -> Result<(), AddressError> {
        match Place::parse(address)? {
            Place::Any => Err(AddressError::AnyHost { address: address.to_owned() }),
            Place::Path(_) | Place::Name => Ok(()),
        }
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        Some(self.resolve(address, options))
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        let unusable = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        self.check(address, options).map_err(unusable)?;
        Ok(vec![Target::new(endpoint_of(address), socket_address(address)?)])
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        let address: &SockAddr = target.address().ok_or_else(|| foreign_target("ipc", target))?;
        let socket = open(options)?;
        socket.connect(address).map_err(explain_full_backlog)?;
        Ok(Connecting::Done(Arc::new(IpcChannel {
            socket: StreamSocket::new(socket),
            local: None,
            remote: Some(Arc::from(target.endpoint())),
        })))
    }
}

/// The endpoint of a socket without a name: the connecting side's.
const UNNAMED: &str = "ipc://";

/// The greatest length of a path or name: `sun_path` has 108 bytes, and one is for the NUL.
const PATH_LEN_MAX: usize = 107;

/// What `PATH | @NAME | *` says.
enum Place<'a> {
    Any,
    Path(&'a Path),
    Name,
}

impl<'a> Place<'a> {
    fn parse(address: &'a str) -> Result<Self, AddressError> {
        if address.len() > PATH_LEN_MAX {
            return Err(AddressError::PathTooLong { path: address.to_owned(), limit: PATH_LEN_MAX });
        }
        if address.contains('\0') {
            return Err(AddressError::NulInPath { path: address.to_owned() });
        }
        match address.strip_prefix('@') {
            Some("") => Err(AddressError::NoName),
            Some(_) => Ok(Self::Name),
            None if address == "*" => Ok(Self::Any),
            None => Ok(Self::Path(Path::new(address))),
        }
    }
}

fn endpoint_of(address: &str) -> String {
    format!("ipc://{address}")
}

/// The kernel's form of a path or `@NAME`: an abstract name starts with a NUL there.
fn socket_address(address: &str) -> io::Result<SockAddr> {
    match address.strip_prefix('@') {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(address),
    }
}

/// A Unix socket is refused at once where the backlog is full, with an error that elsewhere means "in progress".
fn explain_full_backlog(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    let reason = "the listener's backlog is full: it accepts too slowly, or the option backlog is too small there";
    io::Error::new(io::ErrorKind::ResourceBusy, reason)
}

fn open(options: &TransportOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    set_buffers(&socket, options)?;
    Ok(socket)
}

fn set_buffers(socket: &Socket, options: &TransportOptions) -> io::Result<()> {
    if let Some(len) = options.send_buffer {
        socket.set_send_buffer_size(len as usize)?;
    }
    if let Some(len) = options.receive_buffer {
        socket.set_recv_buffer_size(len as usize)?;
    }
    Ok(())
}

fn listen_anywhere(options: &TransportOptions) -> Result<IpcListener, ListenError> {
    let failed = |source| ListenError::system("ipc://*", "make a directory for", source);
    let directory = PrivateDirectory::make(&env::temp_dir()).map_err(failed)?;
    let path = directory.path.join("socket");
    let text = path.to_str().ok_or_else(|| {
        let path = path.display();
        let reason = format!("the path {path} is no UTF-8: set TMPDIR to a directory whose name is");
        AddressError::Other(reason)
    })?;
    Place::parse(text)?;
    listen_at_path(&path, Some(directory), options)
}

fn listen_at_path(
    path: &Path,
    directory: Option<PrivateDirectory>,
    options: &TransportOptions,
) -> Result<IpcListener, ListenError> {
    let endpoint = endpoint_of(&path.to_string_lossy());
    let address = SockAddr::unix(path).map_err(refused(&endpoint, "bind"))?;
    let socket = open(options).map_err(refused(&endpoint, "open a socket for"))?;

    let turn = take_turn(path);
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(refused(&endpoint, "bind")(error));
        }
        remove_stale(path, &address)?;
        socket.bind(&address).map_err(refused(&endpoint, "bind"))?;
    }
    let file = SocketFile::at(path).map_err(refused(&endpoint, "find the new socket of"))?;
    listen(&socket, options).map_err(refused(&endpoint, "listen at"))?;
    drop(turn);

    Ok(IpcListener {
        _file: Some(file),
        _directory: directory,
        socket,
        endpoint: endpoint.into(),
        options: options.clone(),
    })
}

fn listen_at_name(address: &str, options: &TransportOptions) -> Result<IpcListener, ListenError> {
    let endpoint = endpoint_of(address);
    let name = socket_address(address).map_err(refused(&endpoint, "bind"))?;
    let socket = open(options).map_err(refused(&endpoint, "open a socket for"))?;
    socket.bind(&name).map_err(refused(&endpoint, "bind"))?;
    listen(&socket, options).map_err(refused(&endpoint, "listen at"))?;
    Ok(IpcListener::without_file(socket, &endpoint, options))
}

fn refused(endpoint: &str, step: &'static str) -> impl Fn(io::Error) -> ListenError {
    move |source| ListenError::system(endpoint, step, source)
}

fn listen(socket: &Socket, options: &TransportOptions) -> io::Result<()> {
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
}

/// A lock on the directory of `path`, held from `bind` to `listen`: in between, a socket looks as if nobody listened
/// at it, and another process that wants the same path would remove it. `None`, and no such protection, where the
/// directory cannot be opened or somebody holds it too long.
fn take_turn(path: &Path) -> Option<File> {
    const TRIES: u32 = 200;
    const PAUSE: Duration = Duration::from_millis(1);

    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return None;
    }
    let directory = File::open(directory).ok()?;
    for _ in 0..TRIES {
        match directory.try_lock() {
            Ok(()) => return Some(directory),
            Err(fs::TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

/// Removes the socket at `path` if nobody listens at it.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), ListenError> {
    let text = || path.to_string_lossy().into_owned();
    let failed = |source| ListenError::system(endpoint_of(&text()), "replace", source);
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::NotASocket { path: text() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match try_connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It answers, or it cannot be asked: then it is left alone.
        _ => Err(ListenError::InUse { endpoint: endpoint_of(&text()) }),
    }
}

fn try_connect(address: &SockAddr) -> io::Result<()> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?.connect(address)
}

/// The file of a bound socket, removed in the end by the process that made it, if it is still the same file.
struct SocketFile {
    path: PathBuf,
    identity: FileIdentity,
    /// A forked child that drops its copy must not remove its parent's file.
    maker: u32,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            identity: FileIdentity::of(&fs::symlink_metadata(path)?),
            path: std::path::absolute(path)?,
            maker: process::id(),
        })
    }

    fn is_still_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| FileIdentity::of(&found) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.maker == process::id() && self.is_still_there() {
            // Nobody is left to tell of a failure, and the next bind there replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[derive(PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A directory that only this user can enter, removed in the end by the process that made it.
struct PrivateDirectory {
    path: PathBuf,
    maker: u32,
}

impl PrivateDirectory {
    fn make(parent: &Path) -> io::Result<Self> {
        loop {
            let name = format!("nought-{:016x}", RandomState::new().hash_one(process::id()));
            let path = parent.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    return Ok(Self { path, maker: process::id() });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        if self.maker == process::id() {
            // It stays if somebody else put a file into it.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// The order of the fields is the order in which they go: the file, then its directory, and only then the socket,
/// so that nobody ever finds the file without its listener.
struct IpcListener {
    _file: Option<SocketFile>,
    _directory: Option<PrivateDirectory>,
    socket: Socket,
    endpoint: Arc<str>,
    options: TransportOptions,
}

impl IpcListener {
    fn without_file(socket: Socket, endpoint: &str, options: &TransportOptions) -> Self {
        Self { _file: None, _directory: None, socket, endpoint: endpoint.into(), options: options.clone() }
    }

    /// Over a socket that somebody else made, and whose file is his.
    fn inherited(socket: Socket, options: &TransportOptions) -> Result<Self, ListenError> {
        let failed = |source| ListenError::system(UNNAMED, "take over the socket for", source);
        let bound = socket.local_addr().map_err(failed)?;
        let path = bound.as_pathname().map(|path| path.to_string_lossy().into_owned());
        let name = bound.as_abstract_namespace().map(String::from_utf8_lossy);
        let address = path.or_else(|| name.map(|name| format!("@{name}")));
        let address = address.ok_or_else(|| failed(Errno::AFNOSUPPORT.into()))?;
        Ok(Self::without_file(socket, &endpoint_of(&address), options))
    }
}

impl Listener for IpcListener {
    fn accept(&self) -> io::Result<Arc<dyn Channel>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = Socket::from(accept_with(&self.socket, flags)?);
        // Unlike tcp's, a listener's buffers are not handed on.
        set_buffers(&socket, &self.options)?;
        Ok(Arc::new(IpcChannel {
            socket: StreamSocket::new(socket),
            local: Some(Arc::clone(&self.endpoint)),
            remote: None,
        }))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

struct IpcChannel {
    socket: StreamSocket,
    /// `None`: without a name, as the connecting side is.
    local: Option<Arc<str>>,
    remote: Option<Arc<str>>,
}

impl Channel for IpcChannel {
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.socket.read(into)
    }

    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write(from)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn connected(&self) -> io::Result<()> {
        self.socket.connected()
    }

    fn close_write(&self) -> io::Result<()> {
        self.socket.close_write()
    }

    fn local_endpoint(&self) -> String {
        self.local.as_deref().unwrap_or(UNNAMED).to_owned()
    }

    fn remote_endpoint(&self) -> String {
        self.remote.as_deref().unwrap_or(UNNAMED).to_owned()
    }

    fn peer_address(&self) -> Option<String> {
        let peer = self.peer_credentials()?;
        let process_id = peer.process_id.unwrap_or(0);
        Some(format!("localhost:{}:{}:{process_id}", peer.user_id, peer.group_id))
    }

    fn peer_credentials(&self) -> Option<PeerCredentials> {
        let peer = getsockopt(&self.socket, sockopt::PeerCredentials).ok()?;
        let process_id = u32::try_from(peer.pid()).unwrap_or(0);
        Some(PeerCredentials::new(process_id, peer.uid(), peer.gid()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::sync::Barrier;

    use super::super::tests::{accept, connect, talk};
    use super::*;

    /// A directory for one test, removed with all that is in it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let directory = PrivateDirectory::make(&env::temp_dir()).unwrap();
            let path = directory.path.clone();
            std::mem::forget(directory);
            Self(path)
        }

        fn file(&self, name: &str) -> String {
            self.0.join(name).to_str().unwrap().to_owned()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn options() -> TransportOptions {
        TransportOptions::default()
    }

    fn bind_error(address: &str) -> ListenError {
        Ipc.bind(address, &options()).err().unwrap()
    }

    fn assert_talks(listener: &dyn Listener) {
        let near = connect(&Ipc, listener.endpoint(), &options()).unwrap();
        talk(&*near, &*accept(listener));
    }

    #[test]
    fn two_ends_talk() {
        let scratch = Scratch::new();
        let listener = Ipc.bind(&scratch.file("s"), &options()).unwrap();
        assert_eq!(listener.endpoint(), format!("ipc://{}", scratch.file("s")));
        assert_eq!(listener.accept().err().unwrap().kind(), io::ErrorKind::WouldBlock);
        let near = connect(&Ipc, listener.endpoint(), &options()).unwrap();
        let far = accept(&*listener);
        talk(&*near, &*far);

        assert_eq!(near.local_endpoint(), UNNAMED);
        assert_eq!(near.remote_endpoint(), listener.endpoint());
        assert_eq!(far.local_endpoint(), listener.endpoint());
        assert_eq!(far.remote_endpoint(), UNNAMED);
    }

    #[test]
    fn each_end_knows_who_the_other_is() {
        let listener = Ipc.bind("*", &options()).unwrap();
        let near = connect(&Ipc, listener.endpoint(), &options()).unwrap();
        let far = accept(&*listener);
        let me = fs::metadata("/proc/self").unwrap();
        for end in [near, far] {
            let peer = end.peer_credentials().unwrap();
            assert_eq!(peer.process_id, Some(process::id()));
            assert_eq!((peer.user_id, peer.group_id), (me.uid(), me.gid()));
            let address = format!("localhost:{}:{}:{}", me.uid(), me.gid(), process::id());
            assert_eq!(end.peer_address(), Some(address));
        }
    }

    #[test]
    fn a_wildcard_makes_a_private_path_and_removes_it() {
        let listener = Ipc.bind("*", &options()).unwrap();
        let path = PathBuf::from(&listener.endpoint()["ipc://".len()..]);
        let directory = path.parent().unwrap().to_owned();
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        assert_talks(&*listener);
        drop(listener);
        assert!(!directory.exists());
    }

    #[test]
    fn an_abstract_name_needs_no_file() {
        let name = format!("@nought-test-{}", process::id());
        let listener = Ipc.bind(&name, &options()).unwrap();
        assert_eq!(listener.endpoint(), format!("ipc://{name}"));
        assert!(!Path::new(&name).exists());
        assert_talks(&*listener);
        assert!(matches!(bind_error(&name), ListenError::InUse { .. }));

        // The name is the kernel's, without a NUL at its end: what libzmq binds, too.
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name[1..]).unwrap()).unwrap_err();
        drop(listener);
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name[1..]).unwrap()).unwrap();
    }

    #[test]
    fn the_file_goes_with_its_listener() {
        let scratch = Scratch::new();
        let path = scratch.file("s");
        let listener = Ipc.bind(&path, &options()).unwrap();
        assert!(Path::new(&path).exists());
        drop(listener);
        assert!(!Path::new(&path).exists());
        Ipc.bind(&path, &options()).unwrap();
    }

    #[test]
    fn the_file_of_a_successor_stays() {
        let scratch = Scratch::new();
        let path = scratch.file("s");
        let listener = Ipc.bind(&path, &options()).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(Path::new(&path).exists());
        drop(successor);
    }

    #[test]
    fn a_stale_file_is_replaced() {
        let scratch = Scratch::new();
        let path = scratch.file("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(Path::new(&path).exists());
        assert_talks(&*Ipc.bind(&path, &options()).unwrap());
    }

    #[test]
    fn a_socket_in_use_is_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.file("s");
        let listener = Ipc.bind(&path, &options()).unwrap();
        let error = bind_error(&path);
        assert!(matches!(&error, ListenError::InUse { endpoint } if endpoint == listener.endpoint()));
        assert_eq!(error.errno(), Errno::ADDRINUSE.raw_os_error());
        drop(accept(&*listener));
        assert_talks(&*listener);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let scratch = Scratch::new();
        let (file, link) = (scratch.file("file"), scratch.file("link"));
        fs::write(&file, "precious").unwrap();
        drop(UnixListener::bind(scratch.file("target")).unwrap());
        symlink("target", &link).unwrap();
        for path in [&file, &link, &scratch.0.to_str().unwrap().to_owned()] {
            let error = bind_error(path);
            assert!(matches!(&error, ListenError::NotASocket { path: p } if p == path), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn of_many_who_replace_one_stale_file_one_listens() {
        const BINDERS: usize = 8;
        let scratch = Scratch::new();
        for round in 0..200 {
            let path = scratch.file(&format!("s{round}"));
            drop(UnixListener::bind(&path).unwrap());
            let start = Barrier::new(BINDERS);
            let bind = || {
                start.wait();
                Ipc.bind(&path, &options()).ok()
            };
            let listeners: Vec<_> = thread::scope(|scope| {
                let binders: Vec<_> = (0..BINDERS).map(|_| scope.spawn(bind)).collect();
                binders.into_iter().filter_map(|binder| binder.join().unwrap()).collect()
            });
            assert_eq!(listeners.len(), 1);
            connect(&Ipc, listeners[0].endpoint(), &options()).unwrap();
        }
    }

    #[test]
    fn nobody_listens_at_a_missing_or_stale_file() {
        let scratch = Scratch::new();
        let path = scratch.file("s");
        let error = connect(&Ipc, &format!("ipc://{path}"), &options()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        drop(UnixListener::bind(&path).unwrap());
        let error = connect(&Ipc, &format!("ipc://{path}"), &options()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_full_backlog_does_not_look_like_progress() {
        let narrow = TransportOptions { backlog: 0, ..options() };
        let listener = Ipc.bind("*", &narrow).unwrap();
        let attempts: Vec<_> = (0..3).map(|_| connect(&Ipc, listener.endpoint(), &options())).collect();
        assert!(attempts[0].is_ok());
        assert_eq!(attempts[2].as_ref().err().unwrap().kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn mistakes_in_an_address_are_told_apart() {
        let check = |address: &str| Ipc.check(address, &options());
        let longest = "x".repeat(PATH_LEN_MAX);
        let too_long = "x".repeat(PATH_LEN_MAX + 1);
        assert_eq!(check(&longest), Ok(()));
        assert_eq!(check(&format!("@{}", &longest[1..])), Ok(()));
        let error = check(&too_long).unwrap_err();
        assert_eq!(error, AddressError::PathTooLong { path: too_long.clone(), limit: 107 });
        assert_eq!(error.errno(), Errno::NAMETOOLONG.raw_os_error());
        assert!(error.to_string().contains("108 bytes and the system allows 107"), "{error}");
        assert_eq!(check("a\0b"), Err(AddressError::NulInPath { path: "a\0b".to_owned() }));
        assert_eq!(check("@"), Err(AddressError::NoName));
        assert_eq!(check("*"), Err(AddressError::AnyHost { address: "*".to_owned() }));
        assert!(matches!(bind_error("@"), ListenError::Address(AddressError::NoName)));
    }

    #[test]
    fn the_longest_path_can_be_bound() {
        let scratch = Scratch::new();
        let directory = scratch.file("");
        let path = format!("{directory}{}", "x".repeat(PATH_LEN_MAX - directory.len()));
        assert_eq!(path.len(), PATH_LEN_MAX);
        assert_talks(&*Ipc.bind(&path, &options()).unwrap());
    }

    #[test]
    fn a_missing_directory_is_told() {
        let scratch = Scratch::new();
        let error = bind_error(&scratch.file("missing/s"));
        assert_eq!(error.errno(), Errno::NOENT.raw_os_error());
        assert!(error.to_string().ends_with("make the directory first"), "{error}");
    }

    #[test]
    fn both_ends_have_the_buffers() {
        let mut wanted = options();
        wanted.send_buffer = Some(40_000);
        let listener = Ipc.bind("*", &wanted).unwrap();
        let near = connect(&Ipc, listener.endpoint(), &wanted).unwrap();
        for end in [near, accept(&*listener)] {
            let end = end.readiness();
            assert_eq!(socket2::SockRef::from(&end).send_buffer_size().unwrap(), 80_000);
        }
    }

    #[test]
    fn an_inherited_listener_keeps_its_file() {
        let scratch = Scratch::new();
        let path = scratch.file("s");
        let mut wanted = options();
        wanted.inherited = Some(OwnedFd::from(UnixListener::bind(&path).unwrap()).into());
        let listener = Ipc.bind("*", &wanted).unwrap();
        assert_eq!(listener.endpoint(), format!("ipc://{path}"));
        assert_talks(&*listener);
        drop(listener);
        assert!(Path::new(&path).exists());
    }
}
