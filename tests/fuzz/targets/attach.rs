//! The messages between a container's monitor and those that are attached to it.

use std::collections::VecDeque;

use vial::container::monitor::clients::{self, Client, ENDED, OUTPUT, Queue, Said, hand_out, size_message};
use vial::sys::uapi::WindowSize;
use vial::sys::{Fd, net};

/// How long the messages are that the workload's output comes in. A few of them are all that a socket made by [`pair`] takes.
const LENGTHS: [usize; 4] = [1, 100, 1000, 4000];

/// Two ends with the least room that the kernel gives a socket, of some 4,600 bytes: so the fuzzer need not copy much.
#[allow(unsafe_code, reason = "the C library is called")]
fn pair() -> (Fd, Fd) {
    let (here, there) = net::socket_pair().expect("two ends");
    let (least, size) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: it reads a number that is there.
    let set =
        unsafe { libc::setsockopt(here.number(), libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw const least).cast(), size) };
    assert_eq!(set, 0, "set the size of a socket's buffer");
    (here, there)
}

pub fn talks() -> Vec<Vec<u8>> {
    let long = [3 << 2; 40];
    vec![
        b"a".to_vec(),
        b"iwords\n".to_vec(),
        b"c".to_vec(),
        b"w\x18\0\x50\0".to_vec(),
        [&[1, 1 << 2, 2 << 2, 0x42, 0x82][..], &long, &[0x41, 0x41, 0x42, 0x83, 0x80]].concat(),
        [&[0][..], &long, &[0xc1, 0x41, 0x41, 0x41, 3, 0x41]].concat(),
    ]
}

/// One that is attached, from the other side.
struct Other {
    end: Option<Fd>,
    lacks: std::collections::VecDeque<Vec<u8>>,
}

impl Other {
    /// Reads a message if there is one, which must be the next that it lacks.
    fn reads(&mut self, buffer: &mut [u8]) -> bool {
        let Some(end) = &self.end else { return false };
        let mut waiting = [vial::sys::poll::Waiting::readable(end.by_ref())];
        if vial::sys::poll::poll_now(&mut waiting).is_err() || !waiting[0].is_ready() {
            return false;
        }
        let (length, _) = net::receive(end.by_ref(), buffer).expect("read a message");
        let expected = self.lacks.pop_front().expect("a message from nowhere");
        assert!(buffer[..length] == expected, "a message is lost, or comes twice");
        true
    }
}

/// What a client says is read as it is meant, whatever comes; and each that is attached gets all that the workload writes from
/// then on, once and in its order, however slowly it reads and whoever else goes.
pub fn talk(bytes: &[u8]) {
    match (clients::read(bytes), bytes) {
        (Said::Gone, []) | (Said::Attach, [b'a', ..]) | (Said::Close, [b'c', ..]) => {}
        (Said::Input(input), [b'i', rest @ ..]) => assert_eq!(input, rest),
        (Said::Size(size), _) => assert_eq!(size_message(size), *bytes),
        (Said::Nothing, [first, ..]) => assert!(!b"aic".contains(first) && (*first != b'w' || bytes.len() != 5)),
        (said, _) => panic!("{said:?}"),
    }
    let [a, b, c, d] = *bytes.first_chunk().unwrap_or(&[0; 4]);
    let size =
        WindowSize { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]), ..Default::default() };
    assert_eq!(clients::read(&size_message(size)), Said::Size(size));
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let (here, there) = pair();
        near.push(Client::new(here, first >> number & 1 == 0));
        far.push(Other { end: Some(there), lacks: VecDeque::default() });
    }
    let (mut queue, mut buffer) = (Queue::new(), vec![0; 8 << 10]);
    let give = |near: &mut Vec<Client>, far: &mut Vec<Other>, queue: &mut Queue, message: Vec<u8>| {
        for (client, other) in near.iter().zip(far) {
            if client.gets_output || message[0] == ENDED {
                other.lacks.push_back(message.clone());
            }
        }
        hand_out(near, queue, &message);
    };
    for (number, byte) in bytes.iter().enumerate() {
        let (what, who) = (byte >> 6, usize::from(byte & 3));
        match (what, who) {
            (0, kind) => {
                let mut message = vec![number as u8; 1 + LENGTHS[usize::from(byte >> 2 & 3)]];
                message[0] = OUTPUT + (kind & 1) as u8;
                give(&mut near, &mut far, &mut queue, message);
            }
            (_, 3) => near[usize::from(byte >> 2) % 3].gets_output = true,
            (1, who) => {
                far[who].reads(&mut buffer);
            }
            (2, who) => near[who].catch_up(&queue),
            (_, who) => far[who].end = None,
        }
        // As the monitor does: messages that all have taken are forgotten.
        if !near.iter().any(|client| client.is_behind(&queue)) {
            queue.clear();
        }
    }
    give(&mut near, &mut far, &mut queue, vec![ENDED, 7]);
    for (client, other) in near.iter_mut().zip(&mut far) {
        loop {
            client.catch_up(&queue);
            if !other.reads(&mut buffer) && !client.is_behind(&queue) {
                break;
            }
        }
        assert!(other.end.is_none() || other.lacks.is_empty(), "a message is lost");
        assert!(other.end.is_some() || client.gone, "who is gone is noticed");
    }
}
