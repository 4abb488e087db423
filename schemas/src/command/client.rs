//! Connections: who is there, what they listen to.

use super::prelude::*;
use crate::{codec::Encoding, envelope::Position};

wire! {
    /// What a client can do with what it gets. Unknown flags are ignored.
    #[derive(Default)]
    struct Capabilities {
        /// Takes binary stream frames (meters, spectra).
        #[serde(default)]
        streams: bool,
        /// Takes deltas of views; without it every change of a view is a snapshot.
        #[serde(default)]
        deltas: bool,
        /// Answers `client.heartbeat`; without it the connection is never timed out.
        #[serde(default)]
        heartbeat: bool,
    }
}

wire! {
    /// What this connection may do before it is told no.
    struct Limits {
        max_message_bytes: u64,
        /// Commands per second, averaged; short bursts above it are fine.
        max_commands_per_second: u32,
        max_subscriptions: u32,
        /// Bytes that may wait for the client before it is cut off.
        max_queue_bytes: u64,
        max_batch: u32,
    }
}

wire! {
    /// One connected client.
    struct ClientInfo {
        client_id: String,
        instance_id: String,
        name: Option<String>,
        version: Option<String>,
        author: Option<String>,
        connected: crate::envelope::Timestamp,
        is_manager: bool,
    }
}

wire! {
    /// What to hear of. A name without a domain is an error; a domain without
    /// names is all of it.
    struct Topic {
        domain: String,
        /// Names of events; empty is all of the domain's.
        #[serde(default)]
        names: Vec<String>,
    }
}

commands! {
    /// Connections: who is there, what they listen to.
    domain Client;

    /// Introduces a client. It is the first message of a connection, and its
    /// encoding is that of the message itself unless `encoding` says otherwise.
    ///
    /// `clientId` names the program and decides who is manager, `instanceId` one
    /// run of it. An instance that connects again keeps its undo history and is
    /// answered, not obeyed again, when it repeats a command.
    act Hello emits ["client.connected"] {
        /// The program: `aura`, `pulse-cli`.
        client_id: String,
        /// This run of it, for instance a UUID.
        instance_id: String,
        /// For people.
        name: Option<String>,
        /// Version of the client.
        version: Option<String>,
        /// Versions of the protocol that it speaks, the best first; `[1]` when absent.
        #[serde(default)]
        protocols: Vec<u16>,
        /// Encoding of everything after the reply.
        encoding: Option<Encoding>,
        /// Who edits, as history and commits will say.
        author: Option<String>,
        #[serde(default)]
        capabilities: Capabilities,
        /// Required over TCP.
        token: Option<String>,
    } -> Welcome {
        protocol: u16,
        encoding: Encoding,
        /// Name and version of the server.
        server: String,
        server_version: String,
        /// Changes whenever the server starts.
        server_instance: String,
        is_manager: bool,
        manager_client_id: Option<String>,
        /// A heartbeat comes at least this often, in milliseconds; 0 is never.
        heartbeat_ms: u32,
        limits: Limits,
        /// Path of the open project.
        project: Option<String>,
    }
    check |payload, checker| {
        checker.required("clientId", &payload.client_id);
        checker.required("instanceId", &payload.instance_id);
    };
    example r#"{"clientId": "aura", "instanceId": "5f0c", "name": "Aura", "protocols": [1],
                "encoding": "messagePack", "author": "Ada", "capabilities": {"streams": true}}"#;

    /// Ends the connection after the reply. Subscriptions and streams end; what
    /// the client was holding (gestures) is let go as if it had been finished.
    act Goodbye emits ["client.disconnected"] {
        reason: Option<String>,
    } -> Done
    example r#"{"reason": "window closed"}"#;

    /// Asks whether the other side is alive. Both sides may send it; the answer
    /// is the event of the same name.
    ask Heartbeat {} -> Alive {
        /// Milliseconds since the server started.
        uptime_ms: u64,
    }
    example r#"{}"#;

    /// Ends Pulse gracefully: the draft is kept, every client is told.
    ///
    /// Only the manager may do so while there is one.
    act Shutdown emits ["client.stopping"] {
        reason: Option<String>,
    } -> Done
    example r#"{"reason": "update"}"#;

    /// Makes this client the manager: the one that Pulse belongs to and without
    /// which it may shut down. Fails while another manager is connected.
    put ClaimManager emits ["client.managerChanged"] {} -> Done
    example r#"{}"#;

    /// Lists the connected clients.
    ask List {} -> Clients {
        clients: Vec<ClientInfo>,
    }
    example r#"{}"#;

    /// Changes what the client said about itself in its hello.
    put Update {
        name: Option<String>,
        author: Option<String>,
        capabilities: Option<Capabilities>,
    } -> Done
    example r#"{"author": "Ada Lovelace"}"#;

    /// Subscribes to events, by domain and name. Without a subscription a client
    /// gets the answers to its own commands and nothing else.
    ///
    /// With `since`, what was missed is sent if it is still there (`recovered`);
    /// else the client has to read the state again.
    put Subscribe emits ["client.lagged"] {
        topics: Vec<Topic>,
        /// The last position that the client has seen.
        since: Option<Position>,
    } -> Subscribed {
        /// Names the subscription in `client.unsubscribe`.
        subscription: u32,
        /// Where the channel stands now.
        position: Position,
        /// Nothing between `since` and now is missing.
        recovered: bool,
    }
    check |payload, checker| check_list("topics", &payload.topics, checker);
    example r#"{"topics": [{"domain": "project"}, {"domain": "job", "names": ["progress"]}]}"#;

    /// Ends a subscription of `client.subscribe`.
    put Unsubscribe {
        subscription: u32,
    } -> Done
    example r#"{"subscription": 1}"#;

    /// Lists the subscriptions and streams of this connection.
    ask Subscriptions {} -> OwnSubscriptions {
        events: Vec<EventSubscription>,
        views: Vec<ViewSubscription>,
        streams: Vec<u32>,
    }
    example r#"{}"#;
}

wire! {
    /// A subscription of `client.subscribe`.
    struct EventSubscription {
        subscription: u32,
        topics: Vec<Topic>,
    }
}

wire! {
    /// A subscription of `view.subscribe`.
    struct ViewSubscription {
        subscription: u32,
        view: super::view::ViewName,
    }
}
