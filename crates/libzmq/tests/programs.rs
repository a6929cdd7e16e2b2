//! Programs in C, compiled once, on nought and on the libzmq of the system, and under valgrind.
//!
//! They want a C compiler, libuv and valgrind (`libuv1-dev`, `valgrind`), and fail where these are not installed.

mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use support::{libzmq_path, nought_path};

const STREAM_LEN: &str = "100000";
/// Under valgrind everything takes fifty times as long.
const SHORT_STREAM_LEN: &str = "500";
const ENDPOINTS: [&str; 3] = ["tcp://127.0.0.1:*", "ipc://*", "inproc://program"];

/// A program, and how it is linked.
struct Program {
    path: PathBuf,
    /// Where the loader finds nought's library by libzmq's name.
    nought: PathBuf,
}

impl Program {
    fn compile(name: &str, libraries: &[&str]) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let nought = folder.join("lib");
        fs::create_dir_all(&nought).unwrap();
        symlink(nought_path(), nought.join("libzmq.so.5")).unwrap();
        let path = folder.join(name);
        let compiled = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", "-I"])
            .arg(here.join("include"))
            .arg(here.join("tests/programs").join(name).with_extension("c"))
            .arg("-o")
            .arg(&path)
            .arg(nought.join("libzmq.so.5"))
            .args(libraries)
            .output()
            .expect("a C compiler is to be installed");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Self { path, nought }
    }

    fn run_on_both(&self, arguments: &[&str]) {
        self.run(&self.nought, arguments);
        self.run(libzmq_path().parent().unwrap(), arguments);
    }

    fn run(&self, library: &Path, arguments: &[&str]) {
        succeed(Command::new(&self.path).args(arguments).env("LD_LIBRARY_PATH", library));
    }

    /// No error of memory, and nothing lost at the end.
    fn run_in_valgrind(&self, arguments: &[&str]) {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect"]);
        command.args(["--errors-for-leak-kinds=definite,indirect", "--fair-sched=yes"]);
        succeed(command.arg(&self.path).args(arguments).env("LD_LIBRARY_PATH", &self.nought));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path.parent().unwrap());
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_edge_triggered_loop_misses_nothing() {
    let program = Program::compile("edge_triggered", &[]);
    ENDPOINTS.iter().for_each(|endpoint| program.run_on_both(&[endpoint, STREAM_LEN]));
    program.run_in_valgrind(&[ENDPOINTS[0], SHORT_STREAM_LEN]);
}

#[test]
fn a_loop_of_libuvs_misses_nothing() {
    let program = Program::compile("libuv", &["-luv"]);
    ENDPOINTS.iter().for_each(|endpoint| program.run_on_both(&[endpoint, STREAM_LEN]));
}

#[test]
fn a_process_with_sockets_has_children() {
    let program = Program::compile("children", &[]);
    program.run_on_both(&[]);
}

#[test]
fn no_memory_is_lost_or_used_wrongly() {
    let program = Program::compile("everything", &[]);
    program.run_on_both(&[]);
    program.run_in_valgrind(&[]);
}
