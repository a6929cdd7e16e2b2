//! Two machines, near and far, played by two processes, each with a network namespace of its own, and a cable (veth)
//! between them. The near one has it in its hands.

use std::process::Command;

use super::process::{self, Role};

pub const NEAR: &str = "10.213.0.1";
const FAR: &str = "10.213.0.2";
const NEAR_IPV6: &str = "fd00:213::1";
const FAR_IPV6: &str = "fd00:213::2";

/// Starts the process that plays the near machine.
#[track_caller]
pub fn start_near(role: &str) -> Role {
    let namespace = ["--map-root-user", "--net"];
    let trial = Command::new("unshare").args(namespace).args(["ip", "link", "show"]).output();
    let may = trial.as_ref().is_ok_and(|output| output.status.success());
    assert!(
        may,
        "this test needs a network namespace of its own: install util-linux and iproute2, and allow user namespaces or \
         run it as root ({trial:?})"
    );
    Role::start_in("unshare", &namespace, role, &[])
}

/// Starts the process that plays the far machine, from the near one. It has said [`be_far`] when this returns.
#[track_caller]
pub fn start_far(role: &str) -> Role {
    let far = Role::start_in("unshare", &["--net"], role, &[]);
    assert_eq!(far.heard(), HERE);
    far
}

const HERE: &str = "in a namespace of its own";

/// What the far machine does first.
pub fn be_far() {
    process::tell(HERE);
}

pub fn lay(far: &Role) {
    on_near(&format!("link add near type veth peer name far netns {}", far.pid()));
    put_up_near();
    put_up_far(far);
}

pub fn put_up_near() {
    on_near(&format!("addr add {NEAR}/24 dev near"));
    on_near("link set near up");
}

pub fn put_up_far(far: &Role) {
    on_far(far, &format!("addr add {FAR}/24 dev far"));
    on_far(far, "link set far up");
}

/// Both ends have addresses of IPv6 too, which can be used at once.
pub fn add_ipv6(far: &Role) {
    on_near(&format!("addr add {NEAR_IPV6}/64 dev near nodad"));
    on_far(far, &format!("addr add {FAR_IPV6}/64 dev far nodad"));
}

#[track_caller]
pub fn on_near(command: &str) {
    run(Command::new("ip").args(command.split(' ')));
}

#[track_caller]
pub fn on_far(far: &Role, command: &str) {
    let pid = far.pid().to_string();
    run(Command::new("nsenter").args(["--net", "--target", &pid, "ip"]).args(command.split(' ')));
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
