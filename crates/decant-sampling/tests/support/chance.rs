//! Stages with random values.

use super::Numbers;
use decant_sampling::{Field, Kind, StageInfo};

impl Numbers {
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[(self.unit() * items.len() as f64) as usize]
    }

    /// A number between two positive ones, as likely between 1 and 10 as between 10 and 100.
    pub fn magnitude(&mut self, least: f64, largest: f64) -> f64 {
        least * (largest / least).powf(self.unit())
    }

    /// A stage of this kind with random values, as text. Many are close to neutral, so that a long chain of them leaves
    /// something to look at.
    pub fn stage(&mut self, info: &StageInfo) -> String {
        let mut text = info.name.to_owned();
        for field in info.fields {
            let given = self.value(field);
            let required = matches!(field.kind, Kind::Number { default: None, .. });
            match field.name {
                "value" => text += &format!("={given}"),
                name if required || self.unit() < 0.8 => text += &format!(":{name}={given}"),
                _ => {}
            }
        }
        text
    }

    fn value(&mut self, field: &Field) -> String {
        match field.kind {
            Kind::Switch { .. } => (self.unit() < 0.7).to_string(),
            Kind::Choice { values } => self.one_of(values).to_owned(),
            Kind::Biases => format!("(0={},2={})", self.normal(), self.one_of(&["-inf", "3", "-1"])),
            Kind::Phrases { .. } => self.one_of(&["()", "(0)", "(1,0 2)", "(2 1,1)"]).to_owned(),
            Kind::Number { .. } if self.unit() < 0.2 => {
                let (from, to) = (self.number(field), self.number(field));
                format!("by_entropy({}..5->{from}..{to})", self.unit())
            }
            _ => self.number(field).to_string(),
        }
    }

    fn number(&mut self, field: &Field) -> f64 {
        let Kind::Number { range, .. } = field.kind else { panic!("{} is no number", field.name) };
        let number = match field.kind.neutral().first() {
            _ if range.integer => self.magnitude(0.5, 500.0).floor(),
            Some(neutral) if range.max <= 1.0 => neutral + ((1.0 - neutral) - neutral) * self.magnitude(1e-4, 1.0),
            Some(neutral) => neutral + (self.magnitude(0.5, 3.0) - neutral) * self.magnitude(0.1, 1.0),
            None if range.max <= 1.0 => self.magnitude(1e-4, 1.0),
            None => self.magnitude(0.1, 5.0),
        };
        number.clamp(range.min, range.max)
    }
}
