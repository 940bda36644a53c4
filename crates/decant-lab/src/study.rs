//! Reproducible studies: a manifest, a CSV, a picture.
