//! What follows when a session ends: its clients are told, by the server
//! ([`backchannel`]) and by the browser ([`frontchannel`]).

pub mod backchannel;
pub mod frontchannel;
pub mod logout_token;
