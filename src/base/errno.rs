//! Error numbers of the kernel: their names and meanings.

use core::fmt;

use super::phrase::Phrase;
use super::text::word;

/// A kernel error number, `errno(3)`; 0 stands for an error that is vial's own and not the kernel's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident $text:literal,)*) => {
        impl Errno {
            /// An error of vial's own: no system call failed.
            pub const NONE: Errno = Errno(0);
            $(#[doc = $text] pub const $name: Errno = Errno(libc::$name);)*
        }

        /// The numbers that have names.
        const NUMBERS: &[u8] = &[$(libc::$name as u8,)*];
        /// Their names.
        const NAMES: &str = concat!($(stringify!($name), " "),*);
        /// And what they mean.
        static TEXTS: &[Phrase] = &[$(phrase!($text)),*];
    };
}

errnos! {
    EPERM "Operation not permitted",
    ENOENT "No such file or directory",
    ESRCH "No such process",
    EINTR "Interrupted system call",
    EIO "Input/output error",
    ENXIO "No such device or address",
    E2BIG "Argument list too long",
    ENOEXEC "Exec format error",
    EBADF "Bad file descriptor",
    ECHILD "No child processes",
    EAGAIN "Resource temporarily unavailable",
    ENOMEM "Cannot allocate memory",
    EACCES "Permission denied",
    EFAULT "Bad address",
    ENOTBLK "Block device required",
    EBUSY "Device or resource busy",
    EEXIST "File exists",
    EXDEV "Invalid cross-device link",
    ENODEV "No such device",
    ENOTDIR "Not a directory",
    EISDIR "Is a directory",
    EINVAL "Invalid argument",
    ENFILE "Too many open files in system",
    EMFILE "Too many open files",
    ENOTTY "Inappropriate ioctl for device",
    ETXTBSY "Text file busy",
    EFBIG "File too large",
    ENOSPC "No space left on device",
    ESPIPE "Illegal seek",
    EROFS "Read-only file system",
    EMLINK "Too many links",
    EPIPE "Broken pipe",
    EDOM "Numerical argument out of domain",
    ERANGE "Numerical result out of range",
    EDEADLK "Resource deadlock avoided",
    ENAMETOOLONG "File name too long",
    ENOSYS "Function not implemented",
    ENOLCK "No locks available",
    ENOTEMPTY "Directory not empty",
    ELOOP "Too many levels of symbolic links",
    ENODATA "No data available",
    EOVERFLOW "Value too large for defined data type",
    EILSEQ "Invalid or incomplete multibyte or wide character",
    EUSERS "Too many users",
    ENOTSOCK "Socket operation on non-socket",
    EMSGSIZE "Message too long",
    EPROTONOSUPPORT "Protocol not supported",
    EOPNOTSUPP "Operation not supported",
    EAFNOSUPPORT "Address family not supported by protocol",
    EADDRINUSE "Address already in use",
    EADDRNOTAVAIL "Cannot assign requested address",
    ENETDOWN "Network is down",
    ENETUNREACH "Network is unreachable",
    ECONNABORTED "Software caused connection abort",
    ECONNRESET "Connection reset by peer",
    ENOBUFS "No buffer space available",
    ENOTCONN "Transport endpoint is not connected",
    ETIMEDOUT "Connection timed out",
    ECONNREFUSED "Connection refused",
    EHOSTUNREACH "No route to host",
    EALREADY "Operation already in progress",
    EINPROGRESS "Operation now in progress",
    ESTALE "Stale file handle",
    EUCLEAN "Structure needs cleaning",
    EDQUOT "Disk quota exceeded",
    ENOMEDIUM "No medium found",
    ECANCELED "Operation canceled",
    ELIBBAD "Accessing a corrupted shared library",
}

impl Errno {
    /// Its place in the lists, if the number is known.
    fn place(self) -> Option<usize> {
        NUMBERS.iter().position(|&number| i32::from(number) == self.0)
    }

    /// The symbolic name (`ENOENT`), if the number is known.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.place().map(|place| word(NAMES, place))
    }

    /// What the number means, in the words of `strerror(3)`.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.place().and_then(|place| TEXTS.get(place)).map_or("Unknown error", |text| text.kept())
    }
}

impl fmt::Display for Errno {
    /// `ENOENT (No such file or directory)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.text()),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
