//! The studies that Decant has.

use super::consistency::Consistency;
use super::hidden_prefix::HiddenPrefix;
use super::lookahead_hamming::LookaheadHamming;
use super::schedules::Schedules;
use super::temperature_tradeoff::TemperatureTradeoff;
use super::toph_lemmas::TopHLemmas;
use super::{Study, StudyError, three_rules};
use crate::calibrate::{self, Measure};
use decant_decode::{LanguageModel, ModelId};
use decant_sampling::{Lexicon, Sampler, SamplerSpec, TokenId};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Every study, in the order in which they are listed. A new one adds a line.
pub fn catalog<M: LanguageModel + Sync>() -> Vec<Entry<M>> {
    vec![
        Entry::alone("schedules", "How schedules bend a number with the model's uncertainty", Schedules::study),
        Entry::alone(
            "lookahead-hamming",
            "Where K-lookahead gets as many tokens right as can be, on random chains",
            LookaheadHamming::study,
        ),
        Entry::alone(
            "consistency",
            "Which decoders' regret vanishes as a predictor approaches the truth",
            Consistency::study,
        ),
        Entry::alone(
            "hidden-prefix",
            "What an exact method must ask of a model, where one prefix hides the most probable text",
            HiddenPrefix::study,
        ),
        Entry::alone(
            "temperature-tradeoff",
            "The right answer against the likeness of the source, as temperature and truncation trade them",
            TemperatureTradeoff::study,
        ),
        Entry::of_model(
            Measure::<M>::NAME,
            "How uncertain a model is, from token to token of its own texts",
            calibrate::study,
        ),
        Entry::alone(
            "toph-lemmas",
            "What the paper on Top-H claims beside its theorem, put to the test",
            TopHLemmas::study,
        ),
        Entry::of_model("three-rules", "What the three rules called Top-H keep of real rows", three_rules::study),
    ]
}

/// Makes a study from its settings alone.
pub type MakeAlone = fn(&Settings) -> Result<Box<dyn Study>, StudyError>;

/// Makes a study of a model.
pub type MakeOfModel<M> = for<'m> fn(&Settings, Material<'m, M>) -> Result<Box<dyn Study + 'm>, StudyError>;

/// A study by name, and how it is made.
#[derive(Clone, Debug)]
pub struct Entry<M> {
    /// What it is called.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    make: Make<M>,
}

#[derive(Clone, Debug)]
enum Make<M> {
    Alone(MakeAlone),
    OfModel(MakeOfModel<M>),
}

/// What studies of a real model work on.
#[derive(Clone)]
pub struct Material<'m, M> {
    /// The model; cells share it.
    pub model: &'m M,
    /// Which model it is: belongs into the study's parameters.
    pub id: ModelId,
    /// Its tokenizer, as far as specs ask for it.
    pub lexicon: &'m (dyn Lexicon + Sync),
    /// The tokens by which it says that a text is over.
    pub ends: &'m [TokenId],
    /// The tokens of the prompts, none of them empty: belong into the study's parameters, too.
    pub prompts: Vec<Vec<TokenId>>,
}

impl<M: LanguageModel> Material<'_, M> {
    /// A sampler for the model's rows.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] if the spec does not fit the model.
    pub fn sampler(&self, spec: &SamplerSpec) -> Result<Sampler, StudyError> {
        let made = Sampler::new(&spec.resolve(self.lexicon), self.model.vocab());
        made.map_err(|error| StudyError::parameter(format!("sampler: {error}")))
    }
}

impl<M> Entry<M> {
    /// A study that needs nothing but its parameters.
    pub fn alone(name: &'static str, about: &'static str, make: MakeAlone) -> Self {
        Entry { name, about, make: Make::Alone(make) }
    }

    /// A study of a model.
    pub fn of_model(name: &'static str, about: &'static str, make: MakeOfModel<M>) -> Self {
        Entry { name, about, make: Make::OfModel(make) }
    }

    /// Whether it works on rows of a model.
    pub fn needs_model(&self) -> bool {
        matches!(self.make, Make::OfModel(_))
    }

    /// The study with these settings.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] for a setting that it does not take; [`StudyError::NoModel`] if it needs a model and
    /// `material` is `None`.
    pub fn make<'m>(
        &self,
        settings: &Settings,
        material: Option<Material<'m, M>>,
    ) -> Result<Box<dyn Study + 'm>, StudyError> {
        match (&self.make, material) {
            (Make::Alone(make), _) => make(settings),
            (Make::OfModel(make), Some(material)) => make(settings, material),
            (Make::OfModel(_), None) => Err(StudyError::NoModel { name: self.name }),
        }
    }
}

/// The parameters of a study that are not to be as usual.
#[derive(Clone, Debug, Default)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Sets a parameter: `chains=20`, `alphas=[0.1,1]`. What is not JSON is a text.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] for what is no assignment, or a name given twice.
    pub fn set(&mut self, assignment: &str) -> Result<(), StudyError> {
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(StudyError::parameter(format!("`{assignment}` is not NAME=VALUE")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        match self.0.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(StudyError::parameter(format!("`{name}` is given twice"))),
        }
    }

    /// The parameters as a study's own type, which has `#[serde(default, deny_unknown_fields)]` for all that was not set.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] for a name or a value that the type does not have.
    pub fn read<P: DeserializeOwned>(&self) -> Result<P, StudyError> {
        P::deserialize(&Value::Object(self.0.clone())).map_err(|error| StudyError::parameter(error.to_string()))
    }
}
