//! Results, rendered.

pub mod csv;
pub mod html;
pub mod live;
pub mod save;
pub mod text;
