//! The keys of cases with CURVE. They are known to all and protect nothing.

use super::Kind;

/// A pair of keys, as text.
pub(super) struct Keys {
    pub(super) public: &'static str,
    pub(super) secret: &'static str,
}

/// What a socket is in CURVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

pub(super) const SERVER: Keys =
    Keys { public: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", secret: "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6" };

pub(super) const CLIENT: Keys =
    Keys { public: "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", secret: "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs" };

/// The receiver of a stream, which binds, is the server.
pub(super) fn side(kind: Kind) -> Side {
    match kind {
        Kind::Pull => Side::Server,
        _ => Side::Client,
    }
}
