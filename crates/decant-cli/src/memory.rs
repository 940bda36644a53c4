//! How much memory this process has held at most, as the operating system counts: Linux's resident set, pages of mapped files
//! among it. Elsewhere nothing is known.

use std::fs;

/// Lets the peak begin anew from what is held now.
pub fn forget_peak() {
    // Where that is not allowed, the peak is that of the whole run.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak in bytes.
pub fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
