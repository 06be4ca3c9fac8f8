use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use glommio::LocalExecutor;

use super::*;
use crate::runtime::task::spawn;
use crate::runtime::timer::sleep;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `server` with a connection from `client`, which has a thread of its own.
fn connected<T: Send + 'static, F: Future>(
    client: impl FnOnce(TcpStream) -> T + Send + 'static,
    server: impl FnOnce(Stream) -> F,
) -> T {
    let seat = bind(ANY_PORT).unwrap();
    let address = seat.address();
    let client = std::thread::spawn(move || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        client(stream)
    });
    LocalExecutor::default().run(async move { server(seat.take().accept().await.unwrap()).await });
    client.join().unwrap()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

#[test]
fn a_taken_port_is_refused_even_if_it_is_shared() {
    let shared = bind_shared(ANY_PORT, 2).unwrap();
    let address = shared[0].address();
    assert_ne!(address.port(), 0);
    assert_eq!(shared[1].address(), address);
    for error in [
        bind_shared(address, 2).unwrap_err(),
        bind_shared(address, 1).unwrap_err(),
        bind(address).unwrap_err(),
    ] {
        assert!(matches!(error, BindError::Taken(taken) if taken == address));
        assert!(error.to_string().contains("is in use"), "{error}");
    }
    drop(shared);
    drop(bind_shared(address, 2).unwrap());
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let error = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(matches!(error, BindError::NotLocal(_)), "{error}");
}

#[test]
fn all_shards_accept_at_the_shared_address() {
    let seats = bind_shared(ANY_PORT, 2).unwrap();
    let address = seats[0].address();
    LocalExecutor::default().run(async move {
        let accepting: Vec<_> = seats
            .into_iter()
            .map(|seat| {
                spawn(async move {
                    let listener = seat.take();
                    listener.accept().await.unwrap();
                })
            })
            .collect();
        let mut clients = Vec::new();
        while !accepting.iter().all(|task| task.is_finished()) {
            assert!(clients.len() < 200, "one of two listeners got none of 200 connections");
            clients.push(TcpStream::connect(address).unwrap());
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn data_arrives_whole_in_both_directions() {
    const LENGTH: usize = 20 << 20;
    let echoed = connected(
        |mut client| {
            let mut reading = client.try_clone().unwrap();
            let reader = std::thread::spawn(move || {
                let mut data = Vec::new();
                reading.read_to_end(&mut data).unwrap();
                data
            });
            client.write_all(&pattern(LENGTH)).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            reader.join().unwrap()
        },
        |stream| async move {
            let (mut reader, mut writer) = stream.split();
            let mut buffer = BytesMut::with_capacity(64 << 10);
            while reader.recv_into(&mut buffer).await.unwrap() > 0 {
                writer.send_all(&buffer).await.unwrap();
                buffer.clear();
            }
            assert_eq!(reader.recv_into(&mut buffer).await.unwrap(), 0, "the end stays the end");
            writer.finish().unwrap();
        },
    );
    assert!(echoed == pattern(LENGTH));
}

#[test]
fn pieces_arrive_in_order() {
    // More pieces than one call takes, empty ones among them, and more bytes than a socket holds.
    let lengths: Vec<usize> = (0..300).map(|number| number * 37 % 101 * 1000).collect();
    let data = Bytes::from(pattern(lengths.iter().sum()));
    let mut rest = data.clone();
    let pieces: Vec<Bytes> = lengths.iter().map(|length| rest.split_to(*length)).collect();
    let received = connected(
        |mut client| {
            std::thread::sleep(Duration::from_millis(50));
            let mut data = Vec::new();
            client.read_to_end(&mut data).unwrap();
            data
        },
        |mut stream| async move {
            stream.send_pieces(&pieces).await.unwrap();
            stream.send_pieces(&[]).await.unwrap();
        },
    );
    assert!(received == data);
}

#[test]
fn one_task_reads_while_another_is_stuck_in_writing() {
    connected(
        |mut client| {
            // Reads nothing until the server has read.
            client.write_all(b"hello").unwrap();
            let mut go = [0; 1];
            client.read_exact(&mut go).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            client.write_all(b"world").unwrap();
            io::copy(&mut client, &mut io::sink()).unwrap();
        },
        |stream| async move {
            let (mut reader, mut writer) = stream.split();
            let writing = spawn(async move { writer.send_all(&vec![0; 64 << 20]).await.unwrap() });
            let mut words = Vec::new();
            while words.len() < 10 {
                let mut buffer = [0; 3];
                let count = reader.recv(&mut buffer).await.unwrap();
                words.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(words, b"helloworld");
            writing.await;
        },
    );
}

#[test]
fn an_idle_connection_times_out_and_a_busy_one_does_not() {
    connected(
        |mut client| {
            for _ in 0..5 {
                std::thread::sleep(Duration::from_millis(40));
                client.write_all(b"x").unwrap();
            }
            io::copy(&mut client, &mut io::sink()).unwrap();
        },
        |mut stream| async move {
            stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
            let mut buffer = BytesMut::new();
            while buffer.len() < 5 {
                assert_ne!(stream.recv_into(&mut buffer).await.unwrap(), 0);
            }
            let start = Instant::now();
            let error = stream.recv_into(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(start.elapsed() >= Duration::from_millis(140));
        },
    );
}

#[test]
fn writing_to_a_peer_that_left_is_an_error() {
    connected(drop, |mut stream| async move {
        let error = loop {
            sleep(Duration::from_millis(1)).await;
            if let Err(error) = stream.send_all(b"anybody?").await {
                break error;
            }
        };
        assert!(
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset),
            "{error}"
        );
    });
}

#[test]
fn aborting_wakes_a_waiting_reader() {
    connected(
        |mut client| io::copy(&mut client, &mut io::sink()).unwrap(),
        |stream| async move {
            let (mut reader, mut writer) = stream.split();
            let reading = spawn(async move { reader.recv(&mut [0; 16]).await });
            sleep(Duration::from_millis(10)).await;
            writer.abort().unwrap();
            assert_eq!(reading.await.unwrap(), 0);
        },
    );
}

#[test]
fn a_connection_that_never_pauses_leaves_time_for_others() {
    let seat = bind(ANY_PORT).unwrap();
    let address = seat.address();
    std::thread::spawn(move || {
        let mut client = TcpStream::connect(address).unwrap();
        while client.write_all(&[1; 64 << 10]).is_ok() {}
    });
    LocalExecutor::default().run(async move {
        let mut stream = seat.take().accept().await.unwrap();
        drop(spawn(async move {
            let mut buffer = [0; 1024];
            while stream.recv(&mut buffer).await.is_ok_and(|count| count > 0) {}
        }));
        for _ in 0..20 {
            let start = Instant::now();
            sleep(Duration::from_millis(1)).await;
            assert!(start.elapsed() < Duration::from_millis(200));
        }
    });
}
