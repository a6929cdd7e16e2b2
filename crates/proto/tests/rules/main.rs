//! Every rule of the wire and of the patterns, pinned on whole machines: a file for each group of rules.

mod harness;

mod atomicity;
mod client_server;
mod conflate;
mod curve;
mod datagrams;
mod fair_queue_and_round_robin;
mod handshake;
mod heartbeats;
mod high_water_marks;
mod in_process;
mod large_bodies;
mod lead;
mod leaving;
mod limits;
mod lots;
mod notices;
mod pair;
mod peer;
mod pieces;
mod plain;
mod pub_sub;
mod radio_dish;
mod reopen;
mod req_rep;
mod router;
mod single_frames;
mod small_in_place;
mod stream;
mod together;
mod versions;
mod xpub;
mod zap;
