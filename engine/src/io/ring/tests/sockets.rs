//! Listening, connecting, receiving and sending.

use std::cell::RefCell;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use futures_lite::future::{self, poll_once};

use super::{RingOptions, latch, on_shard, pause, small};
use crate::io::Env;
use crate::io::ring::{Listener, Stream};
use crate::io::runtime::RingEnv;

async fn echo(stream: Stream) {
    loop {
        let received = match stream.recv().await {
            Ok(received) if !received.is_empty() => received,
            _ => return,
        };
        let bytes = Bytes::copy_from_slice(&received);
        drop(received);
        if stream.send(vec![bytes]).await.is_err() {
            return;
        }
    }
}

async fn echo_server(env: &RingEnv) -> SocketAddr {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(env.ring(), any, 128).await.unwrap();
    let address = listener.local_addr().unwrap();
    let owner = env.clone();
    env.spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap();
            owner.spawn(echo(stream));
        }
    });
    address
}

/// Both ends of a connection.
async fn connected(env: &RingEnv) -> (Stream, Stream) {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
    let client = Stream::connect(env.ring(), listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap())
}

/// Sends `total` bytes in parts and expects the same back.
async fn check_echo(env: &RingEnv, address: SocketAddr, seed: usize, total: usize) {
    let stream = Stream::connect(env.ring(), address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let data: Bytes = (0..total).map(|i| ((i * 31 + seed) >> 3) as u8).collect::<Vec<_>>().into();
    let parts: Vec<Bytes> = data.chunks(total / 5 + 1).map(|part| data.slice_ref(part)).collect();
    let sender = stream.clone();
    env.spawn(async move { sender.send(parts).await.unwrap() });
    let mut back = BytesMut::with_capacity(total);
    while back.len() < total {
        // Both ways of receiving, in turn.
        if back.len().is_multiple_of(2) {
            let received = stream.recv().await.unwrap();
            assert!(!received.is_empty());
            back.extend_from_slice(&received);
        } else {
            let want = (total - back.len()).min(10_001);
            let (bytes, count) = stream.recv_into(back, want).await.unwrap();
            assert!(count >= want);
            back = bytes;
        }
    }
    assert_eq!(back, data);
}

#[test]
fn sixty_four_connections_echo() {
    for options in [RingOptions::default(), small()] {
        on_shard(options, async |env| {
            let address = echo_server(&env).await;
            let (arrive, all) = latch(&env, 64);
            for i in 0..64 {
                let (env, arrive) = (env.clone(), arrive.clone());
                env.clone().spawn(async move {
                    check_echo(&env, address, i, 100 + i * 4001).await;
                    arrive();
                });
            }
            all.await;
            check_echo(&env, address, 1, 16 << 20).await;
            assert_eq!(env.ring().buffers().held(), 0);
        });
    }
}

#[test]
fn a_crowd_of_new_connections_lets_an_older_one_go_first() {
    const CROWD: usize = 200;
    let options = RingOptions { receive_buffers: 256, ..RingOptions::default() };
    let order = on_shard(options, async |env| {
        // An end that connects is not new to anybody.
        let doorman = TcpListener::bind("127.0.0.1:0").unwrap();
        let older = Stream::connect(env.ring(), doorman.local_addr().unwrap()).await.unwrap();
        let (mut peer_of_older, _) = doorman.accept().unwrap();
        let listener =
            Listener::bind(env.ring(), "127.0.0.1:0".parse().unwrap(), 16).await.unwrap();
        let mut peers = Vec::new();
        let mut streams = vec![(true, older)];
        for _ in 0..CROWD {
            peers.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            streams.push((false, listener.accept().await.unwrap()));
        }
        let order = Rc::new(RefCell::new(Vec::new()));
        let (arrive, all) = latch(&env, CROWD + 1);
        for (is_older, stream) in streams {
            let (order, arrive) = (Rc::clone(&order), arrive.clone());
            env.spawn(async move {
                assert_eq!(&*stream.recv().await.unwrap(), b"?");
                order.borrow_mut().push(is_older);
                arrive();
            });
        }
        pause(&env, 20).await;
        // All of it is there when the ring is looked at next, that of the older one last.
        for peer in peers.iter_mut().chain([&mut peer_of_older]) {
            peer.write_all(b"?").unwrap();
        }
        all.await;
        order.take()
    });
    let place = order.iter().position(|is_older| *is_older).unwrap();
    assert!(place < CROWD / 2, "it was number {place} of {}", order.len());
}

#[test]
fn a_send_of_very_many_parts_arrives_whole() {
    on_shard(RingOptions::default(), async |env| {
        let address = echo_server(&env).await;
        let stream = Stream::connect(env.ring(), address).await.unwrap();
        let parts: Vec<Bytes> = (0..5000).map(|i| Bytes::from(vec![i as u8; i % 7])).collect();
        let all: Vec<u8> = parts.iter().flatten().copied().collect();
        stream.send(parts).await.unwrap();
        let bytes = BytesMut::with_capacity(all.len() + 10);
        let (bytes, count) = stream.recv_into(bytes, all.len()).await.unwrap();
        assert_eq!(count, all.len());
        assert_eq!(bytes, all);
        stream.send(Vec::new()).await.unwrap();
    });
}

#[test]
fn what_has_come_and_was_not_received_is_counted() {
    let options = RingOptions::default();
    let bytes = options.receive_buffer_bytes as usize;
    on_shard(options, async move |env| {
        let (client, server) = connected(&env).await;
        assert_eq!(server.waiting_bytes().unwrap(), 0);
        client.send(vec![Bytes::from(vec![7; bytes + 1000])]).await.unwrap();
        pause(&env, 50).await;
        assert_eq!(server.recv().await.unwrap().len(), bytes);
        assert_eq!(server.waiting_bytes().unwrap(), 1000);
        assert_eq!(server.recv().await.unwrap().len(), 1000);
        assert_eq!(server.waiting_bytes().unwrap(), 0);
    });
}

#[test]
fn a_dropped_receive_loses_nothing_and_a_dropped_send_ends_sending() {
    on_shard(small(), async |env| {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
        assert!(poll_once(listener.accept()).await.is_none());
        let address = listener.local_addr().unwrap();
        let client = Stream::connect(env.ring(), address).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert_eq!(server.peer_addr(), Some(client.socket_address()));

        assert!(poll_once(server.recv()).await.is_none());
        client.send(vec![Bytes::from_static(b"hello")]).await.unwrap();
        pause(&env, 10).await;
        // The data is in the receive that nobody waits for.
        assert_eq!(env.ring().buffers().held(), 1);
        assert_eq!(&*server.recv().await.unwrap(), b"hello");

        assert!(poll_once(server.recv()).await.is_none());
        client.send(vec![Bytes::from_static(b"more"), Bytes::from_static(b"data")]).await.unwrap();
        pause(&env, 10).await;
        let (bytes, count) = server.recv_into(BytesMut::with_capacity(100), 8).await.unwrap();
        assert_eq!((&bytes[..], count), (&b"moredata"[..], 8));

        // Two receivers are a mistake that is told.
        let mut first = Box::pin(server.recv());
        assert!(poll_once(&mut first).await.is_none());
        assert!(server.recv().await.is_err());
        drop(first);

        let huge = vec![Bytes::from(vec![0; 32 << 20])];
        assert!(poll_once(server.send(huge)).await.is_none());
        assert!(server.send(vec![Bytes::from_static(b"x")]).await.is_err());

        // A connection dropped with data in a pending receive gives the buffer back.
        drop(client);
        drop(server);
        let client = Stream::connect(env.ring(), address).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert!(poll_once(server.recv()).await.is_none());
        client.send(vec![Bytes::from_static(b"unread")]).await.unwrap();
        pause(&env, 10).await;
        drop(server);
        pause(&env, 10).await;
        assert_eq!(env.ring().buffers().held(), 0);
        // And its peer sees the end.
        assert!(
            client.recv().await.is_ok_and(|rest| rest.is_empty()) || client.recv().await.is_err()
        );
    });
}

#[test]
fn a_full_set_of_receive_buffers_stops_nobody() {
    on_shard(small(), async |env| {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(env.ring(), any, 16).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = Vec::new();
        for _ in 0..8 {
            let client = Stream::connect(env.ring(), address).await.unwrap();
            let server = listener.accept().await.unwrap();
            client.send(vec![Bytes::from_static(b"hello")]).await.unwrap();
            let received = server.recv().await.unwrap();
            assert_eq!(&*received, b"hello");
            kept.push((client, server, received));
        }
        assert_eq!(env.ring().buffers().held(), 4);
        drop(kept);
        assert_eq!(env.ring().buffers().held(), 0);
    });
}

#[test]
fn shutting_down_ends_a_waiting_receive() {
    on_shard(small(), async |env| {
        let address = echo_server(&env).await;
        let stream = Stream::connect(env.ring(), address).await.unwrap();
        let closer = stream.clone();
        let waiting = async { stream.recv().await.map(|rest| rest.len()) };
        let closing = async {
            pause(&env, 10).await;
            closer.shutdown(Shutdown::Both).unwrap();
        };
        let (received, ()) = future::zip(waiting, closing).await;
        assert_eq!(received.unwrap(), 0);
    });
}

#[test]
fn what_a_peer_has_is_acknowledged() {
    on_shard(small(), async |env| {
        let (client, server) = connected(&env).await;
        server.send(vec![Bytes::from_static(b"one")]).await.unwrap();
        assert_eq!(client.recv().await.unwrap().len(), 3);
        client.send(vec![Bytes::from_static(b"two")]).await.unwrap();
        assert_eq!(server.recv().await.unwrap().len(), 3);
        assert!(server.is_all_acknowledged().unwrap());
    });
}

#[test]
fn an_aborted_connection_throws_away_what_its_peer_has_not_read() {
    on_shard(small(), async |env| {
        let (client, server) = connected(&env).await;
        let total = 32 << 20;
        let sending = async { server.send(vec![Bytes::from(vec![0; total])]).await };
        let aborting = async {
            pause(&env, 20).await;
            let taken = server.acknowledged_bytes().unwrap();
            assert!((1..total as u64).contains(&taken), "{taken}");
            assert!(server.is_all_acknowledged().is_ok_and(|is_all| !is_all));
            server.abort().unwrap();
        };
        let (sent, ()) = future::zip(sending, aborting).await;
        assert!(sent.is_err());
        drop(server);
        let mut read = 0;
        let error = loop {
            match client.recv().await {
                Ok(rest) if rest.is_empty() => panic!("an orderly end after {read} bytes"),
                Ok(part) => read += part.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(read < total);
    });
}

#[test]
fn binding_waits_a_moment_for_an_address_in_use() {
    on_shard(small(), async |env| {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let releasing = async {
            pause(&env, 100).await;
            drop(holder);
        };
        let binding = Listener::bind(env.ring(), address, 16);
        let (bound, ()) = future::zip(binding, releasing).await;
        bound.unwrap();
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let start = env.now();
        let refused = Listener::bind(env.ring(), address, 16).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
        assert!((900..3000).contains(&env.now().ms_since(start)));
    });
}

#[test]
fn several_listeners_share_a_port() {
    on_shard(small(), async |env| {
        let any = "127.0.0.1:0".parse().unwrap();
        let first = Listener::bind(env.ring(), any, 64).await.unwrap();
        let address = first.local_addr().unwrap();
        let second = Listener::bind(env.ring(), address, 64).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..40 {
            clients.push(Stream::connect(env.ring(), address).await.unwrap());
        }
        let mut counts = [0, 0];
        for (listener, count) in [&first, &second].into_iter().zip(&mut counts) {
            loop {
                let accepted = future::or(async { Some(listener.accept().await) }, async {
                    pause(&env, 50).await;
                    None
                });
                match accepted.await {
                    Some(stream) => drop(stream.unwrap()),
                    None => break,
                }
                *count += 1;
            }
        }
        assert_eq!(counts.iter().sum::<i32>(), 40);
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
        let nobody = "127.0.0.1:1".parse().unwrap();
        let refused = Stream::connect(env.ring(), nobody).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}
