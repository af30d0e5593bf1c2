//! What goes wrong in the simulated cluster.

use crate::coordinator::Coordinator;
use crate::world::{FAULTS_UNTIL, Item, World};
use rand::Rng;

/// One fault, now. After the last one everything is mended.
pub fn one(world: &mut World) {
    for slot in 0..world.executors.len() {
        if !world.executors[slot].is_up {
            world.start_executor(slot);
        }
    }
    if !world.is_faulty() {
        return;
    }
    let slot = world.rng.random_range(0..world.executors.len());
    let left = FAULTS_UNTIL - world.now;
    match world.rng.random_range(0..100) {
        0..35 => world.stop_executor(slot),
        35..55 => {
            let time = world.rng.random_range(100..12_000);
            world.executors[slot].paused_until = world.now + time.min(left);
        }
        55..72 => {
            let time = world.rng.random_range(100..9000);
            let until = world.now + time.min(left);
            world.cut.insert(slot, until);
        }
        72..84 => {
            let time = world.rng.random_range(1000..20_000);
            world.executors[slot].bad_disk_until = world.now + time.min(left);
        }
        84..94 => world.executors[slot].is_draining = true,
        _ => restart_coordinator(world),
    }
}

fn restart_coordinator(world: &mut World) {
    let incarnation = world.coordinator.incarnation + 1;
    let before = std::mem::replace(&mut world.coordinator, Coordinator::new(incarnation));
    for (query, state) in before.queries {
        if state.is_committing {
            // Its one transaction was sent: it may have been carried out.
            world.unknown.insert(query);
            if world.rng.random_bool(0.5) {
                world.commit(query, state.files);
            }
        }
        world.tell(query, Err("the coordinator was restarted".to_owned()));
    }
    world.after(0, Item::CoordinatorTick { incarnation });
}
