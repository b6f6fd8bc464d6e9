//! Which life of a partition's directory a job belongs to.
//!
//! A topic may be deleted and made again under its old name while jobs of the old one still run. Each
//! job holds its directory's present life; a removal ends that life, waits until nobody holds it any
//! more, and only then gives the name free, so that an old job never writes into a new partition.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::gate::Gate;
use super::newest::Newest;

/// One life of a directory.
#[derive(Debug)]
pub struct Dir {
    /// Tells lives apart.
    pub id: u64,
    /// The directory.
    pub path: Arc<Path>,
    /// Writers of `leader-epoch-checkpoint`.
    pub epochs: Newest,
    /// Deletions of segments, one after the other: a newer one that is done first would leave a hole.
    pub retirements: Gate,
    /// Whether one of them has begun and not come to its end.
    pub is_retiring: Cell<bool>,
    users: Cell<usize>,
    is_gone: Cell<bool>,
    is_free: Cell<bool>,
    before: RefCell<Option<Rc<Dir>>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Dir {
    /// Whether the partition is being removed: what jobs of it cannot do any more does not matter.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    fn wake(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    async fn until(&self, mut is_met: impl FnMut(&Self) -> bool) {
        poll_fn(|cx| {
            if is_met(self) {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until the name is this life's: an earlier partition of that name is out of the way.
    pub async fn ready(&self) {
        let before = self.before.borrow().clone();
        if let Some(before) = before {
            before.until(|before| before.is_free.get()).await;
            *self.before.borrow_mut() = None;
        }
    }
}

/// A job's hold on a directory.
#[derive(Debug)]
pub struct DirUse(Rc<Dir>);

impl std::ops::Deref for DirUse {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.0
    }
}

impl Clone for DirUse {
    fn clone(&self) -> Self {
        self.0.users.set(self.0.users.get() + 1);
        Self(Rc::clone(&self.0))
    }
}

impl Drop for DirUse {
    fn drop(&mut self) {
        let left = self.0.users.get() - 1;
        self.0.users.set(left);
        if left == 0 {
            self.0.wake();
        }
    }
}

/// The end of a directory's life.
#[derive(Debug)]
pub struct DirEnd {
    dirs: Dirs,
    dir: Rc<Dir>,
}

impl DirEnd {
    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Waits until no job holds it any more, and it is this life's turn.
    pub async fn drained(&self) {
        self.dir.ready().await;
        self.dir.until(|dir| dir.users.get() == 0).await;
    }

    /// The name is free.
    pub fn free(&self) {
        self.dir.is_free.set(true);
        self.dir.wake();
        let mut table = self.dirs.0.borrow_mut();
        if table.lives.get(&self.dir.path).is_some_and(|last| Rc::ptr_eq(last, &self.dir)) {
            table.lives.remove(&self.dir.path);
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    lives: BTreeMap<Arc<Path>, Rc<Dir>>,
    next_id: u64,
}

impl Table {
    /// The present life of a directory.
    fn life(&mut self, path: &Arc<Path>) -> Rc<Dir> {
        let last = self.lives.get(path);
        if let Some(last) = last
            && !last.is_gone()
        {
            return Rc::clone(last);
        }
        let before = last.cloned();
        self.next_id += 1;
        let dir = Rc::new(Dir {
            id: self.next_id,
            path: Arc::clone(path),
            epochs: Newest::default(),
            retirements: Gate::new(1),
            is_retiring: Cell::new(false),
            users: Cell::new(0),
            is_gone: Cell::new(false),
            is_free: Cell::new(false),
            before: RefCell::new(before),
            waiting: RefCell::default(),
        });
        self.lives.insert(Arc::clone(path), Rc::clone(&dir));
        dir
    }
}

/// All directories that jobs have to do with. Clones are the same table.
#[derive(Debug, Clone, Default)]
pub struct Dirs(Rc<RefCell<Table>>);

impl Dirs {
    /// A hold on the present life of a directory.
    #[must_use]
    pub fn enter(&self, path: &Arc<Path>) -> DirUse {
        let dir = self.0.borrow_mut().life(path);
        dir.users.set(dir.users.get() + 1);
        DirUse(dir)
    }

    /// Ends the present life of a directory.
    #[must_use]
    pub fn end(&self, path: &Arc<Path>) -> DirEnd {
        let dir = self.0.borrow_mut().life(path);
        dir.is_gone.set(true);
        DirEnd { dirs: self.clone(), dir }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn a_new_life_waits_for_the_end_of_the_old_one() {
        let dirs = Dirs::default();
        let path: Arc<Path> = Arc::from(Path::new("/d/a-0"));
        let old = dirs.enter(&path);
        let end = dirs.end(&path);
        let new = dirs.enter(&path);
        assert!(old.is_gone() && !new.is_gone() && old.id != new.id);
        block_on(async {
            assert!(poll_once(new.ready()).await.is_none());
            assert!(poll_once(end.drained()).await.is_none());
            drop(old);
            end.drained().await;
            assert!(poll_once(new.ready()).await.is_none());
            end.free();
            new.ready().await;
        });
        assert_eq!(dirs.enter(&path).id, new.id);
    }
}
