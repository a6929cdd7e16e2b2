//! `nought keygen`: keys for CURVE.

use std::{io::ErrorKind, path::PathBuf};

use clap::Args;
use nought::{
    new_keys,
    security::{Certificate, CertificateError},
};

use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  nought keygen                                    # both keys, to standard output
  nought keygen clients/anna --metadata name=Anna  # clients/anna, to be given to others,
                                                   # and clients/anna_secret, which is not";

/// Make a pair of keys for CURVE
///
/// The keys are written as certificates, in the format of CZMQ.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeygenArgs {
    /// The file for the public key; the one with the secret key has _secret behind its name. None is overwritten
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Something about the owner that stands in the certificate; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = metadata)]
    metadata: Vec<(String, String)>,
}

fn metadata(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '#' || c == '"') {
        return Err("write a NAME, without blanks, # and quotation marks".to_owned());
    }
    if value.contains(['"', '\r', '\n']) {
        return Err("write a VALUE without quotation marks and line breaks".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Makes the keys, and writes them.
pub(crate) fn run(args: &KeygenArgs) -> Result<(), Failure> {
    let certificate = args
        .metadata
        .iter()
        .fold(Certificate::new(new_keys()), |certificate, (name, value)| certificate.with_metadata(name, value));
    match &args.file {
        Some(file) => certificate.save(file).map_err(|error| not_saved(&error)),
        None => output::print(certificate.secret_text().unwrap_or_default().as_str()),
    }
}

fn not_saved(error: &CertificateError) -> Failure {
    let advice = match error {
        CertificateError::File { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
            "; nothing is overwritten: write another FILE"
        }
        CertificateError::File { source, .. } if source.kind() == ErrorKind::NotFound => "; make the directory first",
        _ => "",
    };
    Failure::error(format!("cannot write {error}{advice}"))
}
