//! Deliberate bugs, to show that the simulator notices each of them. They exist only in a build with
//! `--cfg ringmail_canaries` (`make canaries`); in any other [`on`] is the constant `false`, and nothing of them is left.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Canary {
    /// Appends are acknowledged once they are written, before they are durable.
    AckBeforeSync = 1,
    /// The CRC of a payload is not looked at.
    SkipCrc,
    /// Recovery forgets the last frame of what it scans.
    ForgetLastFrame,
    /// A segment is used again before that which emptied it is durable.
    RecycleEarly,
    /// Consumers are given what is written and not durable.
    ServeUnsynced,
    /// Two parts of what is read are given in the wrong order.
    SwapFrames,
    /// A sync that fails is taken for one that went well.
    IgnoreFailedSync,
    /// Whoever waits for records is never told of them.
    LoseWaiter,
    /// The high watermark goes back to the log's start at a restart.
    WatermarkBack,
    /// The deletion of a log is not stored in what start-up reads.
    ForgetDeletion,
    /// Retention lets go of one part more than it may.
    RetainTooLittle,
    /// A clock that was set back holds up all that waits for time to pass.
    ClockBack,
}

impl Canary {
    /// All of them, and what the command line calls them.
    pub const ALL: &[(Self, &str)] = &[
        (Self::AckBeforeSync, "ack-before-sync"),
        (Self::SkipCrc, "skip-crc"),
        (Self::ForgetLastFrame, "forget-last-frame"),
        (Self::RecycleEarly, "recycle-early"),
        (Self::ServeUnsynced, "serve-unsynced"),
        (Self::SwapFrames, "swap-frames"),
        (Self::IgnoreFailedSync, "ignore-failed-sync"),
        (Self::LoseWaiter, "lose-waiter"),
        (Self::WatermarkBack, "watermark-back"),
        (Self::ForgetDeletion, "forget-deletion"),
        (Self::RetainTooLittle, "retain-too-little"),
        (Self::ClockBack, "clock-back"),
    ];
}

/// Whether this bug is to show.
#[cfg(not(ringmail_canaries))]
#[inline(always)]
pub const fn on(_: Canary) -> bool {
    false
}

#[cfg(ringmail_canaries)]
static CHOSEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Whether this bug is to show.
#[cfg(ringmail_canaries)]
pub fn on(canary: Canary) -> bool {
    CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == canary as u8
}

/// Has one bug show from now on in the whole process, or none.
#[cfg(ringmail_canaries)]
pub fn choose(canary: Option<Canary>) {
    CHOSEN.store(canary.map_or(0, |c| c as u8), std::sync::atomic::Ordering::Relaxed);
}
