//! Binding and connecting to what the user wrote.

use nought::{BindError, ConnectError, Kind, Socket, transport::ListenError};

use crate::{failure::Failure, output};

/// Reads an endpoint at which another process can be.
pub(crate) fn parse_between_processes(text: &str) -> Result<String, String> {
    if text.starts_with("inproc://") {
        return Err("it ends at the edge of this process: write an ipc:// or tcp:// endpoint".to_owned());
    }
    Ok(text.to_owned())
}

/// Binds; tells on standard error what the wildcards of the endpoint became.
///
/// # Errors
/// Why the socket is not bound: a wrong endpoint is a wrong argument.
pub(crate) fn bind<K: Kind>(socket: &Socket<K>, endpoint: &str) -> Result<String, Failure> {
    let resolved = socket.bind(endpoint).map_err(|error| match error {
        BindError::Endpoint(_)
        | BindError::Listen(ListenError::Address(_))
        | BindError::NotForStream
        | BindError::WrongTransport { .. } => Failure::Usage(error.to_string()),
        _ => error.into(),
    })?;
    if resolved != endpoint {
        output::tell(format_args!("bound to {resolved}"));
    }
    Ok(resolved)
}

/// What came of telling a socket to connect: a wrong endpoint is a wrong argument.
///
/// # Errors
/// Why it will not connect.
pub(crate) fn check_connecting<T>(result: Result<T, ConnectError>) -> Result<T, Failure> {
    result.map_err(|error| match error {
        ConnectError::Terminated => error.into(),
        _ => Failure::Usage(error.to_string()),
    })
}
