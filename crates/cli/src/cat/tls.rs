//! What `wss://` needs, from files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use nought::{
    Any, SocketBuilder,
    transport::{TlsIdentity, TlsName, TlsTrust},
};

use crate::failure::Failure;

/// Who to be, whom to trust, whom to expect.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options for wss://")]
pub(super) struct TlsArgs {
    /// The certificate to show to clients, as PEM, with those that lead to its authority
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of --cert, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// The authorities whose servers are trusted, as PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    /// The name that a server's certificate must be for [default: the endpoint's host]
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
}

impl TlsArgs {
    /// Whether it is what these endpoints need.
    pub(super) fn check(&self, bound: &[String], connected: &[String]) -> Result<(), String> {
        let over_tls = |endpoints: &[String]| endpoints.iter().find(|it| it.starts_with("wss://")).cloned();
        let (bound, connected) = (over_tls(bound), over_tls(connected));
        match bound {
            Some(endpoint) if self.cert.is_none() => return Err(format!("to bind {endpoint}, write --cert and --key")),
            None if self.cert.is_some() => return Err("--cert and --key are for --bind wss://: leave them out".into()),
            _ => {}
        }
        let given = [(self.trust.is_some(), "--trust"), (self.host_name.is_some(), "--host-name")];
        match given.into_iter().find(|(is_given, _)| *is_given && connected.is_none()) {
            Some((_, option)) => Err(format!("{option} is for --connect wss://: leave it out")),
            None => Ok(()),
        }
    }

    /// Sets what was given.
    pub(super) fn apply(&self, mut builder: SocketBuilder<Any>) -> Result<SocketBuilder<Any>, Failure> {
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            let identity = TlsIdentity::from_pem(&read(cert)?, &read(key)?);
            let files = format!("{} and {}", cert.display(), key.display());
            builder = builder.wss_identity(Some(identity.map_err(|error| unusable(&files, &error))?));
        }
        if let Some(file) = &self.trust {
            let trust = TlsTrust::from_pem(&read(file)?);
            builder = builder.wss_trust(trust.map_err(|error| unusable(&file.display().to_string(), &error))?);
        }
        if let Some(name) = &self.host_name {
            let name = TlsName::new(name).map_err(|error| unusable(name, &error))?;
            builder = builder.wss_host_name(Some(name));
        }
        Ok(builder)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| unusable(&file.display().to_string(), &error))
}

fn unusable(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Usage(format!("{what}: {error}"))
}
