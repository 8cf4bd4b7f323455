//! What a packet costs. `lab` is a director in a network namespace and the programs that present packets to it; `scene` what
//! that director is configured with; `cases` what is presented; `run` presents it, round after round, and `figures` makes medians and
//! ratios of the nanoseconds; `plot` and `bars` draw them, `raw` sends frames. Must decide nothing about packets itself.

pub mod bars;
pub mod cases;
pub mod figures;
pub mod lab;
pub mod plot;
pub mod raw;
pub mod run;
pub mod scene;
