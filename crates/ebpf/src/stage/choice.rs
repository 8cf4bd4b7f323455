//! Stages that choose a destination: one for each scheduler.

use crate::sched;
use rvs_core::abi::{FlowKey, SchedState, ServiceId};
use rvs_core::sched::{Kind, dh, fo, lblc, lblcr, lc, mh, nq, ovf, rr, sed, sh, twos, wlc, wrr};

/// No destination can take the connection.
pub(crate) const NONE: i64 = -1;
/// Another CPU was faster: try again.
pub(crate) const AGAIN: i64 = -2;

/// One decision of a service's scheduler that has a state.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_schedule(key: *const FlowKey, id: ServiceId, which: u32) -> i64 {
    if key.is_null() {
        return NONE;
    }
    // SAFETY: not null, and the verifier knows its size from the type.
    sched::schedule(id, which, unsafe { &*key })
}

/// One decision of a service's scheduler that has a state.
#[inline(always)]
pub(crate) fn schedule(id: ServiceId, which: u32, key: &FlowKey) -> i64 {
    stage_schedule(key, id, which)
}

/// Schedulers with a state, and those without: the fewer functions are on the way, the more room is on the stack.
macro_rules! schedulers {
    ([$($moving:ident $moving_stage:ident $moving_scheduler:ty,)*] [$($kind:ident $stage:ident $scheduler:ty,)*]) => {
        $(
            /// The choice of one scheduler.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $moving_stage(key: *const FlowKey, id: ServiceId, which: u32, state: *mut SchedState) -> i64 {
                if key.is_null() || state.is_null() {
                    return NONE;
                }
                // SAFETY: not null, and the verifier knows their sizes from the types.
                let (key, state) = unsafe { (&*key, &mut *state) };
                sched::pick::<$moving_scheduler>(id, which, key, state)
            }
        )*
        $(
            /// The choice of one scheduler.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $stage(key: *const FlowKey, id: ServiceId, which: u32) -> i64 {
                if key.is_null() {
                    return NONE;
                }
                // SAFETY: as above.
                let key = unsafe { &*key };
                let mut state = SchedState::START;
                sched::pick::<$scheduler>(id, which, key, &mut state)
            }
        )*

        /// The choice of a scheduler that has a state, which moves on.
        #[inline(always)]
        pub(crate) fn pick_with_state(kind: u8, key: &FlowKey, id: ServiceId, which: u32, state: &mut SchedState) -> i64 {
            match Kind::from_raw(kind) {
                $(Some(Kind::$moving) => $moving_stage(key, id, which, state),)*
                _ => NONE,
            }
        }

        /// The choice of a scheduler that has none.
        #[inline(always)]
        pub(crate) fn pick(kind: Kind, key: &FlowKey, id: ServiceId, which: u32) -> i64 {
            match kind {
                $(Kind::$kind => $stage(key, id, which),)*
                Kind::Lblc => by_address(key, id, which, stage_known_lblc, stage_learn_lblc),
                Kind::Lblcr => by_address(key, id, which, stage_known_lblcr, stage_learn_lblcr),
                $(Kind::$moving => NONE,)*
            }
        }
    };
}

macro_rules! by_address {
    ($known:ident, $learn:ident, $scheduler:ty) => {
        /// What a scheduler knows of the address that is asked for.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $known(key: *const FlowKey, id: ServiceId, which: u32) -> i64 {
            if key.is_null() {
                return NONE;
            }
            // SAFETY: not null, and the verifier knows its size from the type.
            sched::known::<$scheduler>(id, which, unsafe { &*key })
        }

        /// Lets a scheduler remember who took a connection.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $learn(key: *const FlowKey, id: ServiceId, which: u32, index: u32) -> i64 {
            if key.is_null() {
                return NONE;
            }
            // SAFETY: as above.
            sched::learn::<$scheduler>(id, which, unsafe { &*key }, index);
            0
        }
    };
}

by_address!(stage_known_lblc, stage_learn_lblc, lblc::Lblc);
by_address!(stage_known_lblcr, stage_learn_lblcr, lblcr::Lblcr);

/// The choice of a scheduler that remembers addresses, as [`lblc::Local`] has it.
#[inline(always)]
fn by_address(
    key: &FlowKey,
    id: ServiceId,
    which: u32,
    known: extern "C" fn(*const FlowKey, ServiceId, u32) -> i64,
    learn: extern "C" fn(*const FlowKey, ServiceId, u32, u32) -> i64,
) -> i64 {
    let index = known(key, id, which);
    if index >= 0 {
        return index;
    }
    let index = stage_pick_wlc(key, id, which);
    if index >= 0 {
        learn(key, id, which, index as u32);
    }
    index
}

schedulers! {
    [
        Rr stage_pick_rr rr::Rr,
        Wrr stage_pick_wrr wrr::Wrr,
    ]
    [
        Lc stage_pick_lc lc::Lc,
        Wlc stage_pick_wlc wlc::Wlc,
        Sed stage_pick_sed sed::Sed,
        Nq stage_pick_nq nq::Nq,
        Fo stage_pick_fo fo::Fo,
        Ovf stage_pick_ovf ovf::Ovf,
        Dh stage_pick_dh dh::Dh,
        Sh stage_pick_sh sh::Sh,
        Mh stage_pick_mh mh::Mh,
        Twos stage_pick_twos twos::Twos,
    ]
}
