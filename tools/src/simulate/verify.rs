//! After every start: is everything there that was promised? Then the clients begin.

use std::rc::Rc;

use millrace_engine::boot::Identity;
use millrace_engine::io::Env;

use super::shrink::Part;
use super::world::{Phase, SimClient, World, pause};
use super::{administer, groups, produce, read};

/// Idempotent producers in all.
const PRODUCERS: usize = 4;
/// Groups in all.
const GROUPS: usize = 4;

/// What stands in for the server on a shard.
pub async fn serve(world: Rc<World>, client: SimClient, identity: Identity) {
    if client.shard() == world.lead.get() {
        let known =
            world.ledger.borrow_mut().cluster_id.get_or_insert(identity.cluster_id.clone()).clone();
        if known != identity.cluster_id {
            world.wrong(format!("the cluster id was {known}, is {}", identity.cluster_id));
        }
        world.phase.set(Phase::Verifying);
        verify(&world, &client).await;
        administer::create_offsets(&world, &client).await;
        if world.ledger.borrow().places().is_empty() {
            administer::create(&world, &client).await;
        }
        while world.ledger.borrow().streams.producers.len() < PRODUCERS {
            let Some(id) = administer::producer_id(&world, &client).await else { break };
            world.ledger.borrow_mut().streams.add(id);
        }
        world.phase.set(Phase::Working);
        if world.limits.has(Part::Administration) {
            client.env().spawn(administer::administer(Rc::clone(&world), client.clone()));
        }
    }
    while world.phase.get() < Phase::Working {
        pause(&client, 100_000).await;
    }
    begin(&world, &client);
}

/// Starts this shard's clients.
fn begin(world: &Rc<World>, client: &SimClient) {
    let (env, shards) = (client.env(), usize::from(client.shards()));
    let is_mine = |index: &usize| index % shards == usize::from(client.shard());
    let producers = world.ledger.borrow().streams.producers.len();
    let has = |part| world.limits.has(part);
    for producer in (0..producers).filter(is_mine).filter(|_| has(Part::Idempotence)) {
        env.spawn(produce::idempotently(Rc::clone(world), client.clone(), producer));
    }
    for group in (0..GROUPS).filter(is_mine).filter(|_| has(Part::Groups)) {
        env.spawn(groups::commit(Rc::clone(world), client.clone(), format!("g{group}")));
    }
    if has(Part::Appends) {
        env.spawn(produce::plainly(Rc::clone(world), client.clone()));
    }
    if has(Part::Reads) {
        env.spawn(read::wander(Rc::clone(world), client.clone()));
    }
}

/// Compares everything with the ledger.
async fn verify(world: &Rc<World>, client: &SimClient) {
    world.tell(|| "verifying".to_owned());
    administer::verify(world, &client.image());
    let places = world.ledger.borrow().places();
    for place in places {
        read::scan(world, client, place).await;
    }
    let producers = world.ledger.borrow().streams.producers.len();
    for producer in 0..producers {
        let settled = world.ledger.borrow().streams.settled(producer);
        for (place, id) in settled {
            produce::double(world, client, place, id).await;
        }
    }
    let commits = world.ledger.borrow().commits.keys();
    for (group, place) in commits {
        groups::fetch(world, client, &group, place, true).await;
    }
}
