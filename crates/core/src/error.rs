//! Stage: all. Thread: any.
//! The closed set of error codes, and the error that a kernel returns. Errors stay data until the Node side settles
//! the promise.

use std::fmt;

/// Every code that threadmill itself can give an error. `docs/errors.md` lists cause and remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A value has a type that the call does not take.
    InvalidArgType,
    /// A value has the right type and a meaning that the call does not take.
    InvalidArgValue,
    /// A number is outside its documented range.
    OutOfRange,
    /// No kernel has this name.
    UnknownKernel,
    /// The pool no longer admits tasks.
    PoolClosed,
    /// `capacity` is reached.
    QueueFull,
    /// The task was cancelled without a reason of the caller's.
    Cancelled,
    /// The deadline passed.
    Timeout,
    /// The JS worker that ran the task ended.
    WorkerCrashed,
    /// The entry module of the pool cannot be used.
    Entry,
    /// The kernel panicked; its thread lives on.
    KernelPanic,
    /// Input that should be compressed or encoded data is not.
    CorruptData,
    /// The output would exceed `maxOutputLength`.
    OutputTooLarge,
    /// A regular expression does not parse, or is too large.
    InvalidPattern,
    /// CSV input is malformed.
    InvalidCsv,
    /// A password hash string does not parse.
    InvalidHash,
    /// The operating system refused a file operation.
    Io,
    /// A system limit was met: a thread could not be started.
    System,
}

impl ErrorCode {
    /// The stable string that JavaScript sees as `error.code`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgType => "ERR_THREADMILL_INVALID_ARG_TYPE",
            Self::InvalidArgValue => "ERR_THREADMILL_INVALID_ARG_VALUE",
            Self::OutOfRange => "ERR_THREADMILL_OUT_OF_RANGE",
            Self::UnknownKernel => "ERR_THREADMILL_UNKNOWN_KERNEL",
            Self::PoolClosed => "ERR_THREADMILL_POOL_CLOSED",
            Self::QueueFull => "ERR_THREADMILL_QUEUE_FULL",
            Self::Cancelled => "ERR_THREADMILL_CANCELLED",
            Self::Timeout => "ERR_THREADMILL_TIMEOUT",
            Self::WorkerCrashed => "ERR_THREADMILL_WORKER_CRASHED",
            Self::Entry => "ERR_THREADMILL_ENTRY",
            Self::KernelPanic => "ERR_THREADMILL_KERNEL_PANIC",
            Self::CorruptData => "ERR_THREADMILL_CORRUPT_DATA",
            Self::OutputTooLarge => "ERR_THREADMILL_OUTPUT_TOO_LARGE",
            Self::InvalidPattern => "ERR_THREADMILL_INVALID_PATTERN",
            Self::InvalidCsv => "ERR_THREADMILL_INVALID_CSV",
            Self::InvalidHash => "ERR_THREADMILL_INVALID_HASH",
            Self::Io => "ERR_THREADMILL_IO",
            Self::System => "ERR_THREADMILL_SYSTEM",
        }
    }
}

/// Why a kernel did not produce an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelError {
    /// The stable code.
    pub code: ErrorCode,
    /// One sentence for people, with the reason of the underlying crate where there is one.
    pub message: String,
    /// For [`ErrorCode::Io`]: the name of the system error (`ENOENT`) and the path.
    pub system: Option<Box<SystemError>>,
}

/// What the operating system said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemError {
    /// The symbolic name, such as `ENOENT`; `UNKNOWN` where there is none.
    pub name: &'static str,
    /// The raw number of the operating system, 0 where there is none.
    pub errno: i32,
    /// The operation, such as `open`.
    pub operation: &'static str,
    /// The path as the caller gave it.
    pub path: String,
}

impl KernelError {
    /// An error with a code and a sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), system: None }
    }

    /// The kernel noticed that its task was given up. The outcome was settled by whoever gave it up, so this is
    /// never seen by a user.
    pub fn cancelled() -> Self {
        Self::new(ErrorCode::Cancelled, "the task was cancelled")
    }

    /// An argument of the wrong type that passed the check at submit.
    pub fn arg_type(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgType, message)
    }

    /// An argument with an unusable value.
    pub fn arg_value(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgValue, message)
    }

    /// A number outside its range.
    pub fn out_of_range(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::OutOfRange, message)
    }

    /// A failed file operation.
    pub fn io(error: &std::io::Error, operation: &'static str, path: &str) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let name = errno_name(error);
        Self {
            code: ErrorCode::Io,
            message: format!("{name}: {error}, {operation} '{path}'"),
            system: Some(Box::new(SystemError { name, errno, operation, path: path.to_owned() })),
        }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for KernelError {}

/// What Node calls it.
fn errno_name(error: &std::io::Error) -> &'static str {
    error.raw_os_error().and_then(system_name).unwrap_or_else(|| kind_name(error.kind()))
}

/// Those that std has no kind for, or takes for another one.
#[cfg(unix)]
fn system_name(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EPERM => Some("EPERM"),
        libc::EIO => Some("EIO"),
        libc::ENXIO => Some("ENXIO"),
        libc::ENODEV => Some("ENODEV"),
        libc::ENFILE => Some("ENFILE"),
        libc::EMFILE => Some("EMFILE"),
        libc::ELOOP => Some("ELOOP"),
        libc::EOVERFLOW => Some("EOVERFLOW"),
        _ => None,
    }
}

/// The numbers of Win32, as libuv takes them.
#[cfg(windows)]
fn system_name(code: i32) -> Option<&'static str> {
    match code {
        // ERROR_TOO_MANY_OPEN_FILES
        4 => Some("EMFILE"),
        // ERROR_CRC
        23 => Some("EIO"),
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
        32 | 33 => Some("EBUSY"),
        // ERROR_INVALID_NAME
        123 => Some("ENOENT"),
        _ => None,
    }
}

#[cfg(not(any(unix, windows)))]
fn system_name(_: i32) -> Option<&'static str> {
    None
}

fn kind_name(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind as K;
    match kind {
        K::NotFound => "ENOENT",
        K::PermissionDenied => "EACCES",
        K::IsADirectory => "EISDIR",
        K::NotADirectory => "ENOTDIR",
        K::AlreadyExists => "EEXIST",
        K::Interrupted => "EINTR",
        K::InvalidInput => "EINVAL",
        K::OutOfMemory => "ENOMEM",
        K::TimedOut => "ETIMEDOUT",
        K::BrokenPipe => "EPIPE",
        K::StorageFull => "ENOSPC",
        K::TooManyLinks => "EMLINK",
        K::InvalidFilename => "ENAMETOOLONG",
        K::ResourceBusy => "EBUSY",
        _ => "UNKNOWN",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::KernelError;

    #[test]
    fn errors_of_the_system_have_the_names_that_node_gives_them() {
        let numbers = [
            (libc::ENOENT, "ENOENT"),
            (libc::EPERM, "EPERM"),
            (libc::EACCES, "EACCES"),
            (libc::EIO, "EIO"),
            (libc::ELOOP, "ELOOP"),
            (libc::EMFILE, "EMFILE"),
            (libc::ENAMETOOLONG, "ENAMETOOLONG"),
            (i32::MAX, "UNKNOWN"),
        ];
        for (errno, name) in numbers {
            let error = KernelError::io(&std::io::Error::from_raw_os_error(errno), "open", "/a");
            let system = error.system.expect("it is the system's");
            assert_eq!((system.name, system.errno), (name, errno));
        }
    }
}
