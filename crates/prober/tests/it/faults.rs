//! Servers that do wrong.
