//! libzmq's source, as the published crate `zeromq-src` has it: a tree from which its programs are built against the
//! header and the library that the system has, and a library with the draft API.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    compiler::{self, Step},
    library::pkg_config,
    workspace::Workspace,
};

/// The settings that libzmq's own build would find out about Linux. GSSAPI, PGM, NORM, TIPC and VMCI are not there.
const PLATFORM: &str = "\
#ifndef PLATFORM_HPP
#define PLATFORM_HPP
#define ZMQ_HAVE_LINUX
#define ZMQ_HAVE_UIO
#define ZMQ_HAVE_IPC
#define ZMQ_HAVE_SO_PEERCRED
#define ZMQ_HAVE_SO_KEEPALIVE
#define ZMQ_HAVE_SO_BINDTODEVICE
#define ZMQ_HAVE_SO_PRIORITY
#define ZMQ_HAVE_TCP_KEEPCNT
#define ZMQ_HAVE_TCP_KEEPIDLE
#define ZMQ_HAVE_TCP_KEEPINTVL
#define ZMQ_HAVE_EVENTFD
#define ZMQ_HAVE_EVENTFD_CLOEXEC
#define ZMQ_HAVE_O_CLOEXEC
#define ZMQ_HAVE_SOCK_CLOEXEC
#define ZMQ_HAVE_IFADDRS
#define ZMQ_HAVE_NOEXCEPT
#define ZMQ_HAVE_PTHREAD_SETNAME_2
#define ZMQ_HAVE_PTHREAD_SET_AFFINITY
#define HAVE_ACCEPT4
#define HAVE_CLOCK_GETTIME
#define HAVE_FORK
#define HAVE_IF_NAMETOINDEX
#define HAVE_MKDTEMP
#define HAVE_STRNLEN
#define ZMQ_IOTHREAD_POLLER_USE_EPOLL
#define ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC
#define ZMQ_POLL_BASED_ON_POLL
#define ZMQ_USE_CV_IMPL_STL11
#define ZMQ_CACHELINE_SIZE 64
#define ZMQ_HAVE_CURVE
#define ZMQ_USE_TWEETNACL
#define ZMQ_HAVE_WS
#define ZMQ_USE_BUILTIN_SHA1
#endif
";

/// Which functions programs may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// Those of every libzmq.
    Stable,
    /// The drafts, too.
    Draft,
}

/// A tree to build from.
pub(crate) struct Tree {
    vendor: PathBuf,
    folder: PathBuf,
    api: Api,
}

impl Tree {
    /// Lays it out. Its programs include `../include/zmq.h`: the system's header stands there.
    pub(crate) fn lay_out(workspace: &Workspace, api: Api) -> Result<Self> {
        let source = workspace.source_of("zeromq-src")?;
        let version = source.file_name().context("a source without a name")?.to_string_lossy().into_owned();
        let kind = match api {
            Api::Stable => "stable",
            Api::Draft => "draft",
        };
        let folder = workspace.folder(&format!("{version}/{kind}"))?;
        let tree = Self { vendor: source.join("vendor"), folder, api };
        fs::write(tree.folder.join("platform.hpp"), PLATFORM)?;
        link(&tree.folder.join("src"), &tree.vendor.join("src"))?;
        link(&tree.folder.join("include"), Path::new(&pkg_config("--variable=includedir")?))?;
        tree.copy("tests")?;
        tree.copy("perf")?;
        Ok(tree)
    }

    /// The folder `name` of the tree.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A file of the package.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.vendor.join(name)
    }

    /// How everything is compiled.
    pub(crate) fn flags(&self) -> Vec<String> {
        let platform = self.folder.join("platform.hpp");
        let mut flags = vec![
            format!("-include{}", platform.display()),
            format!("-I{}", self.folder.display()),
            format!("-I{}", self.file("external/unity").display()),
            "-DZMQ_CUSTOM_PLATFORM_HPP".into(),
            "-DUNITY_EXCLUDE_FLOAT".into(),
        ];
        if self.api == Api::Draft {
            flags.push("-DZMQ_BUILD_DRAFT_API".into());
        }
        flags
    }

    /// How programs are linked: to the system's library, or, since that has no drafts, to the one that is built here.
    pub(crate) fn to_link(&self) -> Result<Vec<String>> {
        Ok(match self.api {
            Api::Stable => pkg_config("--libs")?.split_whitespace().map(String::from).collect(),
            Api::Draft => vec![format!("-L{}", self.folder("library")?.display()), "-l:libzmq.so.5".into()],
        })
    }

    /// Builds libzmq itself.
    pub(crate) fn build_library(&self) -> Result<PathBuf> {
        let folder = self.folder("library")?;
        let mut flags = self.flags();
        flags.push(format!("-I{}", self.file("src").display()));
        let mut sources = sources_in(&self.file("src"))?;
        // wss:// needs a TLS library.
        sources.retain(|source| !source.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wss_")));
        sources.extend([self.file("src/tweetnacl.c"), self.file("external/sha1/sha1.c")]);
        let objects: Vec<_> = sources.iter().map(|source| Step::object(source, &folder, &flags)).collect();
        compiler::make_all(&objects)?;
        let parts: Vec<_> = objects.iter().map(|object| object.output().to_path_buf()).collect();
        let flags = ["-shared", "-Wl,-soname,libzmq.so.5"].map(String::from);
        let library = Step::link(folder.join("libzmq.so.5"), &parts, &flags);
        compiler::make_all(std::slice::from_ref(&library))?;
        Ok(library.output().into())
    }

    fn copy(&self, name: &str) -> Result<()> {
        let folder = self.folder(name)?;
        for entry in fs::read_dir(self.file(name))? {
            let file = entry?.path();
            let copy = folder.join(file.file_name().unwrap_or_default());
            if file.is_file() && !copy.exists() {
                fs::copy(&file, copy)?;
            }
        }
        Ok(())
    }
}

/// The C++ files of a folder, in order.
pub(crate) fn sources_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        sources.push(entry?.path());
    }
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "cpp"));
    sources.sort();
    Ok(sources)
}

fn link(from: &Path, to: &Path) -> Result<()> {
    if from.read_link().is_ok_and(|known| known == to) {
        return Ok(());
    }
    symlink(to, from).with_context(|| from.display().to_string())
}
