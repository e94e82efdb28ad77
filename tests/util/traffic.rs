//! Bytes that go from one network namespace to another: who listens, and who asks, in threads of the test that are there.

use std::fs::{self, File};
use std::io::{Error, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vial::sys::fd::CWD;
use vial::sys::{file, process as calls};

/// How long something may take that must come to pass, on a machine under load.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited for what must not come to pass.
const REFUSED: Duration = Duration::from_millis(400);
/// A pause between two looks.
pub const NAP: Duration = Duration::from_millis(5);

/// How bytes are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// In a connection.
    Tcp,
    /// In datagrams.
    Udp,
}

/// Both.
pub const BOTH: [By; 2] = [By::Tcp, By::Udp];

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

impl Place {
    /// The one that has this name, ip-netns(8).
    pub fn named(name: &str) -> Place {
        Place(Path::new("/run/netns").join(name))
    }

    /// The one of a process.
    pub fn of(pid: u32) -> Place {
        Place(format!("/proc/{pid}/ns/net").into())
    }

    /// The one that a file stands for, which the test has open.
    pub fn held(file: &File) -> Place {
        Place(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
    }

    /// Does something there, in a thread of its own. What fails is for the caller to tell: a panic would lose its words.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let path = std::ffi::CString::new(self.0.as_os_str().as_encoded_bytes()).expect("a path");
        let enter = move || {
            let namespace = file::open(CWD, &path, libc::O_RDONLY).expect("open a network namespace");
            calls::setns(namespace.by_ref(), libc::CLONE_NEWNET).expect("enter a network namespace");
            act()
        };
        thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|_| panic!("in {}", self.0.display()))
    }

    /// Answers whoever comes to this port with the address that it comes from, until that is dropped.
    #[track_caller]
    pub fn listen(&self, by: By, address: &str, port: u16) -> Listener {
        self.serve(by, address, port, |_, from| from.ip().to_canonical().to_string().into_bytes())
    }

    /// The same with answers of one's own.
    #[track_caller]
    pub fn serve(
        &self,
        by: By,
        address: &str,
        port: u16,
        answer: impl Fn(&[u8], SocketAddr) -> Vec<u8> + Send + 'static,
    ) -> Listener {
        let at = at(address, port);
        let (over, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ends, count) = (Arc::clone(&over), Arc::clone(&heard));
        let thread = match by {
            By::Tcp => {
                let socket = self.within(|| TcpListener::bind(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
                socket.set_nonblocking(true).expect("do not wait");
                thread::spawn(move || {
                    while !ends.load(Ordering::Relaxed) {
                        let Ok((stream, from)) = socket.accept() else {
                            thread::sleep(NAP);
                            continue;
                        };
                        count.fetch_add(1, Ordering::Relaxed);
                        let _ = converse(&stream, from, &answer);
                    }
                })
            }
            By::Udp => {
                let socket = self.within(|| UdpSocket::bind(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
                socket.set_read_timeout(Some(NAP)).expect("do not wait");
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while !ends.load(Ordering::Relaxed) {
                        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                        count.fetch_add(1, Ordering::Relaxed);
                        let _ = socket.send_to(&answer(&buffer[..length], from), from);
                    }
                })
            }
        };
        Listener { over, heard, thread: Some(thread) }
    }

    /// What one is answered there: by a [`Listener`] the address that one is seen under.
    ///
    /// # Errors
    /// Nobody answers within that time.
    pub fn try_ask(&self, by: By, address: &str, port: u16, bytes: &[u8], limit: Duration) -> Result<Vec<u8>, Error> {
        let at = at(address, port);
        self.within(|| match by {
            By::Tcp => {
                let mut stream = TcpStream::connect_timeout(&at, limit)?;
                stream.set_read_timeout(Some(limit))?;
                stream.write_all(bytes)?;
                stream.shutdown(Shutdown::Write)?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer)?;
                Ok(answer)
            }
            By::Udp => {
                let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
                let socket = UdpSocket::bind((any, 0))?;
                socket.connect(at)?;
                socket.set_read_timeout(Some(limit))?;
                socket.send(bytes)?;
                let mut buffer = vec![0; 4096];
                let length = socket.recv(&mut buffer)?;
                buffer.truncate(length);
                Ok(buffer)
            }
        })
    }

    /// The same; somebody must answer in time.
    #[track_caller]
    pub fn ask(&self, by: By, address: &str, port: u16) -> String {
        let ends = Instant::now() + PATIENCE;
        loop {
            match self.try_ask(by, address, port, b"who am I?", PATIENCE / 5) {
                Ok(answer) if !answer.is_empty() => return String::from_utf8_lossy(&answer).into_owned(),
                Ok(_) | Err(_) if Instant::now() < ends => {}
                result => panic!("{by:?} {address} port {port}, asked from {}: {result:?}", self.0.display()),
            }
            thread::sleep(NAP * 4);
        }
    }

    /// Nobody may answer.
    #[track_caller]
    pub fn must_not_reach(&self, by: By, address: &str, port: u16) {
        if let Ok(answer) = self.try_ask(by, address, port, b"who am I?", REFUSED)
            && !answer.is_empty()
        {
            let answer = String::from_utf8_lossy(&answer);
            panic!("{by:?} {address} port {port} answers {answer:?} to {}", self.0.display());
        }
    }

    /// The first line of a web page.
    #[track_caller]
    pub fn page(&self, address: &str, port: u16) -> String {
        let ends = Instant::now() + PATIENCE;
        loop {
            match self.try_ask(By::Tcp, address, port, b"GET / HTTP/1.0\r\n\r\n", PATIENCE / 5) {
                Ok(answer) if !answer.is_empty() => {
                    let answer = String::from_utf8_lossy(&answer).into_owned();
                    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                    return body.lines().next().unwrap_or(&answer).to_owned();
                }
                result => {
                    assert!(
                        Instant::now() < ends,
                        "{address} port {port}, asked from {}: {result:?}",
                        self.0.display()
                    );
                }
            }
            thread::sleep(NAP * 4);
        }
    }

    /// What the kernel says of it, so that two can be compared.
    pub fn id(&self) -> String {
        use std::os::linux::fs::MetadataExt;
        fs::metadata(&self.0).map(|data| format!("net:[{}]", data.st_ino())).unwrap_or_default()
    }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

/// Reads a question to its end, or to where one is waited for, and answers it.
fn converse(
    mut stream: &TcpStream,
    from: SocketAddr,
    answer: &impl Fn(&[u8], SocketAddr) -> Vec<u8>,
) -> Result<(), Error> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer)?;
    stream.write_all(&answer(&buffer[..length], from))
}

/// Somebody who answers; no longer than this is kept.
pub struct Listener {
    over: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// How often it was asked.
    pub fn count(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
