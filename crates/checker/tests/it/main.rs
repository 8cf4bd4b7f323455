//! The machines together with worlds in virtual time. What is expected was recorded from keepalived 2.2.7 where it has the
//! thing at all: sentences, their order and the seconds between them.

mod chaos;
mod checks;
mod pages;
mod registry;
mod services;
mod world;
