//! What publishers need in several kinds of work: to speak until somebody listens.

use std::time::Duration;

use anyhow::Result;

use crate::desk::Desk;
use crate::peer::{Peer, Socket};

/// How long to wait between announcements.
const PAUSE: Duration = Duration::from_millis(1);

/// Announcements: what a publisher says before its first message, to learn from the conductor that it is heard.
///
/// Not every publisher can see its subscribers, so it is the subscriber who tells: that shows the whole way to be
/// open, subscription included.
#[derive(Clone, Copy)]
pub(super) struct Announcement(pub(super) u8);

impl Announcement {
    /// Announces until the conductor says a word, and once more, in another form, that messages follow now.
    pub(super) async fn make<P: Peer>(self, peer: &P, socket: &mut P::Socket, desk: &mut Desk) -> Result<()> {
        while !desk.has_heard() {
            socket.send(&[self.0]).await?;
            peer.sleep(PAUSE).await;
        }
        socket.send(&[self.0; 2]).await
    }

    /// Waits until one arrives.
    pub(super) async fn hear(self, socket: &mut impl Socket) -> Result<()> {
        while socket.recv().await? != [self.0] {}
        Ok(())
    }

    /// Waits until the last arrives.
    pub(super) async fn hear_out(self, socket: &mut impl Socket) -> Result<()> {
        while socket.recv().await? != [self.0; 2] {}
        Ok(())
    }
}
