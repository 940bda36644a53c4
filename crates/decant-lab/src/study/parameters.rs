//! What several studies ask of their parameters.

use super::StudyError;

/// A count that must not be 0.
pub(super) fn at_least_one(name: &str, count: u64) -> Result<(), StudyError> {
    match count {
        0 => Err(StudyError::parameter(format!("{name} is 0; it must be 1 or more"))),
        _ => Ok(()),
    }
}

/// Concentrations of Dirichlet distributions.
pub(super) fn alphas(alphas: &[f64]) -> Result<(), StudyError> {
    match alphas.iter().find(|alpha| !(1e-4..=1e6).contains(*alpha)) {
        Some(alpha) => Err(StudyError::parameter(format!("alpha is {alpha}; it must be in 0.0001..=1000000"))),
        None => Ok(()),
    }
}
