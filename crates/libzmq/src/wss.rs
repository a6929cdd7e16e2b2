//! The options of `wss://`: what was set, and what comes of it.

use std::ffi::c_int;

use nought::{
    Any, SocketBuilder,
    transport::{TlsIdentity, TlsName, TlsTrust},
};
use zeroize::Zeroizing;

use crate::{
    errno::{Errno, Result},
    options::{int, only_zero_or_one},
};

const KEY_PEM: c_int = 103;
const CERT_PEM: c_int = 104;
const TRUST_PEM: c_int = 105;
const HOSTNAME: c_int = 106;
const TRUST_SYSTEM: c_int = 107;

/// What was set about `wss://`. None of it can be asked for, as in libzmq.
#[derive(Clone)]
pub(crate) struct WssSettings {
    key: Zeroizing<Vec<u8>>,
    certificates: Vec<u8>,
    /// What the two make, once they fit each other: they are set one after the other.
    identity: Option<TlsIdentity>,
    authorities: Option<TlsTrust>,
    trusts_system: bool,
    trust: TlsTrust,
    host_name: Option<TlsName>,
}

impl Default for WssSettings {
    fn default() -> Self {
        // As in libzmq, nobody is trusted who was not named; other than there, a server that is not trusted is refused.
        Self {
            key: Zeroizing::default(),
            certificates: Vec::new(),
            identity: None,
            authorities: None,
            trusts_system: false,
            trust: TlsTrust::nobody(),
            host_name: None,
        }
    }
}

impl WssSettings {
    /// Whether an option is one of these.
    pub(crate) fn has(option: c_int) -> bool {
        matches!(option, KEY_PEM..=TRUST_SYSTEM)
    }

    /// An empty text is none.
    pub(crate) fn set(&mut self, option: c_int, value: &[u8]) -> Result<()> {
        let text = value.strip_suffix(b"\0").unwrap_or(value);
        let is_there = !text.is_empty();
        match option {
            KEY_PEM => self.key = Zeroizing::new(text.to_vec()),
            CERT_PEM => self.certificates = text.to_vec(),
            TRUST_PEM => {
                let authorities = is_there.then(|| TlsTrust::from_pem(text)).transpose();
                self.authorities = authorities.map_err(|_| Errno::INVALID)?;
            }
            HOSTNAME => {
                let name = str::from_utf8(text).map_err(|_| Errno::INVALID)?;
                self.host_name = is_there.then(|| TlsName::new(name)).transpose().map_err(|_| Errno::INVALID)?;
            }
            _ => self.trusts_system = int(value).and_then(only_zero_or_one)? != 0,
        }
        match option {
            KEY_PEM | CERT_PEM => self.identity = TlsIdentity::from_pem(&self.certificates, &self.key).ok(),
            TRUST_PEM | TRUST_SYSTEM => self.trust = self.trust_of_both(),
            _ => {}
        }
        Ok(())
    }

    fn trust_of_both(&self) -> TlsTrust {
        match (&self.authorities, self.trusts_system) {
            (None, false) => TlsTrust::nobody(),
            (None, true) => TlsTrust::system(),
            (Some(authorities), false) => authorities.clone(),
            (Some(authorities), true) => authorities.clone().and_system(),
        }
    }

    /// The same in nought's terms.
    pub(crate) fn apply(&self, options: SocketBuilder<Any>) -> SocketBuilder<Any> {
        options.wss_identity(self.identity.clone()).wss_trust(self.trust.clone()).wss_host_name(self.host_name.clone())
    }
}
