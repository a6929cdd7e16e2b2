//! Whether a server is taken for who it is to be: by a certificate that leads to an authority, or by one that the
//! application has named itself.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{ParsedCertificate, VerifierBuilderError},
};

/// Verifies as rustls does, but for a server that shows one of the certificates that are trusted by name, byte for byte.
///
/// To be an authority's is then nothing against it: whoever has its key could sign another for the same name. (But for
/// limits that it has itself: the names that it may sign for, and what it is to be used for, are not looked at.) If it has
/// no subjectAltName, its common name is the server's (RFC 6125, section 6.4.4). RFC 9525 gives that up because an
/// authority may have looked at that name less closely; here it is the application that has named the certificate.
#[derive(Debug)]
pub(super) struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// `roots` are all authorities, those of `named` among them.
    pub(super) fn new(
        roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Self { chains, named })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.chains.verify_server_cert(certificate, intermediates, name, ocsp_response, now);
        match verdict {
            Err(error) if self.named.contains(certificate) => judge_named(error, certificate, name),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Forgives a certificate that is trusted by name what may be forgiven. Whether its time has come and is not over was
/// looked at before.
fn judge_named(
    error: Error,
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Result<ServerCertVerified, Error> {
    let judged = match error {
        Error::InvalidCertificate(why) if is_that_of_an_authority(&why) => {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
        }
        error => Err(error),
    };
    match judged {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
            if presented.is_empty() && is_common_name(name, certificate) => {}
        judged => judged?,
    }
    Ok(ServerCertVerified::assertion())
}

/// Whether a certificate is refused because it may sign others, and is none of a server's alone.
pub(super) fn is_that_of_an_authority(why: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(why)) = why else { return false };
    why.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Whether this host name is the one common name of the certificate's subject.
fn is_common_name(name: &ServerName<'_>, certificate: &CertificateDer<'_>) -> bool {
    let (ServerName::DnsName(name), Ok(anchor)) = (name, webpki::anchor_from_trusted_cert(certificate)) else {
        return false;
    };
    common_name(&anchor.subject).is_some_and(|common| common.eq_ignore_ascii_case(name.as_ref().as_bytes()))
}

/// The common name among the attributes of a name (X.501), if there is one and no other.
fn common_name(mut attributes: &[u8]) -> Option<&[u8]> {
    /// 2.5.4.3.
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    let mut found = None;
    while !attributes.is_empty() {
        let mut set = next_value(&mut attributes)?;
        while !set.is_empty() {
            let mut attribute = next_value(&mut set)?;
            let kind = next_value(&mut attribute)?;
            let text = next_value(&mut attribute)?;
            if kind == COMMON_NAME && found.replace(text).is_some() {
                return None;
            }
        }
    }
    found
}

/// Takes the next value of DER (X.690), whatever its tag says; of lengths that names have.
fn next_value<'a>(der: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = match *der {
        [_, len @ ..=0x7f, rest @ ..] | [_, 0x81, len, rest @ ..] => (usize::from(*len), rest),
        [_, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    *der = rest;
    Some(value)
}
