//! Entropy-constrained mass maximisation, exactly.
