//! Stage: run. Thread: native workers.
//! `hashFile`: hashes a file on disk as a stream, with no more memory than one buffer per thread.
//!
//! # Complexity
//!
//! Linear in the bytes of the file. One read call per 256 KiB, each straight into the buffer that is then hashed.
//!
//! F1. Nothing but a regular file is ever read, and opening never waits: a FIFO without a writer cannot hold a worker.

use super::digest::{CHUNK, ENCODING_FIELD, Encoding, State};
use crate::error::KernelError;
use crate::kernel::{Field, Input, Kernel, KernelContext, KernelInfo, Schema};
use crate::value::Value;
use sha2::Digest;
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};

/// Names of the algorithms.
const ALGORITHMS: &[&str] = &["sha256", "sha512", "blake3", "xxh3", "crc32"];

thread_local! {
    /// The read buffer, empty until the first file and while a file is being read.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `hashFile({ path, algorithm }, { encoding })`.
#[derive(Debug)]
pub(super) struct HashFile;

impl Kernel for HashFile {
    fn info(&self) -> &'static KernelInfo {
        static INFO: KernelInfo = KernelInfo {
            name: "hashFile",
            group: "hash",
            summary: "Hash of a file, read as a stream on the native worker",
            input: Schema::Object {
                fields: &[
                    Field::required("path", Schema::String { min_length: 1 }),
                    Field::required("algorithm", Schema::OneOf { values: ALGORITHMS }),
                ],
            },
            options: &[ENCODING_FIELD],
            output: "string | Uint8Array | bigint | number",
            in_place: false,
            parallel: false,
        };
        &INFO
    }

    fn run(&self, input: Input, ctx: &KernelContext<'_>) -> Result<Value, KernelError> {
        let encoding = Encoding::of(&input)?;
        let path = member(&input.value, "path")?;
        let algorithm = member(&input.value, "algorithm")?;
        match algorithm {
            "sha256" => hash_file(sha2::Sha256::new(), path, encoding, ctx),
            "sha512" => hash_file(sha2::Sha512::new(), path, encoding, ctx),
            "blake3" => hash_file(blake3::Hasher::new(), path, encoding, ctx),
            "xxh3" => hash_file(twox_hash::XxHash3_64::new(), path, encoding, ctx),
            "crc32" => hash_file(crc32fast::Hasher::new(), path, encoding, ctx),
            other => Err(KernelError::arg_value(format!(
                "'algorithm' must be one of '{}', not '{other}'",
                ALGORITHMS.join("', '")
            ))),
        }
    }
}

/// The string member `name` of the input.
fn member<'a>(value: &'a Value, name: &str) -> Result<&'a str, KernelError> {
    value
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| KernelError::arg_type(format!("the input must be an object with a string '{name}'")))
}

/// Reads the file to its end through `state`.
fn hash_file<S: State>(
    mut state: S,
    path: &str,
    encoding: Encoding,
    ctx: &KernelContext<'_>,
) -> Result<Value, KernelError> {
    ctx.check()?;
    let (mut file, size) = open(path)?;
    let mut buffer = BUFFER.take();
    buffer.resize(CHUNK, 0);
    let result = read_all(&mut file, size, &mut buffer, path, ctx, |bytes| state.feed(bytes));
    BUFFER.set(buffer);
    result?;
    Ok(state.end(encoding))
}

/// Opens a regular file for reading, and tells its present size.
fn open(path: &str) -> Result<(File, u64), KernelError> {
    // The system would cut the name off there, or refuse it with a message about strings of C.
    if path.contains('\0') {
        return Err(KernelError::arg_value("'path' must not contain a null character"));
    }
    let mut options = OpenOptions::new();
    options.read(true);
    // F1: without the flag, opening a FIFO waits for a writer, and a later read would wait for data.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        // Windows refuses to open folders at all; say what is the matter, as every other system does.
        #[cfg(windows)]
        Err(_) if std::path::Path::new(path).is_dir() => return Err(is_a_directory(path)),
        // Sockets cannot be opened, nor devices without a driver.
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(no_file(path)),
        Err(error) => return Err(KernelError::io(&error, "open", path)),
    };
    let metadata = file.metadata().map_err(|error| KernelError::io(&error, "fstat", path))?;
    if metadata.is_dir() {
        return Err(is_a_directory(path));
    }
    if !metadata.is_file() {
        return Err(no_file(path));
    }
    Ok((file, metadata.len()))
}

fn no_file(path: &str) -> KernelError {
    KernelError::arg_value(format!("'path' must name a regular file, and '{path}' is none"))
}

/// The error that reading a folder gives.
fn is_a_directory(path: &str) -> KernelError {
    #[cfg(unix)]
    let error = std::io::Error::from_raw_os_error(libc::EISDIR);
    #[cfg(not(unix))]
    let error = std::io::Error::from(ErrorKind::IsADirectory);
    KernelError::io(&error, "read", path)
}

/// Lends the contents to `feed`, piece by piece. The size is only used for progress: files may grow meanwhile, and
/// some (`/proc`) claim to be empty.
fn read_all(
    file: &mut impl Read,
    size: u64,
    buffer: &mut [u8],
    path: &str,
    ctx: &KernelContext<'_>,
    mut feed: impl FnMut(&[u8]),
) -> Result<(), KernelError> {
    let mut done = 0u64;
    loop {
        ctx.check()?;
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                feed(&buffer[..length]);
                done += length as u64;
                if size > CHUNK as u64 {
                    ctx.progress(done as usize, size.max(done) as usize);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(KernelError::io(&error, "read", path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::kernels::testing::{TestHost, assert_cancels};
    use crate::value::Array;
    use std::path::PathBuf;

    /// A folder of one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("threadmill-{}-{test}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, contents: &[u8]) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, contents).unwrap();
            path.into_os_string().into_string().unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // A folder that stays behind harms nobody.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn request(path: &str, algorithm: &str) -> Value {
        Value::object([
            ("path", Value::String(path.to_owned())),
            ("algorithm", Value::String(algorithm.to_owned())),
        ])
    }

    fn hash(path: &str, algorithm: &str) -> Result<Value, KernelError> {
        TestHost::new().run(&HashFile, request(path, algorithm), Value::Undefined)
    }

    #[test]
    fn a_file_hashes_like_its_contents() {
        let folder = Folder::new("contents");
        let long: Vec<u8> = (0..700_001u32).map(|index| (index % 251) as u8).collect();
        for (name, contents) in [("empty", &b""[..]), ("short", b"abc"), ("long", &long)] {
            let path = folder.file(name, contents);
            for (algorithm, kernel) in ALGORITHMS.iter().zip(super::super::all()) {
                let expected =
                    TestHost::new().run(&*kernel, Value::from_vec(contents.to_vec()), Value::Undefined);
                let actual = hash(&path, algorithm);
                assert_eq!(
                    format!("{:?}", actual.unwrap()),
                    format!("{:?}", expected.unwrap()),
                    "{algorithm}"
                );
            }
        }
    }

    #[test]
    fn the_encoding_is_used() {
        let folder = Folder::new("encoding");
        let path = folder.file("abc", b"abc");
        let options = Value::object([("encoding", Value::String("buffer".to_owned()))]);
        let digest = TestHost::new().run(&HashFile, request(&path, "sha256"), options).unwrap();
        assert_eq!(digest.as_array().map(Array::byte_len), Some(32));
    }

    #[test]
    fn system_errors_carry_their_name_and_path() {
        let folder = Folder::new("errors");
        let missing = folder.0.join("missing").into_os_string().into_string().unwrap();
        let error = hash(&missing, "sha256").unwrap_err();
        assert_eq!(error.code, ErrorCode::Io);
        let system = error.system.unwrap();
        assert_eq!((system.name, system.operation, system.path), ("ENOENT", "open", missing));
        let directory = folder.0.to_str().unwrap();
        let system = hash(directory, "blake3").unwrap_err().system.unwrap();
        assert_eq!(system.name, "EISDIR");
    }

    #[cfg(unix)]
    #[test]
    fn f1_special_files_are_refused_at_once() {
        let folder = Folder::new("special");
        let fifo = folder.0.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [fifo.to_str().unwrap(), "/dev/zero"] {
            assert_eq!(hash(path, "xxh3").unwrap_err().code, ErrorCode::InvalidArgValue, "{path}");
        }
    }

    #[test]
    fn wrong_values_are_argument_errors() {
        let code = |value| TestHost::new().run(&HashFile, value, Value::Undefined).unwrap_err().code;
        assert_eq!(code(Value::Undefined), ErrorCode::InvalidArgType);
        assert_eq!(code(Value::String("x".to_owned())), ErrorCode::InvalidArgType);
        assert_eq!(code(Value::object([("path", Value::Number(1.0))])), ErrorCode::InvalidArgType);
        assert_eq!(code(request("x", "md5")), ErrorCode::InvalidArgValue);
        assert_eq!(code(request("x\0y", "crc32")), ErrorCode::InvalidArgValue);
    }

    #[test]
    fn interrupted_reads_go_on() {
        struct Flaky(Vec<std::io::Result<&'static [u8]>>);
        impl Read for Flaky {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let part = self.0.pop().unwrap_or(Ok(b""))?;
                into[..part.len()].copy_from_slice(part);
                Ok(part.len())
            }
        }
        let interrupted = || Err(ErrorKind::Interrupted.into());
        let mut file = Flaky(vec![Ok(b"cd"), interrupted(), Ok(b"ab"), interrupted()]);
        let mut seen = Vec::new();
        let host = TestHost::new();
        let ctx = KernelContext::new(&host);
        read_all(&mut file, 0, &mut [0; 8], "x", &ctx, |bytes| seen.extend_from_slice(bytes)).unwrap();
        assert_eq!(seen, b"abcd");
    }

    #[test]
    fn k2_a_long_file_cancels_between_reads() {
        let folder = Folder::new("cancel");
        let path = folder.file("long", &vec![7; 1 << 20]);
        assert_cancels(&HashFile, 5, || (request(&path, "blake3"), Value::Undefined));
        let host = TestHost::new();
        host.run(&HashFile, request(&path, "sha512"), Value::Undefined).unwrap();
        assert_eq!(host.progress_reports().last(), Some(&(1_048_576.0, 1_048_576.0)));
    }
}
