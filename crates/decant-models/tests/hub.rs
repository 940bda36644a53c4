//! Fetching from a hub: a small one, on this machine, that redirects, cuts, lies and asks for a token.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use decant_models::hub::{Hub, HubError, HubModel, HubSettings};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the server treats one file.
#[derive(Clone, Default)]
struct Behaviour {
    /// Closes the connection after so many bytes of a body, so many times.
    cut: Option<(usize, usize)>,
    /// Says that the body is so much longer than it is.
    boasts: usize,
    /// Sends other bytes than those of the digest.
    damaged: bool,
    /// Ignores `Range`.
    no_ranges: bool,
}

#[derive(Default)]
struct Site {
    files: HashMap<String, (Vec<u8>, Behaviour)>,
    token: Option<String>,
    /// What was asked for: method, path, range.
    log: Vec<String>,
}

/// A hub of one repository, `owner/name`.
struct Server {
    site: Arc<Mutex<Site>>,
    endpoint: String,
    cache: tempfile::TempDir,
}

impl Server {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|&(name, bytes)| (name.to_owned(), (bytes.to_vec(), Behaviour::default())));
        let site = Arc::new(Mutex::new(Site { files: files.collect(), ..Site::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = site.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let site = shared.clone();
                std::thread::spawn(move || serve(stream, &site));
            }
        });
        Server { site, endpoint, cache: tempfile::tempdir().unwrap() }
    }

    fn behave(&self, file: &str, behaviour: Behaviour) {
        self.site.lock().unwrap().files.get_mut(file).unwrap().1 = behaviour;
    }

    fn settings(&self) -> HubSettings {
        let cache = self.cache.path().to_owned();
        HubSettings { endpoint: self.endpoint.clone(), cache, token: None, offline: false }
    }

    fn fetch(&self, model: &str) -> Result<PathBuf, HubError> {
        Hub::new(self.settings()).fetch(&model.parse::<HubModel>().unwrap(), &mut |_| ())
    }

    /// What was asked for since the last call.
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.site.lock().unwrap().log)
    }

    fn repository(&self) -> PathBuf {
        self.cache.path().join("models--owner--name")
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers one request and closes.
fn serve(mut stream: TcpStream, site: &Mutex<Site>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase()).collect();
    let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut site = site.lock().unwrap();
    let range = header("range").unwrap_or("");
    site.log.push(format!("{method} {path} {range}").trim_end().to_owned());
    let authorised = match (&site.token, header("authorization")) {
        (None, _) => true,
        // What lies elsewhere must not be told the token.
        (Some(_), given) if path.starts_with("/elsewhere/") => given.is_none(),
        (Some(token), given) => given == Some(&format!("bearer {token}")),
    };
    let mut answer = |head: String, body: &[u8]| {
        let _ = write!(stream, "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
        if method != "HEAD" {
            let _ = stream.write_all(body);
        }
    };
    if !authorised {
        return answer("401 Unauthorized\r\ncontent-length: 0".into(), b"");
    }
    if path == "/api/models/owner/name/revision/main" {
        let siblings: Vec<_> = site.files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
        let body = serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string();
        return answer(format!("200 OK\r\ncontent-length: {}", body.len()), body.as_bytes());
    }
    let inside = path.strip_prefix(&format!("/owner/name/resolve/{COMMIT}/"));
    let name = inside.or(path.strip_prefix("/elsewhere/")).unwrap_or("").to_owned();
    let Some((bytes, behaviour)) = site.files.get_mut(&name) else {
        return answer("404 Not Found\r\ncontent-length: 0".into(), b"");
    };
    let large = name.ends_with("gguf") || name.ends_with("safetensors");
    if large && inside.is_some() {
        let (len, digest) = (bytes.len() + behaviour.boasts, sha256(bytes));
        let host = header("host").unwrap();
        let head = format!(
            "302 Found\r\nlocation: http://{host}/elsewhere/{name}\r\nx-linked-etag: \"{digest}\"\r\n\
             x-linked-size: {len}\r\nx-repo-commit: {COMMIT}\r\ncontent-length: 0"
        );
        return answer(head, b"");
    }
    let mut body = bytes.clone();
    if behaviour.damaged {
        body[0] ^= 1;
    }
    let start: usize = match range.strip_prefix("bytes=").filter(|_| !behaviour.no_ranges) {
        Some(range) => range.trim_end_matches('-').parse().unwrap(),
        None => 0,
    };
    let status = match start {
        0 => "200 OK".to_owned(),
        start if start >= body.len() => return answer("416 Range Not Satisfiable\r\ncontent-length: 0".into(), b""),
        start => format!("206 Partial Content\r\ncontent-range: bytes {start}-{}/{}", body.len() - 1, body.len()),
    };
    let head = format!(
        "{status}\r\netag: \"small-{}\"\r\ncontent-length: {}",
        body.len(),
        body.len() - start + behaviour.boasts
    );
    let mut body = &body[start..];
    if let Some((at, times)) = behaviour.cut.as_mut().filter(|(_, times)| *times > 0) {
        if method != "HEAD" {
            *times -= 1;
        }
        body = &body[..(*at).min(body.len())];
    }
    answer(head, body);
}

/// A file that is long enough to be cut.
fn weights() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn a_gguf_file_is_fetched_once() {
    let weights = weights();
    let server = Server::new(&[("model.gguf", &weights), ("README.md", b"hello")]);
    let mut seen = Vec::new();
    let model: HubModel = "hf:owner/name:model.gguf".parse().unwrap();
    let path =
        Hub::new(server.settings()).fetch(&model, &mut |progress| seen.push((progress.done, progress.total))).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), weights);
    assert_eq!(path, server.repository().join("snapshots").join(COMMIT).join("model.gguf"));
    assert_eq!(std::fs::read_to_string(server.repository().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(std::fs::read(server.repository().join("blobs").join(sha256(&weights))).unwrap(), weights);
    assert!(seen.is_sorted() && seen.len() > 2);
    assert_eq!(seen.last().unwrap(), &(weights.len() as u64, Some(weights.len() as u64)));
    assert_eq!(server.log().len(), 3);
    // Again: nothing is asked.
    assert_eq!(server.fetch("owner/name:model.gguf").unwrap(), path);
    assert_eq!(server.log(), Vec::<String>::new());
    let offline = HubSettings { offline: true, endpoint: "http://127.0.0.1:1".into(), ..server.settings() };
    assert_eq!(Hub::new(offline.clone()).fetch(&model, &mut |_| ()).unwrap(), path);
    let other = Hub::new(offline).fetch(&"owner/other:x.gguf".parse().unwrap(), &mut |_| ()).unwrap_err();
    assert!(matches!(other, HubError::Offline { .. }), "{other}");
}

#[test]
fn the_only_gguf_file_needs_no_name() {
    let server = Server::new(&[("sub/model.gguf", b"GGUF")]);
    let path = server.fetch("owner/name").unwrap();
    assert!(path.ends_with("sub/model.gguf"));
    assert_eq!(std::fs::read(path).unwrap(), b"GGUF");
    let two = Server::new(&[("a.gguf", b"GGUF"), ("b.gguf", b"GGUF")]);
    let error = two.fetch("owner/name").unwrap_err();
    assert!(matches!(&error, HubError::Ambiguous { candidates, .. } if candidates.len() == 2), "{error}");
    let error = two.fetch("owner/name:c.gguf").unwrap_err();
    assert!(matches!(&error, HubError::NoFile { candidates, .. } if candidates.len() == 2), "{error}");
    let none = Server::new(&[("README.md", b"hello")]).fetch("owner/name").unwrap_err();
    assert!(matches!(none, HubError::NoModel { .. }), "{none}");
}

#[test]
fn a_folder_is_fetched_with_what_a_model_needs() {
    let files: [(&str, &[u8]); 6] = [
        ("config.json", b"{}"),
        ("tokenizer.json", b"{\"a\": 1}"),
        ("tokenizer_config.json", b"{\"b\": 22}"),
        ("model.safetensors", b"weights"),
        ("pytorch_model.bin", b"not this"),
        ("README.md", b"nor this"),
    ];
    let server = Server::new(&files);
    let folder = server.fetch("owner/name").unwrap();
    for (name, bytes) in &files[..4] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), *bytes);
    }
    assert!(!folder.join("pytorch_model.bin").exists() && !folder.join("README.md").exists());
    server.log();
    assert_eq!(server.fetch("owner/name").unwrap(), folder);
    assert_eq!(server.log(), Vec::<String>::new(), "a complete folder asks nothing");
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    server.fetch("owner/name").unwrap();
    assert_eq!(server.log().len(), 2, "the listing and what the file is; its blob is still there");
    assert!(folder.join("tokenizer.json").is_file());
}

#[test]
fn shards_follow_their_index() {
    let index =
        br#"{"weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors", "z": "model-1.safetensors"}}"#;
    let files: [(&str, &[u8]); 5] = [
        ("config.json", b"{}"),
        ("tokenizer.json", b"{ }"),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", b"one"),
        ("model-2.safetensors", b"second"),
    ];
    let folder = Server::new(&files);
    let path = folder.fetch("owner/name").unwrap();
    assert_eq!(std::fs::read(path.join("model-2.safetensors")).unwrap(), b"second");
    let bad = br#"{"weight_map": {"x": "../../../../x.safetensors"}}"#;
    let server =
        Server::new(&[("config.json", b"{}"), ("tokenizer.json", b"{ }"), ("model.safetensors.index.json", bad)]);
    assert!(matches!(server.fetch("owner/name"), Err(HubError::Io { .. })));
}

#[test]
fn a_cut_download_goes_on_where_it_ended() {
    let weights = weights();
    let server = Server::new(&[("model.gguf", &weights)]);
    server.behave("model.gguf", Behaviour { cut: Some((500_000, 2)), ..Behaviour::default() });
    let path = server.fetch("owner/name:model.gguf").unwrap();
    assert_eq!(std::fs::read(path).unwrap(), weights);
    let log = server.log();
    let gets: Vec<&String> = log.iter().filter(|line| line.contains("elsewhere")).collect();
    assert_eq!(gets[0], "GET /elsewhere/model.gguf");
    assert!(gets.len() == 3 && gets[1..].iter().all(|line| line.contains("bytes=")), "{gets:?}");
}

#[test]
fn what_a_killed_process_left_is_used() {
    let weights = weights();
    for no_ranges in [false, true] {
        let server = Server::new(&[("model.gguf", &weights)]);
        server.behave("model.gguf", Behaviour { no_ranges, ..Behaviour::default() });
        let blobs = server.repository().join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(sha256(&weights) + ".incomplete"), &weights[..700_000]).unwrap();
        let path = server.fetch("owner/name:model.gguf").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), weights);
        assert!(server.log().contains(&"GET /elsewhere/model.gguf bytes=700000-".to_owned()));
        assert!(!blobs.join(sha256(&weights) + ".incomplete").exists());
    }
}

#[test]
fn a_server_that_keeps_cutting_is_given_up_and_taken_up_later() {
    let weights = weights();
    let server = Server::new(&[("model.gguf", &weights)]);
    server.behave("model.gguf", Behaviour { cut: Some((100_000, 100)), ..Behaviour::default() });
    let error = server.fetch("owner/name:model.gguf").unwrap_err();
    let HubError::Cut { done, total, .. } = error else { panic!("{error}") };
    assert!(done > 0 && done < total && total == weights.len() as u64);
    server.behave("model.gguf", Behaviour::default());
    assert_eq!(std::fs::read(server.fetch("owner/name:model.gguf").unwrap()).unwrap(), weights);
}

#[test]
fn lies_are_found_out() {
    let weights = weights();
    let server = Server::new(&[("model.gguf", &weights)]);
    server.behave("model.gguf", Behaviour { boasts: 10, ..Behaviour::default() });
    let error = server.fetch("owner/name:model.gguf").unwrap_err();
    assert!(matches!(error, HubError::Cut { done, total, .. } if total == done + 10), "{error}");
    let server = Server::new(&[("model.gguf", &weights)]);
    server.behave("model.gguf", Behaviour { damaged: true, ..Behaviour::default() });
    let error = server.fetch("owner/name:model.gguf").unwrap_err();
    assert!(matches!(error, HubError::Damaged { .. }), "{error}");
    server.behave("model.gguf", Behaviour::default());
    assert!(server.fetch("owner/name:model.gguf").is_ok(), "the damaged bytes are gone");
}

#[test]
fn a_token_is_told_to_the_hub_alone() {
    let server = Server::new(&[("model.gguf", b"GGUF")]);
    server.site.lock().unwrap().token = Some("secret".into());
    let fetch = |token: Option<&str>| {
        let settings = HubSettings { token: token.map(str::to_owned), ..server.settings() };
        Hub::new(settings).fetch(&"owner/name".parse().unwrap(), &mut |_| ())
    };
    for wrong in [None, Some("guess")] {
        let error = fetch(wrong).unwrap_err();
        assert!(matches!(error, HubError::Status { status: 401, .. }));
        assert!(error.to_string().contains("HF_TOKEN"), "{error}");
    }
    assert!(fetch(Some("secret")).is_ok());
}

#[test]
fn what_is_not_there_is_named() {
    let server = Server::new(&[]);
    let hub = Hub::new(server.settings());
    let error = hub.fetch(&"owner/nothing".parse().unwrap(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, HubError::Status { status: 404, .. }), "{error}");
    let nowhere = HubSettings { endpoint: "http://127.0.0.1:1".into(), ..server.settings() };
    let error = Hub::new(nowhere).fetch(&"owner/name".parse().unwrap(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
}

#[test]
fn settings_are_those_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from-file\n").unwrap();
    let home = folder.path().to_str().unwrap();
    let with = |variables: &[(&str, &str)]| {
        HubSettings::from_env(|name| variables.iter().find(|known| known.0 == name).map(|known| known.1.to_owned()))
    };
    let plain = with(&[("HOME", "/home/a")]);
    assert_eq!(plain.cache, Path::new("/home/a/.cache/huggingface/hub"));
    assert_eq!((plain.endpoint.as_str(), plain.token, plain.offline), ("https://huggingface.co", None, false));
    let moved =
        with(&[("HOME", "/home/a"), ("HF_HOME", home), ("HF_ENDPOINT", "http://mirror/"), ("HF_HUB_OFFLINE", "1")]);
    assert_eq!(moved.cache, folder.path().join("hub"));
    assert_eq!(
        (moved.endpoint.as_str(), moved.token.as_deref(), moved.offline),
        ("http://mirror", Some("from-file"), true)
    );
    assert!(!format!("{moved:?}", moved = with(&[("HF_TOKEN", "secret")])).contains("secret"));
    let named = with(&[("HF_HOME", home), ("HF_HUB_CACHE", "/cache"), ("HF_TOKEN", "secret")]);
    assert_eq!((named.cache.as_path(), named.token.as_deref()), (Path::new("/cache"), Some("secret")));
    assert_eq!(with(&[("XDG_CACHE_HOME", "/x")]).cache, Path::new("/x/huggingface/hub"));
}
