//! From the command line to a sampler: a spec, or the profile that holds one.

use crate::args::SamplerArg;
use crate::profile;
use crate::session::Session;
use anyhow::Result;
use decant_sampling::SamplerSpec;

impl SamplerArg {
    /// The spec that was asked for; what is odd in it is said on stderr.
    pub fn spec(&self, session: &Session) -> Result<SamplerSpec> {
        let spec = match &self.profile {
            Some(file) => profile::read(file)?,
            None => self.sampler.clone(),
        };
        spec.warnings().iter().for_each(|warning| session.warn(warning));
        Ok(spec)
    }
}
