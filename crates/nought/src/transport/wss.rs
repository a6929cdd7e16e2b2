//! `wss://`: WebSockets over TLS, over tcp.
//!
//! ```text
//! bind, connect    ADDRESS[/PATH]    as for ws
//! ```

use std::io;
use std::sync::Arc;

use super::{
    AddressError, Connecting, ListenError, Listener, Target, Tcp, TlsName, Transport, TransportOptions, foreign_target,
    tls::{TlsChannel, TlsListener},
    ws::{Site, Url, WsChannel, WsListener},
};

const SCHEME: &str = "wss";

/// The transport `wss`: [`Ws`](super::Ws) within TLS 1.3 or 1.2. It is there with the feature `wss`.
///
/// `bind` needs [`wss_identity`](TransportOptions::wss_identity). `connect` takes servers whose certificates lead to an
/// authority of [`wss_trust`](TransportOptions::wss_trust), are in force, and are for the host as it is written, or for
/// [`wss_host_name`](TransportOptions::wss_host_name) in its place.
///
/// Clients show no certificate: who they are is told by PLAIN or CURVE, within TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wss;

impl Transport for Wss {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn carries_streams(&self) -> bool {
        false
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        let url = Url::parse(SCHEME, address)?;
        let identity = options.wss_identity.clone().ok_or_else(|| {
            AddressError::Other(format!("to bind wss://{address}, set a certificate and its key: wss_identity"))
        })?;
        let below = Tcp.bind(url.tcp_address, options)?;
        let endpoint = url.endpoint(below.endpoint());
        Ok(Box::new(WsListener { below: Box::new(TlsListener { below, identity }), scheme: SCHEME, endpoint }))
    }

    fn check(&self, address: &str, options: &TransportOptions) -> Result<(), AddressError> {
        let url = Url::parse(SCHEME, address)?;
        Tcp.check(url.tcp_address, options)?;
        name(url.host(), options).map(|_| ())
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        // What the system trusts is in files.
        if !options.wss_trust.is_loaded() {
            return None;
        }
        Url::resolve_now(SCHEME, address, options)
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        options.wss_trust.load()?;
        Url::resolve(SCHEME, address, options)
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        let site: &Site = target.address().ok_or_else(|| foreign_target(SCHEME, target))?;
        let name = name(&site.host, options).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let below = TlsChannel::client(site.connect(SCHEME, target, options)?, &options.wss_trust, name)?;
        Ok(Connecting::Pending(Arc::new(WsChannel::client(Arc::new(below), SCHEME, site))))
    }
}

/// Whom the certificate is to be for: `host` is `HOST:PORT`, as the user wrote it.
fn name(host: &str, options: &TransportOptions) -> Result<TlsName, AddressError> {
    if let Some(name) = &options.wss_host_name {
        return Ok(name.clone());
    }
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host).trim_matches(['[', ']']);
    // The interface of a link-local address is nothing to others.
    let host = host.split('%').next().unwrap_or(host);
    TlsName::new(host).map_err(|_| {
        AddressError::Other(format!(
            "{host:?} is no name that a certificate can be for: set the right one: wss_host_name"
        ))
    })
}
