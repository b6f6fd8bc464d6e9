//! Where a millrace broker says the time of Produce and Fetch requests went: read over its admin port at both ends of the
//! measured window, so that a report can say which stage made its slowest requests slow.

pub mod answer;
pub mod fetch;
pub mod http;
pub mod note;
pub mod watch;
pub mod window;

/// Why there are no stage times: in words if the user can do something about it.
pub type Missing = Option<String>;
