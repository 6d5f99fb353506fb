//! The driver over descriptors: deadlines, modes, faults.

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::*;
use smtptls::{Close, Code, Deadline, Entry, Fd, Level, Limit, Mode, Progress, Stream};

const BRIEF: Duration = Duration::from_millis(100);
/// Far more than any of these take; a test that hangs fails here.
const LONG: Duration = Duration::from_secs(20);

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(LONG)).unwrap();
    (near, far)
}

/// A whole conversation, blocking on both sides.
#[test]
fn blocking_from_the_greeting() {
    let (near, far) = pair();
    let serving = std::thread::spawn(move || {
        let mut stream = Stream::new(server(Level::Encrypt), Fd::new(&far, Mode::Blocking));
        assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::Done(())));
        let mut command = [0; 100];
        let Progress::Done(count) = stream.read(&mut command).unwrap() else { panic!() };
        assert!(command[..count].starts_with(b"EHLO "));
        stream.write_all(b"250 mx\r\n").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(stream.close(Close::Send), Ok(Progress::Done(())));
        rest
    });
    let mut stream = Stream::new(client(Level::Verify), Fd::new(&near, Mode::Blocking));
    assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::Done(())));
    let message = vec![b'm'; 1_000_000];
    stream.write_all(&message).unwrap();
    assert_eq!(stream.close(Close::Wait), Ok(Progress::Done(())));
    assert!(serving.join().unwrap() == message);
}

/// SEC-8: silence ends at the limit, in each stage, and the message says which.
#[test]
fn silence_ends_at_the_limit() {
    for (says, words) in [
        (&b""[..], "greeting"),
        (b"220 mx\r\n", "EHLO"),
        (b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n", "STARTTLS"),
        (b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n", "handshake"),
    ] {
        let (near, mut far) = pair();
        // The peer answers as it is asked, a line at a time, and then is silent.
        let talking = std::thread::spawn(move || {
            let mut replies = says.split_inclusive(|byte| *byte == b'\n').peekable();
            while let Some(line) = replies.next() {
                far.write_all(line).unwrap();
                if line.get(3) == Some(&b' ') && replies.peek().is_some() {
                    let _ = far.read(&mut [0; 1000]).unwrap();
                }
            }
            far
        });
        let mut stream = Stream::new(client(Level::May), Fd::new(&near, Mode::Blocking));
        stream.set_limit(Limit::Start, Some(BRIEF));
        let begun = Instant::now();
        let error = stream.start(Entry::Greeting, 0).unwrap_err();
        assert_eq!(error.code(), Code::Timeout);
        assert!(error.message().contains(words), "{error}");
        assert!(begun.elapsed() >= BRIEF && begun.elapsed() < LONG);
        drop(talking.join().unwrap());
    }
}

/// RFC 5321 section 3.8: a client that says nothing is told why the connection ends.
#[test]
fn a_silent_client_gets_421() {
    let (near, mut far) = pair();
    let mut stream = Stream::new(server(Level::May), Fd::new(&near, Mode::Blocking));
    stream.set_limit(Limit::Start, Some(BRIEF));
    assert_eq!(stream.start(Entry::Greeting, 0).unwrap_err().code(), Code::Timeout);
    drop(stream);
    drop(near);
    let mut said = String::new();
    far.read_to_string(&mut said).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("421 4.4.2 "), "{said}");
}

/// A read that ran out of time takes nothing from the session: a server can still say 421 inside TLS.
#[test]
fn a_session_survives_a_timeout() {
    let (near, far) = pair();
    let serving = std::thread::spawn(move || {
        let mut stream = Stream::new(server(Level::May), Fd::new(&far, Mode::Blocking));
        assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
        stream.set_limit(Limit::Io, Some(BRIEF));
        let error = stream.read(&mut [0; 100]).unwrap_err();
        assert_eq!((error.code(), stream.session().error()), (Code::Timeout, None));
        stream.write_all(b"421 4.4.2 bye\r\n").unwrap();
        assert_eq!(stream.close(Close::Send), Ok(Progress::Done(())));
    });
    let mut stream = Stream::new(client(Level::Verify), Fd::new(&near, Mode::Blocking));
    assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "421 4.4.2 bye\r\n");
    serving.join().unwrap();
}

/// TCP and TLS end in each direction for itself: who has said all may still wait for our answer, which `write` has
/// gathered, and for our close_notify.
#[test]
fn a_peer_that_has_ended_its_side_hears_the_rest_of_ours() {
    for mode in [Mode::Blocking, Mode::NonBlocking] {
        let (near, far) = pair();
        let serving = std::thread::spawn(move || {
            let mut stream = Stream::new(server(Level::May), Fd::new(&far, Mode::Blocking));
            assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            assert_eq!(said, "QUIT\r\n");
            *stream.transport_mut() = Fd::new(&far, mode);
            assert_eq!(stream.write(b"221 bye\r\n", true), Ok(Progress::Done(9)));
            assert_eq!(stream.close(Close::Send), Ok(Progress::Done(())));
        });
        let mut stream = Stream::new(client(Level::Verify), Fd::new(&near, Mode::Blocking));
        assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
        stream.write_all(b"QUIT\r\n").unwrap();
        assert_eq!(stream.close(Close::Half), Ok(Progress::Done(())));
        near.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "221 bye\r\n");
        assert!(!stream.session().is_truncated(), "there was no close_notify");
        serving.join().unwrap();
    }
}

/// What was gathered for a peer that is gone is lost, and that is said.
#[test]
fn what_a_peer_that_is_gone_does_not_hear_is_an_error() {
    let (near, far) = pair();
    let serving = std::thread::spawn(move || {
        let mut stream = Stream::new(server(Level::May), Fd::new(&far, Mode::Blocking));
        assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
        stream.read_to_string(&mut String::new()).unwrap();
        assert_eq!(stream.write(b"221 bye\r\n", true), Ok(Progress::Done(9)));
        assert_eq!(stream.close(Close::Send).unwrap_err().code(), Code::Io);
    });
    let mut stream = Stream::new(client(Level::Verify), Fd::new(&near, Mode::Blocking));
    assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
    assert_eq!(stream.close(Close::Send), Ok(Progress::Done(())));
    drop(stream);
    drop(near);
    serving.join().unwrap();
}

/// A peer that dribbles cannot stretch the deadline.
#[test]
fn dribbling_ends_at_the_limit() {
    let (near, mut far) = pair();
    let dribbling = std::thread::spawn(move || {
        let begun = Instant::now();
        while begun.elapsed() < LONG && far.write_all(b"2").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    });
    let mut stream = Stream::new(client(Level::May), Fd::new(&near, Mode::Blocking));
    stream.set_limit(Limit::Start, Some(BRIEF));
    assert_eq!(stream.start(Entry::Greeting, 0).unwrap_err().code(), Code::Timeout);
    drop(stream);
    drop(near);
    assert!(dribbling.join().unwrap() < LONG);
}

/// An absolute deadline binds a run of calls, and data that is always there does not stretch it.
#[test]
fn an_absolute_deadline() {
    let (near, _far) = pair();
    let mut stream = Stream::new(client(Level::May), Fd::new(&near, Mode::Blocking));
    stream.set_deadline(Deadline::after(Duration::ZERO));
    assert_eq!(stream.start(Entry::Greeting, 0).unwrap_err().code(), Code::Timeout);
}

/// Non-blocking: nothing waits, and the flags of the descriptor are as they were.
#[test]
fn non_blocking() {
    let (near, mut far) = pair();
    let flags = || rustix::fs::fcntl_getfl(&near).unwrap();
    let before = flags();
    let mut stream = Stream::new(client(Level::May), Fd::new(&near, Mode::NonBlocking));
    assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::WantInput));
    assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::WantInput));
    far.write_all(b"220 mx\r\n").unwrap();
    assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::WantInput));
    let mut ehlo = [0; 100];
    let count = far.read(&mut ehlo).unwrap();
    assert_eq!(&ehlo[..count], b"EHLO client.example.test\r\n");
    assert_eq!(flags(), before);
}

/// A pipe in each direction, as a filter has it.
#[test]
fn a_pair_of_pipes() {
    use std::os::fd::AsFd as _;
    for mode in [Mode::Blocking, Mode::NonBlocking] {
        let (from_peer, mut peer_writes) = std::io::pipe().unwrap();
        let (mut peer_reads, to_peer) = std::io::pipe().unwrap();
        let fd = Fd::pair(from_peer.as_fd(), to_peer.as_fd(), mode);
        let mut stream = Stream::new(client(Level::May), fd);
        if mode == Mode::NonBlocking {
            assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::WantInput));
        }
        peer_writes.write_all(b"220 mx\r\n").unwrap();
        if mode == Mode::NonBlocking {
            assert_eq!(stream.start(Entry::Greeting, 0), Ok(Progress::WantInput));
            let mut ehlo = [0; 26];
            peer_reads.read_exact(&mut ehlo).unwrap();
            assert_eq!(&ehlo, b"EHLO client.example.test\r\n");
        }
        peer_writes.write_all(b"250 mx\r\n").unwrap();
        drop(peer_writes);
        let error = stream.start(Entry::Greeting, 0).unwrap_err();
        // In one piece the second reply came before EHLO was sent.
        assert!([Code::NotOffered, Code::Unsolicited].contains(&error.code()), "{error}");
    }
}

/// A full socket: writing waits in one mode, and says so in the other; nothing is lost.
#[test]
fn a_full_socket() {
    for mode in [Mode::Blocking, Mode::NonBlocking] {
        let (near, far) = pair();
        let serving = std::thread::spawn(move || {
            let mut stream = Stream::new(server(Level::May), Fd::new(&far, Mode::Blocking));
            assert_eq!(stream.start(Entry::Handshake, 0), Ok(Progress::Done(())));
            std::thread::sleep(BRIEF);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        let mut stream = Stream::new(client(Level::Verify), Fd::new(&near, mode));
        let wait = |wanted| {
            let flags = match wanted {
                Progress::<()>::WantInput => rustix::event::PollFlags::IN,
                _ => rustix::event::PollFlags::OUT,
            };
            let mut polled = [rustix::event::PollFd::new(&near, flags)];
            let long = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
            assert_eq!(rustix::event::poll(&mut polled, Some(&long)), Ok(1));
        };
        loop {
            match stream.start(Entry::Handshake, 0).unwrap() {
                Progress::Done(()) => break,
                wanted => wait(wanted),
            }
        }
        let message = vec![b'm'; 2_000_000];
        let (mut rest, mut waited) = (&message[..], 0);
        while !rest.is_empty() {
            match stream.write(rest, false).unwrap() {
                Progress::Done(count) => rest = &rest[count..],
                _ => {
                    waited += 1;
                    wait(Progress::WantOutput);
                }
            }
        }
        while stream.close(Close::Send).unwrap() != Progress::Done(()) {
            wait(Progress::WantOutput);
        }
        assert_eq!(waited > 0, mode == Mode::NonBlocking);
        assert!(serving.join().unwrap() == message);
    }
}

/// The peer resets the connection: the errno is in the error.
#[test]
fn a_reset_has_its_errno() {
    let (near, far) = pair();
    // Unread data at close makes a reset of it.
    (&near).write_all(b"unread").unwrap();
    drop(far);
    let mut stream = Stream::new(client(Level::May), Fd::new(&near, Mode::Blocking));
    let error = stream.start(Entry::Greeting, 0).unwrap_err();
    assert_eq!((error.code(), error.os()), (Code::Io, Some(rustix::io::Errno::CONNRESET.raw_os_error())));
}

/// Both sides have sent more than the sockets hold, and neither waits: each can receive all the same, or they would wait
/// for each other for ever.
#[test]
fn both_sides_send_at_once() {
    const SIZE: usize = 3_000_000;
    let (near, far) = pair();
    let mut streams = [
        Stream::new(client(Level::Verify), Fd::new(&near, Mode::NonBlocking)),
        Stream::new(server(Level::Encrypt), Fd::new(&far, Mode::NonBlocking)),
    ];
    let mut up = [false; 2];
    while !up[0] || !up[1] {
        for (stream, up) in streams.iter_mut().zip(&mut up) {
            *up = *up || stream.start(Entry::Handshake, 0).unwrap() == Progress::Done(());
        }
    }
    let block = vec![b'm'; 65_536];
    let (mut sent, mut came) = ([0; 2], [0; 2]);
    let mut idle = 0;
    while came != [SIZE; 2] {
        let before = (sent, came);
        for n in 0..2 {
            let rest = &block[..block.len().min(SIZE - sent[n])];
            // All that it takes, and then a look whether something came.
            if let (false, Progress::Done(count)) = (rest.is_empty(), streams[n].write(rest, false).unwrap())
            {
                sent[n] += count;
                continue;
            }
            let _ = streams[n].flush().unwrap();
            let mut buffer = [0; 16_384];
            while let Progress::Done(count) = streams[n].read(&mut buffer).unwrap() {
                assert!(count > 0);
                came[n] += count;
            }
        }
        idle = if (sent, came) == before { idle + 1 } else { 0 };
        assert!(idle < 100, "nothing moves any more: {sent:?} sent, {came:?} came");
    }
}
