//! Alert mails. The client is our own: the original's configuration knows neither encryption nor passwords, and wants HELO, a
//! timeout for each step and its own headers; a mail library would bring fifty crates for what is a page here.

mod client;
mod message;
mod sender;

pub use client::{MailError, Server, send};
pub use message::{Alert, Subject, text};
pub use sender::{Letterhead, MailCounts, MailSender, WAITING};
