//! Builds libzmq 4.3.4 with the draft API, from the source in the crate `zeromq-src`, to be linked statically.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    zeromq_src::Build::new().enable_draft(true).with_libsodium(None).build();
}
