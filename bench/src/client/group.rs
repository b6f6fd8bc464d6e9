//! Consumer groups with the classic protocol: members join before the load begins, then beat and commit while it lasts.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace::protocol::frame::request_frame;
use millrace::protocol::header::get_response_header;
use millrace::protocol::messages::Request;
use millrace::protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use millrace::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use millrace::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use millrace::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use millrace_engine::codec::{Message, Reader, Writer};

use super::connection::Connection;
use super::setup::{ASK_TIMEOUT, patiently};
use crate::error;
use crate::measure::recorder::Recorder;
use crate::sys::Poll;
use crate::wire::CLIENT_ID;
use crate::wire::ask::{AskError, Asker, refused};

const JOIN: i16 = 3;
const SYNC: i16 = 1;
const HEARTBEAT: i16 = 1;
const OFFSET_COMMIT: i16 = 5;

const SESSION_MS: i32 = 30_000;
/// As Java consumers do by default: a heartbeat each three seconds, a commit each five.
const BEAT_NS: u64 = 3_000_000_000;
const COMMIT_NS: u64 = 5_000_000_000;
/// How long a group may take to come together.
const FORM_TIMEOUT: Duration = Duration::from_secs(60);
const PROTOCOL: &str = "range";

/// A member whose group is complete.
pub struct Joined {
    asker: Asker,
    id: String,
    generation: i32,
    waiting: bool,
    /// Members in the group, if it leads.
    members: Vec<String>,
}

/// A member at work.
pub struct Member {
    group: String,
    topic: String,
    connection: Connection,
    id: String,
    generation: i32,
    beat_ns: u64,
    commit_ns: u64,
    correlation: i32,
    /// What is unanswered: heartbeats and commits.
    asked: VecDeque<Asked>,
}

#[derive(Clone, Copy)]
enum Asked {
    Heartbeat,
    Commit,
}

/// Lets `count` members join `group`, one per connection, and gives each its share of `partitions`.
pub fn form(
    bootstrap: &str,
    group: &str,
    topic: &str,
    partitions: &[i32],
    count: usize,
) -> Result<Vec<(Joined, Vec<i32>)>, AskError> {
    let address = patiently(|| Asker::connect(bootstrap, ASK_TIMEOUT)?.coordinator(group))?;
    let mut members = Vec::new();
    for _ in 0..count {
        let asker = Asker::connect(&address, ASK_TIMEOUT)?;
        let id = String::new();
        members.push(Joined { asker, id, generation: -1, waiting: false, members: Vec::new() });
    }
    join_all(&mut members, group, topic)?;
    // Each gets every `count`th partition.
    let shares: Vec<Vec<i32>> = (0..count)
        .map(|rank| partitions.iter().copied().skip(rank).step_by(count).collect())
        .collect();
    let leader = members.iter().position(|member| !member.members.is_empty()).unwrap_or(0);
    let ids: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
    let mut assignments = Vec::new();
    for (id, share) in ids.iter().zip(&shares) {
        assignments.push(SyncGroupRequestAssignment {
            member_id: id.as_str().into(),
            assignment: assignment(topic, share),
        });
    }
    for (rank, member) in members.iter_mut().enumerate() {
        let request = SyncGroupRequest {
            group_id: group.into(),
            generation_id: member.generation,
            member_id: member.id.as_str().into(),
            assignments: if rank == leader { assignments.clone() } else { Vec::new() },
            ..Default::default()
        };
        member.asker.send(SYNC, &request)?;
    }
    for member in &mut members {
        let answer = member.asker.receive::<SyncGroupRequest>(SYNC)?;
        refused(&format!("syncing group `{group}`"), answer.error_code, None)?;
    }
    Ok(members.into_iter().zip(shares).collect())
}

/// Joins until all members are in one generation. A member whose join was answered while another's was not has to join
/// again: the group waits for it.
#[expect(clippy::disallowed_methods, reason = "a deadline while preparing, not a measurement")]
fn join_all(members: &mut [Joined], group: &str, topic: &str) -> Result<(), AskError> {
    let deadline = Instant::now() + FORM_TIMEOUT;
    let count = members.len();
    loop {
        for member in members.iter_mut().filter(|member| !member.waiting) {
            member.send_join(group, topic)?;
        }
        let mut answered = 0;
        while answered == 0 {
            for member in members.iter_mut().filter(|member| member.waiting) {
                if member.asker.ready(Duration::from_millis(5)) {
                    member.receive_join(group)?;
                    answered += 1;
                }
            }
            if Instant::now() > deadline {
                let what = format!("group `{group}` did not come together");
                return Err(AskError::Refused { what, code: 7, detail: String::new() });
            }
        }
        // Those in the same generation answer together; give the rest a moment.
        for member in members.iter_mut().filter(|member| member.waiting) {
            if member.asker.ready(Duration::from_millis(200)) {
                member.receive_join(group)?;
            }
        }
        let generation = members[0].generation;
        let whole = members.iter().any(|member| member.members.len() == count)
            && members.iter().all(|member| !member.waiting && member.generation == generation);
        if whole {
            return Ok(());
        }
    }
}

impl Joined {
    fn send_join(&mut self, group: &str, topic: &str) -> Result<(), AskError> {
        let request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: SESSION_MS,
            member_id: self.id.as_str().into(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: PROTOCOL.into(),
                metadata: subscription(topic),
            }],
            ..Default::default()
        };
        self.waiting = true;
        self.asker.send(JOIN, &request)
    }

    fn receive_join(&mut self, group: &str) -> Result<(), AskError> {
        let answer = self.asker.receive::<JoinGroupRequest>(JOIN)?;
        self.waiting = false;
        if !error::passing(answer.error_code) {
            refused(&format!("joining group `{group}`"), answer.error_code, None)?;
        }
        self.id = answer.member_id.as_str().to_owned();
        self.generation = answer.generation_id;
        self.members =
            answer.members.iter().map(|member| member.member_id.as_str().to_owned()).collect();
        Ok(())
    }

    /// Puts the member to work on a connection watched under `token`.
    pub fn start(self, group: &str, topic: &str, token: u64, poll: &Poll) -> io::Result<Member> {
        Ok(Member {
            group: group.into(),
            topic: topic.into(),
            connection: Connection::new(self.asker.into_stream()?, token, poll)?,
            id: self.id,
            generation: self.generation,
            beat_ns: BEAT_NS,
            commit_ns: COMMIT_NS,
            correlation: 1 << 20, // beyond those of joining
            asked: VecDeque::new(),
        })
    }
}

impl Member {
    /// Beats and commits when it is time. Returns when to come again.
    pub fn pump(
        &mut self,
        now_ns: u64,
        offsets: impl Iterator<Item = (i32, i64)>,
        poll: &Poll,
    ) -> io::Result<u64> {
        if now_ns >= self.beat_ns {
            self.beat_ns = now_ns + BEAT_NS;
            let request = HeartbeatRequest {
                group_id: self.group.as_str().into(),
                generation_id: self.generation,
                member_id: self.id.as_str().into(),
                ..Default::default()
            };
            self.send(HEARTBEAT, &request, Asked::Heartbeat, poll)?;
        }
        if now_ns >= self.commit_ns {
            self.commit_ns = now_ns + COMMIT_NS;
            let partitions = offsets
                .map(|(partition, offset)| OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    committed_metadata: Some("".into()),
                    ..Default::default()
                })
                .collect();
            let request = OffsetCommitRequest {
                group_id: self.group.as_str().into(),
                generation_id_or_member_epoch: self.generation,
                member_id: self.id.as_str().into(),
                topics: vec![OffsetCommitRequestTopic {
                    name: self.topic.as_str().into(),
                    partitions,
                    ..Default::default()
                }],
                ..Default::default()
            };
            self.send(OFFSET_COMMIT, &request, Asked::Commit, poll)?;
        }
        Ok(self.beat_ns.min(self.commit_ns))
    }

    fn send<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        asked: Asked,
        poll: &Poll,
    ) -> io::Result<()> {
        self.correlation += 1;
        let frame = request_frame(request, version, self.correlation, Some(CLIENT_ID))
            .map_err(io::Error::other)?;
        let mut queued = self.connection.request();
        queued.own.extend_from_slice(&frame.into_bytes());
        self.connection.queue(queued);
        self.asked.push_back(asked);
        self.connection.flush(poll)
    }

    /// Reads what has come. `false`: the coordinator closed the connection.
    pub fn receive(&mut self, recorder: &mut Recorder) -> io::Result<bool> {
        if !self.connection.fill()? {
            return Ok(false);
        }
        while let Some(range) = self.connection.next_frame()? {
            let bytes = Bytes::copy_from_slice(self.connection.frame(range));
            let codes = match self.asked.pop_front() {
                Some(Asked::Heartbeat) => {
                    let answer: HeartbeatResponse = decode::<HeartbeatRequest>(HEARTBEAT, bytes)?;
                    vec![answer.error_code]
                }
                Some(Asked::Commit) => {
                    let answer: OffsetCommitResponse =
                        decode::<OffsetCommitRequest>(OFFSET_COMMIT, bytes)?;
                    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                    partitions.map(|partition| partition.error_code).collect()
                }
                None => return Err(io::Error::other("the coordinator answered unasked")),
            };
            for code in codes.into_iter().filter(|code| *code != 0) {
                recorder.error(format!("group: {}", error::name(code)));
            }
        }
        Ok(true)
    }
}

fn decode<R: Request>(version: i16, bytes: Bytes) -> io::Result<R::Response> {
    let mut reader = Reader::of_own(bytes);
    get_response_header(R::API, version, &mut reader).map_err(io::Error::other)?;
    R::Response::decode(version, &mut reader).map_err(io::Error::other)
}

/// What a member subscribes to, in the form the consumer protocol gives it (version 0).
fn subscription(topic: &str) -> Bytes {
    let mut writer = Writer::new();
    writer.put_i16(0);
    writer.put_i32(1);
    put_string(&mut writer, topic);
    writer.put_i32(-1); // no user data
    finished(writer)
}

/// What a member is assigned (version 0).
fn assignment(topic: &str, partitions: &[i32]) -> Bytes {
    let mut writer = Writer::new();
    writer.put_i16(0);
    writer.put_i32(1);
    put_string(&mut writer, topic);
    writer.put_i32(partitions.len() as i32);
    partitions.iter().for_each(|partition| writer.put_i32(*partition));
    writer.put_i32(-1);
    finished(writer)
}

fn put_string(writer: &mut Writer, text: &str) {
    writer.put_i16(text.len() as i16);
    writer.put_slice(text.as_bytes());
}

fn finished(writer: Writer) -> Bytes {
    writer.finish().map(millrace_engine::codec::Frame::into_bytes).unwrap_or_default()
}
