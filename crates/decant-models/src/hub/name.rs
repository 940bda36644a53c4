//! `hf:owner/name[:file]`.

use std::fmt;
use std::str::FromStr;

use super::HubError;

/// A model of a hub, by name. The parts become parts of paths and URLs, so they are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubModel {
    owner: String,
    name: String,
    file: Option<String>,
}

impl HubModel {
    /// `owner/name`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The name of its folder in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }

    /// The GGUF file, if one is named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl FromStr for HubModel {
    type Err = HubError;

    /// `owner/name` or `owner/name:file`, with or without `hf:` before it.
    fn from_str(text: &str) -> Result<Self, HubError> {
        let wrong = || HubError::Name { name: text.to_owned() };
        let path = text.strip_prefix("hf:").unwrap_or(text);
        let (repository, file) = match path.split_once(':') {
            Some((repository, file)) => (repository, Some(file)),
            None => (path, None),
        };
        let (owner, name) = repository.split_once('/').ok_or_else(wrong)?;
        let good_file = file.is_none_or(|file| is_path(file) && super::is_gguf(file));
        if !(is_plain(owner) && is_plain(name) && good_file) {
            return Err(wrong());
        }
        Ok(HubModel { owner: owner.to_owned(), name: name.to_owned(), file: file.map(str::to_owned) })
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}/{}", self.owner, self.name)?;
        self.file.iter().try_for_each(|file| write!(f, ":{file}"))
    }
}

/// Whether `part` may be one part of a path and of a URL: letters, digits, `-`, `_` and `.`, and not hidden.
pub(super) fn is_plain(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !part.is_empty() && part.len() <= 128 && !part.starts_with('.') && part.bytes().all(plain)
}

/// Whether `path` is plain parts with `/` between them.
pub(super) fn is_path(path: &str) -> bool {
    path.split('/').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::HubModel;

    #[test]
    fn names_come_back() {
        for name in ["hf:Qwen/Qwen2-0.5B", "hf:a/b:model.gguf", "hf:a_1/b.c:Q8_0/model-00.GGUF"] {
            assert_eq!(name.parse::<HubModel>().unwrap().to_string(), name);
        }
        assert_eq!("a/b".parse::<HubModel>().unwrap().to_string(), "hf:a/b");
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        let wrong = [
            "",
            "hf:",
            "hf:a",
            "hf:/b",
            "hf:a/",
            "hf:a/b/c",
            "hf:../b",
            "hf:a/..",
            "hf:a/.b",
            "hf:a/b:",
            "hf:a/b:/x.gguf",
            "hf:a/b:../x.gguf",
            "hf:a/b:x/../y.gguf",
            "hf:a/b:x\\y.gguf",
            "hf:a b/c",
            "hf:a/b?c",
            "hf:a/b#c",
            "hf:a/b:x.bin",
            "hf:a/b:x%2f.gguf",
            "hf:é/b",
            "hf:a/b:c:d.gguf",
        ];
        for name in wrong {
            assert!(name.parse::<HubModel>().is_err(), "{name}");
        }
    }
}
