//! A build without the feature `wss` says so where `wss://` is asked for; one with it takes the scheme.

use nought::{BindError, ConnectError, Context, Push, transport::EndpointError};

#[test]
fn a_build_without_wss_says_how_to_get_it() {
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    let (bound, connected) = (push.bind("wss://127.0.0.1:*"), push.connect("wss://127.0.0.1:1"));
    if cfg!(feature = "wss") {
        assert!(matches!(bound, Err(BindError::Listen(_))) && connected.is_ok());
        return;
    }
    let error = EndpointError::NotBuiltIn { feature: "wss" };
    assert!(error.to_string().starts_with("built without wss: "), "{error}");
    assert!(matches!(bound, Err(BindError::Endpoint(told)) if told == error));
    assert!(matches!(connected, Err(ConnectError::Endpoint(told)) if told == error));
}
