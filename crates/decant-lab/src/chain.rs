//! Markov chains and joint tables: exact risks of decoders.
