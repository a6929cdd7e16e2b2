//! Who a peer is, where the system vouches for it.

/// The process behind a connection, as it was when it connected (or, for a process that listens, when it began to).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// Its process id; `None` where it runs in a process namespace that this process cannot see.
    pub process_id: Option<u32>,
    /// Its effective user id.
    pub user_id: u32,
    /// Its effective group id.
    pub group_id: u32,
}

impl PeerCredentials {
    /// What the kernel says of a process; it gives 0 for a process id that it cannot show.
    #[must_use]
    pub fn new(process_id: u32, user_id: u32, group_id: u32) -> Self {
        Self { process_id: Some(process_id).filter(|&id| id != 0), user_id, group_id }
    }
}
