//! The libraries that programs run on. For each there is a folder that holds a `libzmq.so.5` and nothing else.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{process, workspace::Workspace};

/// The name that programs ask for.
const SONAME: &str = "libzmq.so.5";

/// Which library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// The original.
    Libzmq,
    /// This project's.
    Nought,
}

/// A library that programs can run on.
pub(crate) struct Library {
    pub(crate) name: Name,
    folder: PathBuf,
    /// For programs that ask the library what it is: flags for what it was built with, and for its own header.
    pub(crate) identity: Vec<String>,
}

impl Library {
    /// The one that Debian's package `libzmq5` installs.
    fn of_debian(workspace: &Workspace) -> Result<Self> {
        let library_folder = pkg_config("--variable=libdir")?;
        let folder = stage(workspace, "libzmq", &Path::new(&library_folder).join(SONAME))?;
        let features = ["-DZMQ_HAVE_OPENPGM", "-DZMQ_HAVE_NORM", "-DZMQ_HAVE_TIPC", "-DHAVE_LIBGSSAPI_KRB5"];
        Ok(Self { name: Name::Libzmq, folder, identity: features.map(String::from).into() })
    }

    /// One that was built here, from libzmq's source.
    pub(crate) fn built_here(workspace: &Workspace, file: &Path) -> Result<Self> {
        Ok(Self { name: Name::Libzmq, folder: stage(workspace, "libzmq-drafts", file)?, identity: Vec::new() })
    }

    /// This project's, of today's source.
    pub(crate) fn of_nought(workspace: &Workspace) -> Result<Self> {
        let log = workspace.folder("logs")?.join("nought.log");
        let mut build = Command::new("cargo");
        build.args(["build", "--release", "--package", "nought-libzmq"]).current_dir(workspace.root()?);
        process::succeed(&mut build, Duration::from_secs(15 * 60), &log)
            .context("nought's libzmq.so.5 is not built")?;
        let folder = stage(workspace, "nought", &workspace.target().join("release/libzmq.so"))?;
        let header = workspace.root()?.join("crates/libzmq/include/zmq.h");
        let identity = vec!["-DZMQ_BUILD_DRAFT_API".into(), format!("-include{}", header.display())];
        Ok(Self { name: Name::Nought, folder, identity })
    }

    /// Those that `names` asks for, with Debian's as the original.
    pub(crate) fn all(workspace: &Workspace, names: &[Name]) -> Result<Vec<Self>> {
        let library = |name: &Name| match name {
            Name::Libzmq => Self::of_debian(workspace),
            Name::Nought => Self::of_nought(workspace),
        };
        names.iter().map(library).collect()
    }

    /// The heading of its column.
    pub(crate) fn title(&self) -> &'static str {
        match self.name {
            Name::Libzmq => "libzmq",
            Name::Nought => "nought",
        }
    }

    /// A command whose program, and all that it starts, run on this library.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", &self.folder);
        command
    }

    /// Fails unless `object`, a program or a library, is loaded with this library and no other.
    pub(crate) fn serves(&self, object: &Path) -> Result<()> {
        let listed = self.command("ldd").arg(object).output().context("ldd")?;
        let listed = String::from_utf8_lossy(&listed.stdout);
        let line = listed.lines().find(|line| line.contains(SONAME)).unwrap_or(SONAME);
        let expected = self.folder.join(SONAME).display().to_string();
        ensure!(line.contains(&expected), "{} does not run on {expected}, but on {line}", object.display());
        Ok(())
    }
}

/// Where the system's headers and library are, as a compiler is told.
pub(crate) fn pkg_config(question: &str) -> Result<String> {
    let answer = Command::new("pkg-config")
        .args([question, "libzmq"])
        .output()
        .context("pkg-config, libzmq5 and libzmq3-dev are needed: apt-get install pkg-config libzmq5 libzmq3-dev")?;
    ensure!(answer.status.success(), "libzmq is not installed: apt-get install libzmq5 libzmq3-dev");
    Ok(String::from_utf8(answer.stdout)?.trim().into())
}

fn stage(workspace: &Workspace, name: &str, file: &Path) -> Result<PathBuf> {
    let file = file.canonicalize().with_context(|| format!("there is no {}", file.display()))?;
    let folder = workspace.folder(&format!("lib/{name}"))?;
    let link = folder.join(SONAME);
    match fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => symlink(file, link)?,
    }
    Ok(folder)
}
