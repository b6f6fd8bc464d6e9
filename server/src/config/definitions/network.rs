//! Listeners, sockets and connections.

use super::*;

definitions! {
    "listeners" List "PLAINTEXT://127.0.0.1:9092" [Any] High supported
        "Where the broker listens: `NAME://host:port`, separated by commas; an empty host is every address.";
    "advertised.listeners" List null [Any] High supported
        "Which addresses clients are told to use, if other than `listeners`.";
    "listener.security.protocol.map" String "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT" [Any] Low supported
        "Which security protocol each listener name stands for; only `PLAINTEXT` is built.";
    "inter.broker.listener.name" String null [Any] Medium ignored ALONE
        "Which listener brokers use among themselves.";
    "security.inter.broker.protocol" String "PLAINTEXT" [OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])] Medium ignored ALONE
        "Which security protocol brokers use among themselves.";
    "socket.request.max.bytes" Int "104857600" [AtLeast(1)] High supported
        "The largest request accepted; a larger one closes the connection.";
    "socket.send.buffer.bytes" Int "102400" [Any] High supported
        "A connection's SO_SNDBUF; -1 leaves it to the operating system.";
    "socket.receive.buffer.bytes" Int "102400" [Any] High supported
        "A connection's SO_RCVBUF; -1 leaves it to the operating system.";
    "socket.listen.backlog.size" Int "50" [AtLeast(1)] Medium supported
        "How many connections may wait to be accepted.";
    "socket.connection.setup.timeout.ms" Long "10000" [Any] Medium ignored ALONE
        "How long a broker tries to connect to another one at first.";
    "socket.connection.setup.timeout.max.ms" Long "30000" [Any] Medium ignored ALONE
        "How long a broker tries to connect to another one at most.";
    "connections.max.idle.ms" Long "600000" [Any] Medium supported
        "How long a silent connection is kept.";
    "connection.failed.authentication.delay.ms" Int "100" [AtLeast(0)] Low ignored SASL
        "How long the answer to a failed authentication is held back.";
    "connections.max.reauth.ms" Long "0" [Any] Medium ignored SASL
        "After how long a client must authenticate again.";
    "max.connections" Int "2147483647" [AtLeast(0)] Medium supported
        "How many connections the broker takes in all.";
    "max.connections.per.ip" Int "2147483647" [AtLeast(0)] Medium supported
        "How many connections one address may hold.";
    "max.connections.per.ip.overrides" String "" [Any] Medium supported
        "Other limits for some addresses or host names, as `address:number` pairs.";
    "max.connection.creation.rate" Int "2147483647" [AtLeast(0)] Medium supported
        "How many new connections a second the broker takes.";
    "queued.max.requests" Int "500" [AtLeast(1)] High ignored IN_FLIGHT
        "How many requests may wait for Kafka's request threads.";
    "queued.max.request.bytes" Long "-1" [Any] Medium supported
        "How many bytes of requests may be in the broker at once; -1 takes the share of `millrace.memory.bytes`.";
}
